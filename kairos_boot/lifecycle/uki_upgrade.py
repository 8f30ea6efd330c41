"""An upgrade of a node that is one signed file: a new program beside the others on the ESP, then the entry that leads to it; see `roles` for the order."""

from __future__ import annotations

import os

from kairos_boot.boot.resume import UPGRADE as ACTION
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle.finish import ClearMarker
from kairos_boot.lifecycle.hooks import Hook, RunExecutable
from kairos_boot.lifecycle.phases import Phase
from kairos_boot.lifecycle.roles import DIGITS, DropDefault, PointEntry, RemoveUnused, SelectEntry, WriteProgram, file_digest, name_of
from kairos_boot.lifecycle.uki_autoreset import DropEntry
from kairos_boot.node import loader
from kairos_boot.node.state import secure_boot
from kairos_boot.records import record
from kairos_boot.system import authenticode, efi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kairos_boot.actions.base import Action
    from kairos_boot.lifecycle.hooks import Emit
    from kairos_boot.lifecycle.roles import Role
    from kairos_boot.lifecycle.sources import Source
    from kairos_boot.lifecycle.wired import Surroundings
    from kairos_boot.system.host import Host

__all__ = ["ACTION", "MARKER_PLACE", "Change", "New", "closing", "opening", "phases"]

MARKER_PLACE = "/oem/.kairos"
"""Where the marker lies: there is no COS_STATE, and COS_OEM has a journal."""
PRE, AFTER = "kairos-uki-upgrade.pre", "kairos-uki-upgrade.after"
EXECUTABLES = {when: f"/usr/bin/kairos-agent.uki.upgrade.{when}.hook" for when in ("pre", "after")}
SPARE = 1 << 20
"""Bytes that the ESP needs besides the program: entries, and what a directory takes."""
NOROLE = "norole"
"""The name of a program in a source, and on a medium, that is for any role."""
WORD = "rd.immucore.uki"
"""What the command line of such a system has."""
UNDONE = "what it left is removed, and every entry starts what it started"
STOPS = "if it fails, the upgrade stops, and every entry starts what it started"


@record
class New:
    """The program that a source brings: its path on this machine, its size and SHA-256, and what the source's own entry calls it. Not known before it came."""

    path: str = ""
    size: int = 0
    digest: str = ""
    title: str = ""


@record
class Change:
    """What becomes of the menu: *entry* starts *program*, and *passive*, if it is not empty, is the program that the passive entry starts from then on.

    *why* says why the passive system stays, *olds* are programs that may have nobody who starts them then, *title* is what the entry is called.
    """

    entry: str
    program: str
    title: str
    passive: str = ""
    why: str = ""
    olds: tuple[str, ...] = ()
    lines: dict[str, str] = {}  # noqa: RUF012  # never changed


def find(host: Host, source: Source, entry: str) -> New:
    """The program in *source*, which has arrived. KairosError: there is none, or it is no system of this kind for this machine."""
    title = ""
    path = source.path
    if source.is_tree:
        names = [f"EFI/kairos/{name}.efi" for name in dict.fromkeys((NOROLE, entry, "active"))]
        name = next((name for name in names if os.path.isfile(host.path(f"{path}/{name}"))), "")
        if not name:
            raise KairosError("there is no signed system in it", str(source.named), f"it has one of {', '.join(names)}; file:/PATH names such a file itself")
        title = _title(host.path(path), os.path.basename(name).removesuffix(".efi"))
        path = f"{path}/{name}"
    found = authenticode.read(host.path(path))
    if found.machine != os.uname().machine:
        raise KairosError(f"it is for another processor ({found.machine})", path)
    words = authenticode.section(found, ".cmdline").decode("utf-8", "replace").split()
    if not {".linux", ".initrd"} <= set(found.sections) or WORD not in words:
        raise KairosError(f"it is no signed system of a node: it has no kernel, no initrd, or not {WORD} in its command line", path, "build it with packaging/image/uki.py, or AuroraBoot")
    return New(path, found.size, file_digest(host.path(path)), title)


