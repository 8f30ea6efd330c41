"""A reset of a node that is one signed file: its active system is recovery's once more, its persistent data goes, and /oem where that is asked for.

The system is in place before anything is erased. It is begun anew after a cut: from its beginning until its end the next boot is recovery again, once.
What the last stages do with partitions is theirs: nothing of the reset is left to do then (UKI-26).
"""

from __future__ import annotations

from functools import partial

from kairos_boot.actions.filesystem import MakeFileSystem, Unmount
from kairos_boot.actions.mounts import Mount
from kairos_boot.actions.remove import Remove
from kairos_boot.boot.resume import RESET as ACTION
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import ending, roles, survey
from kairos_boot.lifecycle.finish import RECORD, KeepRecord, NoteEvent
from kairos_boot.lifecycle.hooks import Hook, RunExecutable
from kairos_boot.lifecycle.phases import Engine, Memory, Phase, must_be_met, plan
from kairos_boot.lifecycle.reset import Options, must_be_unlocked
from kairos_boot.lifecycle.resetting import KEPT
from kairos_boot.lifecycle.roles import DropDefault, PointEntry, RemoveUnused, SelectEntry, WriteProgram
from kairos_boot.lifecycle.uki_autoreset import NAME, DropEntry
from kairos_boot.lifecycle.uki_upgrade import SPARE, accepted
from kairos_boot.lifecycle.uki_upgrading import end_what_was_begun
from kairos_boot.lifecycle.wired import Outcome, ended
from kairos_boot.lifecycle.writable import Remounted
from kairos_boot.node import loader
from kairos_boot.node.mode import RECOVERY_WORDS, boot_word
from kairos_boot.node.partitions import LABELS
from kairos_boot.records import record
from kairos_boot.system import authenticode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from kairos_boot.lifecycle.roles import Role
    from kairos_boot.lifecycle.wired import Node
    from kairos_boot.node.partitions import NodeDisk
    from kairos_boot.system.host import Host

OEM, PERSISTENT = "/oem", "/usr/local"
PRE, AFTER = "kairos-uki-reset.pre", "kairos-uki-reset.after"
EXECUTABLES = {when: f"/usr/bin/kairos-agent.uki.reset.{when}.hook" for when in ("pre", "after")}
AGAIN = "the reset is called again, from recovery: it begins anew"
BY_ITSELF = "the next boot begins the reset anew"
AUTORESET = "autoreset_boot"
OPENER = "cryptsetup"


@record
class UnmountForSteps:
    """The persistent partition is not mounted, if a step of after-reset that is still there opens its container itself."""

    wired: Node

    def describe(self) -> str:
        """The place."""
        return Unmount(PERSISTENT).describe()

    def would_change(self, host: Host) -> bool | None:
        """Whether there is such a step: one that lay on what the reset erased is gone."""
        return self.wired.calls("after-reset", OPENER) and Unmount(PERSISTENT).would_change(host)

    def apply(self, host: Host) -> bool:
        """Unmount it. KairosError: something uses it."""
        return bool(self.would_change(host)) and Unmount(PERSISTENT).apply(host)


def reset(wired: Node, asked: Mapping[str, bool]) -> Outcome:
    """Reset the node. Refused: nothing was changed. Broken: it failed half-way, and is to be called again; the next boot is recovery."""
    host = wired.host
    if boot_word(host) not in RECOVERY_WORDS:
        raise KairosError("a reset runs in the recovery system", hint="kairos-boot reset --next-boot, and reboot")
    free = wired.lock()
    ending.forget(host)
    try:
        settings, options = _options(wired, asked)
        with Remounted(host, loader.EFI, partial(wired.log, stage=ACTION)):
            end_what_was_begun(wired)
            engine = Engine(ACTION, host, wired.ledger, wired.log)
            first, *todo = _phases(wired, options)
            engine.check(todo)
            wired.log(5, "the reset begins", kind="action", stage=ACTION)
            failures = engine.run([first, *todo], Memory())
    except KairosError as error:
        wired.log(3, f"the reset failed: {error}", kind="failure", stage=ACTION)
        KeepRecord(wired.ledger, KEPT).apply(host)
        ending.note_failure(host, error, again=False)
        raise
    finally:
        free()
    ending.note_done(host)
    wired.log(5, "the reset is done: the next boot is the active system, and a first one", kind="action", stage=ACTION)
    return ended(failures, settings)


def settled(wired: Node, asked: Mapping[str, bool]) -> Options:
    """The options of a reset that is asked for so. KairosError: the documents contradict each other."""
    return _options(wired, asked)[1]


def plan_of(wired: Node, asked: Mapping[str, bool]) -> list[dict[str, Any]]:
    """What a reset of this node would do; in any system of it. KairosError: it cannot be known. Refused: a reset would be refused before it begins."""
    todo = _phases(wired, _options(wired, asked)[1])
    must_be_met(wired.host, todo)
    return plan(ACTION, todo)


def _options(wired: Node, asked: Mapping[str, bool]) -> tuple[dict[str, Any], Options]:
    config = wired.config()
    survey.must_be_of_one_mind(config)
    settings = survey.section(config, ACTION, asked)
    if settings.get("system"):
        wired.log(4, "reset.system does nothing here: the system is the one of recovery", kind="warning", stage=ACTION)
    return settings, Options(settings.get("reset-persistent") is not False, settings.get("reset-oem") is True, entry_name=str(settings.get("grub-entry-name") or ""))


