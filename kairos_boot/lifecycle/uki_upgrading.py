"""An upgrade of a node that is one signed file, from its beginning to its end: what is asked, checks, marker, phases, and what the boot after a cut does."""

from __future__ import annotations

import os
from contextlib import contextmanager

from kairos_boot.actions.filesystem import Remount
from kairos_boot.boot.resume import MARKER
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import marker, roles, signature, sources, standing, survey
from kairos_boot.lifecycle.assessment import boot_of
from kairos_boot.lifecycle.finish import NoteEvent
from kairos_boot.lifecycle.phases import Broken, Engine, Memory, Phase, must_be_met, plan
from kairos_boot.lifecycle.resetting import CUTS
from kairos_boot.lifecycle.uki_upgrade import ACTION, MARKER_PLACE, Change, New, change_of, closing, find, opening, passive_entry, phases
from kairos_boot.lifecycle.upgrading import key_of, must_be_a_node, options_of, source_of, tell
from kairos_boot.lifecycle.wired import Outcome, Surroundings, ended
from kairos_boot.node import loader
from kairos_boot.node.mode import RECOVERY_WORDS, boot_word
from kairos_boot.node.sections import understood
from kairos_boot.records import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from kairos_boot.actions.base import Action
    from kairos_boot.actions.filesystem import Unmount
    from kairos_boot.lifecycle.standing import Uncover
    from kairos_boot.lifecycle.upgrade import Options
    from kairos_boot.lifecycle.wired import Node
    from kairos_boot.node.config import Config
    from kairos_boot.system.host import Host

OEM = "/oem"
EVENTS = {"active": "last-active-upgrade", "recovery": "last-recovery-upgrade"}


def upgrade(wired: Node, asked: Mapping[str, Any]) -> Outcome:
    """Upgrade the node. Refused: nothing was changed. Broken: it failed; what is left is told, or that the next boot ends it."""
    must_be_a_node(wired.host)
    free = wired.lock()
    try:
        config = wired.config()
        survey.must_be_of_one_mind(config)
        settings = survey.section(config, ACTION, asked)
        options = _options(settings)
        with contextmanager(_opened)(wired):
            end_what_was_begun(wired)
            return _run(wired, config, options, settings)
    finally:
        free()


def _run(wired: Node, config: Config, options: Options, settings: Mapping[str, Any]) -> Outcome:
    host = wired.host
    _must_have_oem(host)
    known = roles.known(host)
    source = sources.find(host, source_of(options), key_of(options), fetch=True, insecure=options.insecure)
    signature.verify(host, understood(config.settings, ACTION), source)
    new = find(host, source, options.entry) if source.arrived else New(f"the system of {source.named}", source.size)
    _change(host, known, options, new)  # an entry that is not there is told before anything is fetched
    engine = Engine(ACTION, host, wired.ledger, wired.log)
    before = engine.run([opening(wired.emit)], Memory())
    if not source.arrived:
        source = sources.bring(engine, source, wired.progress, system=False)
        new = find(host, source, options.entry)
    origin = sources.origin(source)
    if _is_there(host, known.get(options.entry), new):
        sources.forget(host, wired.log, ACTION, layers=True)
        _must_not_have_failed(host, known.get(options.entry), origin)
        wired.log(5, f"the {options.entry} system is the one of {origin} already: there is nothing to do", kind="action", stage=ACTION)
        return Outcome(tuple(before))
    change = _change(host, known, options, new)
    todo = _phases(wired, options, known, change, new, origin)
    engine.check(todo)
    _tell_of_what_does_nothing(wired, options)
    if not survey.admins(config):
        wired.log(4, "no user of the configuration is in the group admin: nobody may be able to log in after the upgrade", kind="warning", stage=ACTION)
    about = {name: getattr(change, name) for name in ("entry", "program", "title", "passive", "why", "lines")}
    mark = marker.Marker(host.path(MARKER_PLACE), "", marker.Begun(ACTION, {**about, "olds": list(change.olds), "origin": origin, "boot": boot_of(host)}))
    wired.log(5, f"the upgrade of the {options.entry} system begins, from {origin}", kind="action", stage=ACTION)
    try:
        failures = engine.run(todo, mark)
    except BaseException as error:
        _failed(wired, change, mark, error)
        raise
    sources.forget(host, wired.log, ACTION, layers=True)
    wired.log(5, f"Upgrade completed: the next boot of the {options.entry} system is the new one ({origin})", kind="action", stage=ACTION)
    return ended([*before, *failures], settings)


