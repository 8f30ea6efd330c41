"""The partitions of one disk (spec/modules.md 5, decisions C6): checked as a whole before anything is written."""

from __future__ import annotations

import os
import stat

from kairos_boot.errors import KairosError
from kairos_boot.records import record
from kairos_boot.system import filesystems

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host
    from kairos_boot.system.partitions import Slot, Table

UNFORMATTED, LABEL_LIMITS = filesystems.UNFORMATTED, filesystems.LABEL_LIMITS
LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
BASIC = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
SWAP = "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F"
BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"


@record
class NewPartition:
    """A partition that must be there; *size* is in MiB, 0 for the rest of the disk."""

    name: str = ""
    label: str = ""
    size: int = 0
    fstype: str = "ext2"
    bootable: bool = False
    where: str = ""

    @property
    def title(self) -> str:
        """What people call it."""
        return self.name or self.label or "a partition without a name"

    def script(self, start: int, sectors: int) -> str:
        """Its line for sfdisk."""
        kind, attribute = LINUX, ""
        if self.fstype in filesystems.FAT:
            kind, attribute = (ESP, "RequiredPartition") if self.bootable else (BASIC, "")
        elif self.fstype == "swap":
            kind = SWAP
        elif self.bootable and self.fstype not in UNFORMATTED:
            kind, attribute = BIOS_BOOT, "LegacyBIOSBootable"
        words = [f"start={start}", f"size={sectors}", f"type={kind}"]
        words += [f'name="{self.name}"'] if self.name else []
        words += [f'attrs="{attribute}"'] if attribute else []
        return ", ".join(words) + "\n"


