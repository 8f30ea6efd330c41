"""Reset: the node goes back to what its recovery image holds; /oem stays, persistent data goes, the next boot is a first one.

Everything that can be known is checked before anything is changed. The new images are in place, and the boot loader knows them, before anything is erased;
after the erasure nothing is left that a cut could take (G1-G3).
"""

from __future__ import annotations

import os

from kairos_boot.actions.filesystem import MakeFileSystem, Unmount
from kairos_boot.actions.fitting import LABEL_LIMITS, unfit
from kairos_boot.actions.image_file import ORIGIN, BuildImage, CopyImage
from kairos_boot.actions.mounts import Mount
from kairos_boot.actions.partition import AddPartition
from kairos_boot.actions.remove import Remove
from kairos_boot.boot.resume import RESET
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle.bootcode import refreshed
from kairos_boot.lifecycle.bootloader import InstallMenu, SetVariables
from kairos_boot.lifecycle.examined import checks
from kairos_boot.lifecycle.hooks import Hook, HookInImage
from kairos_boot.lifecycle.missing import SIZES, places
from kairos_boot.lifecycle.phases import Phase
from kairos_boot.lifecycle.sources import RECOVERY
from kairos_boot.lifecycle.upgrade import temporaries
from kairos_boot.node.partitions import LABELS
from kairos_boot.records import NOTHING, record
from kairos_boot.system.ext4 import DIGEST
from kairos_boot.system.partitions import size_of
from kairos_boot.system.udev import CRYPT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kairos_boot.actions.base import Action
    from kairos_boot.lifecycle.reset_room import Room
    from kairos_boot.lifecycle.sources import Source
    from kairos_boot.lifecycle.wired import Surroundings
    from kairos_boot.node.partitions import NodeDisk
    from kairos_boot.system.host import Host
    from kairos_boot.system.partitions import Slot
    from kairos_boot.system.udev import Partition

ACTION = RESET
STATE, OEM, PERSISTENT = "/run/cos/state", "/oem", "/usr/local"
FORMATS = ("ext2", "ext3", "ext4", "xfs", "btrfs")


@record
class Options:
    """What of a reset can be chosen."""

    erase_persistent: bool = True
    erase_oem: bool = False
    strict: bool = True
    source: str = ""
    size: int = 0
    """Bytes of the active image made of a tree; 0: as large as the tree needs."""
    entry_name: str = ""
    sizes: Mapping[str, int] = NOTHING
    """MiB of partitions that are made where the disk lacks them; see `missing.SIZES`."""


def phases(disk: NodeDisk, source: Source, options: Options, around: Surroundings, room: Room) -> list[Phase]:
    """The phases of a reset of *disk*, whose state partition has *room*.

    Where a third image does not fit, passive goes before active is written: recovery and the old active remain. Where it will not fit either beside
    the two new ones, the hook in the image comes before passive is written.
    """
    active, passive = f"{STATE}/cOS/active.img", f"{STATE}/cOS/passive.img"
    new = places(disk, options.sizes or SIZES)
    size = max(options.size, source.size) if source.is_tree else source.size
    tight, third = room.is_tight(size), room.has_third(size)
    first = tuple(Remove(path) for path in (passive, passive + DIGEST, passive + ORIGIN)) if tight else ()
    notes = ("a third image does not fit: passive goes first, recovery and active remain",) if tight else ()
    inside = HookInImage("after-reset-chroot", active, ((passive, "COS_PASSIVE"),) if third else (), around.emit, around.steps, progress=around.progress)
    hook = Phase("after-reset-chroot", "stage after-reset-chroot", (inside,), again="the hook runs again, in a new copy", extra=True)
    copied = _image(source, passive, "COS_PASSIVE", size, around) if third else CopyImage(active, passive, "COS_PASSIVE", around.progress("write passive.img"))
    found: list[Phase] = [
        Phase("before-reset", "stage before-reset", (Hook("before-reset", around.emit, "mend the step; until then, nothing is erased" if options.strict else ""),),
              checks=(*checks(source, around.progress, runs=source.path in RECOVERY, opens=disk.encrypted), *_disk_checks(disk, options, new), lambda _: room.must_be_enough(size, STATE)),
              again="the hook runs again, with KAIROS_RESUMED=1", extra=not options.strict,
              notes=("if it fails, nothing else is done",) if options.strict else ()),
        Phase("room", "make room", tuple(Remove(path) for path in temporaries(STATE)), again="nothing is left to do"),
        Phase("active", "write the active system", (*first, _image(source, active, "COS_ACTIVE", size, around)), notes=notes),
        *(() if third else (hook,)),
        Phase("passive", "write the passive system", (*first, copied)),
        *([refreshed(active, disk.disk)] if disk.table is not None else []),
        Phase("boot-loader", "refresh the boot menu", (InstallMenu(active, STATE), SetVariables(f"{STATE}/grubenv", _variables(options)))),
        *((hook,) if third else ()),
    ]
    if options.erase_oem or disk.oem is None or not disk.oem.fstype:
        found.append(Phase("oem", "make the OEM partition anew", _anew(disk, new, "oem"),
                           standing=(Mount(_node(disk, new, "oem"), OEM, _kind(disk, "oem")),), notes=("its configuration, boot settings and keys are gone then", *_was(disk, "oem"))))
    persistent = _node(disk, new, "persistent")
    if options.erase_persistent or "persistent" in new:
        title = "make the persistent partition" if "persistent" in new else "erase the persistent partition"
        found.append(Phase("persistent", title, (*_anew(disk, new, "persistent"), Remove(f"{OEM}/.kairos/steps")),
                           again="erased again", standing=(Mount(persistent, PERSISTENT, _kind(disk, "persistent")),), notes=_was(disk, "persistent")))
    else:
        found.append(Phase("persistent", "keep the persistent partition", standing=(Mount(persistent, PERSISTENT, disk.need("persistent").fstype),)))
    found += [
        Phase("after-reset", "stage after-reset", (Hook("after-reset", around.emit),), again="the hook runs again, with KAIROS_RESUMED=1", extra=True),
        Phase("finish", "note the reset, and let the next boot be a first one", around.finish),
    ]
    return found


