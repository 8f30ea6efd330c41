"""Fill an image with a tree, and work inside an image: mounted by a loop device at a place that only root sees."""

from __future__ import annotations

import errno
import os
import stat

from kairos_boot.errors import Explained, KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kairos_boot.system.host import Host

MOUNT = "/run/kairos-boot/image"
"""With the number of the process behind it: a plan may look into an image while an action works in another one."""
KERNELS = ("dev", "proc", "run", "sys", "tmp")
"""Directories of a running system whose content is no part of it."""
PLACES = (("boot", 0o755), ("dev", 0o755), ("oem", 0o755), ("proc", 0o555), ("run", 0o755), ("sys", 0o555), ("tmp", 0o1777), ("usr/local", 0o755))
"""Directories that every image has, since something is mounted there."""
COPY_SECONDS = 3600.0


def mounted(image: str, *, read_only: bool = False) -> Iterator[str]:
    """Mount *image* at a place of this process, and give the place; afterwards it is free again. For `contextlib.contextmanager`. KairosError: the kernel refuses.

    What was written is in the file then, whoever else has the mount: a mount namespace that was made meanwhile, as for a service or a
    container, may hold it for long, and until then unmounting would write nothing. So the file system is made read-only first.
    """
    from contextlib import contextmanager

    from kairos_boot.system import loop, mounts

    place = f"{MOUNT}-{os.getpid()}"
    with contextmanager(loop.held)(image, read_only=read_only) as node:
        with Explained("the image cannot be mounted", image):
            os.makedirs(place, mode=0o700, exist_ok=True)
            _mount(node, place, read_only=read_only)
        whole = False
        try:
            yield place
            if not read_only:
                with Explained("the image cannot be completed", image, "see what still writes to it: lsof or fuser"):
                    mounts.mount(node, place, "ext4", ("remount", "ro", "nodev"))
            whole = True
        finally:
            with Explained("the image cannot be unmounted", image):
                mounts.unmount(place, detach=not whole)


def _options(*, read_only: bool) -> tuple[str, ...]:
    """No device of an image is one here. Programs of one that is worked in run as they do in its own system: hooks, and what sets its labels."""
    return ("ro", "nodev", "nosuid") if read_only else ("nodev",)


def _mount(node: str, place: str, *, read_only: bool) -> None:
    """Mount it also where a mount namespace still has it from the last time, read-only by now: the kernel gives one file system to all."""
    from kairos_boot.system import mounts

    try:
        mounts.mount(node, place, "ext4", _options(read_only=read_only))
    except OSError as error:
        if error.errno != errno.EBUSY or read_only:
            raise
        mounts.mount(node, place, "ext4", ("ro", "nodev"))
        mounts.mount(node, place, "ext4", ("remount", "rw", "nodev"))


def fill(host: Host, source: str, image: str, places: tuple[str, ...] = ()) -> None:
    """Copy the tree *source* into the file system of the file *image*, with everything that its files have, and without what is mounted in it.

    KairosError: it does not fit, cp fails, its labels cannot be set.
    """
    from contextlib import contextmanager

    from kairos_boot.actions.selinux import relabel
    from kairos_boot.system.host import Host as Tree

    with contextmanager(mounted)(image) as place:
        names = [name for name in sorted(os.listdir(source)) if name not in KERNELS and name != "lost+found"]
        foreign = [name for name in names if is_mounted(source, name)]  # cp leaves out only those that it comes upon below its arguments
        names = [name for name in names if name not in foreign]
        argv = ("cp", "--archive", "--one-file-system", "--sparse=always", "--target-directory", place, "--", *(f"{source}/{name}" for name in names))
        result = host.processes.run(argv, timeout=COPY_SECONDS, env={"LC_ALL": "C"})
        if result.code or result.timed_out:
            raise KairosError(f"cp: {result.explain(COPY_SECONDS)}: {result.output.strip()[-400:]}", source)
        like = os.stat(source)
        os.chown(place, like.st_uid, like.st_gid)
        os.chmod(place, like.st_mode & 0o7777)
        for name in foreign:
            os.mkdir(f"{place}/{name}", 0o755)
        inside = Tree(place)  # links of the image lead inside it
        for name, mode in PLACES:
            path = inside.entry(name)
            if not os.path.lexists(path):
                os.makedirs(path)
                os.chmod(path, mode)
        for path in places:
            os.makedirs(inside.real(path), exist_ok=True)
        relabel(host, place, must=False)  # else it has the labels of the tree


def is_mounted(tree: str, name: str) -> bool:
    """Whether the directory *name* of *tree* is one of another file system, as what is mounted there is (of an overlay only directories have one device)."""
    found = os.lstat(f"{tree}/{name}")
    return stat.S_ISDIR(found.st_mode) and found.st_dev != os.lstat(tree).st_dev


def size_for(source: str, spare: int = 100 << 20) -> int:
    """Bytes that an image of the tree *source* needs: its blocks, a twentieth for the file system's own, and *spare*."""
    with Explained("the tree cannot be measured", source, "is a path in it longer than the kernel takes?"):
        return _size_for(source, spare)


def _size_for(source: str, spare: int) -> int:
    total, seen = 0, set()
    device = os.lstat(source).st_dev
    for folder, folders, files in os.walk(source):
        if folder == source:
            folders[:] = [name for name in folders if name not in KERNELS]
        for name in (*folders, *files):
            found = os.lstat(f"{folder}/{name}")
            # Of an overlay only the directories have one device: files have that of the layer that they lie in.
            if (found.st_dev == device or name in files) and (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                total += max(found.st_blocks * 512, -(-found.st_size // 4096) * 4096 if name in files and not found.st_blocks else 0) + 256
        folders[:] = [name for name in folders if os.lstat(f"{folder}/{name}").st_dev == device]
    return -(-(total * 21 // 20 + spare) // (4 << 20)) * (4 << 20)
