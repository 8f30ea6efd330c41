"""One run at a time (B13): a lock that children of the holder may share."""

from __future__ import annotations

import fcntl
import os

from kairos_boot.errors import KairosError, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE = "KAIROS_BOOT_LOCK"
"""Tells a child the open descriptor of the lock that its ancestor holds."""
LIMIT = 600.0
"""Seconds a second run waits."""


class Lock:
    """The lock of one node, held until the process ends or `release`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = -1

    def acquire(self, say: Callable[[str], None], limit: float = LIMIT) -> None:
        """Take the lock; wait at most *limit* seconds for another run. KairosError: it did not end, or no permission."""
        try:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise KairosError(f"cannot open the lock: {reason(error)}", self.path, "run as root") from error
        if not _try(self.fd):
            if self._ancestor_holds():
                os.close(self.fd)
                self.fd = -1
                return
            say(f"{self.path}: another run holds the lock ({self._holder()}); waiting at most {limit:g} s")
            self._wait(limit)
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, f"{os.getpid()}\n".encode(), 0)
        os.set_inheritable(self.fd, True)
        os.environ[VARIABLE] = str(self.fd)

    def _ancestor_holds(self) -> bool:
        """Whether the descriptor that an ancestor passed on is the one that holds the lock.

        Locking it again then succeeds at once. A background process that outlived its run has the descriptor, too, but
        then the lock is free or somebody else's.
        """
        try:
            fd = int(os.environ.get(VARIABLE, ""))
            passed, here = os.fstat(fd), os.fstat(self.fd)
        except (ValueError, OSError):
            return False
        return (passed.st_dev, passed.st_ino) == (here.st_dev, here.st_ino) and _try(fd)

    def _wait(self, limit: float) -> None:
        """Wait in the kernel; a child does it, since a blocking flock has no time limit of its own."""
        ours, theirs = os.pipe()
        child = os.fork()
        if not child:
            os.close(ours)
            fcntl.flock(self.fd, fcntl.LOCK_EX)  # the lock belongs to the open file, which the parent shares
            os._exit(0)
        os.close(theirs)
        import select

        ready = select.select([ours], [], [], limit)[0]
        os.close(ours)
        if not ready:
            os.kill(child, 9)
        os.waitpid(child, 0)
        if not ready and not _try(self.fd):
            raise KairosError(f"another run ({self._holder()}) still holds the lock after {limit:g} s", self.path, "see what it does: kairos-boot status")

    def _holder(self) -> str:
        try:
            text = os.pread(self.fd, 32, 0).decode().strip()
        except (OSError, UnicodeDecodeError):
            text = ""
        return f"process {text}" if text else "unknown process"

    def release(self) -> None:
        """Give the lock back, also where a background child still has the descriptor."""
        if self.fd >= 0:
            os.environ.pop(VARIABLE, None)
            fcntl.flock(self.fd, fcntl.LOCK_UN)
            os.close(self.fd)
            self.fd = -1


def _try(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
