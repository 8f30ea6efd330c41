"""Layers of a container image, laid over a directory as one tree (the image's white-outs applied among its layers only).

Lower layers are read last, so that nothing is written that an upper layer hides. What is equal already is not written; what
is of another kind is replaced; files that the image does not have stay. Every path is walked from the directory without
following a link, so nothing leaves it.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile

from kairos_boot.errors import KairosError
from kairos_boot.system.atomic import beside, clear_name
from kairos_boot.system.layer_links import OPAQUE, WHITEOUT, Links
from kairos_boot.system.room import room, too_large
from kairos_boot.system.trees import remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import IO

UNREADABLE = (tarfile.TarError, ValueError, OverflowError, EOFError, RecursionError, MemoryError)
"""What the archive's reader raises when there is something wrong with an archive."""
NOBODY, LAST_TIME = 0xFFFFFFFF, 1 << 62
XATTR = "SCHILY.xattr."
"""What GNU and BSD tar put before the name of an extended attribute."""


def unpack(layers: Sequence[str], directory: int, *, keep: bool = False) -> bool:
    """Lay the tar files *layers*, the lowest first, over the open *directory*; True if something changed.

    With *keep*, directories that are there stay as they are, and what is one is not replaced by what is none, nor the other way round. All layers are read before the first
    is laid down (C9). KairosError: one cannot be read, or *keep* forbids it.
    """
    links = Links()
    moved = []
    for number, layer in enumerate(layers, 1):
        try:
            with _open(layer) as tar:
                moved.append(_check(tar, links))
        except UNREADABLE as error:
            raise KairosError(f"{_which(number, layers)} cannot be read: {error}") from error
        except KairosError as error:
            raise KairosError(f"{_which(number, layers)} cannot be used: {error.message}", hint=error.hint) from error
    tree = _Tree(directory, keep=keep)
    try:
        for number in reversed(range(len(layers))):
            with _open(layers[number]) as tar:
                tree.add(tar, number, moved[number])
        tree.finish()
    except UNREADABLE as error:
        raise KairosError(f"the image cannot be unpacked: {error}") from error
    finally:
        tree.close()
    return tree.changed


def _which(number: int, layers: Sequence[str]) -> str:
    return "the archive" if len(layers) == 1 else f"layer {number} of {len(layers)}"


def _open(layer: str) -> tarfile.TarFile:
    return tarfile.open(layer, "r:", errors="surrogateescape")


def _check(tar: tarfile.TarFile, lower: Links) -> dict[str, str]:
    """Read every header to the end; the paths that lie elsewhere because of *lower* layers' links. ValueError: a number that no file can have.

    KairosError: a path or a link that leads out of it; a file below a link or a file, which could be nowhere in the tree.
    """
    members = [(_normal(member.name), member) for member in tar]
    targets = [_normal(member.linkname) for _, member in members if member.islnk()]
    targets_at = {name: lower.place(name) for name in targets}
    moved = lower.take((name, member.linkname if member.issym() else None, member.isdir()) for name, member in members)
    folders: dict[str, bool] = {}
    for written, member in members:
        name = moved.get(written, written)
        above = name.rpartition("/")[0]
        while above:
            if not folders.get(above, True):
                raise KairosError(f"it has {member.name!r} below {above!r}, which is no directory in it")
            above = above.rpartition("/")[0]
        folders[name] = member.isdir()
        if "\0" in member.name + member.linkname + "".join(member.pax_headers):
            raise ValueError("a name holds a NUL character")
        if not (0 <= member.uid < NOBODY and 0 <= member.gid < NOBODY and abs(member.mtime) < LAST_TIME and 0 <= member.size < LAST_TIME):
            raise ValueError(f"the owner, time or size of {member.name!r} is out of range")
        if member.ischr() or member.isblk():
            os.makedev(member.devmajor, member.devminor)
    written_so = {name for name, _ in members}
    moved |= {name: place for name, place in targets_at.items() if name not in written_so and place != name}  # links to a file by another way
    for _, member in members:
        if member.islnk():
            _linked(tar, member, moved)
    return moved


