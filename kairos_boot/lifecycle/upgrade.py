"""Upgrade: a new system to a new name, and one rename that puts it in place; what was booted and good becomes the passive system (G9).

Before the rename nothing that boots has changed but the boot menu, which starts old and new systems alike; after it nothing is left that a cut could take.
"""

from __future__ import annotations

from kairos_boot.actions.image_file import NEW, ORIGIN, BuildImage, CopyImage
from kairos_boot.actions.remove import Remove
from kairos_boot.boot.resume import UPGRADE as ACTION
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle.bootcode import refreshed
from kairos_boot.lifecycle.bootloader import InstallMenu, SetVariables
from kairos_boot.lifecycle.examined import checks
from kairos_boot.lifecycle.hooks import Hook, HookInImage
from kairos_boot.lifecycle.phases import Phase
from kairos_boot.lifecycle.switching import LinkImage, SwitchImage
from kairos_boot.records import record
from kairos_boot.system.ext4 import DIGEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kairos_boot.actions.base import Action
    from kairos_boot.lifecycle.hooks import Emit
    from kairos_boot.lifecycle.sources import Source
    from kairos_boot.lifecycle.wired import Surroundings
    from kairos_boot.system.host import Host

__all__ = ["ACTION", "Options", "Place", "closing", "phases", "temporaries"]

TRANSITION = "transition.img"
"""The new system until it is in place."""
SPARE = 4 << 20
"""Bytes that the partition needs besides the images."""
LABELS = {"active": "COS_ACTIVE", "recovery": "COS_SYSTEM"}
EVENTS = {"active": "last-active-upgrade", "recovery": "last-recovery-upgrade"}
KEYS = ("upgrade.excluded-paths", "upgrade.extra-dirs-rootfs")
UNDONE = "what it left is removed, and the system that it was to replace is as it was"
STOPS = "if it fails, the upgrade stops, and the system that it was to replace is as it was"


@record
class Options:
    """What of an upgrade can be chosen; *entry* is `active` or `recovery`."""

    entry: str = "active"
    source: str = ""
    size: int = 0
    """Bytes of the image made of a tree; 0: as large as the tree needs."""
    strict: bool = True
    directories: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    entry_name: str = ""
    insecure: bool = False


@record
class Place:
    """Where the new image goes: *directory* is where its partition is mounted, *room* its free space in bytes.

    *passive* is how the old active system becomes the passive one: `link`, `copy`, or `keep` for the reason *why*. *copied* are the bytes that this
    takes, *freed* those of the old passive image.
    """

    directory: str
    room: int
    passive: str = "keep"
    why: str = ""
    copied: int = 0
    freed: int = 0


@record
class End:
    """What follows the switch: *origin* is noted beside the image; *trial* are the boot loader's variables, *finish* ends the action."""

    origin: str
    trial: tuple[Action, ...]
    finish: tuple[Action, ...]


