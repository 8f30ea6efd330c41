"""Make a file system readable for who does not replay its journal (G2): a boot loader."""

from __future__ import annotations

import errno
import fcntl
import os
from _signal import SIG_BLOCK, SIG_SETMASK, pthread_sigmask, valid_signals  # type: ignore[import-not-found]  # `signal` imports enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_CHECKPOINT, _FREEZE, _THAW = 0x4004662B, 0xC0045877, 0xC0045878
_told: set[int] = set()
"""The file systems that this process has spoken of."""


def checkpoint(directory: str) -> None:
    """Write everything of the file system of *directory* to its place on the disk. OSError: the disk fails.

    After fsync the journal of ext4 has the change, and GRUB, which does not replay it, still reads the old one. Since Linux 5.14 ext4 empties its journal
    when it is asked to (EXT4_IOC_CHECKPOINT). What does not know that is frozen for a moment, which empties a journal, too; but whoever is killed in
    that moment leaves the file system frozen, and nobody can write to it, or have its device. Where neither can be done, the log says so here, once:
    a word that callers were given got lost.
    """
    from kairos_boot.system.mounts import sync_filesystem

    sync_filesystem(directory)  # what is not yet in the journal
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not _emptied(fd):
            _freeze(fd)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        _tell(directory, error)
    finally:
        os.close(fd)


_CANNOT = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL, errno.EPERM, errno.EBUSY)


def _emptied(fd: int) -> bool:
    """Whether the file system has emptied its journal, or has none."""
    try:
        fcntl.ioctl(fd, _CHECKPOINT, bytes(4))
    except OSError as error:
        if error.errno not in (*_CANNOT, errno.ENODEV):
            raise
        return error.errno == errno.ENODEV  # ext4 without a journal
    return True


def _freeze(fd: int) -> None:
    before = pthread_sigmask(SIG_BLOCK, valid_signals())  # nobody would thaw it after us
    try:
        fcntl.ioctl(fd, _FREEZE, 0)
        fcntl.ioctl(fd, _THAW, 0)
    finally:
        pthread_sigmask(SIG_SETMASK, before)


def replaced(path: str, change: Callable[[], object]) -> None:
    """Let *change* put another file at *path*, and have that on the disk itself, as `checkpoint` does. OSError: the disk fails.

    The old file stays open meanwhile: freed, its inode would be empty, or already the next new file's, where a boot loader that does not
    replay the journal still finds the old name.
    """
    try:
        old = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        old = -1
    try:
        change()
        checkpoint(os.path.dirname(path))
    finally:
        if old >= 0:
            os.close(old)


def _tell(directory: str, error: OSError) -> None:
    """File systems without a journal cannot be frozen, and need not: they are synchronised."""
    device = os.stat(directory).st_dev
    if error.errno in (errno.EPERM, errno.EBUSY) and device not in _told:
        from kairos_boot.system.journal import Journal

        _told.add(device)
        Journal()(4, f"{directory}: the file system could not be frozen ({error.strerror}): its journal may hold what the boot loader does not see", kind="warning")