class _Tree:
    """The target, and what upper layers said about each path.

    Each path is used below the descriptor of its directory, so that a directory swapped for a link meanwhile leads nowhere.
    """

    def __init__(self, root: int, *, keep: bool) -> None:
        self.root, self.keep = root, keep
        self.changed = False
        self.given: dict[str, tuple[bool, int]] = {"": (True, -1)}
        """Whether a path is a directory, and which layer gave it; -1 for parents that no layer gave."""
        self.gone: set[str] = set()
        self.opaque: set[str] = set()
        self.directories: dict[str, tarfile.TarInfo] = {}
        self._moved: dict[str, str] = {}
        self._parents: dict[str, int] = {}
        self._made: set[str] = set()

    def close(self) -> None:
        for fd in self._parents.values():
            os.close(fd)
        self._parents = {}

    def add(self, tar: tarfile.TarFile, number: int, moved: dict[str, str]) -> None:
        gone, opaque = set(), set()
        self._moved = moved
        for member in tar:
            name = self._place(member.name)
            parent, _, base = name.rpartition("/")
            if base == OPAQUE:
                opaque.add(parent)
            elif base.startswith(WHITEOUT):
                gone.add(f"{parent}/{base[len(WHITEOUT):]}".lstrip("/"))
            elif name and not self._hidden(name, number):  # the root's mode and owner are the target's own
                self._put(tar, member, name, number)
        self.gone |= gone
        self.opaque |= opaque

    def _place(self, written: str) -> str:
        name = _normal(written)
        return self._moved.get(name, name)

    def _hidden(self, name: str, number: int) -> bool:
        """Whether an upper layer says what is at this path."""
        if name in self.gone or self.given.get(name, (True, -1))[1] not in (-1, number):
            return True
        while name:
            name = name.rpartition("/")[0]
            if name in self.gone or name in self.opaque or not self.given.get(name, (True, 0))[0]:
                return True
        return False

    def _put(self, tar: tarfile.TarFile, member: tarfile.TarInfo, name: str, number: int) -> None:
        if not member.isdir() and self.given.get(name, (False, 0))[0]:
            return  # an upper layer has files below it
        path = self._path(name)
        self.given[name] = (member.isdir(), number)
        if not member.isdir():
            clear_name(self._directory(name.rpartition("/")[0]), beside(name.rpartition("/")[2]))
        if member.isdir():
            self._directory(name)
            self.directories[name] = member
        elif member.issym():
            self._symlink(member, path)
        elif member.islnk() and self.given.get(self._place(member.linkname)) == (False, number):
            self._link(self._path(self._place(member.linkname)), path)
        elif member.isreg() or member.islnk():
            self._file(tar, member, path)
        elif member.ischr() or member.isblk() or member.isfifo():
            self._node(member, path)

    def _path(self, name: str) -> str:
        """Where a path below the root lies, its directories made; good until the next but one is asked for."""
        parent, _, base = name.rpartition("/")
        return f"/proc/self/fd/{self._directory(parent)}/{base}"

    def _directory(self, name: str) -> int:
        """Make sure that a path below the root is a directory, and each above it; its descriptor."""
        if name in self._parents:
            return self._parents[name]
        fd = os.dup(self.root)
        try:
            above = ""
            for part in filter(None, name.split("/")):
                above = f"{above}/{part}".lstrip("/")
                self.given.setdefault(above, (True, -1))
                fd = self._below(fd, part, above)
        except BaseException:
            os.close(fd)
            raise
        if len(self._parents) > 1:
            os.close(self._parents.pop(next(iter(self._parents))))
        self._parents[name] = fd
        return fd

    def _below(self, directory: int, name: str, path: str) -> int:
        """Go down one directory, called *path* from the root, made if it is none; the one above is closed."""
        now = _lstat(f"/proc/self/fd/{directory}/{name}")
        if now is None or not stat.S_ISDIR(now.st_mode):
            if now is not None and self.keep:
                raise KairosError(f"{path!r} is a directory of the image, and no directory where it is unpacked", hint="unpack it over another directory")
            self._made.add(path)
            if now is not None:
                os.unlink(name, dir_fd=directory)
            os.mkdir(name, 0o755, dir_fd=directory)
            self.changed = True
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        os.close(directory)
        return fd

    def _replace(self, path: str, make: Callable[[str], None]) -> None:
        """Make something beside *path* and put it in its place; nothing is left of it if that fails."""
        self.changed = True
        now = _lstat(path)
        if now is not None and stat.S_ISDIR(now.st_mode):
            if self.keep:
                raise KairosError(f"{os.path.basename(path)!r} is a file of the image, and a directory where it is unpacked", hint="unpack it over another directory")
            remove(path)
        head, _, base = path.rpartition("/")
        temporary = f"{head}/{beside(base)}"
        try:
            make(temporary)
            os.rename(temporary, path)
        except BaseException:
            if _lstat(temporary) is not None:
                os.unlink(temporary)
            raise

    def _file(self, tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        source = _linked(tar, member, self._moved) if member.islnk() else member
        now = _lstat(path)
        like = now is not None and stat.S_ISREG(now.st_mode) and now.st_size == source.size and _same(now, source) and _same_attributes(path, source)
        if like and _equal(tar, source, path):
            return

        if source.size > room(os.path.dirname(path)):  # of a sparse file a few bytes are in the archive
            raise too_large(member.name)

        def make(new: str) -> None:
            with open(new, "xb") as file, _content(tar, source) as stored:
                shutil.copyfileobj(stored, file)
            self._complete(new, source)

        self._replace(path, make)

    def _symlink(self, member: tarfile.TarInfo, path: str) -> None:
        now = _lstat(path)
        if now is not None and stat.S_ISLNK(now.st_mode) and os.readlink(path) == member.linkname and (now.st_uid, now.st_gid) == (member.uid, member.gid):
            return

        def make(new: str) -> None:
            os.symlink(member.linkname, new)
            os.lchown(new, member.uid, member.gid)

        self._replace(path, make)

    def _link(self, target: str, path: str) -> None:
        now = _lstat(path)
        if now is None or not os.path.samestat(now, os.lstat(target)):
            self._replace(path, lambda new: os.link(target, new, follow_symlinks=False))

    def _node(self, member: tarfile.TarInfo, path: str) -> None:
        kind, device = node_of(member)
        now = _lstat(path)
        if now is not None and stat.S_IFMT(now.st_mode) == kind and now.st_rdev == device and _same(now, member, times=False):
            return

        def make(new: str) -> None:
            os.mknod(new, kind | 0o600, device)
            self._complete(new, member)

        self._replace(path, make)

    def _complete(self, path: str, member: tarfile.TarInfo) -> None:
        os.chown(path, member.uid, member.gid)
        os.chmod(path, member.mode & 0o7777)
        for name, value in attributes(member):
            os.setxattr(path, name, value, follow_symlinks=False)
        os.utime(path, (member.mtime, member.mtime))

    def finish(self) -> None:
        """Give directories their modes, owners and times, the deepest first: writing below changed them."""
        for name in sorted(self.directories, key=lambda name: name.count("/"), reverse=True):
            if self.keep and name not in self._made:
                continue
            path, member = self._path(name), self.directories[name]
            now = os.lstat(path)
            if not _same(now, member, times=False) or not _same_attributes(path, member):
                self.changed = True
            elif int(now.st_mtime) == int(member.mtime):
                continue
            self._complete(path, member)
        if self.changed:
            os.sync()  # one for all: thousands of files are no configuration


def _normal(name: str) -> str:
    """A member's path below the root. KairosError: it leads out of it."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise KairosError(f"the image has a path that leads out of it: {name!r}")
    return "/".join(parts)


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def _same(now: os.stat_result, member: tarfile.TarInfo, *, times: bool = True) -> bool:
    have, want = (stat.S_IMODE(now.st_mode), now.st_uid, now.st_gid), (member.mode & 0o7777, member.uid, member.gid)
    return have == want and (not times or int(now.st_mtime) == int(member.mtime))


def node_of(member: tarfile.TarInfo) -> tuple[int, int]:
    """What mknod(2) makes of a FIFO or a device: its kind, and the device's number."""
    if member.isfifo():
        return stat.S_IFIFO, 0
    return stat.S_IFCHR if member.ischr() else stat.S_IFBLK, os.makedev(member.devmajor, member.devminor)


def attributes(member: tarfile.TarInfo) -> list[tuple[str, bytes]]:
    """The extended attributes of a member, ACLs and capabilities among them."""
    return [(key.removeprefix(XATTR), value.encode("utf-8", "surrogateescape")) for key, value in member.pax_headers.items() if key.startswith(XATTR)]


def _same_attributes(path: str, member: tarfile.TarInfo) -> bool:
    try:
        return all(os.getxattr(path, name, follow_symlinks=False) == value for name, value in attributes(member))
    except OSError:
        return False


def _linked(tar: tarfile.TarFile, member: tarfile.TarInfo, moved: Mapping[str, str]) -> tarfile.TarInfo:
    """The file that a hard link is another name of. KairosError: the layer has none."""
    try:
        found = tar.getmember(member.linkname)
    except KeyError:
        written, wanted = _normal(member.linkname), moved.get(_normal(member.linkname), _normal(member.linkname))
        same = [other for other in tar.getmembers() if wanted == moved.get(_normal(other.name), _normal(other.name)) and not other.islnk()]
        if not same:
            raise KairosError(f"the image links {member.name!r} to {written!r}, which its layer does not have") from None
        found = same[-1]
    if not found.isreg():
        raise KairosError(f"the image links {member.name!r} to {member.linkname!r}, which is no file")
    return found


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    stored = tar.extractfile(member)
    assert stored is not None  # a regular file has content
    return stored


def _equal(tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> bool:
    with open(path, "rb") as old, _content(tar, member) as stored:
        while block := stored.read(1 << 16):
            if old.read(len(block)) != block:
                return False
    return True
