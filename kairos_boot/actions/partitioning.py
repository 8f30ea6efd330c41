"""A disk made anew: one table, and a file system on each partition, by its number on this disk and never by a label (G5)."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record
from kairos_boot.system import filesystems

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host

MIB = 1 << 20
ATTRIBUTES = {"C12A7328-F81F-11D2-BA4B-00A0C93EC93B": "RequiredPartition", "21686148-6449-6E6F-744E-656564454649": "LegacyBIOSBootable"}
"""Attributes of the two partitions that firmware looks for, by their type."""
FEATURES = "^metadata_csum_seed,^orphan_file,^casefold,^encrypt,^verity"
"""What GRUB cannot read is left out, whatever the system's mke2fs.conf turns on."""


@record
class Place:
    """A partition: where it lies, in bytes, and what is on it. Identifiers that are empty are left to the tools."""

    number: int
    name: str
    label: str
    fstype: str
    type: str
    start: int
    size: int
    guid: str = ""
    uuid: str = ""

    def script(self, sector: int) -> str:
        """Its line for sfdisk."""
        attribute = ATTRIBUTES.get(self.type)
        words = [f"start={self.start // sector}", f"size={self.size // sector}", f"type={self.type}", f'name="{self.name}"']
        words += [f"uuid={self.guid}"] if self.guid else []
        words += [f'attrs="{attribute}"'] if attribute else []
        return f"{self.number} : {', '.join(words)}\n"


@record
class PartitionDisk:
    """A new GPT on *disk* with *places*, each with its file system. All that was on the disk is lost."""

    disk: str
    places: tuple[Place, ...]
    guid: str = ""
    sector: int = 512
    file: str = ""
    """The new file that the disk is made as, and its size, for people: the device stands for it, and nothing is lost."""

    def describe(self) -> str:
        """The disk, or the file that it stands for, and each partition in the order of the table."""
        parts = (f"{p.number} {p.name} {p.size // MIB} MiB{f' {p.fstype} {p.label}'.rstrip() if p.fstype not in filesystems.UNFORMATTED else ''}" for p in self.places)
        target = f"in the new file {self.file} ({self.disk} stands for it)" if self.file else f"erase {self.disk}"
        return f"{target}: a new partition table: {', '.join(parts)}"

    def would_change(self, host: Host) -> bool | None:  # noqa: ARG002
        """It erases each time."""
        return True

    def apply(self, host: Host) -> bool:
        """Blank the disk, write the table, format. KairosError: it is in use, a tool is missing or fails.

        What could be booted goes first and durably, in the table and where the new partitions will lie: a cut leaves an old disk or one that no firmware
        starts, never a mixture.
        """
        from kairos_boot.system import partitions
        from kairos_boot.system.blockdev import look_again

        if partitions.in_use(self.disk):
            raise KairosError("it is in use, so it is not partitioned", self.disk, "unmount its partitions first; see lsblk")
        nodes = [partitions.node_of(self.disk, place.number) for place in self.places]
        head = f"label: gpt\n{f'label-id: {self.guid}{chr(10)}' if self.guid else ''}first-lba: 34\n"
        script = head + "".join(place.script(self.sector) for place in self.places)
        partitions.try_table(host, self.disk, script)  # what sfdisk refuses costs no content
        try:
            _blank(self.disk)
            filesystems.wipe_places(self.disk, [(place.start, place.size) for place in self.places])
            partitions.write_table(host, self.disk, script, "--wipe=always", "--wipe-partitions=always")
            for place, node in zip(self.places, nodes, strict=True):
                filesystems.wipe(node)
                if place.fstype not in filesystems.UNFORMATTED:
                    filesystems.make(host, node, place.fstype, place.label, uuid=place.uuid, features=FEATURES)
        except OSError as error:
            raise KairosError(f"cannot be partitioned: {reason(error)}", str(error.filename or self.disk), "see dmesg") from error
        look_again(host, nodes)
        return True


def _blank(disk: str) -> None:
    """Zero both ends of the disk: the boot code, alone and durably, so that no firmware starts half a node; then what lies around, and the tables."""
    fd = os.open(disk, os.O_RDWR | os.O_CLOEXEC | os.O_EXCL)
    try:
        size = os.lseek(fd, 0, os.SEEK_END)
        for at, length in ((0, 512), (0, MIB), (max(0, size - MIB), MIB)):
            os.pwrite(fd, bytes(min(length, size - at)), at)
            os.fsync(fd)
    finally:
        os.close(fd)
