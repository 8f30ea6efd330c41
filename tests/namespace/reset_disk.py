"""A node in its recovery system on a whole disk with a partition table, beside a second disk with the same labels."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from typing import TYPE_CHECKING, Any

from reset_node import ResetNode  # type: ignore[import-not-found]  # beside this file

from kairos_boot.actions.fitting import LABEL_LIMITS
from kairos_boot.actions.layout import BIOS_BOOT, ESP, LINUX
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle.survey import disk_of
from kairos_boot.node.partitions import LABELS, NodeDisk
from kairos_boot.system import blockdev, loop, partitions
from kairos_boot.system.blkid import probe
from kairos_boot.system.host import Host
from kairos_boot.system.udev import Partition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TYPES = {"bios": BIOS_BOOT, "efi": ESP}
SIZES: dict[str, int] = {"oem": 64, "recovery": 48, "state": 80, "persistent": 96}
"""MiB of the partitions, in the order of the disk; each has a name in the table."""


class DiskNode(ResetNode):  # type: ignore[misc]
    """The node; *lacks* are partitions that the table does not have: where they were is free. *spare* MiB are free behind all."""

    def __init__(self, home: str, *, lacks: Sequence[str] = (), spare: int = 0, filled: bool = False, kind: str = "gpt", sizes: Mapping[str, int] | None = None, **more: Any) -> None:
        self.disks: list[str] = []
        sizes = {**SIZES, **(sizes or {})}
        self.twin = self.make_disk(f"{home}/twin.disk", SIZES, 0)
        for name, node in self.nodes(self.twin).items():
            subprocess.run(["mkfs.ext4", "-q", "-L", LABELS[name], node], check=True)
        kept = {name: size for name, size in sizes.items() if name not in lacks}
        self.whole = self.make_disk(f"{home}/whole.disk", kept if filled else sizes, spare, kind)
        if not filled:
            for number, name in enumerate(SIZES, 1):
                if name in lacks:
                    subprocess.run(["sfdisk", "-q", "--no-reread", "--no-tell-kernel", "--delete", self.whole, str(number)], check=True)
            partitions.tell_kernel(Host("/"), self.whole)
        self.parts = self.nodes(self.whole) if kind == "gpt" else {name: partitions.node_of(self.whole, at) for at, name in enumerate(kept, 1)}
        super().__init__(home, **dict.fromkeys(lacks), **more)

    def make_disk(self, path: str, sizes: Mapping[str, int], spare: int, kind: str = "gpt") -> str:
        """A loop device with such partitions."""
        with open(path, "wb") as file:
            file.truncate(sum(sizes.values()) + spare + 2 << 20)
        node: str = loop.attach(path, read_only=False)
        self.disks.append(node)
        script = "".join(f"size={size}MiB{f', name={name}, type={TYPES.get(name, LINUX)}' if kind == 'gpt' else ''}\n" for name, size in sizes.items())
        subprocess.run(["sfdisk", "-q", "--no-reread", "--no-tell-kernel", node], input=f"label: {kind}\n{script}", text=True, check=True)
        table = partitions.read_table(Host("/"), node)
        assert table
        blockdev.tell(node, {slot.number: (slot.start * table.sector, slot.size * table.sector) for slot in table.slots})
        return node

    @staticmethod
    def nodes(disk: str) -> dict[str, str]:
        """The partitions of a disk by their names."""
        table = partitions.read_table(Host("/"), disk)
        return {slot.name: slot.node for slot in table.slots} if table else {}

    def partition(self, name: str, label: str, fstype: str = "ext4", mib: int = 16) -> Partition:
        node = self.parts[name]
        if fstype:
            label = label if len(label) <= LABEL_LIMITS[fstype] else ""
            subprocess.run([f"mkfs.{fstype}", "-q", *(("-L", label) if label else ()), node], check=True, stdout=subprocess.DEVNULL)
        self.loops.append(node)
        return Partition(node, os.path.basename(self.whole), label if fstype else "", fstype)

    def disk(self) -> NodeDisk:
        """As the verb finds it, with what udev would know of both disks; the other one comes first."""
        seen = []
        for disk in self.disks:
            table = partitions.read_table(Host("/"), disk)
            for slot in table.slots if table else ():
                found = probe(slot.node)
                seen.append(Partition(slot.node, os.path.basename(disk), found.label, found.fstype))
        return disk_of(self.host, seen)

    def close(self) -> None:
        """Unmount, and take the disks away."""
        now = {node for disk in self.disks for node in self.nodes(disk).values()}
        self.loops: list[str] = sorted(now | set(self.loops))
        self.unmount()
        for disk in self.disks:
            empty(disk)
            loop.detach(disk)


def empty(disk: str) -> None:
    """Take the partitions away from the kernel. Somebody may be looking at one just now, as everything does that looks for file systems."""
    end = time.monotonic() + 30
    while True:
        try:
            blockdev.tell(disk, {})
        except KairosError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


def sum_of(disk: str) -> str:
    """Every byte of a disk."""
    with open(disk, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
