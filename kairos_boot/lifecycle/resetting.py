"""A reset from its beginning to its end: survey, checks, marker, phases, and what a failure leaves behind."""

from __future__ import annotations

import os

from kairos_boot.actions.image_file import CheckImage
from kairos_boot.actions.remove import Remove
from kairos_boot.boot.failures import LIST
from kairos_boot.boot.resume import ENTRY, SENT
from kairos_boot.errors import Explained, KairosError
from kairos_boot.lifecycle import ending, marker, sources, survey
from kairos_boot.lifecycle.assessment import KNOWN, TRIAL
from kairos_boot.lifecycle.bootloader import SetVariables
from kairos_boot.lifecycle.examined import tell_of_size
from kairos_boot.lifecycle.finish import PLANNED, RECORD, ClearMarker, KeepRecord, NoteEvent
from kairos_boot.lifecycle.missing import sizes
from kairos_boot.lifecycle.phases import Broken, Engine, Phase, must_be_met, plan
from kairos_boot.lifecycle.reset import ACTION, OEM, PERSISTENT, STATE, Options, phases
from kairos_boot.lifecycle.reset_room import look
from kairos_boot.lifecycle.wired import Surroundings, ended
from kairos_boot.node.mode import RECOVERY_WORDS, boot_word
from kairos_boot.node.settings import mapping
from kairos_boot.node.state import release
from kairos_boot.records import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from kairos_boot.lifecycle.sources import Source
    from kairos_boot.lifecycle.wired import Node, Outcome
    from kairos_boot.node.config import Config
    from kairos_boot.node.partitions import NodeDisk
    from kairos_boot.stages.runner import Log
    from kairos_boot.system.host import Host

CUTS = 5
"""So often a phase may be cut short before nobody tries it any more."""
MEND_SECONDS = 600.0
KEPT = "/oem/.kairos/reset"
"""Where the record of a reset that failed is kept."""


def reset(wired: Node, asked: Mapping[str, bool]) -> Outcome:
    """Reset the node. Refused: nothing was changed. Broken: it failed half-way; the boot after it goes on, once more."""
    host = wired.host
    if boot_word(host) not in RECOVERY_WORDS:
        raise KairosError("a reset runs in the recovery system", hint="kairos-boot reset --next-boot, and reboot: the next boot does it")
    release_lock = wired.lock()
    ending.forget(host)
    again = False
    try:
        with Explained("the reset cannot go on"):
            config = wired.config()
            disk = wired.disk()
            _mount_state(wired, disk)
            found = _found(host.path(STATE))
            mark = marker.Marker(host.path(STATE), ENTRY, _begun(found, asked))
            try:
                with Explained("the reset cannot go on"):
                    outcome = _run(wired, config, disk, mark, resumed=_goes_on(found))
            except KairosError as error:
                again = _failed(wired, mark, error, None if _goes_on(found) else found)
                raise
    except KairosError as error:
        wired.log(3, f"the reset failed: {error}", kind="failure", stage=ACTION)
        KeepRecord(wired.ledger, KEPT).apply(host)
        ending.note_failure(host, error, again=again)
        raise
    else:
        ending.note_done(host)
        return outcome
    finally:
        release_lock()


def _found(state: str) -> marker.Begun | None:
    """What was begun before. KairosError: that is not to be read, and whether persistent data was to be kept is not known; GRUB need not come back here."""
    try:
        return marker.load(state)
    except KairosError:
        marker.forget_entry(state)
        raise


def _goes_on(found: marker.Begun | None) -> bool:
    """Whether a reset was begun and is to be ended."""
    return found is not None and found.action == ACTION and not found.failed


