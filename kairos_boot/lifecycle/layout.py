"""The partitions of a node's disk, computed as a whole before anything is fetched or written (G7): Kairos' order, names, labels and sizes."""

from __future__ import annotations

from kairos_boot.actions.fitting import LEAST_MIB, MADE, faults, unfit
from kairos_boot.actions.layout import BASIC, BIOS_BOOT, ESP, LINUX, SWAP
from kairos_boot.actions.partitioning import MIB, Place
from kairos_boot.errors import KairosError
from kairos_boot.node.partitions import LABELS
from kairos_boot.node.sections import ENCRYPTED
from kairos_boot.node.settings import listing, mapping
from kairos_boot.records import NOTHING, record
from kairos_boot.system import filesystems

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

FIRMWARES = ("efi", "bios", "both")
BIOS_MIB, EFI_MIB, OEM_MIB = 1, 64, 64
STATE_SPARE, RECOVERY_SPARE, SPARE = 1000, 200, 64
"""MiB that the state and the recovery partition have besides their images; less than *SPARE* is never enough."""
SYSTEMS = 4
"""How many systems the ESP of a node that is one signed file has room for: active, passive, recovery, and a new one beside them."""
SYSTEM_SPARE = 100
"""MiB that each of them may be larger than what is installed."""
HEADER_MIB = 16
"""MiB of a container that are not its content's."""
REST_MIB = 64
"""MiB that the partition which takes the rest must have at least."""
OWN = (*LABELS.values(), "COS_ACTIVE", "COS_PASSIVE", "COS_SYSTEM")
"""Labels by which the node finds its partitions and images; nothing else may have one."""
BOOT = ("bios", "efi")


@record
class Images:
    """How large the images are, in bytes."""

    active: int
    passive: int
    recovery: int


@record
class Part:
    """A partition that is wanted; *size* in MiB, 0 for the rest of the disk."""

    name: str
    label: str
    fstype: str
    size: int
    type: str = LINUX


@record
class Layout:
    """The partitions in their order, what is said of them, and the identifier of the disk."""

    places: tuple[Place, ...]
    notes: tuple[str, ...] = ()
    guid: str = ""

    def number(self, name: str) -> int:
        """The number of the partition *name*; 0: there is none."""
        return next((place.number for place in self.places if place.name == name), 0)


@record
class Wishes:
    """What the configuration says of the disk: sizes in MiB by the partition's name, extra partitions, the firmware."""

    sizes: Mapping[str, int] = NOTHING
    extra: tuple[Part, ...] = ()
    firmware: str = "efi"
    seed: str = ""
    encrypted: tuple[str, ...] = ()
    """Names of the partitions that become containers."""
    program: int = 0
    """Bytes of the signed file that the node is: there are no images then, and no partitions for them."""


def wishes(settings: Mapping[str, Any], firmware: str, seed: str = "") -> Wishes:
    """What the section `install` says. KairosError: it cannot be meant."""
    sizes = {}
    for name, value in mapping(settings.get("partitions")).items():
        size = mapping(value).get("size")
        if name not in (*LABELS, "bios"):
            raise KairosError(f"no such partition: {name!r}", "install.partitions", f"there are {', '.join(LABELS)}; others are extra-partitions")
        if size is not None:
            sizes[name] = _size(size, f"install.partitions.{name}.size")
    wanted = str(settings.get("firmware") or firmware)
    if wanted not in FIRMWARES:
        raise KairosError(f"not a firmware: {wanted!r}", "install.firmware", f"write {', '.join(FIRMWARES)}")
    table = settings.get("part-table")
    if table not in (None, "gpt"):
        raise KairosError(f"only GPT partition tables are made, not {table!r}", "install.part-table", "leave it out")
    extra = tuple(_extra(item, f"install.extra-partitions[{at}]") for at, item in enumerate(listing(settings.get("extra-partitions"))))
    names = [part.name for part in extra]
    twice = next((name for name in names if names.count(name) > 1 or name in (*LABELS, "bios")), "")
    if twice:
        raise KairosError(f"two partitions have the name {twice!r}", "install.extra-partitions", "give each its own")
    labels = [part.label for part in extra if part.label]
    if twice := next((label for label in labels if labels.count(label) > 1), ""):
        raise KairosError(f"two partitions have the label {twice!r}: what looks for one finds any", "install.extra-partitions", "give each its own")
    encrypted = tuple(name for word, name in ENCRYPTED.items() if word in listing(settings.get("encrypted_partitions")))
    return Wishes(sizes, extra, wanted, seed, encrypted)