def plan_of(wired: Node, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What an upgrade of this node would do. KairosError: it cannot be known. Refused: an upgrade would be refused before it begins."""
    host = wired.host
    must_be_a_node(host)
    config = wired.config()
    survey.must_be_of_one_mind(config)
    options = _options(survey.section(config, ACTION, asked))
    _must_have_oem(host)
    known = roles.known(host)
    source = sources.find(host, source_of(options), key_of(options), fetch=True, insecure=options.insecure)
    new = find(host, source, options.entry) if source.arrived else New(f"the system of {source.named}", source.size)
    change = _change(host, known, options, new)
    if _is_there(host, known.get(options.entry), new):
        _must_not_have_failed(host, known.get(options.entry), sources.origin(source))
        return plan(ACTION, [Phase("nothing", f"nothing: the {options.entry} system is the one of {sources.origin(source)} already", again="nothing is left to do")])
    todo = _phases(wired, options, known, change, new, sources.origin(source))
    must_be_met(host, todo)
    return plan(ACTION, [*signature.phases(host, understood(config.settings, ACTION), source), opening(wired.emit),
                         *sources.source_phases(source, wired.progress, system=False), *todo])


def settle(wired: Node) -> str:
    """End or undo an upgrade that a cut ended, in the boot after it; what was done, or nothing where there was none."""
    if marker.load(wired.host.path(MARKER_PLACE)) is None:
        return ""
    free = wired.lock()
    try:
        with contextmanager(_opened)(wired):
            return end_what_was_begun(wired)
    finally:
        free()


def end_what_was_begun(wired: Node) -> str:
    """Before the switch: what it left goes. From its beginning on: what is left to do is done. KairosError: the disk fails."""
    host, place = wired.host, wired.host.path(MARKER_PLACE)
    begun = marker.load(place)
    if begun is None or begun.action != ACTION or begun.failed:
        return ""
    change = _noted(begun.options)
    if "switch" not in (*begun.done, begun.started):
        said = f"an upgrade was cut short before the new system was in place: what it left was removed, and {_undone(wired, change, begun.done, begun.started)}"
        tell(wired, said, "upgrade again")
        return said
    mark = marker.Marker(place, "", replace(begun, cuts=begun.cuts + bool(begun.started)))
    engine = Engine(ACTION, host, wired.ledger, wired.log)
    given_up = mark.give_up(CUTS)
    if given_up:
        engine.give_up(given_up, mark.failed_before[-1], "do by hand what it was to do: docs/trusted-boot.md")
    todo = closing(change, wired.emit, _note(host, change.entry, str(begun.options.get("origin") or "")), rotated=True, resumed=True)
    failures = engine.run(todo, mark)
    said = f"an upgrade was cut short behind its switch: the {change.entry} system is the new one, and the rest was done now" + (f", but for the phase {given_up}" if given_up else "")
    tell(wired, said + "".join(f"; {failure}" for failure in failures), "")
    return said


def _failed(wired: Node, change: Change, mark: marker.Marker, error: BaseException) -> None:
    """Before the switch nothing is left of it; behind it the next boot ends it."""
    if "switch" in (*mark.done, mark.begun.started):
        wired.log(4, f"the {change.entry} system is the new one, or about to be; the next boot ends the upgrade", kind="warning", stage=ACTION)
        return
    stands = _undone(wired, change, mark.done, mark.begun.started)
    if isinstance(error, Broken):
        wired.log(3, f"the upgrade failed, and {stands}: {error}", kind="failure", stage=ACTION)


def _undone(wired: Node, change: Change, done: Sequence[str], started: str) -> str:
    """Take away what an upgrade left that ended before its switch; what the node's systems are then."""
    passive = "passive" in (*done, started)
    try:
        if passive:
            passive_entry(change).apply(wired.host)  # a cut may have left two of them
        roles.RemoveUnused(change.olds).apply(wired.host)
        marker.clear(wired.host.path(MARKER_PLACE))
    except KairosError as fault:  # the next boot finds the marker, and undoes the rest
        wired.log(4, str(fault), kind="warning", stage=ACTION)
    sources.forget(wired.host, wired.log, ACTION, layers=False)
    return "the active system is as it was, and the passive one is what was active, too: the old passive system is gone" if passive else "the systems are as they were"


def _opened(wired: Node) -> Iterator[None]:
    """The ESP writable, and in recovery the persistent partition mounted, while it lasts. For `contextlib.contextmanager`. KairosError: it cannot be mounted."""
    host = wired.host
    undo: list[Remount | Unmount | Uncover] = []

    def say(text: str) -> None:
        wired.log(5, text, kind="action", stage=ACTION)

    try:
        if Remount(loader.EFI).apply(host):
            undo.append(Remount(loader.EFI, writable=False))
        if boot_word(host) in RECOVERY_WORDS:
            standing.persistent(host, wired.disk(), undo, say)
        yield
    finally:
        standing.take_back(host, undo, say)


def _options(settings: Mapping[str, Any]) -> Options:
    """The options; the entry is one of the menu, by any of its names."""
    options = options_of(settings, others=True)
    named = loader.parse(options.entry)
    entry = (named.name if named else options.entry).replace(" ", "_")
    return replace(options, entry=loader.ROLES.get(entry, entry))  # type: ignore[no-any-return]


def _change(host: Host, known: dict[str, roles.Role], options: Options, new: New) -> Change:
    return change_of(host, known, options.entry, new, runs_passive=boot_word(host) == "passive_boot", title=options.entry_name)


def _phases(wired: Node, options: Options, known: dict[str, roles.Role], change: Change, new: New, origin: str) -> list[Phase]:
    host = wired.host
    passive = known.get("passive")
    alone = passive is not None and [role.program.lower() for role in known.values()].count(passive.program.lower()) == 1
    around = Surroundings(wired.emit, wired.steps, wired.progress, tuple(_note(host, options.entry, origin)))
    left = roles.RemoveUnused().unused(host)  # of an earlier upgrade, which goes first
    room = survey.room(host.path(loader.EFI)) + sum(roles.size_of(host, path) for path in left)
    return phases(host, change, new, around, room, passive.size if passive is not None and alone else 0, strict=options.strict, opens=_is_encrypted(wired))


def _is_encrypted(wired: Node) -> bool:
    try:
        return bool(wired.disk().encrypted)
    except KairosError as error:  # a node whose disk is not known was never encrypted by us, and an upgrade needs no partition but the ESP
        wired.log(4, f"whether partitions are encrypted is not known: {error}", kind="warning", stage=ACTION)
        return False


def _note(host: Host, entry: str, origin: str) -> list[Action]:
    if entry in EVENTS and os.path.ismount(host.path(standing.PERSISTENT)):
        return [NoteEvent(standing.PERSISTENT, EVENTS[entry], origin)]
    return []


def _noted(options: Mapping[str, Any]) -> Change:
    """The change that stands in a marker. KairosError: it is damaged."""
    lines, olds = options.get("lines"), options.get("olds")
    texts = {name: str(options.get(name) or "") for name in ("entry", "program", "title", "passive", "why")}
    if not texts["entry"] or not texts["program"] or not isinstance(lines, dict) or not isinstance(olds, list):
        raise KairosError("the marker of the action is damaged", f"{MARKER_PLACE}/{MARKER}", "remove it, and upgrade again")
    return Change(**texts, olds=tuple(map(str, olds)), lines={str(key): str(value) for key, value in lines.items()})


def _is_there(host: Host, role: roles.Role | None, new: New) -> bool:
    """Whether *role* is that very program, and whole; a damaged one is written anew."""
    return role is not None and bool(new.digest) and role.size == new.size and roles.file_digest(host.path(loader.EFI + role.program)) == new.digest


def _must_not_have_failed(host: Host, role: roles.Role | None, origin: str) -> None:
    """KairosError: *role*, which is that of *origin*, has no tries left: written again it would be the same."""
    if role is not None and role.entry.left == 0:
        raise KairosError(f"the {role.entry.name} system is the one of {origin} already, and it was started in vain", host.path(loader.ENTRIES),
                          f"name another source; kairos-boot bootentry --select {role.entry.word} tries it once more")


def _must_have_oem(host: Host) -> None:
    if not os.access(host.path(OEM), os.W_OK):  # the root below is read-only
        raise KairosError("COS_OEM is not mounted, or not writable: the upgrade could not be noted, and not be ended after a cut", OEM, "see why: kairos-boot status")


def _tell_of_what_does_nothing(wired: Node, options: Options) -> None:
    for key, given in (("size", options.size), ("extra-dirs-rootfs", options.directories), ("excluded-paths", options.removed)):
        if given:
            tell(wired, f"upgrade: {key} does nothing here: a signed system is taken as it is", "leave it out")

