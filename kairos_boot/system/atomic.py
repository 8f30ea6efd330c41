"""Names that appear complete or not at all: the primitive under every file this program writes (C1)."""

from __future__ import annotations

import errno
import os
from _thread import get_native_id  # of the main thread it is the process id


def replace_file(target: str, content: bytes, mode: int, user: int, group: int) -> None:
    """Put a complete file of that mode and owner in place of *target*; OSError leaves the old one and nothing else."""
    temporary = f"{os.path.dirname(target)}/.{os.path.basename(target)[:200]}.{get_native_id()}.new"
    fd = create_file(temporary)
    try:
        with open(fd, "wb") as file:
            file.write(content)
            file.flush()
            keep_attributes(target, fd)
            finish_file(fd, mode, user, group)
        os.rename(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    sync_directory(os.path.dirname(target))


def create_file(path: str) -> int:
    """A new file of ours at *path*, open for reading and writing, 0600. What a cut run left there goes first.

    Never a file that is there already: in a directory of others it might be a second name of something that is not theirs.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except FileExistsError:
        os.unlink(path)
        return os.open(path, flags, 0o600)


def keep_attributes(target: str, fd: int) -> None:
    """Give the open file *fd* what *target* has beside content, mode and owner: SELinux label, access list, user attributes.

    Without its label /etc/shadow is unreadable to logins where SELinux is enforced. File capabilities are not kept: they belong
    to the old content. What cannot be kept is left out, as a kernel without that attribute would.
    """
    try:
        names = os.listxattr(target)
    except OSError:
        return
    for name in names:
        if name not in ("security.capability", "security.ima", "security.evm"):
            try:
                os.setxattr(fd, name, os.getxattr(target, name))
            except OSError:
                continue


def finish_file(fd: int, mode: int, user: int, group: int) -> None:
    """Give an open file its owner and mode, and make its content durable: what is due before its name appears."""
    os.fchown(fd, user, group)
    os.fchmod(fd, mode)  # after chown, which clears set-uid
    os.fsync(fd)


def sync_directory(path: str) -> None:
    """Make the names in *path* durable; a file system that cannot is as durable as it gets."""
    fd = os.open(path or "/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_descriptor(fd)
    finally:
        os.close(fd)


def sync_descriptor(fd: int) -> None:
    """`sync_directory` for an open directory."""
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def make_directories(path: str, mode: int, user: int | None, group: int | None) -> None:
    """Make *path* and its missing parents, each with exactly *mode* and owner, whatever the umask."""
    missing = []
    while path not in ("", "/") and not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for directory in reversed(missing):
        os.mkdir(directory, 0o700)
        os.chown(directory, user or 0, group or 0)
        os.chmod(directory, mode)