def _phases(wired: Node, options: Options) -> list[Phase]:
    host, disk = wired.host, wired.disk()
    by_itself = boot_word(host) == AUTORESET
    again = BY_ITSELF if by_itself else AGAIN
    known = roles.known(host)
    if "recovery" not in known:
        raise KairosError("the boot menu has no entry 'recovery', whose system a reset brings back", host.path(loader.ENTRIES), "upgrade the active system instead, or install the node anew")
    recovery, active = known["recovery"], known.get("active")
    source = f"{loader.EFI}{recovery.program}"
    digest = roles.file_digest(host.path(source)) if recovery.size >= 0 else ""
    program = roles.name_of("active", digest or "DIGEST")
    lines = active.lines if active else recovery.lines
    title = options.entry_name or lines.get("title") or "Kairos"
    olds = (active.program,) if active and active.program else ()
    return [
        Phase("pre", f"stage {PRE}", (Hook(PRE, wired.emit), RunExecutable(EXECUTABLES["pre"])), again=again, extra=True),
        Phase("recovery", "let a boot after a cut be this one again", (SelectEntry(NAME if by_itself else "recovery"),), checks=(lambda host: _must_be_possible(host, disk, options, recovery, program),), again=again, extra=True),
        Phase("room", "remove what an upgrade left", (RemoveUnused(),), again=again),
        Phase("system", "write the active system: recovery's", (WriteProgram(source, program, digest, wired.progress("write the active system")),), again=again),
        Phase("active", "put it in place", (PointEntry("active", program, loader.base_title(title), lines),), again=again, notes=("the passive system stays as it is",)),
        Phase("clean", "remove what no entry starts any more", (RemoveUnused(olds),), again=again, extra=True),
        *_partitions(disk, options, again),
        Phase("menu", "let the next boot be the active system", (DropDefault(), SelectEntry("active"), DropEntry()), again=again, extra=True),
        Phase("note", "note the reset", (NoteEvent(PERSISTENT, "last-reset", f"file://{recovery.program}"), KeepRecord(wired.ledger, f"{PERSISTENT}/{RECORD}")), again=again, extra=True),
        *_left_to_steps(wired, disk, again),
        Phase("after-reset", "stage after-reset", (Hook("after-reset", wired.emit),), again=again, extra=True, notes=("nothing else needs the partitions from here on",)),
        Phase("after", f"stage {AFTER}", (Hook(AFTER, wired.emit), RunExecutable(EXECUTABLES["after"])), again=again, extra=True),
    ]


def _left_to_steps(wired: Node, disk: NodeDisk, again: str) -> list[Phase]:
    """Kairos mounts nothing for after-reset here, so steps for its nodes close the containers and open them again. Those find them free; all others find the
    partition mounted.
    """
    if disk.need("persistent").within and wired.calls("after-reset", OPENER):
        return [Phase("unmount", "unmount the persistent partition", (UnmountForSteps(wired),), again=again, extra=True, notes=(f"a step of after-reset opens it itself ({OPENER})",))]
    return []


def _partitions(disk: NodeDisk, options: Options, again: str) -> list[Phase]:
    """The partitions that are made anew. An opened container stays, and its content is."""
    found = []
    if options.erase_oem:
        node, kind = disk.need("oem").node, _kind(disk, "oem")
        found.append(Phase("oem", "make the OEM partition anew", (Unmount(OEM), MakeFileSystem(node, kind, LABELS["oem"])), again=again, standing=(Mount(node, OEM, kind),),
                           notes=("its configuration is gone then",)))
    node, kind = disk.need("persistent").node, _kind(disk, "persistent")
    if options.erase_persistent:
        found.append(Phase("persistent", "erase the persistent partition", (Unmount(PERSISTENT), MakeFileSystem(node, kind, LABELS["persistent"]), Remove(f"{OEM}/.kairos/steps")),
                           again=again, standing=(Mount(node, PERSISTENT, kind),)))
    else:
        found.append(Phase("persistent", "keep the persistent partition", again=again, standing=(Mount(node, PERSISTENT, kind),)))
    return found


def _kind(disk: NodeDisk, name: str) -> str:
    return disk.need(name).fstype if disk.need(name).fstype in ("ext2", "ext3", "ext4") else "ext4"


def _must_be_possible(host: Host, disk: NodeDisk, options: Options, recovery: Role, program: str) -> None:
    """KairosError: recovery's system would not start or does not fit, a partition is locked, or nobody here can make its file system."""
    accepted(host, authenticode.read(host.path(loader.EFI + recovery.program)))
    left = sum(roles.size_of(host, path) for path in RemoveUnused().unused(host))
    room = survey.room(host.path(loader.EFI)) + left
    if program.lower() not in loader.used(host) and room < recovery.size + SPARE:
        raise KairosError(f"the recovery system ({recovery.size >> 20} MiB) is bigger than the free space of the EFI system partition ({room >> 20} MiB)", loader.EFI, "remove what does not belong there")
    for name, wanted in (("oem", options.erase_oem), ("persistent", True)):
        part = disk.need(name) if wanted else None
        must_be_unlocked(part, name)
        tool = f"mkfs.{_kind(disk, name)}"
        if wanted and not any(host.exists(f"{directory}/{tool}") for directory in ("/usr/sbin", "/sbin", "/usr/bin")):
            raise KairosError(f"the program {tool} is not in this system", disk.need(name).node, "build it with that program")
