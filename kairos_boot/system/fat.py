"""Files on a FAT partition: by a mount where the kernel can, else by mtools, as on a machine that builds images."""

from __future__ import annotations

import errno
import os

from kairos_boot.errors import KairosError, reason
from kairos_boot.system.descriptors import Held, InMemory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kairos_boot.system.host import Host

PLACE = "/run/kairos-boot/esp"
NEW, OLD = ".new", ".old"
"""Behind a name: what is being written, and what was there before."""


def put_files(host: Host, node: str, files: Mapping[str, bytes], may_replace: Callable[[bytes, bytes], bool] | None = None, *, must: bool = False) -> bool:
    """Put *files* (path on the partition, content) on the FAT file system of *node*, in their order; whether one of them was another one.

    None is written where *may_replace* forbids it for one of them, of its old and its new content; with *must*, as on a disk that is being made, that
    is an error. A new content is complete and durable before it takes the name, which is one sector of the directory; the old one stays beside it.
    KairosError: it cannot be written. Without vfat in the kernel only *must* writes: what boots already is not written in place.

    A new content that is found beside its name was left by a cut. If that came inside the rename, both names may have one chain of clusters: to write the
    one would free and fill those of the other, and a second cut then leaves no boot loader. So such a name is taken away before anything is mounted, and
    its room is given to nobody.
    """
    from kairos_boot.system import fat_names, mounts

    left = fat_names.forget(node, [(name + NEW, name + OLD) for name in files])
    if left:
        from kairos_boot.system.journal import Journal

        Journal()(4, f"{node}: a cut left {', '.join(left)}, which may share room with what boots: the names are gone, and their room is lost until fsck.fat -a {node}", kind="warning")
    try:
        os.makedirs(PLACE, mode=0o700, exist_ok=True)
        mounts.mount(node, PLACE, "vfat", ("rw", "noatime"))
    except OSError as error:
        if error.errno == errno.ENODEV and must:  # a kernel without FAT
            return _by_mtools(host, node, files, may_replace)
        raise KairosError(f"the partition of the firmware cannot be mounted: {reason(error)}", node, f"check it: fsck.fat -n {node}") from error
    try:
        changed = False
        for name, content in files.items():
            old = _read(f"{PLACE}/{name}")
            if _stays(old, content, may_replace):
                if must:
                    raise _forbidden(node, name)
                return False
        for name, content in files.items():
            changed = _put(f"{PLACE}/{name}", content) or changed
    except OSError as error:
        raise KairosError(f"cannot be written: {reason(error)}", str(error.filename or node), "make room on the partition of the firmware") from error
    else:
        return changed
    finally:
        mounts.unmount(PLACE)


def _put(path: str, content: bytes) -> bool:
    old = _read(path)
    if old == content:
        return False
    directory = os.path.dirname(path)
    os.makedirs(directory, exist_ok=True)
    try:
        for name, data in ((path + NEW, content), (path + OLD, old)):  # the new one first: it tells the next run that a cut came in either of them
            if data is not None and _read(name) != data:
                with open(name, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            settle(directory)
    except OSError:
        if os.path.lexists(path + NEW):  # no cut, no room: it goes with what it takes
            os.unlink(path + NEW)
        raise
    # While it is open, the room of the old file is not given back: FAT has no journal, and the kernel may write that before the directory says so.
    held = None if old is None else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.rename(path + NEW, path)
        settle(directory)
    finally:
        if held is not None:
            os.close(held)
    settle(directory)
    return True


def settle(directory: str) -> None:
    """All that was changed is on the disk, and stays there: syncfs(2) alone does not tell the disk to empty its cache where it is FAT."""
    from kairos_boot.system.mounts import sync_filesystem

    sync_filesystem(directory)
    with Held(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as fd:
        os.fsync(fd)


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _stays(old: bytes | None, new: bytes, may_replace: Callable[[bytes, bytes], bool] | None) -> bool:
    return may_replace is not None and old is not None and old != new and not may_replace(old, new)


def _forbidden(node: str, name: str) -> KairosError:
    return KairosError(f"{name} is a signed program, and the one that is to replace it has no signature: none of the boot loader was written", node,
                       "take an image with a signed boot loader, or make this partition empty")


def _by_mtools(host: Host, node: str, files: Mapping[str, bytes], may_replace: Callable[[bytes, bytes], bool] | None) -> bool:
    """On a partition that nobody boots from until the disk is made."""
    made: set[str] = set()
    for name, content in files.items():
        with InMemory() as old:
            there = _run(host, node, ("mcopy", "-n", "-i", node, f"::/{name}", old.path), fine=(0, 1)) == 0  # 1: it is not
            if there and _stays(old.read(), content, may_replace):
                raise _forbidden(node, name)
    for name, content in files.items():
        folder = ""
        for part in name.split("/")[:-1]:
            folder = f"{folder}/{part}"
            if folder not in made:
                _run(host, node, ("mmd", "-D", "s", "-i", node, f"::{folder}"), fine=(0, 1))
                made.add(folder)
        _run(host, node, ("mcopy", "-o", "-i", node, "-", f"::/{name}"), stdin=content)
    fd = os.open(node, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    return bool(files)


def _run(host: Host, node: str, argv: tuple[str, ...], stdin: bytes = b"", fine: tuple[int, ...] = (0,)) -> int:
    try:
        result = host.processes.run(argv, stdin=stdin, timeout=120, env={"MTOOLS_SKIP_CHECK": "1", "LC_ALL": "C"})
    except KairosError as error:
        raise KairosError(error.message, node, "the kernel has no vfat, and mtools are not installed: install one of them") from error
    if result.code not in fine or result.timed_out:
        raise KairosError(f"{argv[0]}: {result.explain(120)}: {result.output.strip()[-300:]}", node)
    return result.code
