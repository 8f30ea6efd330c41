"""Something taken away: a file, or a directory with all that is in it."""

from __future__ import annotations

import errno
import os

from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record
from kairos_boot.system.atomic import sync_place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host


@record
class Remove:
    """Nothing is at *path*. A link is removed, not what it leads to; what is mounted below it stays. With *content* the directory itself stays."""

    path: str
    content: bool = False

    def describe(self) -> str:
        """The path."""
        return f"remove {'everything in ' if self.content else ''}{self.path}"

    def would_change(self, host: Host) -> bool | None:
        """Whether something is there."""
        path = host.entry(self.path)
        return bool(os.listdir(path)) if self.content and os.path.isdir(path) else not self.content and os.path.lexists(path)

    def apply(self, host: Host) -> bool:
        """Remove it. KairosError: an unsafe path, something is mounted there, or the disk fails."""
        if not self.would_change(host):
            return False
        try:
            with host.place(self.path, follow=False) as place:
                fd = os.open(place.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_DIRECTORY, dir_fd=place.directory) if place.is_directory else -1
                if fd >= 0:
                    try:
                        _empty(fd, os.fstat(fd).st_dev)
                    finally:
                        os.close(fd)
                    if not self.content:
                        os.rmdir(place.name, dir_fd=place.directory)
                elif place.status is not None:
                    os.unlink(place.name, dir_fd=place.directory)
                sync_place(place)
        except OSError as error:
            raise KairosError(f"cannot be removed: {reason(error)}", self.path) from error
        return True


def _empty(directory: int, device: int) -> None:
    """Remove everything in an open directory, without leaving its file system."""
    for name in os.listdir(directory):
        try:
            os.unlink(name, dir_fd=directory)
            continue
        except IsADirectoryError:
            pass
        below = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
        try:
            if os.fstat(below).st_dev != device:
                raise OSError(errno.EBUSY, "something is mounted there", name)
            _empty(below, device)
        finally:
            os.close(below)
        os.rmdir(name, dir_fd=directory)
