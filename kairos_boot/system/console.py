"""A shell at the console, for somebody who stopped a boot on purpose."""

from __future__ import annotations

import os

from kairos_boot.system import notify, power
from kairos_boot.system.descriptors import write_all
from kairos_boot.system.family import Family
from kairos_boot.system.lock import COMMAND, VARIABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kairos_boot.system.host import Host

CONSOLE = "/dev/console"
_TAKE_TERMINAL = 0x540E
"""TIOCSCTTY: this terminal is the session's, whoever had it before."""
LIMIT = 7 * 24 * 3600.0
"""Seconds that systemd is asked to wait for the unit that somebody debugs."""


def shell(host: Host, text: str, *, prompt: str, gettys: bool) -> int:
    """Show *text* at the console and run a shell there; its exit status. OSError: there is no console, or no shell.

    With *gettys* a login prompt of the running system may have the console: it is taken away meanwhile.
    """
    fd = os.open(CONSOLE, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        logins = list(_logins(host)) if gettys else []
        _systemctl(host, ("mask", "--runtime", *logins), ("stop", *logins), logins)
        notify.extend(LIMIT)
        loud = power.quiet(host)
        try:
            write_all(fd, text.encode("utf-8", "backslashreplace"))
            return _run(fd, prompt)
        finally:
            power.aloud(host, loud)
            _systemctl(host, ("unmask", "--runtime", *logins), ("--no-block", "start", *logins), logins)
    finally:
        os.close(fd)


def _logins(host: Host) -> Iterator[str]:
    names = (host.read("/sys/class/tty/console/active") or b"").decode("ascii", "replace").split()
    for name in names[-1:]:  # /dev/console is the last one
        yield f"{'getty' if name.startswith('tty') and name[3:].isdecimal() else 'serial-getty'}@{'tty1' if name == 'tty0' else name}.service"


def _systemctl(host: Host, first: tuple[str, ...], second: tuple[str, ...], units: list[str]) -> None:
    if units:
        for words in (first, second):
            host.processes.run(("systemctl", *words), timeout=30)


def _run(fd: int, prompt: str) -> int:
    """Run the shell as the leader of a session of its own, whose terminal the console is; a stop of this run ends it, too."""
    import _signal  # type: ignore[import-not-found]  # `signal` imports enum

    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root" if os.path.isdir("/root") else "/",
                   "TERM": os.environ.get("TERM", "linux"), "PS1": f"{prompt}# "}
    # A run by hand in there belongs to this one: it does not wait for the lock that this one holds.
    environment |= {COMMAND: Family().mark, **({VARIABLE: os.environ[VARIABLE]} if VARIABLE in os.environ else {})}
    pid = os.fork()
    if not pid:
        try:
            for number in (_signal.SIGTERM, _signal.SIGHUP, _signal.SIGINT, _signal.SIGPIPE):
                _signal.signal(number, _signal.SIG_DFL)
            os.setsid()
            _take(fd)
            for stream in (0, 1, 2):
                os.dup2(fd, stream)
            os.execve("/bin/sh", ["sh", "-i"], environment)
        finally:
            os._exit(127)
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except BaseException:
        os.kill(pid, _signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def _take(fd: int) -> None:
    from fcntl import ioctl

    try:
        ioctl(fd, _TAKE_TERMINAL, 1)
    except OSError:
        return  # without job control