def _run(wired: Node, config: Config, disk: NodeDisk, mark: marker.Marker, *, resumed: bool) -> Outcome:
    host = wired.host
    settings = survey.section(config, ACTION, mark.begun.options)
    if mark.begun.cuts >= CUTS:
        raise KairosError(f"it was cut short {mark.begun.cuts} times in the phase {mark.started!r}", hint="find out what ends it: power, memory, a watchdog")
    survey.must_be_of_one_mind(config)
    options = _options(host, settings, config)
    source = _source(host, options)
    todo = _phases(wired, disk, source, options)
    engine = Engine(ACTION, host, wired.ledger, wired.log)
    tell_of_size(wired.log, source, options.size, "reset.system.size")
    engine.check([phase for phase in todo if phase.name not in mark.done])
    if not survey.admins(config):
        wired.log(4, "no user of the configuration is in the group admin: nobody may be able to log in after the reset", kind="warning", stage=ACTION)
    wired.log(5, "an interrupted reset goes on" if resumed else "the reset begins", kind="action", stage=ACTION)
    mark.arm()
    _arrived(wired)
    failures = engine.run(todo, mark)
    return ended(failures, settings)


def _arrived(wired: Node) -> None:
    """The boot that handed on to the reset has reached it: how often it did so counts from the beginning again."""
    handed_on = SetVariables(f"{OEM}/grubenv", {SENT: None})
    try:
        handed_on.apply(wired.host)
    except KairosError as error:
        wired.log(4, str(error), kind="warning", stage=ACTION)


def settled(wired: Node, asked: Mapping[str, bool]) -> Options:
    """The options of a reset that is asked for so: those of one that it goes on with, the documents'. KairosError: these contradict each other."""
    from contextlib import contextmanager

    config = wired.config()
    survey.must_be_of_one_mind(config)
    found = None
    try:
        with contextmanager(survey.looked_at)(wired.disk().need("state"), "state") as state:
            found = marker.load(state)
    except KairosError as error:  # the reset mends what it can, and refuses the rest
        wired.log(4, str(error), kind="warning", stage=ACTION)
    return _options(wired.host, survey.section(config, ACTION, _begun(found, asked).options), config)


def plan_of(wired: Node, asked: Mapping[str, bool]) -> list[dict[str, Any]]:
    """What a reset of this node would do; in any system of it. KairosError: it cannot be known. Refused: a reset would be refused before it begins."""
    from contextlib import contextmanager

    looked = contextmanager(survey.looked_at)
    host = wired.host
    config = wired.config()
    survey.must_be_of_one_mind(config)
    disk = wired.disk()
    with looked(disk.need("state"), "state") as state, looked(disk.need("recovery"), "recovery") as recovery:
        begun = marker.load(state)
        options = _options(host, survey.section(config, ACTION, _begun(begun, asked).options), config)
        if options.source or host.exists(sources.RECOVERY[0]) or not os.path.exists(f"{recovery}/cOS/recovery.img"):
            source = _source(host, options)
        else:  # as it will be found in the recovery system
            source = sources.Source(sources.RECOVERY[0], False, survey.blocks(f"{recovery}/cOS/recovery.img"))
        todo = _phases(wired, disk, source, options, state)
        done = begun.done if begun is not None and _goes_on(begun) else ()
        asked_now = todo
        if not host.exists(source.path):
            CheckImage(f"{recovery}/cOS/recovery.img", wired.progress("check the image")).apply(host)
            asked_now = _phases(wired, disk, replace(source, path=""), options, state)
        must_be_met(host, [phase for phase in asked_now if phase.name not in done])
    return plan(ACTION, todo, done)


def remove_state(wired: Node, what: Sequence[str]) -> list[str]:
    """Remove state directories of the persistent partition, in recovery; a line for each that was there. KairosError: not in this system."""
    from kairos_boot.actions.mounts import Mount

    host = wired.host
    if boot_word(host) not in RECOVERY_WORDS:
        raise KairosError("the state directories are in use in this system", hint="boot the recovery entry, and call it there")
    release_lock = wired.lock()
    try:
        part = wired.disk().need("persistent")
        Mount(part.node, PERSISTENT, part.fstype).apply(host)
        actions = [Remove(PERSISTENT, content=True)] if "all" in what else [Remove(f"{PERSISTENT}/.{name}") for name in what]
        return [action.describe() for action in actions if action.apply(host)]
    finally:
        release_lock()


