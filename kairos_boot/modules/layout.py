"""layout: partitions of one disk (docs/reference/layout.md)."""

from __future__ import annotations

from kairos_boot.actions.base import Invalid, Note
from kairos_boot.actions.fitting import LABELLED, MADE, NAMED, faults
from kairos_boot.actions.layout import ArrangeDisk, NewPartition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kairos_boot.cloudconfig.model import Partition, Step
    from kairos_boot.facts import Facts
    from kairos_boot.modules import Plan

KEY = "layout"
SCRIPT = "script://"
KEYS = {NAMED: "pLabel", LABELLED: "fsLabel", MADE: "filesystem"}


def plan(step: Step, facts: Facts) -> Plan:  # noqa: ARG001
    """Yield one arrangement of the disk, or what is wrong with it: a layout is done as a whole or not at all."""
    layout = step.layout
    device = layout.device
    if device is None:
        if layout.add_partitions or layout.expand_partition:
            yield Invalid(step.where(KEY), "it names no device", "give device: {path: …} or device: {label: …}")
        return
    path = device.path.strip()
    if path == "/":  # what cloud-init's growpart names; the root of a node is an image
        yield Note(step.where(KEY, "device", "path"), "the root is an image, which does not grow", "name a disk, or a label such as COS_PERSISTENT")
        return
    wrong = [error for index, partition in enumerate(layout.add_partitions) for error in _wrong(step, index, partition)]
    if not path and not device.label:
        wrong.append(Invalid(step.where(KEY, "device"), "it names neither a path nor a label"))
    if path.startswith(SCRIPT) and not path[len(SCRIPT):].split():
        wrong.append(Invalid(step.where(KEY, "device", "path"), "script:// without a command"))
    if device.init_disk and not path:
        wrong.append(Invalid(step.where(KEY, "device"), "init_disk needs the path of the disk"))
    if device.init_disk and device.label:
        wrong.append(Invalid(step.where(KEY, "device", "label"), "init_disk goes with a path alone", "leave out label"))
    names = [p.pLabel for p in layout.add_partitions if p.pLabel]
    wrong += [Invalid(step.where(KEY, "add_partitions"), f"two partitions have the name {n!r}") for n in dict.fromkeys(names) if names.count(n) > 1]
    if wrong:
        yield from (error for error in wrong)  # which hears what became of it; a list would not
        return
    if sum(p.bootable for p in layout.add_partitions) > 1:
        yield Note(step.where(KEY, "add_partitions"), "more than one partition is bootable")
    yield ArrangeDisk(
        "" if path.startswith(SCRIPT) else path, tuple(path[len(SCRIPT):].split()) if path.startswith(SCRIPT) else (), "" if path else device.label,
        device.init_disk, device.disk_name, tuple(_new(step, i, p) for i, p in enumerate(layout.add_partitions)),
        None if layout.expand_partition is None else layout.expand_partition.size, step.where(KEY),
        step.limit())


def _new(step: Step, index: int, partition: Partition) -> NewPartition:
    name = partition.pLabel or ("" if partition.fsLabel else f"partition-{index + 1}")  # by which the next run knows it
    return NewPartition(name, partition.fsLabel, partition.size, partition.filesystem or "ext2", partition.bootable,
                        step.where(KEY, "add_partitions", index))


def _wrong(step: Step, index: int, partition: Partition) -> Iterator[Invalid]:
    def at(key: str) -> str:
        return step.where(KEY, "add_partitions", index, key)

    for of, fact, hint in faults(partition.pLabel, partition.fsLabel, partition.filesystem or "ext2"):  # a size counts only for one that is made
        yield Invalid(at(KEYS[of]), fact, hint)