def compute(disk: str, usable: int, images: Images, wanted: Wishes, grain: int = MIB) -> Layout:
    """The layout of *disk*, of which the bytes up to *usable* can be used. KairosError: it does not fit, or is contradictory."""
    parts, notes = _wanted(images, wanted)
    rest = [part for part in parts if part.size == 0]
    if len(rest) > 1:
        raise KairosError(f"at most one partition takes the rest of the disk, and these would: {', '.join(part.name for part in rest)}", "install.partitions",
                          "give all but one a size in MiB")
    parts = [part for part in parts if part.size] + rest
    total = sum(part.size or _least(part.fstype) for part in parts) + 1
    if total * MIB > usable:
        sizes = ", ".join(f"{part.name} {part.size or f'at least {_least(part.fstype)}'}" for part in parts)
        raise KairosError(f"the layout does not fit in the target disk: {total} MiB are wanted, {max(usable, 0) // MIB} MiB are there; nothing was fetched or written",
                          disk, f"in MiB: {sizes}; make partitions smaller (install.partitions, install.system.size) or take a larger disk")
    places, start = [], grain
    for number, part in enumerate(parts, 1):
        size = part.size * MIB or (usable - start) // MIB * MIB
        for fact, hint in unfit(part.fstype, size // MIB):
            raise KairosError(f"{part.name}: {fact}", f"install.{'partitions' if part.name in LABELS else 'extra-partitions'}", hint)
        places.append(Place(number, part.name, part.label, part.fstype, part.type, start, size, _identifier(wanted.seed, f"partition {part.name}"),
                            _identifier(wanted.seed, f"file system {part.name}") if wanted.seed else ""))
        start += size
    return Layout(tuple(places), tuple(notes), _identifier(wanted.seed, "disk"))


def _wanted(images: Images, wanted: Wishes) -> tuple[list[Part], list[str]]:
    """The partitions in their order, and what has to be said of them."""
    mib = {name: -(-getattr(images, name) // MIB) for name in ("active", "passive", "recovery")}
    state, recovery = 2 * mib["active"] + mib["passive"], 2 * mib["recovery"]
    least = {"state": state * 21 // 20 + SPARE, "recovery": recovery * 21 // 20 + SPARE, "oem": 8, "efi": 8, "bios": BIOS_MIB}
    usual = {"efi": EFI_MIB, "bios": BIOS_MIB, "oem": OEM_MIB, "recovery": recovery + RECOVERY_SPARE, "state": state + STATE_SPARE, "persistent": 0}
    if wanted.program:
        program = -(-wanted.program // MIB)
        least = {"oem": 8, "efi": SYSTEMS * program + SPARE}
        usual = {"efi": max(SYSTEMS * (program + SYSTEM_SPARE), least["efi"]), "oem": OEM_MIB, "persistent": 0}
    least.update({name: HEADER_MIB + least.get(name, REST_MIB) for name in wanted.encrypted})
    sizes = {**usual, **{name: size for name, size in wanted.sizes.items() if name in usual}}
    notes = [f"there is no {name} partition, so its size does nothing" for name in wanted.sizes if name not in usual]
    for name, needed in least.items():
        if 0 < sizes[name] < needed:
            if name in wanted.sizes:
                notes.append(f"the {name} partition gets {needed} MiB instead of {sizes[name]}, which would not hold what lies on it")
            sizes[name] = needed
    if wanted.sizes.get("persistent") is None and any(part.size == 0 for part in wanted.extra):
        raise KairosError("an extra partition takes the rest of the disk, and so does persistent", "install.extra-partitions",
                          "give one of them a size in MiB: install.partitions.persistent.size")
    boot = {"efi": ["efi"], "bios": ["bios"], "both": ["bios", "efi"]}[wanted.firmware]
    kinds = {"bios": ("", "none", BIOS_BOOT), "efi": (LABELS["efi"], "vfat", ESP)}
    parts = []
    for name in (*boot, *(name for name in ("oem", "recovery", "state", "persistent") if name in usual)):
        label, fstype, kind = kinds.get(name, (LABELS.get(name, ""), "ext4", LINUX))
        parts.append(Part(name, label, fstype, sizes[name], kind))
    return [*parts, *wanted.extra], notes


def _extra(item: object, where: str) -> Part:
    values = mapping(item)
    name, label, fstype = (str(values.get(key) or "") for key in ("name", "label", "fs"))
    fstype = fstype or "ext2"
    if not name:
        raise KairosError("an extra partition needs a name", where, "add `name: data`")
    if label in OWN:
        raise KairosError(f"the label {label} is one of the node's own", f"{where}.label", "take another one")
    size = _size(values.get("size", 0), f"{where}.size")
    for of, fact, hint in faults(name, label, fstype, size):
        raise KairosError(fact, f"{where}.{'fs' if of == MADE else of}", hint)
    kind = SWAP if fstype == "swap" else BASIC if fstype in filesystems.FAT else LINUX
    return Part(name, label, fstype, size, kind)


def _least(fstype: str) -> int:
    """MiB that the partition which takes the rest must have."""
    return max(REST_MIB, LEAST_MIB.get(fstype, 0))


def _size(value: object, where: str) -> int:
    if isinstance(value, str) and value.isdecimal():  # of the kernel command line
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise KairosError(f"not a size: {value!r}", where, "a whole number of MiB; 0 is the rest of the disk")
    return value


def _identifier(seed: str, what: str) -> str:
    """Random; the same for the same seed (D9)."""
    import uuid

    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"kairos-boot/{seed}/{what}") if seed else uuid.uuid4())


def programs(places: Iterable[Place]) -> list[str]:
    """The programs that make these partitions."""
    return ["sfdisk", *dict.fromkeys(filesystems.maker(place.fstype) for place in places)]