def _title(tree: str, name: str) -> str:
    """What the entry beside the program calls it, without its role."""
    try:
        files = sorted(os.listdir(f"{tree}/loader/entries"))
    except OSError:
        return ""
    from kairos_boot.system.host import Host as Tree

    for file in files:
        entry = loader.parse(file)
        if entry is not None and entry.name == name:
            return loader.base_title(loader.read(Tree(tree), entry, "/loader/entries").get("title", ""))
    return ""


def change_of(host: Host, roles: dict[str, Role], entry: str, new: New, *, runs_passive: bool, title: str = "") -> Change:
    """What the upgrade of *entry* changes. KairosError: the menu has no such entry."""
    if entry not in roles and entry != "active":
        raise KairosError(f"the boot menu has no entry {entry!r}, so it cannot be upgraded", host.path(loader.ENTRIES), f"there are: {', '.join(roles) or 'none'}")
    program = _place(host, roles, entry, new)
    if entry not in roles:
        other = next((role.lines.get("title", "") for role in roles.values()), "")
        return Change(entry, program, title or new.title or loader.base_title(other) or "Kairos", why="there is no active system in the menu")
    now = roles[entry]
    title = title or new.title or now.lines.get("title") or "Kairos"
    olds = tuple(path for path in (now.program,) if path)
    if entry != "active":
        return Change(entry, program, title, why="this is not about it", olds=olds, lines=now.lines)
    why = _why_not(host, roles, runs_passive=runs_passive)
    passive = roles.get("passive")
    olds = tuple(dict.fromkeys((*olds, *((passive.program,) if passive and passive.program else ()))))
    return Change(entry, program, title, "" if why else now.program, why, olds, now.lines)


def _place(host: Host, roles: dict[str, Role], entry: str, new: New) -> str:
    """Where the new program goes: never where an entry starts a damaged one of that name, which nothing is written over."""
    place = name_of(entry, new.digest or "DIGEST")
    taken = any(role.program.lower() == place.lower() for role in roles.values())
    return name_of(entry, new.digest[DIGITS:]) if taken and file_digest(host.path(loader.EFI + place)) != new.digest else place


def _why_not(host: Host, roles: dict[str, Role], *, runs_passive: bool) -> str:
    """Why what is active does not become the passive system; empty where it does."""
    if runs_passive:
        return "it is what runs"
    active, passive = roles["active"], roles.get("passive")
    try:
        accepted(host, authenticode.read(host.path(loader.EFI + active.program)))
    except KairosError as error:
        return f"the active system would not start: {error.message}"
    if active.entry.left is not None and passive is not None and passive.size > 0 and passive.entry.left != 0:
        return "the active system has not proved itself yet"
    return ""


def accepted(host: Host, program: authenticode.Program) -> None:
    """KairosError: the firmware would not start it. Without Secure Boot it starts everything."""
    if secure_boot(host):
        authenticode.must_be_accepted(program, host.path(efi.DIRECTORY))


def opening(emit: Emit) -> Phase:
    """What comes before all others, and before the new system is looked at."""
    return Phase("pre", f"stage {PRE}", (Hook(PRE, emit), RunExecutable(EXECUTABLES["pre"])), again="it runs again with the next upgrade", extra=True)


