"""The new content of a file while it comes in: compared with the old one first, written beside it from the first difference on (C1, C7)."""

from __future__ import annotations

import os
import stat

from kairos_boot.actions.files import DIRECTORY_MODE
from kairos_boot.errors import Explained, KairosError
from kairos_boot.shown import shown
from kairos_boot.system.atomic import beside, create_file, finish_file, keep_attributes, rename_over, sync_place
from kairos_boot.system.descriptors import write_all
from kairos_boot.system.http import TransferError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host
    from kairos_boot.system.http import Answer
    from kairos_boot.system.place import Place

BLOCK = 1024 * 1024


class Replacement:
    """Takes a body for *path*. As long as it is what the file has already, nothing is written."""

    def __init__(self, host: Host, path: str, owner: int | None) -> None:
        self._host, self._path, self._owner = host, path, owner
        self._place: Place | None = None
        self._name = ""
        self._old = self._fd = -1
        self._matched = 0
        self._known = (0, 0)

    @property
    def place(self) -> Place:
        """Where the file is to be; known when the body has begun."""
        assert self._place
        return self._place

    def begin(self, answer: Answer) -> None:
        """Find the target. KairosError: there is no place for it."""
        with Explained(f"cannot write {self._path}"):
            self._place = self._host.place(self._path, owner=self._owner)
            if self.place.is_directory:
                name = _name(answer)
                self.place.close()
                self._place = self._host.place(f"{self._path}/{name}", owner=self._owner)
            if self.place.status is not None:
                if not self.place.is_file:
                    raise KairosError(f"cannot write {self._path}: {self.place.name} is there and is not a regular file")
                self._old = self.place.open()
                self._known = self._state()
            self._name = beside(self.place.name, "kairos-part")
            if not self.place.missing:
                self._remove()

    def _remove(self) -> None:
        """Remove what a cut run left."""
        try:
            os.unlink(self._name, dir_fd=self.place.directory)
        except FileNotFoundError:
            return

    def _state(self) -> tuple[int, int]:
        now = os.fstat(self._old)
        return now.st_size, now.st_mtime_ns

    def have(self) -> int:
        return self._matched if self._fd < 0 else os.fstat(self._fd).st_size

    def room(self) -> int:
        """Bytes that the file system has left, and those of the old file that may come again."""
        space = os.fstatvfs(self.place.directory)
        return space.f_bavail * space.f_frsize + (self._known[0] if self._fd < 0 else 0)

    def reset(self) -> None:
        self._matched = 0
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)

    def write(self, data: bytes) -> None:
        """Compare, or write. OSError: the disk refuses. TransferError: the old file was changed meanwhile."""
        if self._fd < 0 and self._old >= 0 and os.pread(self._old, len(data), self._matched) == data:
            self._matched += len(data)
            return
        if self._fd < 0:
            self._open()
        write_all(self._fd, data)

    def _open(self) -> None:
        """Begin the new file with what was the same."""
        self.place.make_parents(DIRECTORY_MODE, None, None)
        self._fd = create_file(self._name, self.place.directory)
        place = 0
        while place < self._matched and (data := os.pread(self._old, min(BLOCK, self._matched - place), place)):
            write_all(self._fd, data)
            place += len(data)
        if self._old >= 0 and self._state() != self._known:
            self._known = self._state()
            self.reset()
            raise TransferError(f"{self._path} was changed meanwhile")

    def finish(self) -> bool:
        """The body is complete: whether the file has just this content."""
        if self._fd < 0 and self._old >= 0 and self._matched == self._state()[0]:
            return True
        if self._fd < 0:
            try:
                self._open()
            except TransferError as error:
                raise KairosError(str(error)) from None
        return False

    def digest(self, method: str) -> str:
        """The checksum of the body, in hexadecimal digits."""
        import hashlib

        with open(os.dup(self._old if self._fd < 0 else self._fd), "rb") as file:
            file.seek(0)
            return hashlib.file_digest(file, method).hexdigest()

    def put(self, mode: int, user: int, group: int, modified: float | None, *, keep_mode: bool) -> None:
        """Complete the new file and put it in the old one's place; with *keep_mode* an old file's mode wins. OSError: it cannot be."""
        if keep_mode and self._old >= 0:
            mode = stat.S_IMODE(os.fstat(self._old).st_mode)
        if modified is not None:
            os.utime(self._fd, (modified, modified))
        keep_attributes(self.place, self._fd)
        finish_file(self._fd, mode, user, group)
        if not self._ours():
            raise KairosError(f"{self._path} is written by another download at the same time")
        rename_over(self._name, self.place.name, self.place.directory)
        sync_place(self.place)

    def _ours(self) -> bool:
        try:
            return os.path.samestat(os.stat(self._name, dir_fd=self.place.directory, follow_symlinks=False), os.fstat(self._fd))
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Remove what did not come into its place."""
        if self._fd >= 0:
            if self._ours():
                os.unlink(self._name, dir_fd=self.place.directory)
            os.close(self._fd)
        if self._old >= 0:
            os.close(self._old)
        if self._place:
            self._place.close()
        self._fd = self._old = -1


def _name(answer: Answer) -> str:
    """The file's name in a directory: what the server calls it, else the address's last part; never a path."""
    from email.message import Message
    from urllib.parse import unquote, urlsplit

    message = Message()
    message["Content-Disposition"] = answer.headers.get("content-disposition", "")
    for name in (message.get_filename() or "", unquote(urlsplit(answer.url).path)):
        base = name.rstrip("/").rpartition("/")[2]
        if base not in ("", ".", "..") and base.isprintable():
            return base
    raise KairosError(f"{shown(answer.url)} does not name a file", hint="give a path that is not a directory")