def _image(source: Source, target: str, label: str, size: int, around: Surroundings) -> Action:
    if source.is_tree:
        return BuildImage(source.path, target, label, size)
    return CopyImage(source.path, target, label, around.progress(f"write {os.path.basename(target)}"))


def must_be_unlocked(part: Partition | None, name: str) -> None:
    """KairosError: the partition *name* is a container that nobody opened."""
    if part is not None and part.fstype == CRYPT:
        raise KairosError(f"the {name} partition is encrypted and locked: its container is kept, and only its content is made anew", part.node,
                          "restart the node and give the recovery key that the console asks for, or: cryptsetup open NODE NAME")


def _disk_checks(disk: NodeDisk, options: Options, new: Mapping[str, Slot]) -> list[Callable[[Host], None]]:
    """What the partitions must be for this reset."""

    def check(host: Host) -> None:
        for name, wanted in (("persistent", options.erase_persistent), ("oem", options.erase_oem)):
            part = getattr(disk, name)
            if wanted or name == "persistent":
                must_be_unlocked(part, name)
            if name == "persistent" and part is not None and not part.fstype and not wanted:
                raise KairosError("the persistent partition is to be kept, and no file system is found on it", part.node,
                                  "mend it (e2fsck -b 32768 takes another superblock), or reset without reset-persistent: false")
            if wanted or name in new or (part is not None and not part.fstype):
                _can_be_made(host, _node(disk, new, name), _kind(disk, name), new.get(name))

    return [check]


def _can_be_made(host: Host, node: str, fstype: str, slot: Slot | None) -> None:
    """KairosError: the program is not in this image, or the partition is too small for that kind of file system."""
    tool = f"mkfs.{fstype}"
    if not any(host.exists(f"{directory}/{tool}") for directory in ("/usr/sbin", "/sbin", "/usr/bin")):
        raise KairosError(f"the program {tool} is not in this image", node, "build the recovery image with it")
    for fact, hint in unfit(fstype, size_of(host.real(node)) >> 20) if slot is None else ():
        raise KairosError(fact, node, f"{hint}: mkfs.ext4 {node}")


def _anew(disk: NodeDisk, new: Mapping[str, Slot], name: str) -> tuple[Action, ...]:
    node = _node(disk, new, name)
    first: tuple[Action, ...] = (AddPartition(disk.disk, new[name]),) if name in new else ()
    return (*first, Unmount(PERSISTENT if name == "persistent" else OEM), MakeFileSystem(node, _kind(disk, name), LABELS[name]))


def _node(disk: NodeDisk, new: Mapping[str, Slot], name: str) -> str:
    return str(new[name].node if name in new else disk.need(name).node)


def _kind(disk: NodeDisk, name: str) -> str:
    """The file system that is there, where it can be made under its label; ext4 where there is none, or one such as xfs with a label that is too long for it."""
    part = getattr(disk, name)
    fits = part is not None and part.fstype in FORMATS and len(LABELS[name]) <= LABEL_LIMITS[part.fstype]
    return str(part.fstype) if fits else "ext4"


def _was(disk: NodeDisk, name: str) -> tuple[str, ...]:
    """What a plan says of a file system that is not made again."""
    part = getattr(disk, name)
    if part is None or not part.fstype or _kind(disk, name) == part.fstype:
        return ()
    return (f"it is {part.fstype} now, which cannot be made under the label {LABELS[name]}",)


def _variables(options: Options) -> dict[str, str | None]:
    """What the boot loader's settings become: no one-shot entry, no other default system (G10); the branding stays, or is what was asked for."""
    changes: dict[str, str | None] = {"next_entry": None, "saved_entry": None}
    if options.entry_name:
        changes["default_menu_entry"] = options.entry_name
    return changes
