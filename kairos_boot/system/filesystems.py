"""File systems made and grown with their own tools."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError
from kairos_boot.system.descriptors import Held
from kairos_boot.system.environment import for_commands

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kairos_boot.system.host import Host

FAT = ("fat", "fat16", "fat32", "vfat")
EXT = ("ext2", "ext3", "ext4")
UNFORMATTED = ("noformat", "-", "none")
WIPED = 1 << 20
"""Bytes at the start of a new partition that are zeroed: what lay there before must not be taken for its content."""

GROWERS = {**dict.fromkeys(EXT, ("e2fsck", "resize2fs")), "xfs": ("xfs_growfs",), "btrfs": ("btrfs",)}
"""File systems that can be grown, and the programs that do it."""
TAIL = 4 << 20
"""Bytes at the end of a partition that a file system may leave free: too few for a group of its own."""


def maker(fstype: str) -> str:
    """The program that makes a file system; empty for none."""
    return "" if fstype in UNFORMATTED else "mkfs.fat" if fstype in FAT else "mkswap" if fstype == "swap" else f"mkfs.{fstype}"


def need(host: Host, programs: Iterable[str]) -> None:
    """KairosError: one of *programs* is not there."""
    path = for_commands(host.environment)["PATH"]
    missing = [name for name in dict.fromkeys(programs) if name and not any(os.access(host.path(f"{d}/{name}"), os.X_OK) for d in path.split(":"))]
    if missing:
        raise KairosError(f"it needs {', '.join(missing)}, which this system does not have; nothing was written", hint="put it into the image and its initrd")


def mountable(host: Host, fstype: str) -> bool:
    """Whether the kernel mounts *fstype*: it has it, or a module of that name."""
    if any(line.split()[-1:] == [fstype] for line in (host.read("/proc/filesystems") or b"").decode().splitlines()):
        return True
    folder, wanted = f"/lib/modules/{os.uname().release}", f"/{fstype}.ko".encode()
    return any(wanted in (host.read(f"{folder}/{name}") or b"") for name in ("modules.dep", "modules.builtin"))


def wipe(node: str) -> None:
    with Held(os.open(node, os.O_WRONLY | os.O_CLOEXEC | os.O_EXCL)) as fd:
        os.pwrite(fd, bytes(WIPED), 0)
        os.fsync(fd)


def wipe_places(disk: str, places: Iterable[tuple[int, int]]) -> None:
    """The same for what is no partition yet: *places* are starts and bytes on *disk*. Durable before a table names them, else a cut leaves a partition with what lay there. OSError."""
    with Held(os.open(disk, os.O_WRONLY | os.O_CLOEXEC)) as fd:
        for start, size in places:
            os.pwrite(fd, bytes(min(WIPED, size)), start)
        os.fsync(fd)


def is_blank(node: str) -> bool:
    """Whether the start of *node* is zero, as `wipe` leaves it."""
    with Held(os.open(node, os.O_RDONLY | os.O_CLOEXEC)) as fd:
        return not os.pread(fd, WIPED, 0).strip(b"\0")


def make(host: Host, node: str, fstype: str, label: str, *, uuid: str = "", features: str = "") -> None:
    """Make a file system on *node*; *uuid* is its identifier, *features* are those of ext. KairosError: the tool is missing or fails."""
    program = maker(fstype)
    named = ["-L", label] if label else []
    if fstype in EXT:
        argv = [program, "-q", *(["-O", features] if features else []), *(["-U", uuid, "-E", f"hash_seed={uuid}"] if uuid else []), *named, node]
    elif fstype in FAT:
        sized = ["-F", fstype[3:]] if fstype in ("fat16", "fat32") else []
        argv = [program, *sized, *(["-i", uuid.replace("-", "")[:8]] if uuid else []), *(["-n", label] if label else []), node]
    elif fstype == "swap":
        argv = [program, *(["-U", uuid] if uuid else []), *named, node]
    else:
        argv = [program, *((["-m", f"uuid={uuid}"] if fstype == "xfs" else ["-U", uuid]) if uuid else []), *named, "-f", node]
    _run(host, node, argv)


def grow(host: Host, node: str, fstype: str) -> bool:
    """Let the file system of *node* fill it; whether it grew. Mounted or not. KairosError: its tool is missing or fails."""
    if fstype in EXT:
        before = _ext_blocks(node)
        if not _mounted(node):
            _run(host, node, ["e2fsck", "-f", "-p", node], fine=(0, 1))  # resize2fs insists on it
        _run(host, node, ["resize2fs", node])
        return _ext_blocks(node) != before
    at = _mounted(node)
    if at:
        return _grow_mounted(host, node, fstype, at)
    from kairos_boot.system.mounts import mount, unmount

    target = f"/run/kairos-boot/grow-{os.getpid()}"
    os.makedirs(target, mode=0o700, exist_ok=True)
    mount(node, target, fstype)
    try:
        return _grow_mounted(host, node, fstype, target)
    finally:
        unmount(target)
        os.rmdir(target)


def _grow_mounted(host: Host, node: str, fstype: str, target: str) -> bool:
    before = os.statvfs(target).f_blocks
    _run(host, node, ["xfs_growfs", target] if fstype == "xfs" else ["btrfs", "filesystem", "resize", "max", target])
    return os.statvfs(target).f_blocks != before


def _ext_blocks(node: str) -> int:
    """Blocks of an ext file system, from its superblock (offsets 4 and 0x150)."""
    with Held(os.open(node, os.O_RDONLY | os.O_CLOEXEC)) as fd:
        block = os.pread(fd, 1024, 1024)
    return int.from_bytes(block[4:8], "little") | int.from_bytes(block[0x150:0x154], "little") << 32


def fills(node: str, fstype: str, size: int) -> bool:
    """Whether the file system of *node* takes the *size* bytes of it: nothing is left that growing would take."""
    with Held(os.open(node, os.O_RDONLY | os.O_CLOEXEC)) as fd:
        if fstype == "xfs":  # sb_dblocks, sb_blocksize
            taken = int.from_bytes(os.pread(fd, 8, 8), "big") * int.from_bytes(os.pread(fd, 4, 4), "big")
        elif fstype == "btrfs":  # total_bytes of the superblock's dev_item
            taken = int.from_bytes(os.pread(fd, 8, (64 << 10) + 0xC9 + 8), "little")
        else:
            taken = _ext_blocks(node) << (10 + int.from_bytes(os.pread(fd, 4, 1024 + 24), "little"))
    return taken + TAIL > size


def _mounted(node: str) -> str:
    """Where *node* is mounted, or nothing."""
    from kairos_boot.system.mounts import device_of, mounted

    device = device_of(node)
    return next((m.target for m in mounted() if m.device == device), "")


def _run(host: Host, node: str, argv: Sequence[str], fine: Sequence[int] = (0,)) -> None:
    result = host.processes.run(argv, timeout=600, env={"LC_ALL": "C"})
    if result.code not in fine or result.timed_out:
        raise KairosError(f"{' '.join(argv)}: {result.explain(600)}: {result.output.strip()}", node)