def phases(host: Host, change: Change, new: New, around: Surroundings, room: int, freed: int, *, strict: bool = True, opens: bool = False) -> list[Phase]:
    """The phases of an upgrade. *room* are the free bytes of the ESP, *freed* those that it gains when the passive system's program goes; it *opens* encrypted partitions."""
    need = new.size + SPARE
    tight = bool(change.passive) and room < need <= room + freed
    hint = "mend the step, or set upgrade.strict: false" if strict else ""
    trusted = () if secure_boot(host) else ("Secure Boot is off: its signature is not checked",)
    early: tuple[Phase, ...] = ()
    if tight:
        early = (_passive(change, "it goes first, since one more system does not fit"),
                 Phase("clean-early", "remove the old passive system", (RemoveUnused(change.olds),), again=UNDONE))
    return [
        Phase("before-upgrade", "stage before-upgrade", (Hook("before-upgrade", around.emit, hint),), checks=(_fits(new, need, room + (freed if tight else 0)), _starts(new), *((_opens(new),) if opens else ())),
              again=UNDONE, extra=not strict, notes=(STOPS,) if strict else ()),
        Phase("room", "remove what an earlier upgrade left, and the entry of a reset that is not to be", (DropEntry(), RemoveUnused()), again=UNDONE),
        *early,
        Phase("system", f"write the new {change.entry} system", (WriteProgram(new.path, change.program, new.digest, around.progress(f"write the new {change.entry} system")),),
              again=UNDONE, notes=trusted),
        *closing(change, around.emit, around.finish, rotated=tight),
    ]


def closing(change: Change, emit: Emit, note: Sequence[Action], *, rotated: bool = False, resumed: bool = False) -> list[Phase]:
    """The last phases, from the switch on (before it what was active becomes passive, where that is not *rotated* yet): the boot after a cut does what is left."""
    last = change.entry == "active"
    notes = (f"passive stays: {change.why}",) if last and change.why else ()
    select: tuple[Action, ...] = () if resumed else (SelectEntry(change.entry),)  # the boot after a cut is the one that was chosen, or shows why not
    return [
        *(() if rotated or not change.passive else (_passive(change),)),
        Phase("switch", f"put the new {change.entry} system in place", (PointEntry(change.entry, change.program, change.title, change.lines),), again="nothing is left to do",
              notes=(f"{change.entry} is the old system or the new one, at every instant", *notes)),
        *((Phase("menu", "let the next boot be the new system", (DropDefault(), *select), extra=True),) if last else ()),
        Phase("clean", "remove what no entry starts any more", (RemoveUnused(change.olds),), extra=True),
        *((Phase("note", "note the upgrade", tuple(note), extra=True),) if note else ()),
        Phase("after-upgrade", "stage after-upgrade", (Hook("after-upgrade", emit),), again="the hook runs again, with KAIROS_RESUMED=1", extra=True),
        Phase("after", f"stage {AFTER}", (Hook(AFTER, emit), RunExecutable(EXECUTABLES["after"])), again="the hook runs again, with KAIROS_RESUMED=1", extra=True),
        Phase("finish", "end the upgrade", (ClearMarker(MARKER_PLACE),)),
    ]


def _passive(change: Change, note: str = "") -> Phase:
    return Phase("passive", "what is active becomes the passive system", (passive_entry(change),), again="it is the old one or what was active, whole", notes=(note,) if note else ())


def passive_entry(change: Change) -> PointEntry:
    """The passive entry starts what was active."""
    return PointEntry("passive", change.passive, loader.base_title(change.lines.get("title") or change.title), change.lines)


def _fits(new: New, need: int, room: int) -> Callable[[Host], None]:
    def check(_: Host) -> None:
        if room < need:
            raise KairosError(f"the new system ({new.size >> 20} MiB) is bigger than the free space of the EFI system partition ({room >> 20} MiB)", loader.EFI,
                              "remove what does not belong there, or make the partition larger: install the node anew")

    return check


def _opens(new: New) -> Callable[[Host], None]:
    def check(host: Host) -> None:
        from kairos_boot.lifecycle.encrypting import must_open_signed

        if new.digest:
            must_open_signed(host, new.path, new.path)

    return check


def _starts(new: New) -> Callable[[Host], None]:
    def check(host: Host) -> None:
        if new.digest:
            accepted(host, authenticode.read(host.path(new.path)))

    return check
