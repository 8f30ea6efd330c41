"""The boot menu of a node that is one signed file (trusted boot): the entries of systemd-boot on the ESP, and what it says of them in EFI variables.

A file of an entry that is still to prove itself has the number of tries left in its name, and after a hyphen that of those made: `active+2-1.conf`.
"""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record
from kairos_boot.system import efi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host

EFI = "/efi"
ENTRIES = f"{EFI}/loader/entries"
SUFFIX = ".conf"
WORDS = {"active": "cos", "passive": "fallback", "recovery": "recovery", "statereset": "statereset"}
"""An entry's name, and the id that the same one has in GRUB's menu: operators and scripts use either."""
ROLE = {"active": ("0001", ""), "passive": ("0002", " (fallback)"), "recovery": ("0003", " recovery"), "statereset": ("0004", " state reset (auto)")}
"""Of each of them the key that the menu is sorted by, and what its title ends in."""
OTHERS = "0010"
TRIES = 3
"""How often an entry that is still to prove itself is started."""
MENU = "timeout 3\neditor no\nconsole-mode keep\n"
"""The file loader.conf. Without a default: what is sorted first is started, and an entry without tries is sorted behind all others."""
LOADERS = ("EFI/BOOT/BOOTX64.EFI", "EFI/systemd/systemd-bootx64.efi")
"""Where on the ESP systemd-boot lies; the first is what firmware starts of a disk that it does not know."""
UKI_KEY = 259
"""The version of systemd-boot from which on an entry names its program by `uki`."""
LARGEST = 64 << 10
ROLES = {word: role for role, word in WORDS.items()}
ONE_SHOT = "LoaderEntryOneShot"
COUNTING = "systemd-boot 256"
"""The version whose ids keep the counter that is in the name of a file."""


@record
class Entry:
    """One file of the menu. `name` is without counter and suffix; `left` is the number of tries left, None where nobody counts."""

    file: str
    name: str
    left: int | None = None

    @property
    def word(self) -> str:
        """What operators call it, as on a node with GRUB."""
        return WORDS.get(self.name, self.name)


def parse(file: str) -> Entry | None:
    """The entry of a file name; None where it is none."""
    stem = file.removesuffix(SUFFIX)
    if stem == file or not stem:
        return None
    name, plus, count = stem.rpartition("+")
    left, _, done = count.partition("-")
    counted = bool(plus and name) and left.isdecimal() and left.isascii() and (not done or (done.isdecimal() and done.isascii())) and not count.endswith("-")
    return Entry(file, name, int(left)) if counted else Entry(file, stem)


def entries(host: Host) -> list[Entry]:
    """The entries on the ESP, those of a node's systems first. KairosError: the directory cannot be read."""
    try:
        found = [entry for file in sorted(os.listdir(host.path(ENTRIES))) if (entry := parse(file))]
    except OSError as error:
        raise KairosError(f"the boot menu cannot be read: {reason(error)}", host.path(ENTRIES), "the EFI system partition has to be mounted at /efi") from error
    order = list(WORDS)
    return sorted(found, key=lambda entry: (order.index(entry.name) if entry.name in order else len(order), entry.name))


def find(host: Host, asked: str) -> Entry:
    """The entry that is *asked* for: its name, that of its file, or GRUB's id for it; a blank counts as an underscore. KairosError: none, or several."""
    known = entries(host)
    wanted = parse(asked)
    name = (wanted.name if wanted else asked).replace(" ", "_")
    name = ROLES.get(name, name)
    found = [entry for entry in known if entry.name.replace(" ", "_") == name]
    if not found:
        there = ", ".join(dict.fromkeys(entry.word for entry in known)) or "none"
        raise KairosError(f"the boot menu has no entry {asked!r}", host.path(ENTRIES), f"there are: {there}")
    if len(found) > 1:
        raise KairosError(f"the entry {asked!r} is ambiguous: {', '.join(entry.file for entry in found)}", host.path(ENTRIES), "remove all but one of them")
    return found[0]


def ident(entry: Entry, variables: str) -> str:
    """What systemd-boot calls *entry*: the name of its file, whose counter is part of it in some versions only. *variables* is where efivarfs is.

    The loader that was started says so by the list of its ids; where nothing had a counter then, by its version.
    """
    ids = efi.texts("LoaderEntries", variables)
    keeps = any(found.left is not None for found in map(parse, ids) if found) or efi.text("LoaderInfo", variables).startswith(COUNTING)
    return entry.file if keeps else f"{entry.name}{SUFFIX}"


def selected(host: Host) -> str:
    """The name of the entry that this boot is of, as systemd-boot told; empty where it told none."""
    found = parse(efi.text("LoaderEntrySelected", host.path(efi.DIRECTORY)))
    return found.name if found else ""


def next_once(host: Host) -> str:
    """The name of the entry that the next boot takes, once; empty where none is chosen."""
    found = parse(efi.text(ONE_SHOT, host.path(efi.DIRECTORY)))
    return found.name if found else ""


def select(host: Host, entry: Entry) -> None:
    """Let the next boot take *entry*, once. KairosError: the firmware refuses."""
    directory = host.path(efi.DIRECTORY)
    efi.write(ONE_SHOT, ident(entry, directory), directory)


def read(host: Host, entry: Entry, directory: str = ENTRIES) -> dict[str, str]:
    """The lines of an entry, each value by its key; of a key that is there twice the last. KairosError: it cannot be read."""
    path = host.path(f"{directory}/{entry.file}")
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read(LARGEST).splitlines()
    except OSError as error:
        raise KairosError(f"the entry cannot be read: {reason(error)}", path) from error
    return {words[0]: words[1].strip() for line in lines if len(words := line.split(None, 1)) == 2 and not line.lstrip().startswith("#")}


def program(lines: dict[str, str]) -> str:
    """Where on the ESP the program of an entry lies, as a path from its root; empty where the entry names none."""
    named = lines.get("uki") or lines.get("efi") or lines.get("linux") or ""
    return "/" + named.replace("\\", "/").strip("/") if named else ""


def used(host: Host) -> set[str]:
    """The programs that the entries lead to, in small letters: names of FAT have no case. KairosError: one of the entries cannot be read."""
    return {program(read(host, entry)).lower() for entry in entries(host)}


def text(host: Host, name: str, title: str, path: str, kept: dict[str, str]) -> str:
    """The lines of the entry *name* that starts the program at *path*; other lines of an older one are *kept*."""
    sort, suffix = ROLE.get(name, (kept.get("sort-key") or OTHERS, ""))
    told = {"title": base_title(title) + suffix if name in ROLE else title, _key(host): path, "sort-key": sort}
    others = {key: value for key, value in kept.items() if key not in (*told, "efi", "uki", "linux", "version", "options", "initrd")}
    return "".join(f"{key} {value}\n" for key, value in {**told, **others}.items())


def base_title(title: str) -> str:
    """A title without what it ends in by its role."""
    for _, suffix in ROLE.values():
        title = title.removesuffix(suffix) if suffix else title
    return title


def _key(host: Host) -> str:
    """How the loader wants such a program to be named: `efi`, and in newer ones `uki`."""
    version = efi.text("LoaderInfo", host.path(efi.DIRECTORY)).removeprefix("systemd-boot ").partition(".")[0].partition(" ")[0]
    return "uki" if version.isdecimal() and int(version) >= UKI_KEY else "efi"
