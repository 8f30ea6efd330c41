"""The directory that only root reaches: the lock, the record of parsed documents, what the halves of the initrd tell each other (C13)."""

from __future__ import annotations

import errno
import os
import stat

DIRECTORY = "/run/kairos-boot"
MODE = 0o700


def private_directory(path: str) -> None:
    """Make *path* a directory of the running user that nobody else enters; one that is there gets that owner and mode.

    A link in its place is none: it could lead to a directory of somebody else. OSError: it cannot be made or mended.
    """
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    try:
        os.mkdir(path, MODE)
    except FileExistsError:
        pass
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    if found.st_uid != os.geteuid():
        os.chown(path, os.geteuid(), -1, follow_symlinks=False)
    if stat.S_IMODE(found.st_mode) != MODE:
        os.chmod(path, MODE)
