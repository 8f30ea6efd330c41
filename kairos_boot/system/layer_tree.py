"""The layers of a container image laid one over the other, the lowest first, in an empty directory that becomes the tree.

It is done by a process of its own whose root is that directory: an absolute link of the image leads where it leads in the image, and nothing leaves it.
White-outs and opaque directories take away what lower layers gave (image-spec, layer.md). Owners, modes, times, links, attributes (ACLs and capabilities
among them), devices and holes are as the image has them.

A path is taken as umoci and containerd take it: the links above it are followed, inside the image, what is at its end is not. So a directory that one
layer writes in two ways (`lib/x`, where a lower layer made `lib` a link to `usr/lib`, and `usr/lib/x`) is one directory, and the last word on it counts.
"""

from __future__ import annotations

import os
import stat
import tarfile

from kairos_boot.errors import KairosError, reason
from kairos_boot.system.layer_links import OPAQUE, WHITEOUT
from kairos_boot.system.layer_stream import Layer, Stream, TooLargeError, members
from kairos_boot.system.layers import UNREADABLE, attributes, node_of
from kairos_boot.system.room import block, room, too_large
from kairos_boot.system.trees import remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kairos_boot.system.copying import Progress

ZERO = bytes(64 << 10)
HOLE = len(ZERO)
TELL = 4 << 20
"""Bytes between two words on how far it is."""
DROPPED = ("security.selinux", "security.ima", "security.evm")
"""Attributes that a file system may refuse: whoever boots the tree sets them anew."""


def lay(layers: Sequence[Layer], tree: str, progress: Progress) -> None:
    """Lay *layers* in the empty directory *tree*. KairosError: one is damaged, or cannot be laid; what is in the tree is worth nothing then.

    The error's place is the file of the layer that is damaged.
    """
    import json

    total = sum(layer.size for layer in layers)
    free = room(tree)
    files = [os.open(layer.path, os.O_RDONLY | os.O_CLOEXEC) for layer in layers]
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            os.close(ours)
            os.chroot(tree)
            os.chdir("/")
            _Child(theirs, free).work(layers, files)
            code = 0
        except KairosError as error:
            os.write(theirs, json.dumps([error.message, error.where, error.hint]).encode() + b"\n")
        except BaseException as error:  # noqa: BLE001 -- the parent must never run on in here
            os.write(theirs, json.dumps([f"{type(error).__name__}: {error}", "", ""]).encode() + b"\n")
        finally:
            os._exit(code)
    os.close(theirs)
    for fd in files:
        os.close(fd)
    wrong: KairosError | None = None
    try:
        with open(ours, "rb") as lines:
            for line in lines:
                told = json.loads(line)
                if isinstance(told, int):
                    progress(told, total)
                else:
                    wrong = KairosError(*told)
    except BaseException:
        os.kill(child, 9)
        raise
    finally:
        status = os.waitpid(child, 0)[1]
    if wrong or status:
        raise wrong or KairosError(f"the image cannot be unpacked: the process that does it was ended ({os.waitstatus_to_exitcode(status)})",
                                   hint="see dmesg: is there memory?")


