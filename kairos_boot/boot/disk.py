"""The boot disk and its partitions (D9): never a guess between two."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError
from kairos_boot.system.disks import LINKS, link_value
from kairos_boot.system.udev import contents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kairos_boot.system.udev import Partition


def find_state(partitions: Sequence[Partition], partuuid: str, label: str, esp: str = "") -> Partition | None:
    """The partition that holds the image, or None while it is not there.

    *partuuid* is the GUID that the boot loader told; one that several partitions answer to, since GUIDs need not be unique, is settled
    by the disk of the ESP whose GUID is *esp*. Without one it is the partition *label* of that disk, else the only partition of that
    label. KairosError: several are possible.
    """
    what = f"PARTUUID={partuuid}" if partuuid else f"LABEL={label}"
    found = [p for p in partitions if (p.partuuid == partuuid.lower() if partuuid else p.label == label)]
    disks = {p.disk for p in partitions if esp and p.partuuid == esp.lower()}
    if len(disks) == 1 and (len(found) > 1 or not partuuid):
        here = [p for p in found if p.disk in disks]
        found = here if here or not partuuid else found
    return _only(found, what)


def find_label(partitions: Sequence[Partition], disk: str, label: str) -> Partition | None:
    """The partition *label* of *disk*, or None. KairosError: several."""
    return _only([p for p in partitions if p.label == label and p.disk == disk], f"LABEL={label} on {disk}")


def find_spec(partitions: Sequence[Partition], disk: str, spec: str) -> Partition | None:
    """The partition of a volume `LABEL=…`, `UUID=…`, `PARTUUID=…` or `/dev/…`.

    The node's own labels (COS_…) are looked for on *disk*, the boot disk, only; others there first. A link of udev by label or number is
    such a name, too: of several partitions it shows one. KairosError: several, or no such form.
    """
    kind, eq, value = by_name(spec).partition("=")
    if kind.startswith("/dev/"):
        node = os.path.realpath(spec)
        return next((p for p in partitions if p.node in (spec, node)), None)
    if not eq or kind not in ("LABEL", "UUID", "PARTUUID"):
        raise KairosError(f"not a device: {spec!r}", hint="write LABEL=…, UUID=…, PARTUUID=… or /dev/…")
    found = [p for p in partitions if value and {"LABEL": p.label, "UUID": p.uuid, "PARTUUID": p.partuuid}[kind] == (value.lower() if kind == "PARTUUID" else value)]
    here = [p for p in found if p.disk == disk]
    return _only(here if here or value.startswith("COS_") else found, spec)


def by_name(spec: str) -> str:
    """`LABEL=…` and the like for udev's link of that name; anything else as it is."""
    kind = LINKS.get(os.path.dirname(spec), "")
    return f"{kind}={link_value(os.path.basename(spec))}" if kind in ("LABEL", "UUID", "PARTUUID") else spec


def elsewhere(partitions: Sequence[Partition], disk: str, label: str) -> str:
    """The nodes of partitions of that label on other disks: they are not used, and the error says so."""
    return ", ".join(p.node for p in partitions if p.label == label and p.disk != disk)


def _only(found: Sequence[Partition], what: str) -> Partition | None:
    found = contents(found)
    if len(found) > 1:
        nodes = ", ".join(p.node for p in found)
        raise KairosError(f"several partitions are {what}: {nodes}", hint="detach the disk that is not this node's, or change its labels and GUIDs")
    return found[0] if found else None
