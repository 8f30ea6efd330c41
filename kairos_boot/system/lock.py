"""One run at a time (B13, C13): a lock of the process, which dies with it, and which the children of its holder share.

It is a record lock of the kernel: no child inherits it, so nothing that a dead run leaves behind holds it, and the kernel itself
tells who holds it. The file is writable for root alone, in a directory that only root enters, so nobody else can take it.
What the file says is for people and for other PID namespaces; a run does not depend on it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record
from kairos_boot.system.private import DIRECTORY, private_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LOCK = f"{DIRECTORY}/lock"
ACTIONS = f"{DIRECTORY}/action"
"""Held by an action, such as an upgrade, from its beginning to its end, and by who makes a partition of the systems writable for a moment (G6)."""
VARIABLE = "KAIROS_BOOT_LOCK"
"""Tells a child whose locks it shares: process id and start time of each holder, as `PID:START`, separated by spaces; a run may hold one, and its step another."""
COMMAND = "KAIROS_BOOT_COMMAND"
"""Tells a child in which commands of runs it stands: their marks, the outermost first, joined by colons (see family)."""
LIMIT = 600.0
"""Seconds a second run waits."""
_FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, pid


@record
class Holder:
    """Who holds a lock: its process id (0: in a PID namespace out of sight), and what its record says it does."""

    pid: int
    about: str = ""

    def __str__(self) -> str:
        """`process 4711 (stage boot)`."""
        return (f"process {self.pid}" if self.pid else "a process of another PID namespace") + (f" ({self.about})" if self.about else "")


class Lock:
    """The lock of one node, held until the process ends or `release`. *about* says what its holder does."""

    def __init__(self, path: str = LOCK, about: str = "") -> None:
        self.path = path
        self.about = about
        self.fd = -1
        self._before: str | None = None
        self.shared = False
        """Whether an ancestor holds it, so that this run goes on without waiting."""

    def acquire(self, say: Callable[[str], None], limit: float = LIMIT) -> None:
        """Take the lock; wait at most *limit* seconds for another run. KairosError: it did not end, or no permission.

        Where there is no place for a lock (/run is missing or read-only), that is said, and the run goes on: a node whose
        /run is broken needs its steps all the more (C14).
        """
        try:
            private_directory(os.path.dirname(self.path))
            self.fd = _open(self.path)
        except PermissionError as error:
            raise KairosError(f"cannot open the lock: {reason(error)}", self.path, "run as root" if os.geteuid() else "") from error
        except OSError as error:
            say(f"{self.path}: there can be no lock: {reason(error)}; nothing keeps a second run from starting beside this one")
            return
        if not _try(self.fd):
            found = _holder(self.fd)
            if found is not None and _is_ours(self.fd, found.pid):
                self._close()
                self.shared = True
                return
            say(f"{self.path}: another run holds the lock: {found or 'it ends at this moment'}; waiting at most {limit:g} s")
            self._wait(limit)
        own = token()
        self._before = os.environ.get(VARIABLE)
        given = (self._before or "").split()
        os.environ[VARIABLE] = " ".join([*given, *([own] if own not in given else [])])
        try:
            os.ftruncate(self.fd, 0)
            os.pwrite(self.fd, f"{own}\n{self.about}\n".encode("utf-8", "backslashreplace"), 0)
        except OSError:
            pass  # a full /run; the kernel knows who holds it

    def _wait(self, limit: float) -> None:
        """Wait in the kernel, until an alarm."""
        import _signal  # type: ignore[import-not-found]  # `signal` imports enum

        class Late(Exception):  # noqa: N818
            """The time is over."""

        def late(number: int, frame: object) -> None:  # noqa: ARG001
            raise Late

        before = _signal.signal(_signal.SIGALRM, late)
        try:
            _signal.setitimer(_signal.ITIMER_REAL, max(limit, 0.001))
            fcntl.lockf(self.fd, fcntl.LOCK_EX)
        except Late:
            if _try(self.fd):
                return
            found = _holder(self.fd)
            self._close()
            raise KairosError(f"another run still holds the lock after {limit:g} s: {found or 'unknown'}", self.path,
                              "see what it does: kairos-boot status") from None
        finally:
            _signal.setitimer(_signal.ITIMER_REAL, 0)
            _signal.signal(_signal.SIGALRM, before)

    def release(self) -> None:
        if self.fd >= 0:
            if self._before is None:
                os.environ.pop(VARIABLE, None)
            else:  # another lock is held still, by this process or the one that called it
                os.environ[VARIABLE] = self._before
            self._close()  # which gives a record lock back

    def _close(self) -> None:
        os.close(self.fd)
        self.fd = -1


def holder(path: str = LOCK) -> Holder | None:
    """Who holds the lock at *path* now; None: nobody does, or only root may see it.

    The kernel is asked about this very file, by device and inode, and names living holders only. Not for a process that
    may hold it itself: closing any descriptor of the file gives a record lock back.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return _holder(fd)
    finally:
        os.close(fd)


def inherited(path: str = LOCK) -> bool:
    """Whether an ancestor holds the lock at *path*, so that this process would share it. Not for one that may hold it itself, see `holder`."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        found = _holder(fd)
        return found is not None and _is_ours(fd, found.pid)
    finally:
        os.close(fd)


def token() -> str:
    """What tells this process from every other one of the boot: `PID:START`."""
    return _token(os.getpid())


def _token(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            start = file.read().rsplit(b")", 1)[1].split()[19].decode()
    except (OSError, IndexError):
        start = ""
    return f"{pid}:{start}"


def _open(path: str) -> int:
    """The lock's file, open for writing; what is no regular file of ours alone is replaced by one."""
    for _ in range(2):
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            os.unlink(path)
            continue
        found = os.fstat(fd)
        if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid():
            if stat.S_IMODE(found.st_mode) != 0o600:
                os.fchmod(fd, 0o600)
            return fd
        os.close(fd)
        os.unlink(path)
    raise OSError(errno.EEXIST, "something that is no lock stands in its place", path)


def _try(fd: int) -> bool:
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _holder(fd: int) -> Holder | None:
    import _struct

    asked = _struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        kind, _, _, _, pid = _struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    except OSError:
        return None
    if kind == fcntl.F_UNLCK:
        return None
    return Holder(pid, [*_said(fd), "", ""][1])


def _said(fd: int) -> list[str]:
    try:
        return os.pread(fd, 512, 0).decode("utf-8", "replace").split("\n")
    except OSError:
        return []


def _is_ours(fd: int, pid: int) -> bool:
    """Whether the holder *pid* is an ancestor, or handed its token to this process."""
    given = os.environ.get(VARIABLE, "").split()
    if pid:
        from kairos_boot.system.ancestors import ancestors

        return _token(pid) in given or pid in ancestors()  # a step may have emptied the environment
    return bool(given) and (_said(fd) or [""])[0] in given  # the ancestor is in another PID namespace
