"""The partitions of one disk (docs/reference/layout.md, C6): checked as a whole before anything is written."""

from __future__ import annotations

import os
import stat

from kairos_boot.actions.fitting import unfit
from kairos_boot.errors import KairosError
from kairos_boot.records import record
from kairos_boot.system import filesystems
from kairos_boot.system.filesystems import FAT, UNFORMATTED
from kairos_boot.system.udev import CRYPT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host
    from kairos_boot.system.partitions import Slot, Table

LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
BASIC = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
SWAP = "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F"
BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
URLS = bytes.fromhex("6ba7b8119dad11d180b400c04fd430c8")
"""The name space of addresses for UUIDs."""


def guid(disk_name: str) -> str:
    """The UUID of version 5 of a name as an address (RFC 9562, 5.5). Python's `uuid`, with what it imports, would be 30 kB of each initrd."""
    from hashlib import sha1

    made = bytearray(sha1(URLS + disk_name.encode()).digest()[:16])  # noqa: S324 -- as the standard has it
    made[6], made[8] = made[6] & 0x0F | 0x50, made[8] & 0x3F | 0x80
    text = made.hex().upper()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


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
        return self.name or self.label or "a partition without a name"

    def script(self, start: int, sectors: int) -> str:
        kind, attribute = LINUX, ""
        if self.fstype in FAT:
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
        disk = self.path or (f"the disk that {' '.join(self.script)} names" if self.script else f"the disk of {self.label}")
        wanted = ["a new table"] if self.initialize else []
        wanted += [f"partition {p.title} ({f'{p.size} MiB' if p.size else 'the rest'}, {p.fstype})" for p in self.partitions]
        wanted += [] if self.expand is None else [f"last partition grown to {f'{self.expand} MiB' if self.expand else 'the end'}"]
        return f"partition {disk}: {', '.join(wanted) or 'nothing to do'}"

    def would_change(self, host: Host) -> bool | None:
        """Whether something is missing; None where a script must be run to know the disk."""
        if self.script:
            return None
        disk, named = self._disk(host)
        table, initialize = self._start(host, disk)
        wanted = self._missing(table)
        growing = self._check(host, table, wanted, named)
        return True if initialize or wanted else growing

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
        if not stat.S_ISREG(os.stat(disk).st_mode):
            return self._arrange(host, disk, final)
        from contextlib import contextmanager

        from kairos_boot.system.loop import held

        with contextmanager(held)(disk, read_only=False) as node:
            return self._arrange(host, node, final)

    def _arrange(self, host: Host, disk: str, final: str) -> bool:
        from kairos_boot.system import partitions

        table, initialize = self._start(host, disk)
        if initialize and partitions.in_use(disk):
            raise KairosError("in use, so it is not initialized", disk, "unmount its partitions first")
        wanted = self._missing(table)
        new = self._places(table, wanted)
        self._check(host, table, wanted, final)
        changed = initialize
        if initialize:
            partitions.write_table(host, disk, f"label: gpt\nlabel-id: {self._guid()}\n", "--wipe=always")
            table = self._table(host, disk)
        else:
            partitions.tell_kernel(host, disk)  # what an interrupted run wrote, and image files on loop devices
        if table.last + 1 < table.usable_end:
            partitions.move_backup(host, disk)
        formats = [(p, slot) for p, slot in wanted if slot is not None]
        if new:
            known = {slot.number for slot in table.slots}
            filesystems.wipe_places(disk, [(start * table.sector, size * table.sector) for p, start, size in new if p.fstype not in UNFORMATTED])
            partitions.write_table(host, disk, "".join(p.script(start, size) for p, start, size in new), "--append", "--wipe-partitions=always")
            table = self._table(host, disk)
            starts = {slot.start: slot for slot in table.slots if slot.number not in known}
            formats += [(p, starts[start]) for p, start, _ in new]
        failures = self._format(host, disk, formats, fresh={start for _, start, _ in new})
        if formats:
            from kairos_boot.system.blockdev import look_again

            look_again(host, [partitions.node_of(disk, slot.number) for _, slot in formats])
        if self.expand is not None:
            changed = self._expand(host, disk, table) or changed
        if failures:
            raise KairosError("; ".join(failures), disk)
        return changed or bool(formats)

    def _disk(self, host: Host) -> tuple[str, str]:
        """The disk's path, and the node of the partition that a partition's path or a mount point named."""
        from kairos_boot.system import disks, partitions

        if self.label:
            return disks.find_label(host, self.label), ""
        path = self.path
        if self.script:
            from kairos_boot.system.process import ANSWER

            result = host.processes.run(self.script, timeout=self.timeout, whole=ANSWER)
            path = result.output.strip()
            if result.code or result.timed_out:
                raise KairosError(f"{result.explain(self.timeout)}\n{result.said.strip()}", " ".join(self.script))
            if not path:
                raise KairosError("its output is empty", " ".join(self.script), "it prints the path of a disk")
        disk, named = disks.find_path(host, path)
        if named and self.path and not self.path.startswith("/dev/disk/") and self.partitions:
            partitions.check_disk(named)
        return disk, named

    # -- which table

    def _read(self, host: Host, disk: str) -> Table | None:
        from kairos_boot.system.partitions import read_table

        table = read_table(host, disk)
        if table is None and not self.initialize:
            raise KairosError("it has no partition table", disk, "init_disk: true makes one")
        if table and table.kind != "gpt" and not self.initialize:
            raise KairosError(f"only GPT partition tables are supported, and this one is {table.kind}", disk, "init_disk: true makes a new one; all on it is lost")
        return table

    def _start(self, host: Host, disk: str) -> tuple[Table, bool]:
        """The table to begin with, and whether it is a new one that has to be written."""
        from kairos_boot.system.partitions import blank

        table = self._read(host, disk)
        if table is None or self._must_initialize(table):
            return blank(disk), True
        return table, False

    def _table(self, host: Host, disk: str) -> Table:
        table = self._read(host, disk)
        if table is None:
            raise KairosError("its new partition table cannot be read", disk)
        return table

    def _guid(self) -> str:
        return guid(self.disk_name or "YIP_DISK")

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

    def _places(self, table: Table, wanted: list[tuple[NewPartition, Slot | None]]) -> list[tuple[NewPartition, int, int]]:
        """Start and size in sectors of each new partition. KairosError: they do not fit."""
        from kairos_boot.system.partitions import MIB

        grain = MIB // table.sector
        start = grain if table.final is None else -(-table.final.end // grain) * grain
        placed = []
        for partition in (partition for partition, slot in wanted if slot is None):
            size = partition.size * grain or table.usable_end - start
            if size <= 0 or start + size > table.usable_end:
                size_wanted = f"{partition.size} MiB" if partition.size else "the rest"
                raise KairosError(f"not enough free space for {partition.title}: {size_wanted} wanted, {max(0, table.mib(table.usable_end - start))} MiB free; "
                                  "nothing was written", self.path or self.label)
            for fact, hint in unfit(partition.fstype, table.mib(size)):
                raise KairosError(f"{partition.title}: {fact}; nothing was written", self.path or self.label, hint)
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

    def _check(self, host: Host, table: Table, wanted: list[tuple[NewPartition, Slot | None]], named: str) -> bool | None:
        """Whether the last partition is to grow, or its file system; None for an image file, whose file systems cannot be seen.

        KairosError: the layout cannot be done as a whole, so none of it is begun (C9): there is no room, a program is missing, or what
        will be the last partition cannot grow.
        """
        new = self._places(table, wanted)
        programs = [filesystems.maker(partition.fstype) for partition, _ in wanted]
        growing: bool | None = False
        if self.expand is not None:
            final, fstype = self._final(table, wanted, new)
            seen = bool(new) or os.path.exists(final.node)
            if named and (new or os.path.realpath(named) != os.path.realpath(final.node)):
                raise KairosError(f"only the last partition of a disk can grow, which is {final.node or final.name}", named)
            # An encrypted one that is as large as it gets needs nothing, and what is in it was made as large.
            container = seen and fstype == CRYPT and self._growth(table, final) <= 0
            if seen and not container and fstype not in filesystems.GROWERS:
                raise KairosError(f"{fstype} cannot be grown" if fstype and fstype not in UNFORMATTED else "no file system that can be grown is on it",
                                  final.node or final.name, "nothing was changed")
            whole = None if not seen else container or bool(wanted) or filesystems.fills(final.node, fstype, final.size * table.sector)
            growing = self._growth(table, final) > 0 or (None if whole is None else not whole)
            programs += filesystems.GROWERS[fstype] if growing and seen else ()
        filesystems.need(host, programs)
        return growing

    def _final(self, table: Table, wanted: list[tuple[NewPartition, Slot | None]], new: list[tuple[NewPartition, int, int]]) -> tuple[Slot, str]:
        """The partition that will be the last one, and what will be on it."""
        from kairos_boot.system.blkid import probe
        from kairos_boot.system.partitions import Slot

        if new:
            partition, start, size = new[-1]
            return Slot(0, "", start, size, name=partition.name), partition.fstype
        if table.final is None:
            raise KairosError("it has no partition to expand", self.path or self.label)
        left = next((p.fstype for p, slot in wanted if slot == table.final), "")  # not formatted yet
        return table.final, left or (probe(table.final.node).fstype if os.path.exists(table.final.node) else "")

    def _growth(self, table: Table, final: Slot) -> int:
        """Sectors that the partition *final* lacks; 0 where it is as wanted."""
        from kairos_boot.system.partitions import MIB

        grain = MIB // table.sector
        end = final.start + self.expand * grain if self.expand else max(final.end, table.usable_end)
        if end < final.end:
            raise KairosError(f"partition {final.number or final.name} is {table.mib(final.size)} MiB and is not made smaller ({self.expand} MiB asked for)", self.path or self.label)
        if end > max(final.end, table.usable_end):
            raise KairosError(f"not enough free space: {self.expand} MiB wanted, {table.mib(table.usable_end - final.start)} MiB possible; "
                              "nothing was written", self.path or self.label)
        return end - final.end

    def _expand(self, host: Host, disk: str, table: Table) -> bool:
        from kairos_boot.system import partitions

        final, fstype = self._final(table, [], [])
        node = partitions.node_of(disk, final.number)
        growth = self._growth(table, final)
        if growth:
            partitions.write_table(host, disk, f", {final.size + growth}\n", "-N", str(final.number))
        elif fstype == CRYPT or filesystems.fills(node, fstype, final.size * table.sector):
            return False
        return filesystems.grow(host, node, fstype) or growth > 0
