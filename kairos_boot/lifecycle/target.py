"""Which disk a node is installed on: named, the largest one, or the one that was partitioned for it. Never one that is in use."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError
from kairos_boot.node.partitions import LABELS
from kairos_boot.records import NOTHING, record
from kairos_boot.system import partitions
from kairos_boot.system.identity import text
from kairos_boot.system.process import ANSWER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kairos_boot.actions.partitioning import Place
    from kairos_boot.system.host import Host
    from kairos_boot.system.partitions import Slot

    InUse = Callable[[str], bool]

AUTO = "auto"
SCRIPT = "script://"
VIRTUAL = ("loop", "ram", "zram", "dm-", "md", "sr", "fd", "mtd", "nbd", "bcache")
"""What is in /sys/block and no disk of a machine."""
SCRIPT_SECONDS = 600.0
MEDIA = ("iso9660", "udf", "squashfs")
"""What lies on a whole disk that is a medium and not a target."""


@record
class Target:
    """The disk, and the node of each of its partitions by name; *kinds* has their file systems."""

    disk: str
    nodes: Mapping[str, str] = NOTHING
    kinds: Mapping[str, str] = NOTHING


def choose(host: Host, wanted: str, in_use: InUse = partitions.in_use) -> str:
    """The disk that *wanted* names: a path, `auto` or `script://PATH`. KairosError: none, several, or it must not be touched."""
    from kairos_boot.system.disks import find_path

    if not wanted:
        raise KairosError("which disk? Everything on it is lost, so it has to be named", "install.device",
                          f"name it, or write auto for the largest; there are: {', '.join(_told(host, in_use)) or 'none'}")
    if wanted == AUTO:
        return _largest(host, in_use)
    path = named_by(host, wanted)
    if os.path.dirname(path) in ("/dev/disk/by-partlabel", "/dev/disk/by-partuuid"):
        raise KairosError("this names a partition, and a whole disk is meant", path, "name the disk: /dev/disk/by-id/…")
    disk, named = find_path(host, path)
    if named:
        raise KairosError("this is a partition, and a whole disk is meant", path, f"name the disk: {disk}")
    if not os.path.realpath(disk).startswith("/dev/"):
        raise KairosError("this is a file", path, "kairos-boot install --disk-image FILE makes the image of a disk")
    if in_use(disk):
        raise KairosError(f"target device {disk} has mounted partitions, please unmount them before installing", path,
                          f"see lsblk {disk}; a medium that was booted from is never a target")
    if text(host, f"/sys/block/{os.path.basename(disk)}/ro") == "1":
        raise KairosError("the disk is read-only", disk)
    return disk


def _largest(host: Host, in_use: InUse) -> str:
    """The largest disk that nothing uses; of two equal ones the first by name."""
    free = [(size, name) for name, size in _disks(host) if _free(host, name, in_use)]
    if not free:
        raise KairosError("there is no disk to install on: none, or all are in use or read-only", "install.device",
                          f"name one; there are: {', '.join(_told(host, in_use)) or 'none'}")
    largest = max(size for size, _ in free)
    return f"/dev/{min(name for size, name in free if size == largest)}"


def _free(host: Host, name: str, in_use: InUse) -> bool:
    """Whether a disk may be taken without being named."""
    return text(host, f"/sys/block/{name}/ro") != "1" and not in_use(f"/dev/{name}") and not _is_medium(f"/dev/{name}")


def _is_medium(disk: str) -> bool:
    """Whether a medium is on the whole disk, such as the one booted from with its root copied to memory: nothing of it is mounted then."""
    from kairos_boot.system.blkid import probe

    try:
        return probe(disk).fstype in MEDIA
    except KairosError:
        return False


def _disks(host: Host) -> list[tuple[str, int]]:
    """Name and bytes of each disk of the machine."""
    try:
        names = sorted(os.listdir(host.path("/sys/block")))
    except OSError:
        return []
    sizes = [(name, text(host, f"/sys/block/{name}/size")) for name in names if not name.startswith(VIRTUAL)]
    return [(name, int(size) * 512) for name, size in sizes if size.isdigit() and int(size)]


def _told(host: Host, in_use: InUse) -> list[str]:
    """The disks as an operator wants to read of them."""
    return [f"/dev/{name} ({size >> 30} GiB{', in use' if in_use(f'/dev/{name}') else ''})" for name, size in _disks(host)]


def named_by(host: Host, wanted: str) -> str:
    """The name of a disk that *wanted* is, or that its script prints: who asks keeps the answer, since a script may do more than to look."""
    if not wanted.startswith(SCRIPT):
        return wanted
    path = wanted.removeprefix(SCRIPT)
    result = host.processes.run((path,), timeout=SCRIPT_SECONDS, whole=ANSWER)
    named = result.output.strip()
    if result.code or result.timed_out:
        raise KairosError(f"the script ended with {result.explain(SCRIPT_SECONDS)}: {result.said.strip()[-400:]}", path, "its output is the path of the disk")
    if not named.startswith("/") or "\n" in named:
        raise KairosError(f"its output is no path: {named[:200]!r}", path, "it prints the path of one disk, and nothing else")
    return named


def planned(disk: str, places: Sequence[Place]) -> Target:
    """The target that *disk* is when it has *places*."""
    return Target(disk, {p.name: partitions.node_of(disk, p.number) for p in places}, {p.name: p.fstype for p in places})


def prepared(host: Host, wanted: str, among: Sequence[str], in_use: InUse = partitions.in_use) -> Target:
    """The disk that was partitioned for a node (`no-format`): *wanted*, else the only one of those *among* which it is looked for with a COS_STATE.

    KairosError: none, several, or one that lacks a partition.
    """
    disks = [choose(host, wanted, in_use)] if wanted else among
    found = {disk: known for disk in disks if (known := _labelled(host, disk)) and (wanted or "state" in known)}
    if len(found) > 1:
        raise KairosError(f"several disks have a partition {LABELS['state']}: {', '.join(found)}", "install.no-format", "name the one that is meant: install.device")
    if not found:
        raise KairosError(f"no disk has a partition {LABELS['state']}", "install.no-format", "make it in stage kairos-install.pre, with `layout`; or leave out no-format")
    [(disk, slots)] = found.items()
    missing = [LABELS[name] for name in ("oem", "recovery", "state", "persistent") if name not in slots]
    if missing:
        raise KairosError(f"the disk lacks {', '.join(missing)}", disk, "each is a file system with that label")
    if in_use(disk):
        raise KairosError(f"target device {disk} has mounted partitions, please unmount them before installing", disk, f"see lsblk {disk}")
    return Target(disk, {name: slot.node for name, (slot, _) in slots.items()}, {name: fstype for name, (_, fstype) in slots.items()})


def every(host: Host) -> list[str]:
    """The disks of the machine; image files on loop devices are none."""
    return [f"/dev/{name}" for name, _ in _disks(host)]


def _labelled(host: Host, disk: str) -> dict[str, tuple[Slot, str]]:
    """The node's partitions on *disk* by name, with the file system of each; two of one label are none."""
    from kairos_boot.system.blkid import probe

    try:
        table = partitions.read_table(host, disk)
    except KairosError:
        return {}
    found: dict[str, tuple[Slot, str]] = {}
    for slot in table.slots if table else ():
        try:
            content = probe(slot.node)
        except KairosError:
            continue
        name = next((name for name, label in LABELS.items() if label == content.label), "")
        if name in found:
            raise KairosError(f"two partitions have the label {content.label}: {found[name][0].node}, {slot.node}", disk, "give one another label")
        if name and (name != "efi" or content.fstype == "vfat"):  # Kairos' label may lie on a partition for BIOS, too
            found[name] = (slot, content.fstype)
    return found
