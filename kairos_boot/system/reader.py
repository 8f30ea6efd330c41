"""Reads configuration for `loading` out of a host: directories, files, URLs, standard input, the kept record."""

from __future__ import annotations

import errno
import os
import stat

from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from kairos_boot.loading.reader import Stamp
    from kairos_boot.system.host import Host


LIMIT = 16 * 1024 * 1024
"""Bytes of a document; as for those that are fetched."""
KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a directory"}


class HostReader:
    """The reader of *host*: links are followed inside its root; see `loading.reader.Reader` for the contract."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.root = host.root

    def stamp(self, path: str) -> Stamp:
        """What *path* is, links followed."""
        s = os.stat(self._path(path))
        return (s.st_mode, s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns)

    def names(self, path: str) -> list[tuple[str, bool]]:
        """The entries of a directory and whether each is a directory itself."""
        with os.scandir(self._path(path)) as entries:
            return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]

    def read(self, path: str) -> bytes:
        """All of a regular file of at most 16 MB: a pipe would hang a boot, and a device has no end. OSError: why not."""
        real = self._path(path)
        kind = os.stat(real).st_mode  # before it is opened, since that alone does something to some devices
        if not stat.S_ISREG(kind):
            raise OSError(f"is {KINDS.get(stat.S_IFMT(kind), 'no regular file')}, and only regular files are read")
        with open(os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            return _limited(file)

    def pipe(self, path: str) -> bytes:
        """All that comes out of a pipe that the caller named, waiting for who writes it. OSError."""
        with open(self._path(path), "rb") as file:
            return _limited(file)

    def _path(self, path: str) -> str:
        if not path:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        try:
            return self.host.path(path)
        except KairosError as error:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error

    def fetch(self, url: str) -> bytes:
        """The body of an http or https URL; KairosError says why not."""
        from kairos_boot.system.http import fetch

        return fetch(url)

    def stdin(self) -> bytes:
        with open(0, "rb", closefd=False) as file:
            return _limited(file)

    def now(self) -> int:
        return int(self.host.clock() * 1e9)

    def kept(self, path: str) -> bytes | None:
        """A record at *path* that nobody but the running user can have written, or None."""
        try:
            fd = os.open(self.host.entry(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o177:
            os.close(fd)
            return None
        with open(fd, "rb") as file:
            try:
                return file.read()
            except OSError:  # a medium that fails
                return None

    def keep(self, path: str, data: bytes) -> None:
        """Replace the record at *path*; a record that cannot be kept only costs time."""
        from kairos_boot.system.atomic import replace_file

        try:
            with self.host.place(path, follow=False) as place:
                place.make_parents(0o700, None, None)
                replace_file(place, data, 0o600, os.geteuid(), os.getegid())
        except (OSError, KairosError):
            return


def _limited(file: BinaryIO) -> bytes:
    """All of *file*, waiting for the rest of a pipe or a socket that somebody made non-blocking."""
    data, end = bytearray(), False
    while not end and len(data) <= LIMIT:
        part: bytes | None = file.read(LIMIT + 1 - len(data))
        if part is None:  # nothing is there now, which is not the end
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # a file of the kernel's that has no more to say
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            from select import select

            select([file], [], [])
        else:
            data += part
            end = not part
    if len(data) > LIMIT:
        raise OSError(f"is larger than {LIMIT // 1024 // 1024} MB, which no document is")
    return bytes(data)
