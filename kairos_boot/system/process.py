"""The one door to other programs: argv tuples, no stdin, a time limit, a process group, bounded output."""

from __future__ import annotations

import errno
import os
import select
import time

from kairos_boot.errors import Ended, KairosError, reason
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, Protocol

    from kairos_boot.system.family import Family

    class ProcessRunner(Protocol):
        """What actions and conditions are handed: it runs one program to its end."""

        def run(self, argv: Sequence[str], *, timeout: float = 0, env: Mapping[str, str] | None = None, stdin: bytes = b"", whole: int = 0) -> Result:
            """Run *argv*; see Processes.run."""

SIGTERM, SIGKILL = 15, 9  # `signal` imports enum
KEEP = 64 * 1024
"""Bytes of output kept from its start, and as many from its end."""
ANSWER = 16 << 20
"""Bytes of an answer that is read by us, not by people: a list of tags, a manifest."""
GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL. A run inside a command of another one takes half of it, so that it ends its own command,
and writes its record, before the outer one ends it."""
STOPPED = "the run was ended before the step was done"
AT_ONCE = 32
"""Readings of an output before the limit and the others are looked at again: more than a pipe holds, and no end where it never runs dry."""
ALIVE = 10.0
"""Seconds between two calls of `waiting`."""
_DEFAULT = tuple(number for number in range(1, 65) if number not in (SIGKILL, 19, 32, 33))
"""Signals that a program gets at their default, as from a login: Python ignores SIGPIPE and SIGXFSZ, nohup SIGHUP (C10). All but
those that cannot be set, and two that belong to the C library."""


@record
class Result:
    """How a program ended: `code` is its exit status, negative for a signal; `output` is stdout and stderr together, or stdout alone (`whole`)."""

    code: int
    output: str = ""
    timed_out: bool = False
    errors: str = ""
    """What it said on stderr, where that was asked for alone."""

    @property
    def said(self) -> str:
        """What it says of a failure."""
        return self.errors or self.output

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
        """Called every 10 s while a program runs, with the seconds so far."""
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)
        self._stopped = False

    def __del__(self) -> None:
        os.close(self._stop)

    def stop(self) -> None:
        """End what runs in any thread, and let nothing more be run: `run` raises Ended from then on."""
        self._stopped = True
        os.eventfd_write(self._stop, 1)  # never read, so all see it

    def run(self, argv: Sequence[str], *, timeout: float = 0, env: Mapping[str, str] | None = None, stdin: bytes = b"", whole: int = 0) -> Result:
        """Run *argv* until it ends and return how.

        *timeout* is in seconds, 0 is none; on expiry everything that it started is ended. *env* is added to the inherited
        environment. A background child that keeps the output
        open is not waited for. With *whole* its answer is wanted: stdout alone and all of it, up to so many bytes.
        KairosError: the program cannot be started, or its answer is longer. Ended: the run was stopped.
        """
        from kairos_boot.system.directly import words as without_shell
        from kairos_boot.system.environment import for_commands
        from kairos_boot.system.family import Family
        from kairos_boot.system.lock import COMMAND

        if self._stopped:
            raise Ended(STOPPED)
        words = tuple(argv) if self.root == "/" else ("chroot", self.root, *argv)
        environment = for_commands(os.environ if self.environment is None else self.environment)
        environment.update(env or {})
        family = Family()
        environment[COMMAND] = family.mark
        pipes = [os.pipe() for _ in range(2 if whole else 1)]
        outputs = {ours: _Kept(whole if number == 0 else 0) for number, (ours, _) in enumerate(pipes)}
        entry = _stdin(stdin)
        actions = [(os.POSIX_SPAWN_DUP2, entry, 0), (os.POSIX_SPAWN_DUP2, pipes[0][1], 1), (os.POSIX_SPAWN_DUP2, pipes[-1][1], 2)]
        direct = without_shell(words)
        try:
            try:
                pid = _start(direct or words, environment, actions)
            except OSError:
                if not direct:
                    raise
                pid = _start(words, environment, actions)  # the shell has the words for it
        except OSError as error:
            _close(outputs)
            raise KairosError(f"cannot run {words[0]}: {reason(error)}") from error
        except ValueError as error:
            _close(outputs)
            raise KairosError(f"cannot run {words[0]!r}: {error}") from error
        finally:
            _close(theirs for _, theirs in pipes)
            os.close(entry)
        try:
            code, timed_out = self._follow(pid, outputs, timeout, family)
        finally:
            _close(outputs)
        answer, *errors = outputs.values()
        if whole and answer.lost:
            raise KairosError(f"{words[0]} answers with more than {whole >> 20} MiB", hint="what it was asked for cannot be what is meant")
        return Result(code, answer.text(), timed_out, *(said.text() for said in errors))

    def _follow(self, pid: int, outputs: Mapping[int, _Kept], timeout: float, family: Family) -> tuple[int, bool]:
        """Its exit status, and whether it was ended."""
        from kairos_boot.system.family import depth

        pidfd = os.pidfd_open(pid)
        grace = GRACE / 2 ** depth()
        started = time.monotonic()
        limit = started + timeout if timeout else 0.0
        alive = started + ALIVE
        stage = 0
        poll = select.poll()
        for output in outputs:
            os.set_blocking(output, False)
            poll.register(output, select.POLLIN)
        poll.register(pidfd, select.POLLIN)
        poll.register(self._stop, select.POLLIN)
        try:
            while True:
                now = time.monotonic()
                if limit and now >= limit and stage < 2:
                    family.end(pid, SIGKILL if stage else SIGTERM)
                    stage, limit = stage + 1, now + grace
                wake = min(limit, alive) if limit and stage < 2 else alive
                ready = dict(poll.poll(max(1, (wake - now) * 1000)))
                if self._stop in ready:
                    raise Ended(STOPPED)  # noqa: TRY301
                for output, kept in outputs.items():
                    if output in ready and not kept.read(output):
                        poll.unregister(output)
                if pidfd in ready:
                    for output, kept in outputs.items():
                        kept.read(output)
                    break
                if time.monotonic() >= alive:
                    alive += ALIVE
                    if self.waiting:
                        self.waiting(time.monotonic() - started)
            status = os.waitpid(pid, 0)[1]
            if stage:
                family.end(pid, SIGKILL)  # what outlived its leader
            return os.waitstatus_to_exitcode(status), stage > 0
        except BaseException:  # whoever waits is being ended, and the program with him
            family.end(pid, SIGTERM)
            if not select.select([pidfd], [], [], grace)[0]:
                family.end(pid, SIGKILL)
            os.waitpid(pid, 0)
            family.end(pid, SIGKILL)
            raise
        finally:
            os.close(pidfd)


def _start(words: tuple[str, ...], environment: Mapping[str, str], actions: Sequence[Any]) -> int:
    """The process id of the program. OSError: it cannot be started. ValueError: a NUL or a lone surrogate in a word."""
    return os.posix_spawnp(_program(words[0], environment["PATH"]), words, environment, file_actions=actions, setpgroup=0, setsigmask=(), setsigdef=_DEFAULT)


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


def _close(descriptors: Iterable[int]) -> None:
    for fd in descriptors:
        os.close(fd)


class _Kept:
    """The start and the end of an output of any length; with *whole* all of it up to so many bytes, and nothing of its end."""

    def __init__(self, whole: int = 0) -> None:
        self.head, self.tail, self.lost = bytearray(), b"", 0
        self._room, self._end = whole or KEEP, 0 if whole else KEEP

    def read(self, fd: int) -> bool:
        """Take what is there now; False at the end of the output."""
        for _ in range(AT_ONCE):
            try:
                data = os.read(fd, KEEP)
            except OSError as error:
                if error.errno == errno.EAGAIN:
                    return True
                raise
            if not data:
                return False
            room = self._room - len(self.head)
            self.head += data[:room]
            self.tail += data[room:]
            if len(self.tail) > 2 * self._end:
                self.lost += len(self.tail) - self._end
                self.tail = self.tail[len(self.tail) - self._end:]
        return True

    def text(self) -> str:
        middle = f"\n[… {self.lost} bytes left out …]\n".encode() if self.lost else b""
        return bytes(self.head + middle + self.tail).decode("utf-8", "backslashreplace")
