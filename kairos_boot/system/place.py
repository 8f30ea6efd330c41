"""A place that root writes at: a name in a directory that is held open, so that nobody can slip another one in its way (C12)."""

from __future__ import annotations

import errno
import os
import stat

from kairos_boot.errors import KairosError
from kairos_boot.system.descriptors import Held, give

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

LIMIT = 16 * 1024 * 1024
"""Bytes of a file that is read to be changed in part."""


class Place:
    """What `Host.place` finds. Close it, or use it with `with`."""

    def __init__(self, directory: int, name: str, status: os.stat_result | None, *, missing: list[str], path: str, trusted: Collection[int]) -> None:
        self.directory = directory
        """Descriptor (O_PATH) of the directory, or of its deepest parent that exists."""
        self.missing = missing
        """Directories below it that are not there yet."""
        self.name = name
        """The name in the directory; `.` for a root directory itself."""
        self.status = status
        """What was there when it was looked for; None: nothing."""
        self.path = path
        """Where it lies on this system, links resolved: for messages and for other programs."""
        self.trusted = trusted
        """The users who may lead root anywhere: root, the one who runs this, the owner of the root directory."""

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self.directory >= 0:
            os.close(self.directory)
            self.directory = -1

    @property
    def is_directory(self) -> bool:
        return self.status is not None and stat.S_ISDIR(self.status.st_mode)

    @property
    def is_file(self) -> bool:
        return self.status is not None and stat.S_ISREG(self.status.st_mode)

    def heir(self) -> tuple[int, int]:
        """User and group of what is made here without an owner: those of an unprivileged user's directory, else root's."""
        here = os.fstat(self.directory)
        if here.st_uid not in self.trusted:
            return here.st_uid, here.st_gid
        user = os.geteuid()
        return (user, os.getegid()) if user else (0, 0)

    def open(self, flags: int = 0) -> int:
        """A descriptor for reading what was there, and nothing else. OSError: it is gone, or another one by now."""
        fd = os.open(self.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | flags, dir_fd=self.directory)
        if self.status is None or not os.path.samestat(os.fstat(fd), self.status):
            os.close(fd)
            raise OSError(errno.ESTALE, "it was replaced meanwhile")
        return fd

    def read(self, limit: int = LIMIT) -> bytes | None:
        """The content of the regular file that was there; None: nothing was. KairosError: it is something else, or too large."""
        if self.status is None:
            return None
        if not self.is_file:
            raise KairosError(f"{self.path} is not a regular file")
        with open(self.open(), "rb") as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise KairosError(f"{self.path} is larger than {limit // 1024 // 1024} MiB; it is left as it is")
        return content

    def own(self, user: int | None, group: int | None, mode: int | None) -> None:
        """Give what is there an owner and a mode; None leaves it."""
        with Held(self.open()) as fd:
            now = os.fstat(fd)
            if user is not None or group is not None:
                give(fd, -1 if user is None else user, -1 if group is None else group)
            os.fchmod(fd, stat.S_IMODE(now.st_mode) if mode is None else mode)  # after chown, which clears set-uid
            self.status = os.fstat(fd)

    def make_parents(self, mode: int, user: int | None, group: int | None) -> None:
        """Make the directories that are missing, each with exactly *mode*; an owner that is None is the heir's."""
        while self.missing:
            below = self._make(self.missing[0], mode, user, group)
            os.close(self.directory)
            self.directory = below
            del self.missing[0]

    def make_directory(self, mode: int, user: int | None, group: int | None) -> None:
        """Make it a directory, with its missing parents."""
        self.make_parents(mode, user, group)
        if self.status is None:
            below = self._make(self.name, mode, user, group)
            self.status = os.fstat(below)
            os.close(below)

    def _make(self, name: str, mode: int, user: int | None, group: int | None) -> int:
        """Make one directory and return its descriptor; one that somebody made meanwhile has to be a safe one."""
        heir = self.heir()
        try:
            os.mkdir(name, 0o700, dir_fd=self.directory)
        except FileExistsError:
            made = False
        else:
            made = True
        with Held(os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.directory)) as fd:
            now = os.fstat(fd)
            if now.st_uid not in {os.geteuid(), heir[0]}:
                raise OSError(errno.ESTALE, f"{name} was made by another user meanwhile")
            if made:
                own = user is None or user == heir[0]
                give(fd, heir[0] if user is None else user, group if group is not None else heir[1] if own else 0)
                os.fchmod(fd, mode)
            return os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
