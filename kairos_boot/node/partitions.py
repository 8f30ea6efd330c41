"""The partitions of the disk that the node was booted from, by their part in the node (G5): no other disk is ever looked at."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError
from kairos_boot.node.mode import STATE_MOUNT
from kairos_boot.node.state import is_mounted_by
from kairos_boot.records import record
from kairos_boot.system.disks import booted_disk
from kairos_boot.system.mounts import at
from kairos_boot.system.udev import CRYPT, Partition, contents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kairos_boot.system.host import Host
    from kairos_boot.system.mounts import Mounted
    from kairos_boot.system.partitions import Slot, Table

LABELS = {"efi": "COS_GRUB", "oem": "COS_OEM", "recovery": "COS_RECOVERY", "state": "COS_STATE", "persistent": "COS_PERSISTENT"}
"""A partition's name in the table, and the label of its file system."""


@record
class NodeDisk:
    """The boot disk (`/dev/vda`) and its partitions; one that is not there is None."""

    disk: str
    state: Partition | None = None
    recovery: Partition | None = None
    oem: Partition | None = None
    persistent: Partition | None = None
    efi: Partition | None = None
    table: Table | None = None
    """The partition table, where it is known."""

    @property
    def encrypted(self) -> bool:
        """Whether an initrd has to open partitions of it."""
        return any(part is not None and (part.within or part.fstype == CRYPT) for part in (self.oem, self.persistent))

    def need(self, name: str) -> Partition:
        """The partition *name*. KairosError: there is none."""
        found: Partition | None = getattr(self, name)
        if found is None:
            raise KairosError(f"the {name} partition is not found", f"LABEL={LABELS[name]} on {self.disk}",
                              f"a partition of this disk must have this label, or the name {name!r} in the partition table")
        return found


def boot_disk(host: Host, partitions: Sequence[Partition], mounts: Sequence[Mounted]) -> str:
    """The kernel's name of the disk that this boot's image is on. KairosError: it is not known."""
    noted = booted_disk(host)
    if noted:
        return noted
    mount = at(STATE_MOUNT, mounts)
    if mount is not None:
        for part in partitions:
            if part.disk and is_mounted_by(host, part.node, mount):
                return part.disk
    raise KairosError("the disk that this node was booted from is not known", STATE_MOUNT, "it is known in a boot of the recovery system")


def find(host: Host, disk: str, partitions: Sequence[Partition], table: Table | None = None) -> NodeDisk:
    """The partitions of *disk* (a kernel's name) by label; by the name in its *table* where a label was lost.

    An opened container counts for the partition that it is in. KairosError: a label is there twice.
    """
    own = [p for p in partitions if p.disk == disk]
    slots = table.slots if table else ()
    found: dict[str, Partition | None] = {}
    for name, label in LABELS.items():
        here = contents([p for p in own if p.label == label])
        if len(here) > 1:
            raise KairosError(f"several partitions of the boot disk have the label {label}: {', '.join(p.node for p in here)}", f"/dev/{disk}",
                              "give all but one another label")
        found[name] = here[0] if here else next((_unlabelled(own, slot) for slot in slots if slot.name == name), None)
    for name, label in LABELS.items():
        part = found[name]
        if part is None or part.fstype == CRYPT:
            found[name] = _opened(host, partitions, own, part, label) or part
    return NodeDisk(f"/dev/{disk}", found["state"], found["recovery"], found["oem"], found["persistent"], found["efi"], table)


def _unlabelled(own: Sequence[Partition], slot: Slot) -> Partition:
    """What udev knows of a partition of the table; it may know nothing of one whose beginning is damaged."""
    return next((p for p in own if p.node == slot.node), Partition(slot.node))


def _opened(host: Host, partitions: Sequence[Partition], own: Sequence[Partition], container: Partition | None, label: str) -> Partition | None:
    """The device of an opened container with that label, if it lies on a partition of the boot disk."""
    for part in partitions:
        name = os.path.basename(part.node)
        if not name.startswith("dm-") or (container is None and part.label != label):
            continue
        try:
            below = os.listdir(host.path(f"/sys/class/block/{name}/slaves"))
        except OSError:
            continue
        nodes = {f"/dev/{slave}" for slave in below}
        if container.node in nodes if container is not None else nodes & {p.node for p in own}:
            return part
    return None
