"""The new content of a file while it comes in: compared with the old one first, written beside it from the first difference on (C1, C7)."""

from __future__ import annotations

import os
import stat

from kairos_boot.actions.files import DIRECTORY_MODE
from kairos_boot.errors import KairosError, reason
from kairos_boot.system.atomic import create_file, finish_file, keep_attributes, make_directories, sync_directory
from kairos_boot.system.http import TransferError
from kairos_boot.system.urls import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host
    from kairos_boot.system.http import Answer

BLOCK = 1024 * 1024


class Replacement:
    """Takes a body for *path*. As long as it is what the file has already, nothing is written."""

    def __init__(self, host: Host, path: str) -> None:
        self._host, self._path = host, path
        self.target = self.name = ""
        self._old = self._fd = -1
        self._matched = 0
        self._known = (0, 0)

    def begin(self, answer: Answer) -> None:
        """Find the target. KairosError: there is no place for it."""
        try:
            self.target = self._host.real(self._path)
            if os.path.isdir(self.target):
                self.target = self._host.real(f"{self._path}/{_name(answer)}")
            directory, base = os.path.split(self.target)
            self.name = f"{directory}/.{base[:200]}.kairos-part"
            if os.path.exists(self.target):
                if not os.path.isfile(self.target):
                    raise KairosError(f"cannot write {self._path}: {base} is there and is not a regular file")
                self._old = os.open(self.target, os.O_RDONLY | os.O_CLOEXEC)
                self._known = self._state()
        except OSError as error:
            raise KairosError(f"cannot write {self._path}: {reason(error)}") from error

    def _state(self) -> tuple[int, int]:
        now = os.fstat(self._old)
        return now.st_size, now.st_mtime_ns

    def have(self) -> int:
        """Bytes that came."""
        return self._matched if self._fd < 0 else os.fstat(self._fd).st_size

    def room(self) -> int:
        """Bytes that the file system has left, and those of the old file that may come again."""
        directory = os.path.dirname(self.target)
        while directory != "/" and not os.path.isdir(directory):
            directory = os.path.dirname(directory)
        space = os.statvfs(directory)
        return space.f_bavail * space.f_frsize + (self._known[0] if self._fd < 0 else 0)

    def reset(self) -> None:
        """Begin anew."""
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
        _write(self._fd, data)

    def _open(self) -> None:
        """Begin the new file with what was the same."""
        make_directories(os.path.dirname(self.target), DIRECTORY_MODE, os.geteuid(), os.getegid())
        self._fd = create_file(self.name)
        place = 0
        while place < self._matched and (data := os.pread(self._old, min(BLOCK, self._matched - place), place)):
            _write(self._fd, data)
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

    def place(self, mode: int, user: int, group: int, modified: float | None, *, keep_mode: bool) -> None:
        """Complete the new file and put it in the old one's place; with *keep_mode* an old file's mode wins. OSError: it cannot be."""
        if keep_mode and self._old >= 0:
            mode = stat.S_IMODE(os.fstat(self._old).st_mode)
        if modified is not None:
            os.utime(self._fd, (modified, modified))
        keep_attributes(self.target, self._fd)
        finish_file(self._fd, mode, user, group)
        if not self._ours():
            raise KairosError(f"{self._path} is written by another download at the same time")
        os.rename(self.name, self.target)
        sync_directory(os.path.dirname(self.target))

    def _ours(self) -> bool:
        return os.path.lexists(self.name) and os.path.samestat(os.lstat(self.name), os.fstat(self._fd))

    def close(self) -> None:
        """Remove what did not come into its place."""
        if self._fd >= 0:
            if self._ours():
                os.unlink(self.name)
            os.close(self._fd)
        if self._old >= 0:
            os.close(self._old)
        self._fd = self._old = -1


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]


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
