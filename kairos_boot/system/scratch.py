"""Room for what is needed for a while, in a directory that root alone enters; what a cut run left there goes first (C13, G7)."""

from __future__ import annotations

import os
import stat
from _thread import LockType, allocate_lock

from kairos_boot.system.trees import remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host

NAME = ".kairos-boot"
LOCK = ".lock"
_held: dict[str, int] = {}
"""Kept directories that this process has to itself, and the descriptors that say so to others."""
_busy: dict[str, LockType] = {}
"""Steps that overlap and do the same wait for each other."""


class Scratch:
    """An empty directory for the work called *name*: `path` is where the node's programs find it, `here` where it lies for us.

    It is in *room*, or where there is room for large files.
    """

    def __init__(self, host: Host, name: str, room: str = "") -> None:
        self.host, self.name = host, name
        self.path = f"{room or f'{_room(host)}/{NAME}'}/{name}"
        self.here = ""
        self._lock = _busy.setdefault(name, allocate_lock())

    def __enter__(self) -> Scratch:
        """Make it. OSError: it cannot be."""
        self._lock.acquire()
        try:
            _make_private(self.host, os.path.dirname(self.path))
            with self.host.place(self.path) as place:
                self.here = place.path
                remove(place.name, place.directory)
                os.mkdir(self.name, 0o700, dir_fd=place.directory)
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Remove it with all that is in it."""
        try:
            with self.host.place(self.path) as place:
                if not place.missing:
                    remove(place.name, place.directory)
        finally:
            self._lock.release()


def kept(host: Host, name: str) -> str:
    """A directory called *name* of that kind which stays, for who goes on where an ended run stopped. OSError: it cannot be made."""
    path = place_of(host, name)
    _make_private(host, os.path.dirname(path))
    _make_private(host, path)
    return path


def hold(path: str) -> bool:
    """Keep what is at *path* to this process until it ends, or lets go; whether nobody else has it. OSError: its directory cannot be written."""
    import fcntl

    if path in _held:
        return True
    fd = os.open(path + LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return False
    _held[path] = fd
    return True


def let_go(path: str) -> None:
    """Others may have what is at *path*."""
    fd = _held.pop(path, -1)
    if fd >= 0:
        os.close(fd)


def place_of(host: Host, name: str) -> str:
    """Where `kept` puts what is called *name*."""
    return f"{_room(host)}/{NAME}/{name}"


def _room(host: Host) -> str:
    """Not in memory, if persistent storage is mounted (G7)."""
    named = os.environ.get("TMPDIR", "")
    return named if named.startswith("/") else "/usr/local/tmp" if os.path.ismount(host.path("/usr/local")) else "/tmp"


def _make_private(host: Host, path: str) -> None:
    """Make the directory at *path* ours and 0700. In /tmp anybody may have taken its name: what is not ours is moved out of the way."""
    with host.place(path, follow=False) as place:
        now = place.status
        if now is not None and not (stat.S_ISDIR(now.st_mode) and now.st_uid == os.geteuid()):
            number = 0
            while _exists(aside := f"{NAME}.of-user-{now.st_uid}.{number}", place.directory):
                number += 1
            os.rename(place.name, aside, src_dir_fd=place.directory, dst_dir_fd=place.directory)
            place.status = None
        place.make_parents(0o755, None, None)
        place.make_directory(0o700, os.geteuid(), os.getegid())
        place.own(None, None, 0o700)


def _exists(name: str, directory: int) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
