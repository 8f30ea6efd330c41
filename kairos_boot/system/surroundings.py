"""What the program takes from its caller, made the same for every run before anything is done (C14).

Standard streams that are closed, output that nobody takes, any umask, descriptors that a caller forgot: none of these changes
what is done or the exit code.
"""

from __future__ import annotations

import io
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

PATIENCE_MS = 10_000
"""How long a reader of our output that asked not to be waited for (O_NONBLOCK) is waited for all the same."""


def prepare() -> None:
    """Open the standard streams that are closed, make writing to them safe, set the umask, keep other descriptors from commands."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one
            os.set_inheritable(fd, True)
    os.umask(0o022)
    _keep_to_ourselves()
    if sys.stdout is None or sys.stdout is sys.__stdout__:
        sys.stdout = _stream(1)
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr = _stream(2)


def _keep_to_ourselves() -> None:
    """No command of ours gets a descriptor that our caller left open for us."""
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return
    for name in names:
        if int(name) > 2:
            try:
                os.set_inheritable(int(name), False)
            except OSError:
                continue  # the one that listed them


def _stream(fd: int) -> TextIO:
    return io.TextIOWrapper(io.BufferedWriter(_Output(fd)), "utf-8", "backslashreplace", line_buffering=fd == 2 or os.isatty(fd))


class _Output(io.RawIOBase):
    """Writes to a descriptor as long as somebody takes it; what nobody takes is lost, and nothing else."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd
        self._lost = False

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest and not self._lost:
            try:
                rest = rest[os.write(self._fd, rest):]
            except BlockingIOError:
                import select

                poll = select.poll()
                poll.register(self._fd, select.POLLOUT)
                self._lost = not poll.poll(PATIENCE_MS)
            except OSError:
                self._lost = True
        return size
