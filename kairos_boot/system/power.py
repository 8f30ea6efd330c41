"""PID 1 and the kernel: quiet consoles, and a restart that waits for nobody."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kairos_boot.system.host import Host

_STATUS_ON, _STATUS_OFF = 34 + 20, 34 + 21
"""SIGRTMIN+20 and +21: systemd shows status lines on the console, or shows no more (systemd(1))."""
_RESTART = 0x01234567
_LEVEL = "/proc/sys/kernel/printk"


def quiet(host: Host) -> str:
    """Let neither PID 1 nor the kernel write on the consoles any more, but for a kernel that dies; what `aloud` needs."""
    level = (host.read(_LEVEL) or b"").decode("ascii", "replace").strip()
    _set(host, "1", _STATUS_OFF)
    return level


def aloud(host: Host, level: str) -> None:
    """The opposite, with the kernel's *level* of before."""
    _set(host, level or "4", _STATUS_ON)


def _set(host: Host, level: str, signal: int) -> None:
    try:
        with open(host.path(_LEVEL), "w", encoding="ascii") as file:
            file.write(level)
        if host.online:
            os.kill(1, signal)
    except OSError:
        return


def reboot(host: Host, force: Callable[[Host], None] | None = None) -> None:
    """Restart the machine in order: each unit ends. Where systemd does not take that, by *force* (`restart`): nobody is there who would try it again."""
    from kairos_boot.errors import KairosError

    try:
        done = host.processes.run(("systemctl", "--no-block", "reboot"), timeout=60).code == 0
    except KairosError:
        done = False
    if not done:
        (force or restart)(host)


def restart(host: Host) -> None:
    """Restart the machine: by PID 1, which ends processes and file systems; should it not listen, by the kernel."""
    from kairos_boot.errors import KairosError

    os.sync()
    try:
        done = host.processes.run(("systemctl", "--force", "--no-wall", "reboot"), timeout=30).code == 0
    except KairosError:
        done = False
    if done:
        import time

        time.sleep(60)
    import ctypes

    ctypes.CDLL(None).reboot(_RESTART)