class _Child:
    """What is inside the tree. *told* is where the parent hears of it, *room* how many bytes the tree may take."""

    def __init__(self, told: int, room: int) -> None:
        self._told, self._room = told, room
        self._done = self._said = 0
        self._directories: dict[str, tarfile.TarInfo] = {}
        self._known: set[str] = {""}
        """Directories that are there, by their paths."""
        self._places: dict[str, str] = {"": ""}
        """Where directories lie that were named, their links followed."""
        self._own: set[str] = set()
        """The paths of the layer at hand, and those above them, which no white-out of it takes away."""

    def work(self, layers: Sequence[Layer], files: Sequence[int]) -> None:
        for number, (layer, fd) in enumerate(zip(layers, files, strict=True), 1):
            which = f"layer {number} of {len(layers)}"
            stream = Stream(fd, layer, self._seen)
            name = ""
            try:
                try:
                    for member in members(stream):
                        name = member.name
                        self._put(stream, member, lowest=number == 1)
                        self._tell()
                except TooLargeError:
                    raise  # the rest of it is not worth reading
                except (KairosError, *UNREADABLE, OSError):
                    stream.finish()  # a layer that is not what it should be explains everything else
                    raise
                stream.finish()
            except KairosError as error:
                raise KairosError(f"{which}: {error.message}", layer.path if "digest" in error.message else "", error.hint) from error
            except UNREADABLE as error:
                raise KairosError(f"{which} cannot be read: {error}", layer.path) from error
            except OSError as error:
                raise KairosError(f"{which}: {name!r} cannot be unpacked: {reason(error)}", hint=_hint(error)) from error
            self._own.clear()
        try:
            for name in sorted(self._directories, key=lambda name: name.count("/"), reverse=True):
                self._finish(name)
            os.sync()
        except OSError as error:
            raise KairosError(f"{name!r} cannot be unpacked: {reason(error)}", hint=_hint(error)) from error

    def _seen(self, count: int) -> None:
        self._done += count

    def _tell(self) -> None:
        if self._done - self._said >= TELL:
            self._said = self._done
            os.write(self._told, b"%d\n" % self._done)

    def _put(self, stream: Stream, member: tarfile.TarInfo, *, lowest: bool) -> None:
        parts = [part for part in member.name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise KairosError(f"it has a path that leads out of the image: {member.name!r}")
        base = parts[-1] if parts else ""
        above = self._place("/".join(parts[:-1]))
        name = f"{above}/{base}".lstrip("/")
        parts = name.split("/") if name else []
        if base.startswith(WHITEOUT):
            self._take_away(above, base)
            return
        if not lowest:
            self._own.update("/".join(parts[:count]) for count in range(len(parts), 0, -1))
        if not name:
            if member.isdir():
                self._directories[name] = member
            return
        self._parents(parts)
        try:
            now: os.stat_result | None = os.lstat(name)
        except FileNotFoundError:
            now = None
        if member.isdir():
            if now is None or not stat.S_ISDIR(now.st_mode):
                if now is not None:
                    os.unlink(name)
                    self._forget(name)
                os.mkdir(name, 0o700)
                self._use(block(1))
            self._directories[name] = member
            self._known.add(name)
            return
        if now is not None:
            if stat.S_ISDIR(now.st_mode):
                self._forget(name)
                remove(name)
            else:
                os.unlink(name)
                if stat.S_ISLNK(now.st_mode):
                    self._forget(name)
        self._make(stream, member, name)

    def _place(self, folder: str) -> str:
        """Where the directory *folder* is when its links are followed; nothing leads above the root of this process."""
        found = self._places.get(folder)
        if found is None:
            found = os.path.realpath(f"/{folder}").lstrip("/")
            if os.path.isdir(f"/{found}"):  # what is not there yet may become a link
                self._places[folder] = found
        return found

    def _use(self, size: int) -> None:
        """Take *size* bytes of the room. TooLargeError: it is used up."""
        self._room -= size
        if self._room < 0:
            raise too_large()

    def _parents(self, parts: Sequence[str]) -> None:
        if "/".join(parts[:-1]) in self._known:
            return
        for count in range(1, len(parts)):
            path = "/".join(parts[:count])
            if path in self._known:
                continue
            if not os.path.isdir(path):
                if os.path.lexists(path):
                    raise KairosError(f"it has {'/'.join(parts)!r} below {path!r}, which is no directory in it")
                os.mkdir(path, 0o755)
            self._known.add(path)

    def _forget(self, name: str) -> None:
        """What was at *name* goes, with all below it."""
        self._known, self._places = {""}, {"": ""}
        for path in [path for path in self._directories if path == name or path.startswith(f"{name}/")]:
            del self._directories[path]

    def _take_away(self, parent: str, base: str) -> None:
        gone = []
        if base == OPAQUE:
            gone = [f"{parent}/{name}".lstrip("/") for name in (os.listdir(f"/{parent}") if os.path.isdir(f"/{parent}") else ())]
        elif base.removeprefix(WHITEOUT) in ("", ".", ".."):
            raise KairosError(f"it has a white-out that names nothing: {base!r} in {parent!r}")
        elif not base.startswith(WHITEOUT * 2):  # others of that kind are notes of a storage driver
            gone = [f"{parent}/{base.removeprefix(WHITEOUT)}".lstrip("/")]
        for name in gone:
            self._take(name)

    def _take(self, name: str) -> None:
        """Take away what lower layers have at *name* and below it."""
        if name not in self._own:
            self._forget(name)
            remove(f"/{name}")
        elif os.path.isdir(f"/{name}") and not os.path.islink(f"/{name}"):
            for below in os.listdir(f"/{name}"):
                self._take(f"{name}/{below}")

    def _make(self, stream: Stream, member: tarfile.TarInfo, name: str) -> None:
        if member.isreg():
            fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                self._use(block(1))
                _fill(fd, stream, member, self._use)
                _complete(fd, member)
            finally:
                os.close(fd)
        elif member.islnk():
            os.link("/" + member.linkname.lstrip("/"), name, follow_symlinks=False)
        elif member.issym():
            os.symlink(member.linkname, name)
            os.lchown(name, member.uid, member.gid)
            _attributes(name, member)
            os.utime(name, ns=_times(member), follow_symlinks=False)
        elif member.ischr() or member.isblk() or member.isfifo():
            kind, device = node_of(member)
            os.mknod(name, kind | 0o600, device)
            _complete(name, member)
        else:
            raise KairosError(f"{name!r} is of a kind that no file system has: {member.type!r}")

    def _finish(self, name: str) -> None:
        """Give a directory what it has: writing below it changed its times."""
        path = f"/{name}"
        if stat.S_ISDIR(os.lstat(path).st_mode):
            _complete(path, self._directories[name])


def _fill(fd: int, stream: Stream, member: tarfile.TarInfo, use: Callable[[int], None]) -> None:
    """Write the content, each part after *use* was told of it; what is zero becomes a hole, as do the holes of a sparse member."""
    stream.seek(member.offset_data)
    parts: Sequence[tuple[int, int]] = getattr(member, "sparse", None) or ((0, member.size),)
    place = 0
    for at, size in parts:
        place, end = at, at + size
        while place < end:
            data = stream.piece(min(HOLE, end - place))
            if not data:
                raise tarfile.ReadError("unexpected end of data")
            if data[0] or bytes(data) != ZERO[:len(data)]:
                use(len(data))
                while data:
                    written = os.pwrite(fd, data, place)
                    data, place = data[written:], place + written
            else:
                place += len(data)
    os.ftruncate(fd, member.size)


def _complete(at: int | str, member: tarfile.TarInfo) -> None:
    """Owner first, which takes set-id bits and capabilities away."""
    os.chown(at, member.uid, member.gid)
    os.chmod(at, member.mode & 0o7777)
    _attributes(at, member)
    os.utime(at, ns=_times(member))


def _attributes(at: int | str, member: tarfile.TarInfo) -> None:
    for name, value in attributes(member):
        try:
            os.setxattr(at, name, value, **({} if isinstance(at, int) else {"follow_symlinks": False}))
        except OSError as error:
            if name not in DROPPED:
                raise OSError(error.errno, f"its attribute {name}: {reason(error)}") from error


def _times(member: tarfile.TarInfo) -> tuple[int, int]:
    """In nanoseconds; `tarfile` makes a float of them, which has too few digits."""
    text = member.pax_headers.get("mtime", "") if member.pax_headers else ""
    seconds, dot, rest = text.partition(".")
    try:
        whole = int(seconds) * 10**9
        part = int((rest + "0" * 9)[:9]) if dot else 0
        time = whole - part if seconds.startswith("-") else whole + part
    except ValueError:
        time = int(member.mtime) * 10**9
    return time, time


def _hint(error: OSError) -> str:
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "make room where the image is unpacked, or name another place with TMPDIR"
    if error.errno == errno.EOPNOTSUPP:
        return "unpack it where extended attributes can be kept: name such a place with TMPDIR"
    return ""
