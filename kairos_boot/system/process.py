"""The one door to other programs: argv tuples, no stdin, a time limit, a process group, bounded output."""

from __future__ import annotations

import errno
import os
import select
import time

from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Protocol

    class ProcessRunner(Protocol):
        """What actions and conditions are handed: it runs one program to its end."""

        def run(self, argv: Sequence[str], *, timeout: float = 0, env: Mapping[str, str] | None = None, stdin: bytes = b"",
                waiting: Callable[[float], None] | None = None) -> Result:
            """Run *argv*; see Processes.run."""

SIGTERM, SIGKILL = 15, 9  # `signal` imports enum
KEEP = 64 * 1024
"""Bytes of output kept from its start, and as many from its end."""
GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL."""
ALIVE = 10.0
"""Seconds between two calls of *waiting*."""
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@record
class Result:
    """How a program ended: `code` is its exit status, negative for a signal; `output` is stdout and stderr together."""

    code: int
    output: str = ""
    timed_out: bool = False

    def explain(self, limit: float = 0) -> str:
        """`exit status 3`, `signal 9` or `time limit of 2 s`."""
        if self.timed_out:
            return f"time limit of {limit:g} s"
        return f"exit status {self.code}" if self.code >= 0 else f"signal {-self.code}"


class Processes:
    """Runs programs; below another root directory than / they run in a chroot of it."""

    def __init__(self, root: str = "/", environment: Mapping[str, str] | None = None) -> None:
        self.root = root
        self.environment = environment
        self.waiting: Callable[[float], None] | None = None
        """Called while a program runs, unless the call names another."""

    def run(self, argv: Sequence[str], *, timeout: float = 0, env: Mapping[str, str] | None = None, stdin: bytes = b"",
            waiting: Callable[[float], None] | None = None) -> Result:
        """Run *argv* until it ends and return how.

        *timeout* is in seconds, 0 is none; on expiry the whole process group is ended. *env* is added to the inherited
        environment. *waiting* is called every 10 s with the seconds so far. A background child that keeps the output
        open is not waited for. KairosError: the program cannot be started.
        """
        words = tuple(argv) if self.root == "/" else ("chroot", self.root, *argv)
        environment = dict(os.environ if self.environment is None else self.environment)
        environment.setdefault("PATH", DEFAULT_PATH)
        environment.update(env or {})
        ours, theirs = os.pipe()
        entry = _stdin(stdin)
        actions = [(os.POSIX_SPAWN_DUP2, entry, 0), (os.POSIX_SPAWN_DUP2, theirs, 1), (os.POSIX_SPAWN_DUP2, theirs, 2)]
        try:
            pid = os.posix_spawnp(_program(words[0], environment["PATH"]), words, environment, file_actions=actions, setpgroup=0)
        except OSError as error:
            os.close(ours)
            raise KairosError(f"cannot run {words[0]}: {reason(error)}") from error
        except ValueError as error:  # a NUL or a lone surrogate in a word
            os.close(ours)
            raise KairosError(f"cannot run {words[0]!r}: {error}") from error
        finally:
            os.close(theirs)
            os.close(entry)
        try:
            return _follow(pid, ours, timeout, waiting or self.waiting)
        finally:
            os.close(ours)


def _program(name: str, path: str) -> str:
    """Where *name* lies on the PATH that the program is given: posix_spawnp looks at the caller's. FileNotFoundError: nowhere."""
    if "/" in name:
        return name
    for directory in path.split(":"):
        found = f"{directory or '.'}/{name}"
        if os.access(found, os.X_OK) and not os.path.isdir(found):
            return found
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)


def _stdin(data: bytes) -> int:
    if not data:
        return os.open("/dev/null", os.O_RDONLY)
    fd = os.memfd_create("stdin")
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _follow(pid: int, output: int, timeout: float, waiting: Callable[[float], None] | None) -> Result:
    os.set_blocking(output, False)
    pidfd = os.pidfd_open(pid)
    kept = _Kept()
    started = time.monotonic()
    limit = started + timeout if timeout else 0.0
    alive = started + ALIVE
    stage = 0
    poll = select.poll()
    poll.register(output, select.POLLIN)
    poll.register(pidfd, select.POLLIN)
    try:
        while True:
            now = time.monotonic()
            if limit and now >= limit and stage < 2:
                _end(pid, SIGKILL if stage else SIGTERM)
                stage, limit = stage + 1, now + GRACE
            wake = min(limit, alive) if limit and stage < 2 else alive
            ready = dict(poll.poll(max(1, (wake - now) * 1000)))
            if output in ready and not kept.read(output):
                poll.unregister(output)
            if pidfd in ready:
                kept.read(output)
                break
            if time.monotonic() >= alive:
                alive += ALIVE
                if waiting:
                    waiting(time.monotonic() - started)
        status = os.waitpid(pid, 0)[1]
        if stage:
            _end(pid, SIGKILL)  # what outlived its leader
        return Result(os.waitstatus_to_exitcode(status), kept.text(), stage > 0)
    except BaseException:  # whoever waits is being ended, and the program with him
        _end(pid, SIGTERM)
        if not select.select([pidfd], [], [], GRACE)[0]:
            _end(pid, SIGKILL)
        os.waitpid(pid, 0)
        _end(pid, SIGKILL)
        raise
    finally:
        os.close(pidfd)


def _end(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        pass


class _Kept:
    """The start and the end of an output of any length."""

    def __init__(self) -> None:
        self.head, self.tail, self.lost = b"", b"", 0

    def read(self, fd: int) -> bool:
        """Take what is there; False at the end of the output."""
        while True:
            try:
                data = os.read(fd, KEEP)
            except OSError as error:
                if error.errno == errno.EAGAIN:
                    return True
                raise
            if not data:
                return False
            room = KEEP - len(self.head)
            self.head, rest = self.head + data[:room], data[room:]
            self.tail += rest
            if len(self.tail) > 2 * KEEP:
                self.lost += len(self.tail) - KEEP
                self.tail = self.tail[-KEEP:]

    def text(self) -> str:
        middle = f"\n[… {self.lost} bytes left out …]\n".encode() if self.lost else b""
        return (self.head + middle + self.tail).decode("utf-8", "backslashreplace")
