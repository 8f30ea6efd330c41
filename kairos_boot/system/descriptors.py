"""Descriptors: closed when their work is done, written to the end."""

from __future__ import annotations

import errno
import os


class Owners:
    """Owners of files that the kernel would not take, by device and inode; None where it has to take them, as on every node.

    A test of a configuration is run by somebody who is not root, or in a user namespace that has no other numbers.
    """

    table: dict[tuple[int, int], tuple[int, int]] | None = None


def give(fd: int, user: int, group: int) -> None:
    """Give the open file *fd* an owner; -1 leaves what it has."""
    table = Owners.table
    try:
        os.fchown(fd, user, group)
    except OSError as error:
        if table is None or error.errno not in (errno.EINVAL, errno.EPERM):
            raise
        now = os.fstat(fd)
        had = table.get((now.st_dev, now.st_ino), (0, 0))
        table[now.st_dev, now.st_ino] = (had[0] if user == -1 else user, had[1] if group == -1 else group)
    else:
        if table is not None:
            now = os.fstat(fd)
            table.pop((now.st_dev, now.st_ino), None)


class Held:
    """`with Held(os.open(…)) as fd:` it is closed at the end."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> int:
        return self._fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


class InMemory:
    """`with InMemory(content) as file:` a file for a program that wants a path and nobody else: it goes with this process, however that ends."""

    __slots__ = ("_fd", "path")

    def __init__(self, content: bytes = b"") -> None:
        self._fd = os.memfd_create("kairos-boot", os.MFD_CLOEXEC)
        self.path = f"/proc/{os.getpid()}/fd/{self._fd}"
        write_all(self._fd, content)

    def __enter__(self) -> InMemory:
        return self

    def read(self) -> bytes:
        """All that is in it now."""
        return os.pread(self._fd, os.fstat(self._fd).st_size, 0)

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of *data*: one write(2) may take less."""
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left):]
