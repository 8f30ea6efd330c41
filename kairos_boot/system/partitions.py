"""Partition tables of disks and image files, read and written by sfdisk.

GPT only. Sizes here are sectors of the disk. A table is written in one go by sfdisk, which also mends a backup header
that is damaged or not at the end of a grown disk.
"""

from __future__ import annotations

import os
import stat

from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record
from kairos_boot.system.descriptors import Held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kairos_boot.system.host import Host

MIB = 1 << 20


@record
class Slot:
    """A partition of a table."""

    number: int
    node: str
    start: int
    size: int
    type: str = ""
    name: str = ""

    @property
    def end(self) -> int:
        return self.start + self.size


@record
class Table:
    """A disk's partition table; `first` and `last` are the usable sectors, `guid` the disk's."""

    kind: str
    guid: str
    sector: int
    first: int
    last: int
    sectors: int
    slots: tuple[Slot, ...]

    @property
    def final(self) -> Slot | None:
        """The partition that lies last on the disk, whatever its number."""
        return max(self.slots, key=lambda slot: slot.start, default=None)

    @property
    def usable_end(self) -> int:
        """The first sector that no partition may take, on a whole MiB: the backup table lies behind it."""
        grain = MIB // self.sector
        reserved = 1 + 32 * 512 // self.sector + (1 if self.sector > 512 else 0)  # the backup header and its 128 entries
        return (self.sectors - reserved) // grain * grain

    @property
    def free(self) -> int:
        grain = MIB // self.sector
        start = grain if self.final is None else -(-self.final.end // grain) * grain
        return max(0, self.usable_end - start)

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """Start and length in sectors of what no partition takes, whole MiB, in the order of the disk."""
        grain = MIB // self.sector
        found, start = [], grain
        for slot in sorted(self.slots, key=lambda slot: slot.start):
            found.append((start, slot.start // grain * grain - start))
            start = max(start, -(-slot.end // grain) * grain)
        return [gap for gap in (*found, (start, self.usable_end - start)) if gap[1] > 0]

    def mib(self, sectors: int) -> int:
        return sectors * self.sector // MIB


def check_disk(path: str) -> None:
    """KairosError: *path* is neither a whole disk nor an image file."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise KairosError(reason(error).lower(), path) from error
    if stat.S_ISREG(found.st_mode):
        return
    if not stat.S_ISBLK(found.st_mode):
        raise KairosError("neither a disk nor an image file", path)
    if os.path.exists(f"/sys/dev/block/{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}/partition"):
        raise KairosError("a partition, and a layout works on disks", path, f"name the disk: {parent_disk(path)}")


def parent_disk(path: str) -> str:
    """The disk that the partition *path* is on; *path* itself where it is no partition."""
    found = os.stat(path)
    if not stat.S_ISBLK(found.st_mode):
        return path
    entry = os.path.realpath(f"/sys/dev/block/{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}")
    return f"/dev/{os.path.basename(os.path.dirname(entry))}" if os.path.exists(f"{entry}/partition") else path


def node_of(disk: str, number: int) -> str:
    """The device node of partition *number*: `/dev/sda1`, `/dev/nvme0n1p1`."""
    return f"{disk}p{number}" if disk[-1:].isdigit() else f"{disk}{number}"


def read_table(host: Host, disk: str) -> Table | None:
    """The table of *disk*, or None if it has none. KairosError: the disk cannot be read."""
    result = host.processes.run(("sfdisk", "--json", disk), env={"LC_ALL": "C"})
    begin = result.output.find("{\n")
    if result.code or begin < 0:
        if "does not contain a recognized partition table" in result.output:
            return None
        raise KairosError(f"cannot read its partition table: {result.output.strip()}", disk)
    import json

    told = json.JSONDecoder().raw_decode(result.output[begin:])[0]["partitiontable"]
    sector = told.get("sectorsize", 512)
    slots = tuple([Slot(_number(p["node"], disk), p["node"], p["start"], p["size"], p.get("type", ""), p.get("name", ""))
                   for p in told.get("partitions", ())])
    return Table(told["label"], told.get("id", ""), sector, told.get("firstlba", 0), told.get("lastlba", 0), size_of(disk) // sector, slots)


def blank(disk: str) -> Table:
    """The table that *disk* will have when a new one is written. KairosError: the disk cannot be read."""
    sector = _sector(disk)
    return Table("gpt", "", sector, 0, 0, size_of(disk) // sector, ())


def _sector(disk: str) -> int:
    """Bytes of a sector; an image file has those of most disks."""
    import array
    import fcntl

    size = array.array("i", [512])
    with Held(os.open(disk, os.O_RDONLY | os.O_CLOEXEC)) as fd:
        if stat.S_ISBLK(os.fstat(fd).st_mode):
            fcntl.ioctl(fd, 0x1268, size)  # BLKSSZGET
    return size[0]


def _number(node: str, disk: str) -> int:
    return int(node[len(disk):].lstrip("p"))


def size_of(path: str) -> int:
    with Held(os.open(path, os.O_RDONLY | os.O_CLOEXEC)) as fd:
        return os.lseek(fd, 0, os.SEEK_END)


def write_table(host: Host, disk: str, script: str, *options: str) -> None:
    """Give sfdisk's *script* to it and tell the kernel. KairosError: it refuses; then nothing was written."""
    _sfdisk(host, disk, script, *options)
    _sync(disk)
    tell_kernel(host, disk)


def try_table(host: Host, disk: str, script: str) -> None:
    """Let sfdisk read *script* for *disk*, and write nothing. KairosError: it refuses."""
    _sfdisk(host, disk, script, "--no-act")


def _sfdisk(host: Host, disk: str, script: str, *options: str) -> None:
    argv = ("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "--lock=yes", *options, disk)
    result = host.processes.run(argv, stdin=script.encode(), env={"LC_ALL": "C"}, timeout=120)
    if result.code or result.timed_out:
        raise KairosError(f"cannot write its partition table: {result.explain(120)}: {result.output.strip()}", disk)


def move_backup(host: Host, disk: str) -> None:
    """Put the backup table at the end of a disk that has grown."""
    _run(host, disk, ("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "--relocate", "gpt-bak-std", disk))
    _sync(disk)


def tell_kernel(host: Host, disk: str) -> None:
    """Make the kernel's partitions those of the table, also while some of them are mounted."""
    from kairos_boot.system.blockdev import tell

    table = read_table(host, disk)
    if table and table.kind == "gpt":
        tell(disk, {slot.number: (slot.start * table.sector, slot.size * table.sector) for slot in table.slots})


def _run(host: Host, where: str, argv: Sequence[str]) -> None:
    result = host.processes.run(argv, timeout=120, env={"LC_ALL": "C"})
    if result.code or result.timed_out:
        raise KairosError(f"{argv[0]}: {result.explain(120)}: {result.output.strip()}", where)


def _sync(disk: str) -> None:
    with Held(os.open(disk, os.O_RDONLY | os.O_CLOEXEC)) as fd:
        os.fsync(fd)


def in_use(disk: str) -> bool:
    """Whether the disk or a partition of it is mounted or held by something else."""
    if not stat.S_ISBLK(os.stat(disk).st_mode):
        return False
    try:
        os.close(os.open(disk, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError:
        return True
    return False