@record
class ArrangeDisk:
    """The partitions of the disk that *path*, a *script*'s output or a *label* names.

    *initialize* gives a disk without our table a new one, once: a disk that has the GUID of *disk_name* is done.
    *expand* lets the last partition grow to so many MiB, 0 for all; None leaves it. A partition whose name or label is
    there is left alone.
    """

    path: str = ""
    script: tuple[str, ...] = ()
    label: str = ""
    initialize: bool = False
    disk_name: str = ""
    partitions: tuple[NewPartition, ...] = ()
    expand: int | None = None
    where: str = ""
    timeout: float = 600

    def describe(self) -> str:
        """The disk and what is wanted of it."""
        disk = self.path or (f"the disk that {' '.join(self.script)} names" if self.script else f"the disk of {self.label}")
        wanted = ["a new table"] if self.initialize else []
        wanted += [f"partition {p.title} ({f'{p.size} MiB' if p.size else 'the rest'}, {p.fstype})" for p in self.partitions]
        wanted += [] if self.expand is None else [f"last partition grown to {f'{self.expand} MiB' if self.expand else 'the end'}"]
        return f"partition {disk}: {', '.join(wanted) or 'nothing to do'}"

    def would_change(self, host: Host) -> bool | None:
        """Whether something is missing; None where a script must be run to know the disk."""
        if self.script:
            return None
        disk, _ = self._disk(host)
        table = self._read(host, disk)
        if table is None or self._must_initialize(table):
            return True
        missing = self._missing(table)
        return bool(missing) or (self.expand is not None and self._growth(table) > 0)

    def apply(self, host: Host) -> bool:
        """Arrange the disk. KairosError: no such disk, no room (nothing was written then), or a tool fails."""
        try:
            return self._apply(host)
        except KairosError as error:
            raise KairosError(f"{error.where}: {error.message}" if error.where else error.message, self.where, error.hint) from error
        except OSError as error:
            raise KairosError(f"{error.filename or self.path}: {error.strerror}", self.where) from error

    def _apply(self, host: Host) -> bool:
        disk, final = self._disk(host)
        attached = ""
        if stat.S_ISREG(os.stat(disk).st_mode):
            from kairos_boot.system.loop import attach

            disk = attached = attach(disk, read_only=False)
        try:
            return self._arrange(host, disk, final)
        finally:
            if attached:
                from kairos_boot.system.loop import detach

                detach(attached)

    def _arrange(self, host: Host, disk: str, final: str) -> bool:
        from kairos_boot.system import partitions

        changed = False
        table = self._read(host, disk)
        if table is None or self._must_initialize(table):
            if table and partitions.in_use(disk):
                raise KairosError("in use, so it is not initialized", disk, "unmount its partitions first")
            partitions.write_table(host, disk, f"label: gpt\nlabel-id: {self._guid()}\n", "--wipe=always")
            changed = True
            table = self._table(host, disk)
        else:
            partitions.tell_kernel(host, disk)  # what an interrupted run wrote, and image files on loop devices
        wanted = self._missing(table)
        new = [(p, start, size) for p, start, size in self._places(table, [p for p, slot in wanted if slot is None])]
        if table.last + 1 < table.usable_end:
            partitions.move_backup(host, disk)
        formats = [(p, slot) for p, slot in wanted if slot is not None]
        if new:
            known = {slot.number for slot in table.slots}
            partitions.write_table(host, disk, "".join(p.script(start, size) for p, start, size in new), "--append", "--wipe-partitions=always")
            table = self._table(host, disk)
            starts = {slot.start: slot for slot in table.slots if slot.number not in known}
            formats += [(p, starts[start]) for p, start, _ in new]
        failures = self._format(host, disk, formats, fresh={start for _, start, _ in new})
        if formats:
            from kairos_boot.system.blockdev import look_again

            look_again(host, [partitions.node_of(disk, slot.number) for _, slot in formats])
        if self.expand is not None:
            changed = self._expand(host, disk, table, final) or changed
        if failures:
            raise KairosError("; ".join(failures), disk)
        return changed or bool(formats)

    # -- which disk

    def _disk(self, host: Host) -> tuple[str, str]:
        """The disk's path, and the node of the partition that a partition's path or a mount point named."""
        from kairos_boot.system import partitions

        if self.script:
            result = host.processes.run(self.script, timeout=self.timeout)
            path = result.output.strip()
            if result.code or result.timed_out:
                raise KairosError(f"{result.explain(self.timeout)}\n{path}", " ".join(self.script))
            if not path:
                raise KairosError("its output is empty", " ".join(self.script), "it prints the path of a disk")
        else:
            path = self.path or self._labelled(host)
        real = host.real(path)
        named = ""
        if os.path.isdir(real) and os.path.ismount(real):
            real = self._mounted_on(real)
        if os.path.exists(real) and partitions.parent_disk(real) != real:
            if self.path and not self.path.startswith("/dev/disk/") and self.partitions:
                partitions.check_disk(real)
            named, real = real, partitions.parent_disk(real)
        partitions.check_disk(real)
        return real, named if not self.label else ""

    def _labelled(self, host: Host) -> str:
        name = self.label.replace("/", "\\x2f").replace(" ", "\\x20")  # as udev names its links
        for kind in ("by-label", "by-partlabel"):
            path = f"/dev/disk/{kind}/{name}"
            if host.exists(path):
                return path
        from kairos_boot.system.blkid import labelled

        found = labelled(host, self.label)  # udev has not looked yet, or there is none
        if len(found) > 1:
            raise KairosError(f"several devices have this file system label: {', '.join(found)}", f"LABEL={self.label}", "name the disk by path")
        if not found:
            raise KairosError("no partition has this file system label or name", f"LABEL={self.label}")
        return found[0]

    def _mounted_on(self, path: str) -> str:
        from kairos_boot.system.mounts import at, mounted

        found = at(path, mounted())
        if found is None or not found.source.startswith("/dev/"):
            raise KairosError("not on a partition", path, "name the disk")
        return os.path.realpath(found.source)

    # -- which table

    def _read(self, host: Host, disk: str) -> Table | None:
        from kairos_boot.system.partitions import read_table

        table = read_table(host, disk)
        if table is None and not self.initialize:
            raise KairosError("it has no partition table", disk, "init_disk: true makes one")
        if table and table.kind != "gpt" and not self.initialize:
            raise KairosError(f"only GPT partition tables are supported, and this one is {table.kind}", disk, "init_disk: true makes a new one; all on it is lost")
        return table

    def _table(self, host: Host, disk: str) -> Table:
        table = self._read(host, disk)
        if table is None:
            raise KairosError("its new partition table cannot be read", disk)
        return table

    def _guid(self) -> str:
        from uuid import NAMESPACE_URL, uuid5

        return str(uuid5(NAMESPACE_URL, self.disk_name or "YIP_DISK")).upper()

    def _must_initialize(self, table: Table) -> bool:
        return self.initialize and (table.kind != "gpt" or table.guid.upper() != self._guid())

    # -- which partitions

    def _missing(self, table: Table) -> list[tuple[NewPartition, Slot | None]]:
        """The partitions to make, and with their slot those that an interrupted run left without a file system."""
        from kairos_boot.system.blkid import probe

        found: list[tuple[NewPartition, Slot | None]] = []
        named = {slot.name: slot for slot in table.slots if slot.name}
        unnamed = [p for p in self.partitions if p.label and p.name not in named]
        labelled = {probe(slot.node).label for slot in table.slots if os.path.exists(slot.node)} if unnamed else set()
        for partition in self.partitions:
            slot = named.get(partition.name)
            if slot is None:
                if not partition.label or partition.label not in labelled:
                    found.append((partition, None))
            elif partition.fstype not in UNFORMATTED and os.path.exists(slot.node) and not probe(slot.node).fstype and filesystems.is_blank(slot.node):
                found.append((partition, slot))
        return found

    def _places(self, table: Table, new: list[NewPartition]) -> list[tuple[NewPartition, int, int]]:
        """Start and size in sectors of each new partition. KairosError: they do not fit."""
        from kairos_boot.system.partitions import MIB

        grain = MIB // table.sector
        start = grain if table.final is None else -(-table.final.end // grain) * grain
        placed = []
        for partition in new:
            size = partition.size * grain or table.usable_end - start
            if size <= 0 or start + size > table.usable_end:
                wanted = f"{partition.size} MiB" if partition.size else "the rest"
                raise KairosError(f"not enough free space for {partition.title}: {wanted} wanted, {max(0, table.mib(table.usable_end - start))} MiB free; "
                                  "nothing was written", self.path or self.label)
            placed.append((partition, start, size))
            start += size
        return placed

    def _format(self, host: Host, disk: str, formats: list[tuple[NewPartition, Slot]], fresh: set[int]) -> list[str]:
        from kairos_boot.system.partitions import node_of

        failures = []
        for partition, slot in formats:
            if partition.fstype in UNFORMATTED:
                continue
            node = node_of(disk, slot.number)
            try:
                if slot.start in fresh:
                    filesystems.wipe(node)
                filesystems.make(host, node, partition.fstype, partition.label)
            except OSError as error:
                failures.append(f"{partition.title}: {node}: {error.strerror}")
            except KairosError as error:
                failures.append(f"{partition.title}: {error}")
        return failures

    # -- growth

    def _growth(self, table: Table) -> int:
        """Sectors that the last partition lacks; 0 where it is as wanted."""
        from kairos_boot.system.partitions import MIB

        final = table.final
        if final is None:
            raise KairosError("it has no partition to expand", self.path or self.label)
        grain = MIB // table.sector
        end = final.start + self.expand * grain if self.expand else max(final.end, table.usable_end)
        if end < final.end:
            raise KairosError(f"partition {final.number} is {table.mib(final.size)} MiB and is not made smaller ({self.expand} MiB asked for)", self.path or self.label)
        if end > max(final.end, table.usable_end):
            raise KairosError(f"not enough free space: {self.expand} MiB wanted, {table.mib(table.usable_end - final.start)} MiB possible; "
                              "nothing was written", self.path or self.label)
        return end - final.end

    def _expand(self, host: Host, disk: str, table: Table, named: str) -> bool:
        from kairos_boot.system import partitions
        from kairos_boot.system.blkid import probe

        growth = self._growth(table)
        final = table.final
        if final is None:
            return False
        node = partitions.node_of(disk, final.number)
        if named and os.path.realpath(named) != node:
            raise KairosError(f"only the last partition of a disk can grow, which is {node}", named)
        fstype = probe(node).fstype
        if fstype not in (*filesystems.EXT, "xfs", "btrfs"):
            raise KairosError(f"{fstype or 'what is on it'} cannot be grown" if fstype else "no file system that can be grown is on it", node, "nothing was changed")
        if growth:
            partitions.write_table(host, disk, f", {final.size + growth}\n", "-N", str(final.number))
        elif fstype in filesystems.EXT and filesystems.ext_bytes(node) >= final.size * table.sector - 65536:
            return False  # nothing is left that a block of the file system would fit in
        return filesystems.grow(host, node, fstype) or growth > 0
