"""One more partition in the table of a disk, at a place that was chosen before."""

from __future__ import annotations

from kairos_boot.errors import KairosError
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host
    from kairos_boot.system.partitions import Slot

LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"


@record
class AddPartition:
    """The partition *slot* in the table of *disk*, without content: what lay there before is wiped."""

    disk: str
    slot: Slot

    def describe(self) -> str:
        return f"make the partition {self.slot.node} ({self.slot.name}) on {self.disk}"

    def would_change(self, host: Host) -> bool | None:
        from kairos_boot.system.partitions import read_table

        table = read_table(host, self.disk)
        return table is None or all(slot.name != self.slot.name for slot in table.slots)

    def apply(self, host: Host) -> bool:
        """Write the table, and tell the kernel. KairosError: the table is another one than it was, or cannot be written; a partition of that name stays."""
        from kairos_boot.system import partitions

        table = partitions.read_table(host, self.disk)
        if table is None:
            raise KairosError("it has no partition table any more", self.disk)
        if any(slot.name == self.slot.name for slot in table.slots):
            partitions.tell_kernel(host, self.disk)
            return False
        if not any(start <= self.slot.start and self.slot.start + self.slot.size <= start + size for start, size in table.gaps):
            raise KairosError("its partition table was changed meanwhile", self.disk, "do it again")
        if table.last + 1 < table.usable_end:
            partitions.move_backup(host, self.disk)
        line = f'start={self.slot.start}, size={self.slot.size}, type={LINUX}, name="{self.slot.name}"\n'
        partitions.write_table(host, self.disk, line, "--append", "--wipe-partitions=always")
        made = next((slot.node for slot in (partitions.read_table(host, self.disk) or table).slots if slot.start == self.slot.start), "none")
        if made != self.slot.node:
            raise KairosError(f"the new partition became {made}, not {self.slot.node}", self.disk, "do it again")
        return True