def _source(host: Host, options: Options) -> Source:
    return sources.find(host, options.source, "reset.system.source") if options.source else sources.recovery(host)


def _phases(wired: Node, disk: NodeDisk, source: Source, options: Options, state: str = STATE) -> list[Phase]:
    origin = sources.origin(source)
    trial = SetVariables(f"{STATE}/grubenv", {"boot_tries": None, "fallback_tries": None, "resume_tries": None, TRIAL: ACTION})
    chosen = SetVariables(f"{OEM}/grubenv", {"next_entry": None, "saved_entry": None, SENT: None, LIST: None})
    finish = (trial, Remove(f"{STATE}/{KNOWN}"), chosen, Remove(f"{OEM}/{PLANNED.format(entry='active')}"), NoteEvent(PERSISTENT, "last-reset", origin), KeepRecord(wired.ledger, f"{PERSISTENT}/{RECORD}"),
              ClearMarker(STATE))
    around = Surroundings(wired.emit, wired.steps, wired.progress, finish)
    return phases(disk, source, options, around, look(wired.host, state))


def _mount_state(wired: Node, disk: NodeDisk) -> None:
    """COS_STATE, writable. What its journal cannot mend is mended before it is mounted."""
    from kairos_boot.actions.mounts import Mount

    part = disk.need("state")
    fstype = part.fstype or "ext4"
    if fstype.startswith("ext"):
        mend(wired.host, wired.log, part.node)
    try:
        Mount(part.node, STATE, fstype).apply(wired.host)
    except KairosError as error:
        raise KairosError(error.message, error.where, f"mend it: e2fsck -y {part.node}; or make it anew, since a reset fills it: mkfs.ext4 -L COS_STATE {part.node}") from error


def mend(host: Host, log: Log, node: str) -> None:
    """Have e2fsck mend the file system of *node*, and tell what it did or could not do. Whether it can be used the mount says."""
    try:
        result = host.processes.run(("e2fsck", "-p", node), timeout=MEND_SECONDS)
    except KairosError as error:
        log(4, f"{node} was not checked before it is mounted: {error}", kind="warning", stage=ACTION)
        return
    said = result.output.strip()[-600:]
    if result.code == 1 and not result.timed_out:
        log(5, f"e2fsck mended {node}: {said}", kind="warning", stage=ACTION)
    elif result.code or result.timed_out:
        log(4, f"e2fsck could not mend {node}: {result.explain(MEND_SECONDS)}: {said}", kind="warning", stage=ACTION)


def _begun(found: marker.Begun | None, asked: Mapping[str, bool]) -> marker.Begun:
    """What this run begins or goes on with: an interrupted reset keeps the options that it was asked with."""
    if found is None or not _goes_on(found):
        return marker.Begun(ACTION, dict(asked))
    resumed: marker.Begun = replace(found, cuts=found.cuts + bool(found.started), options={**found.options, **asked})
    return resumed


def _options(host: Host, settings: Mapping[str, Any], config: Config) -> Options:
    system = mapping(settings.get("system"))
    size = system.get("size")
    source = system.get("source") or system.get("uri") or ""
    name = settings.get("grub-entry-name") or release(host).get("grub_entry_name", "")
    return Options(settings.get("reset-persistent") is not False, settings.get("reset-oem") is True, settings.get("strict") is not False,
                   str(source), size << 20 if isinstance(size, int) else 0, str(name), sizes(config.settings.data))


def _failed(wired: Node, mark: marker.Marker, error: KairosError, before: marker.Begun | None) -> bool:
    """What failed half-way is tried once more by the next boot: True. Before anything was changed it is over, and the marker is what it was *before*."""
    try:
        if not mark.done:
            mark.withdraw(before)
        elif isinstance(error, Broken) and mark.begun.failures + 1 < marker.TRIES:
            mark.again()
            return True
        else:
            mark.fail(str(error))
    except KairosError as fault:
        wired.log(3, f"what becomes of the reset cannot be noted: {fault}", kind="failure", stage=ACTION)
    return False
