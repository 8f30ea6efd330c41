"""What a new partition may be: the one rule of the step `layout`, of an installation and of the disk that it makes."""

from __future__ import annotations

from kairos_boot.system.filesystems import EXT, FAT, UNFORMATTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LABEL_LIMITS = {**dict.fromkeys(EXT, 16), "xfs": 12, "btrfs": 255, "swap": 15, **dict.fromkeys(FAT, 11)}
"""File systems that can be made, and how many bytes their label may have."""
LEAST_MIB = {"xfs": 300, "btrfs": 109, "fat16": 9}
MOST_MIB = {"fat16": 4095}
"""MiB below and above which their tools refuse to make them."""
NAME_UNITS = 36
"""UTF-16 code units of a GPT partition's name."""
NAMED, LABELLED, MADE, SIZED = "name", "label", "fstype", "size"
"""What a fault is of."""


def faults(name: str, label: str, fstype: str, mib: int = 0) -> Iterator[tuple[str, str, str]]:
    """What is wrong with a partition called *name* with a file system *fstype* of that *label*: of what, the fact, the remedy. *mib* is its size, 0: not known."""
    if fstype not in LABEL_LIMITS and fstype not in UNFORMATTED:
        yield MADE, f"unsupported file system type: {fstype!r}", f"use one of {', '.join((*LABEL_LIMITS, *UNFORMATTED))}"
    elif len(label.encode("utf-8", "surrogateescape")) > LABEL_LIMITS.get(fstype, 255):
        yield LABELLED, f"{fstype} filesystem label {label!r} cannot be longer than {LABEL_LIMITS[fstype]} characters", "shorten it"
    if not _plain(label) or label.startswith("-"):
        yield LABELLED, f"not a file system's label: {label!r}", "leave out double quotes, backslashes and control characters, and a dash in front"
    if len(name.encode("utf-16-le", "surrogatepass")) > 2 * NAME_UNITS:
        yield NAMED, f"a partition's name cannot be longer than {NAME_UNITS} characters: {name!r}", "shorten it"
    if not _plain(name):  # it stands in sfdisk's script
        yield NAMED, f"not a partition's name: {name!r}", "leave out double quotes, backslashes and control characters"
    if mib:
        yield from ((SIZED, fact, hint) for fact, hint in unfit(fstype, mib))


def unfit(fstype: str, mib: int) -> Iterator[tuple[str, str]]:
    """Why a file system *fstype* cannot be made on *mib* MiB, and what helps."""
    if mib < LEAST_MIB.get(fstype, 0):
        yield f"it is too small for {fstype}, which is made of {LEAST_MIB[fstype]} MiB and more: {mib}", "make it larger, or take ext4"
    if mib > MOST_MIB.get(fstype, mib):
        yield f"it is too large for {fstype}, which is made of {MOST_MIB[fstype]} MiB at most: {mib}", "make it smaller, or take fat32"


def _plain(text: str) -> bool:
    return text.isprintable() and not set(text) & {'"', "\\"}
