"""Make a file system readable for who does not replay its journal (G2): a boot loader."""

from __future__ import annotations

import errno
import fcntl
import os
from _signal import SIG_BLOCK, SIG_SETMASK, pthread_sigmask, valid_signals  # type: ignore[import-not-found]  # `signal` imports enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_FREEZE, _THAW = 0xC0045877, 0xC0045878
_told: set[int] = set()
"""The file systems that this process has spoken of."""


def checkpoint(directory: str) -> None:
    """Write everything of the file system of *directory* to its place on the disk. OSError: the disk fails.

    After fsync the journal of ext4 has the change, and GRUB, which does not replay it, still reads the old one; freezing a file
    system empties its journal. Where it cannot be frozen, the log says so here, once: a word that callers were given got lost.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    before = pthread_sigmask(SIG_BLOCK, valid_signals())  # nobody would thaw it after us
    try:
        fcntl.ioctl(fd, _FREEZE, 0)
        fcntl.ioctl(fd, _THAW, 0)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL, errno.EPERM, errno.EBUSY):
            raise
        _sync(directory, error)
    finally:
        pthread_sigmask(SIG_SETMASK, before)
        os.close(fd)


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


def _sync(directory: str, error: OSError) -> None:
    """The next best. File systems without a journal cannot be frozen, and need not."""
    from kairos_boot.system.mounts import sync_filesystem

    sync_filesystem(directory)
    device = os.stat(directory).st_dev
    if error.errno in (errno.EPERM, errno.EBUSY) and device not in _told:
        from kairos_boot.system.journal import Journal

        _told.add(device)
        Journal()(4, f"{directory}: the file system could not be frozen ({error.strerror}): its journal may hold what the boot loader does not see", kind="warning")
