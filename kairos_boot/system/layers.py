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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import IO

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
XATTR = "SCHILY.xattr."
"""What GNU and BSD tar put before the name of an extended attribute."""


def unpack(layers: Sequence[str], directory: str) -> bool:
    """Lay the tar files *layers*, the lowest first, over *directory*; True if something changed. KairosError: a tar file is none."""
    tree = _Tree(directory)
    for number in reversed(range(len(layers))):
        try:
            with tarfile.open(layers[number], errors="surrogateescape") as tar:
                tree.add(tar, number)
        except tarfile.TarError as error:
            raise KairosError(f"layer {number + 1} of {len(layers)} cannot be read: {error}") from error
    tree.finish()
    return tree.changed


class _Tree:
    """The target, and what upper layers said about each path."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.changed = False
        self.given: dict[str, tuple[bool, int]] = {"": (True, -1)}
        """Whether a path is a directory, and which layer gave it; -1 for parents that no layer gave."""
        self.gone: set[str] = set()
        self.opaque: set[str] = set()
        self.directories: dict[str, tarfile.TarInfo] = {}

    def add(self, tar: tarfile.TarFile, number: int) -> None:
        gone, opaque = set(), set()
        for member in tar:
            name = _normal(member.name)
            parent, _, base = name.rpartition("/")
            if base == OPAQUE:
                opaque.add(parent)
            elif base.startswith(WHITEOUT):
                gone.add(f"{parent}/{base[len(WHITEOUT):]}".lstrip("/"))
            elif name and not self._hidden(name, number):  # the root's mode and owner are the target's own
                self._put(tar, member, name, number)
        self.gone |= gone
        self.opaque |= opaque

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
        self._directory(name.rpartition("/")[0])
        self.given[name] = (member.isdir(), number)
        path = f"{self.root}/{name}"
        if member.isdir():
            self._directory(name)
            self.directories[name] = member
        elif member.issym():
            self._symlink(member, path)
        elif member.islnk() and self.given.get(_normal(member.linkname)) == (False, number):
            self._link(f"{self.root}/{_normal(member.linkname)}", path)
        elif member.isreg() or member.islnk():
            self._file(tar, member, path)
        elif member.ischr() or member.isblk() or member.isfifo():
            self._node(member, path)

    def _directory(self, name: str) -> None:
        """Make sure that a path below the root is a directory, and each above it."""
        path = self.root
        for part in filter(None, name.split("/")):
            path += f"/{part}"
            self.given.setdefault(path[len(self.root) + 1:], (True, -1))
            now = _lstat(path)
            if now is None or not stat.S_ISDIR(now.st_mode):
                if now is not None:
                    os.unlink(path)
                os.mkdir(path, 0o755)
                self.changed = True

    def _clear(self, path: str) -> None:
        """Make way for something that is no directory."""
        self.changed = True
        now = _lstat(path)
        if now is not None and stat.S_ISDIR(now.st_mode):
            shutil.rmtree(path)

    def _file(self, tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        source = _linked(tar, member) if member.islnk() else member
        now = _lstat(path)
        like = now is not None and stat.S_ISREG(now.st_mode) and now.st_size == source.size and _same(now, source) and _same_attributes(path, source)
        if like and _equal(tar, source, path):
            return
        self._clear(path)
        temporary = _beside(path)
        with open(temporary, "xb") as new, _content(tar, source) as stored:
            shutil.copyfileobj(stored, new)
        self._complete(temporary, source)
        os.rename(temporary, path)

    def _symlink(self, member: tarfile.TarInfo, path: str) -> None:
        now = _lstat(path)
        if now is not None and stat.S_ISLNK(now.st_mode) and os.readlink(path) == member.linkname and (now.st_uid, now.st_gid) == (member.uid, member.gid):
            return
        self._clear(path)
        temporary = _beside(path)
        os.symlink(member.linkname, temporary)
        os.lchown(temporary, member.uid, member.gid)
        os.rename(temporary, path)

    def _link(self, target: str, path: str) -> None:
        now = _lstat(path)
        if now is not None and os.path.samestat(now, os.lstat(target)):
            return
        self._clear(path)
        temporary = _beside(path)
        os.link(target, temporary, follow_symlinks=False)
        os.rename(temporary, path)

    def _node(self, member: tarfile.TarInfo, path: str) -> None:
        kind = stat.S_IFIFO if member.isfifo() else stat.S_IFCHR if member.ischr() else stat.S_IFBLK
        device = 0 if member.isfifo() else os.makedev(member.devmajor, member.devminor)
        now = _lstat(path)
        if now is not None and stat.S_IFMT(now.st_mode) == kind and now.st_rdev == device and _same(now, member, times=False):
            return
        self._clear(path)
        temporary = _beside(path)
        os.mknod(temporary, kind | 0o600, device)
        self._complete(temporary, member)
        os.rename(temporary, path)

    def _complete(self, path: str, member: tarfile.TarInfo) -> None:
        os.chown(path, member.uid, member.gid)
        os.chmod(path, member.mode & 0o7777)
        for name, value in _attributes(member):
            os.setxattr(path, name, value)
        os.utime(path, (member.mtime, member.mtime))

    def finish(self) -> None:
        """Give directories their modes, owners and times, the deepest first: writing below changed them."""
        for name in sorted(self.directories, key=lambda name: name.count("/"), reverse=True):
            path, member = f"{self.root}/{name}", self.directories[name]
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


def _attributes(member: tarfile.TarInfo) -> list[tuple[str, bytes]]:
    return [(key.removeprefix(XATTR), value.encode("utf-8", "surrogateescape")) for key, value in member.pax_headers.items() if key.startswith(XATTR)]


def _same_attributes(path: str, member: tarfile.TarInfo) -> bool:
    try:
        return all(os.getxattr(path, name) == value for name, value in _attributes(member))
    except OSError:
        return False


def _beside(path: str) -> str:
    """A name for what is to be renamed to *path*; what an interrupted run left there goes."""
    name = f"{os.path.dirname(path)}/.{os.path.basename(path)[:200]}.{os.getpid()}.new"
    if _lstat(name) is not None:
        os.unlink(name)
    return name


def _linked(tar: tarfile.TarFile, member: tarfile.TarInfo) -> tarfile.TarInfo:
    """The file that a hard link is another name of. KairosError: the layer has none."""
    try:
        found = tar.getmember(member.linkname)
    except KeyError:
        raise KairosError(f"the image links {member.name!r} to {member.linkname!r}, which its layer does not have") from None
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