def phases(place: Place, source: Source, options: Options, around: Surroundings, end: End, disk: str, *, opens: bool = False) -> list[Phase]:
    """The phases of an upgrade of *disk* with a source that is on the node, and *opens* the encrypted partitions of it."""
    images = f"{place.directory}/cOS"
    new = f"{images}/{TRANSITION}"
    need = (max(options.size, source.size) if source.is_tree else source.size) + place.copied + SPARE
    tight = place.passive == "link" and place.room < need <= place.room + place.freed
    hint = "mend the step, or set upgrade.strict: false" if options.strict else ""
    stops = (STOPS,) if options.strict else ()
    # Of a passive system that is another one its starts count anew, also if the upgrade ends here.
    counts = SetVariables(f"{place.directory}/grubenv", {"fallback_tries": None})
    passive = [Phase("passive", "what runs now becomes the passive system", (counts, _passive(place, images)), again="it is the old one or what was active, whole",
                     notes=("it goes first, since a third image does not fit",) if tight else ())] if place.passive != "keep" else []
    found = [
        Phase("before-upgrade", "stage before-upgrade", (Hook("before-upgrade", around.emit, hint),), checks=(*checks(source, around.progress, removed=options.removed, made=options.directories, keys=KEYS, opens=opens), _fits(place, need, tight=tight)),
              again=UNDONE, extra=not options.strict, notes=stops),
        Phase("room", "remove what an earlier upgrade left", tuple(Remove(path) for path in temporaries(place.directory)), again=UNDONE),
        *(passive if tight else ()),
        Phase("system", f"write the new {options.entry} system", (_image(source, new, options, around),), again=UNDONE),
        Phase("after-upgrade-chroot", "stage after-upgrade-chroot",
              (HookInImage("after-upgrade-chroot", new, (), around.emit, around.steps, unborn=True, directories=options.directories, removed=options.removed,
                           hint=hint),), again=UNDONE, extra=not options.strict, notes=stops),
    ]
    if options.entry == "active":
        found += [refreshed(new, disk)] if disk else []
        found.append(Phase("boot-loader", "refresh the boot menu", (InstallMenu(new, place.directory),), again="the menu of either system starts both", notes=("the menu starts the old system, too",)))
        found += [] if tight else passive
    return [*found, *closing(place, options.entry, around.emit, end)]


def closing(place: Place, entry: str, emit: Emit, end: End) -> list[Phase]:
    """The last phases, from the switch on: the boot after a cut does those that are left, whichever system it is."""
    images = f"{place.directory}/cOS"
    switch: tuple[Action, ...] = (SwitchImage(f"{images}/{TRANSITION}", f"{images}/{entry}.img", end.origin),)
    if entry == "recovery":
        switch = (*switch, *(Remove(f"{images}/recovery.squashfs{suffix}") for suffix in ("", DIGEST)))
    notes: tuple[str, ...] = (f"{entry}.img is the old system or the new one, at every instant",)
    if entry == "active" and place.passive == "keep":
        notes = (*notes, f"passive.img stays: {place.why}")
    return [
        Phase("switch", f"put the new {entry} system in place", switch, again="nothing is left to do", notes=notes),
        Phase("trial", "note the upgrade" + (", and put the new system on trial" if entry == "active" else ""), end.trial),
        Phase("after-upgrade", "stage after-upgrade", (Hook("after-upgrade", emit),), again="the hook runs again, with KAIROS_RESUMED=1", extra=True),
        Phase("finish", "end the upgrade", end.finish),
    ]


def temporaries(directory: str) -> list[str]:
    """Files that an upgrade which was cut may have left on the partition mounted at *directory*."""
    names = [TRANSITION, TRANSITION + NEW, TRANSITION + DIGEST, TRANSITION + DIGEST + NEW, TRANSITION + ORIGIN]
    names += [f"{name}.img{NEW}" for name in ("active", "passive", "recovery")]
    return [f"{directory}/cOS/{name}" for name in names]


def _image(source: Source, target: str, options: Options, around: Surroundings) -> Action:
    label = LABELS[options.entry]
    if source.is_tree:
        return BuildImage(source.path, target, label, max(options.size, source.size))
    return CopyImage(source.path, target, label, around.progress(f"write the new {options.entry} system"))


def _passive(place: Place, images: str) -> Action:
    active, passive = f"{images}/active.img", f"{images}/passive.img"
    # An initrd that mounts by label alone finds only an image that bears the label.
    return LinkImage(active, passive) if place.passive == "link" else CopyImage(active, passive, "COS_PASSIVE")


def _fits(place: Place, need: int, *, tight: bool) -> Callable[[Host], None]:
    def check(_: Host) -> None:
        if place.room < need and not tight:
            raise KairosError(f"there is no room for a new image: {need >> 20} MiB are needed, and {place.room >> 20} MiB are free", place.directory,
                              "remove what does not belong on this partition")

    return check
