"""Reads configuration for `loading.sources` out of a host: directories, files, URLs, standard input, the kept record."""

from __future__ import annotations

import errno
import os
import stat

from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kairos_boot.loading.sources import Stamp
    from kairos_boot.system.host import Host


class HostReader:
    """The reader of *host*: links are followed inside its root; see `loading.sources.Reader` for the contract."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.memory: dict[str, Any] = {}

    def stamp(self, path: str) -> Stamp:
        """What *path* is, links followed."""
        s = os.stat(self._path(path))
        return (s.st_mode, s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns)

    def names(self, path: str) -> list[tuple[str, bool]]:
        """The entries of a directory and whether each is a directory itself."""
        with os.scandir(self._path(path)) as entries:
            return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]

    def read(self, path: str) -> bytes:
        """All of a file."""
        with open(self._path(path), "rb") as file:
            return file.read()

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
        """All of standard input."""
        with open(0, "rb", closefd=False) as file:
            return file.read()

    def now(self) -> int:
        """Nanoseconds since the epoch."""
        return int(self.host.clock() * 1e9)

    def kept(self, path: str) -> bytes | None:
        """A record at *path* that nobody but the running user can have written, or None."""
        try:
            fd = os.open(self.host.entry(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        with open(fd, "rb") as file:
            status = os.fstat(fd)
            ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o177
            return file.read() if ours else None

    def keep(self, path: str, data: bytes) -> None:
        """Replace the record at *path*; a record that cannot be kept only costs time."""
        from kairos_boot.system.atomic import replace_file

        try:
            with self.host.place(path, follow=False) as place:
                place.make_parents(0o700, None, None)
                replace_file(place, data, 0o600, os.geteuid(), os.getegid())
        except (OSError, KairosError):
            return
