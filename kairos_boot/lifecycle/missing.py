"""Partitions of the node that the table of its disk lacks: where they are made anew, as an installation would make them."""

from __future__ import annotations

from kairos_boot.errors import KairosError
from kairos_boot.node.partitions import LABELS
from kairos_boot.system.partitions import MIB, Slot, node_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from kairos_boot.node.partitions import NodeDisk

SIZES = {"oem": 64, "persistent": 0}
"""The partitions that a reset may make, in order, and how many MiB they have where nothing else is said; 0: all that is free."""
LEAST = 64
"""MiB that are worth a partition."""


def sizes(data: Mapping[str, Any]) -> dict[str, int]:
    """MiB of the partitions that a reset may make, as the configuration names them for an installation."""
    def size(name: str) -> int:
        found: Any = data
        for key in ("install", "partitions", name, "size"):
            found = found.get(key) if isinstance(found, dict) else None
        found = int(found) if isinstance(found, str) and found.isdecimal() else found
        return found if isinstance(found, int) and found > 0 else SIZES[name]

    return {name: size(name) for name in SIZES}


def places(disk: NodeDisk, wanted: Mapping[str, int]) -> dict[str, Slot]:
    """Where each of the *wanted* partitions (name to MiB) that *disk* lacks is made. KairosError: its table has no room for one, or cannot be changed."""
    lacking = {name: size for name, size in wanted.items() if getattr(disk, name) is None}
    if not lacking:
        return {}
    first = next(iter(lacking))
    table = disk.table
    if table is None or table.kind != "gpt":
        raise KairosError(f"the {first} partition is not found, and cannot be made: the disk has no GPT partition table", _where(disk, first),
                          f"a partition of this disk must have the label {LABELS[first]}")
    gaps, numbers, grain = table.gaps, {slot.number for slot in table.slots}, MIB // table.sector
    found: dict[str, Slot] = {}
    for name, size in lacking.items():
        gap = min((gap for gap in gaps if gap[1] >= (size or LEAST) * grain), key=lambda gap: gap[1] if size else -gap[1], default=None)
        if gap is None:
            free = table.mib(max((length for _, length in gaps), default=0))
            raise KairosError(f"the {name} partition is not found, and there is no room to make it: {size or LEAST} MiB are needed, {free} MiB are free in one piece",
                              _where(disk, name), f"make room on the disk, or give the partition that it is the label {LABELS[name]}")
        start, length = gap
        taken = size * grain or length
        gaps[gaps.index(gap)] = (start + taken, length - taken)
        number = next(number for number in range(1, len(numbers) + 2) if number not in numbers)
        numbers.add(number)
        found[name] = Slot(number, node_of(disk.disk, number), start, taken, name=name)
    return found


def _where(disk: NodeDisk, name: str) -> str:
    return f"LABEL={LABELS[name]} on {disk.disk}"
