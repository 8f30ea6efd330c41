"""An upgrade from its beginning to its end: what is asked, checks, marker, phases, what a failure leaves, and what the boot after a cut does."""

from __future__ import annotations

import os
from contextlib import contextmanager

from kairos_boot.actions.image_file import CheckImage
from kairos_boot.actions.remove import Remove
from kairos_boot.boot.extensions import COMMON, CONFEXT, SYSEXT
from kairos_boot.boot.failures import LIST
from kairos_boot.boot.resume import MARKER
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import extensions, marker, signature, sources, standing, survey
from kairos_boot.lifecycle.assessment import SINCE, TRIAL, boot_of
from kairos_boot.lifecycle.bootloader import SetVariables
from kairos_boot.lifecycle.examined import system_in, tell_of_size
from kairos_boot.lifecycle.finish import PLANNED, RECORD, ClearMarker, KeepRecord, NoteEvent
from kairos_boot.lifecycle.phases import Broken, Engine, Phase, must_be_met, plan
from kairos_boot.lifecycle.resetting import CUTS
from kairos_boot.lifecycle.switching import origin_of
from kairos_boot.lifecycle.upgrade import ACTION, EVENTS, TRANSITION, End, Options, Place, closing, phases, temporaries
from kairos_boot.lifecycle.wired import Outcome, Surroundings, ended
from kairos_boot.node import grubenv
from kairos_boot.node.mode import RECOVERY_WORDS, boot_word
from kairos_boot.node.sections import understood
from kairos_boot.node.settings import mapping
from kairos_boot.records import replace
from kairos_boot.system.host import Host
from kairos_boot.system.identity import os_release

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from kairos_boot.actions.base import Action
    from kairos_boot.lifecycle.sources import Source
    from kairos_boot.lifecycle.standing import Open
    from kairos_boot.lifecycle.wired import Node
    from kairos_boot.node.config import Config
    from kairos_boot.node.partitions import NodeDisk

OEM = "/oem"
opened = contextmanager(standing.opened)


def upgrade(wired: Node, asked: Mapping[str, Any]) -> Outcome:
    """Upgrade the node. Refused: nothing was changed. Broken: it failed; what is left is told, or that the next boot ends it."""
    must_be_a_node(wired.host)
    free = wired.lock()
    try:
        config = wired.config()
        survey.must_be_of_one_mind(config)
        settings = survey.section(config, ACTION, asked)
        options = options_of(settings)
        with opened(wired.host, wired.disk(), options.entry, lambda text: wired.log(5, text, kind="action", stage=ACTION)) as place:
            return _run(wired, config, options, settings, place)
    finally:
        free()


def _run(wired: Node, config: Config, options: Options, settings: Mapping[str, Any], place: Open) -> Outcome:
    host = wired.host
    _end_what_was_begun(wired, place)
    source = sources.find(host, source_of(options), key_of(options), fetch=True, insecure=options.insecure)
    signature.verify(host, understood(config.settings, ACTION), source)
    image, origin = f"{place.images}/cOS/{options.entry}.img", sources.origin(source)
    engine = Engine(ACTION, host, wired.ledger, wired.log)
    there = _is_there(host, image, origin)
    if not there:
        source, asked = sources.bring(engine, source, wired.progress), origin
        origin = sources.origin(source)
        there = origin != asked and _is_there(host, image, origin)  # the digest of an archive is known only now
    if there:
        sources.forget(host, wired.log, ACTION, layers=True)
        _must_not_have_failed(host, place, options.entry, origin)
        wired.log(5, f"the {options.entry} system is made of {origin} already: there is nothing to do", kind="action", stage=ACTION)
        return Outcome()
    known = standing.place_of(host, options.entry, place.state, place.images)
    now = wired.disk()
    todo = phases(known, source, options, _around(wired), _end(wired, place, options.entry, known.passive, origin, options.entry_name), _to_refresh(now), opens=now.encrypted)
    tell_of_size(wired.log, source, options.size, key_of(options).replace("source", "size"))
    engine.check(todo)
    if not survey.admins(config):
        wired.log(4, "no user of the configuration is in the group admin: nobody may be able to log in after the upgrade", kind="warning", stage=ACTION)
    _tell_of_extensions(wired, source, options.entry)
    about = {"entry": options.entry, "origin": origin, "passive": known.passive, "why": known.why, "entry_name": options.entry_name, "boot": boot_of(host)}
    mark = marker.Marker(place.state, "", marker.Begun(ACTION, about))
    wired.log(5, f"the upgrade of the {options.entry} system begins, from {origin}", kind="action", stage=ACTION)
    try:
        failures = engine.run(todo, mark)
    except BaseException as error:
        _failed(wired, place, options.entry, mark, error)
        raise
    sources.forget(host, wired.log, ACTION, layers=True)
    wired.log(5, f"Upgrade completed: the next boot of the {options.entry} system is the new one ({origin})", kind="action", stage=ACTION)
    if options.entry == "active":
        wired.log(5, "the recovery system is another matter: upgrade --recovery", kind="action", stage=ACTION)
    return ended(failures, settings)


def plan_of(wired: Node, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What an upgrade of this node would do. KairosError: it cannot be known. Refused: an upgrade would be refused before it begins."""
    look = contextmanager(survey.looked_at)
    host = wired.host
    must_be_a_node(host)
    config = wired.config()
    survey.must_be_of_one_mind(config)
    options = options_of(survey.section(config, ACTION, asked))
    disk = wired.disk()
    source = sources.find(host, source_of(options), key_of(options), fetch=True, insecure=options.insecure)
    origin = sources.origin(source)
    with look(disk.need("state"), "state") as state, look(disk.need(_partition(options.entry)), "images") as images:
        place = standing.Open(state, images)
        begun = marker.load(state)
        _must_not_be_a_reset(begun, state)
        if _is_there(host, f"{images}/cOS/{options.entry}.img", origin):
            _must_not_have_failed(host, place, options.entry, origin)
            return plan(ACTION, [Phase("nothing", f"nothing: the {options.entry} system is made of {origin} already", again="nothing is left to do")])
        known = standing.place_of(host, options.entry, state, images)
        if begun is not None and not begun.failed:  # what an upgrade left that was cut short goes first
            known = replace(known, room=known.room + sum(survey.blocks(path) for path in temporaries(images)))
        todo = phases(known, source, options, _around(wired), _end(wired, place, options.entry, known.passive, origin, options.entry_name), _to_refresh(disk), opens=disk.encrypted)
        must_be_met(host, todo)
        return plan(ACTION, [*signature.phases(host, understood(config.settings, ACTION), source), *sources.source_phases(source, wired.progress), *todo])


def settle(wired: Node) -> str:
    """End or undo an upgrade that a cut ended, in the boot after it; what was done, or nothing where there was none."""
    begun = marker.load(wired.host.path(standing.STATE_MOUNT))
    if begun is None or begun.action != ACTION:
        return ""
    free = wired.lock()
    try:
        entry = str(begun.options.get("entry") or "active")
        with opened(wired.host, wired.disk(), entry, lambda text: wired.log(5, text, kind="action", stage=ACTION)) as place:
            return _end_what_was_begun(wired, place)
    finally:
        free()


def _must_not_be_a_reset(begun: marker.Begun | None, state: str) -> None:
    """KairosError: what was *begun*, and is to be ended first, is one."""
    if begun is not None and not begun.failed and begun.action != ACTION:
        raise KairosError("a reset of this node was begun and is to be ended first", f"{state}/{MARKER}", "choose the entry statereset in the boot menu")


def _end_what_was_begun(wired: Node, place: Open) -> str:
    """Before the rename: its files go. After it: what is left to do is done. KairosError: a reset is to be ended first, or the disk fails."""
    host = wired.host
    begun = marker.load(place.state)
    if begun is None or begun.failed:
        return ""
    _must_not_be_a_reset(begun, place.state)
    entry = "recovery" if begun.options.get("entry") == "recovery" else "active"
    images = f"{place.images}/cOS"
    if not ("switch" in begun.done or (begun.started == "switch" and not os.path.exists(f"{images}/{TRANSITION}"))):
        for path in temporaries(place.images):
            Remove(path).apply(host)
        marker.clear(place.state)
        sources.forget(host, wired.log, ACTION, layers=False)
        said = f"an upgrade was cut short before the new system was in place: what it left was removed, and {_stands(begun.done, begun.started)}"
        tell(wired, said, "upgrade again")
        return said
    mark = marker.Marker(place.state, "", replace(begun, cuts=begun.cuts + bool(begun.started)))
    engine = Engine(ACTION, host, wired.ledger, wired.log)
    given_up = mark.give_up(CUTS)
    if given_up:
        engine.give_up(given_up, mark.failed_before[-1], "do by hand what it was to do: docs/upgrade.md")
    known = Place(place.images, 0, str(begun.options.get("passive") or "keep"), str(begun.options.get("why") or ""))
    end = _end(wired, place, entry, known.passive, str(begun.options.get("origin") or ""), str(begun.options.get("entry_name") or ""), resumed=begun.options.get("boot") != boot_of(host))
    failures = engine.run(closing(known, entry, wired.emit, end), mark)
    said = f"an upgrade was cut short behind its switch: the {entry} system is the new one, and the rest was done now" + (f", but for the phase {given_up}" if given_up else "")
    tell(wired, said + "".join(f"; {failure}" for failure in failures), "")
    return said


def tell(wired: Node, said: str, hint: str) -> None:
    """A warning, in the log and in the record."""
    wired.ledger.write("problem", stage=ACTION, severity="warning", where="", message=said, hint=hint)
    wired.log(4, said, kind="warning", stage=ACTION)


def _tell_of_extensions(wired: Node, source: Source, entry: str) -> None:
    """Which of the node's extensions the new system would not have: they stay, and nobody else says so before it runs."""
    host, states = wired.host, (entry, COMMON)
    if not any(extensions.names(host, kind, state) for kind in (SYSEXT, CONFEXT) for state in states):
        return
    with contextmanager(system_in)(host, source, wired.progress) as tree:
        for said in extensions.left_behind(host, os_release(Host(tree)), states):
            tell(wired, said, "install one that is made for the new system")


def _failed(wired: Node, place: Open, entry: str, mark: marker.Marker, error: BaseException) -> None:
    """Before the switch nothing is left of it; behind it the next boot ends it."""
    if "switch" in mark.done or (mark.begun.started == "switch" and not os.path.exists(f"{place.images}/cOS/{TRANSITION}")):
        wired.log(4, f"the {entry} system is the new one already; the next boot ends the upgrade", kind="warning", stage=ACTION)
        return
    for path in temporaries(place.images):
        try:
            Remove(path).apply(wired.host)
        except KairosError as fault:
            wired.log(4, str(fault), kind="warning", stage=ACTION)
    try:
        marker.clear(place.state)
    except KairosError as fault:  # that it failed is what is told; the next boot finds the marker, and undoes it
        wired.log(4, str(fault), kind="warning", stage=ACTION)
    sources.forget(wired.host, wired.log, ACTION, layers=False)
    if isinstance(error, Broken):
        wired.log(3, f"the upgrade failed, and {_stands(mark.done, mark.begun.started)}: {error}", kind="failure", stage=ACTION)


def _stands(done: Sequence[str], started: str) -> str:
    """What an upgrade leaves that ended before its switch, by its phases."""
    if "passive" in done:
        return "the active system is as it was, and the passive one is what was active, too: the old passive system is gone"
    return "the systems are as they were" + (", or the passive one is what was active, too" if started == "passive" else "")


def _end(wired: Node, place: Open, entry: str, passive: str, origin: str, name: str, *, resumed: bool = False) -> End:
    """What follows the switch. Of a boot of the new system itself the count of its starts stays."""
    host = wired.host
    actions: list[Action] = [Remove(f"{OEM}/{PLANNED.format(entry=entry)}")]
    if entry == "active":
        runs = boot_word(host) == "active_boot"
        counts: dict[str, str | None] = {} if resumed and runs else {"boot_tries": None}
        counts[SINCE] = boot_of(host) if runs and not resumed else None
        if passive != "keep":
            counts["fallback_tries"] = None
        chosen: dict[str, str | None] = {"next_entry": None, "saved_entry": None, LIST: None}
        titled: dict[str, str | None] = {"default_menu_entry": name} if name else {}
        on_oem = host.exists(f"{OEM}/grubenv")  # the boot loader reads COS_STATE's first, then this one
        actions.append(SetVariables(f"{place.state}/grubenv", {**counts, **chosen, **({} if on_oem else titled), TRIAL: ACTION}))
        if on_oem:
            actions.append(SetVariables(f"{OEM}/grubenv", {**chosen, **titled}))
    if host.is_directory(standing.PERSISTENT) and os.path.ismount(host.path(standing.PERSISTENT)):
        actions.append(NoteEvent(standing.PERSISTENT, EVENTS[entry], origin))
        record = f"{standing.PERSISTENT}/{RECORD}" if boot_word(host) in RECOVERY_WORDS else ""
        if record:
            actions.append(KeepRecord(wired.ledger, record))
    return End(origin, tuple(actions), (ClearMarker(place.state),))


def _around(wired: Node) -> Surroundings:
    return Surroundings(wired.emit, wired.steps, wired.progress)


def must_be_a_node(host: Host) -> None:
    """KairosError: what runs is no system of an installed node."""
    word = boot_word(host)
    if word not in standing.SYSTEMS:
        raise KairosError(f"cannot upgrade from live media/unknown boot state ({word})", hint="boot the active, the passive or the recovery system")


def _to_refresh(disk: NodeDisk) -> str:
    """The disk whose boot loader is refreshed; nothing where its table is not known."""
    return disk.disk if disk.table is not None else ""


def _partition(entry: str) -> str:
    return "recovery" if entry == "recovery" else "state"


def _is_there(host: Host, image: str, origin: str) -> bool:
    """Whether *image* was made of *origin*, which names its content by a digest, and is whole; a damaged one is made again."""
    wanted, had = origin.partition("@sha256:")[2], origin_of(image).partition("@sha256:")[2]
    if not wanted or wanted != had:
        return False
    try:
        CheckImage(image).apply(host)
    except KairosError:
        return False
    return True


def _must_not_have_failed(host: Host, place: Open, entry: str, origin: str) -> None:
    """KairosError: the active system, which is made of *origin*, was started in vain: its image is whole, and written again it would be the same."""
    if entry == "active" and boot_word(host) != "active_boot" and grubenv.load(f"{place.state}/grubenv").get("boot_tries") == "xx":
        raise KairosError(f"the active system is made of {origin} already, and it was started in vain", place.state,
                          "name another source; kairos-boot status tells why it failed, kairos-boot bootentry --select cos tries it once more")


def options_of(settings: Mapping[str, Any], *, others: bool = False) -> Options:
    """The options in *settings*: keys of the document's section `upgrade`. KairosError: the entry is none; with *others* it may be any of the menu's."""
    entry = settings.get("entry") or ("recovery" if settings.get("recovery") is True else "active")
    entry = {"cos": "active"}.get(str(entry), str(entry))
    if entry not in EVENTS and not others:
        raise KairosError(f"not a system that can be upgraded: {entry!r}", "upgrade.entry", "active or recovery")
    system = mapping(settings.get("recovery-system" if entry == "recovery" else "system"))
    size = system.get("size")
    return Options(entry, str(settings.get("source") or system.get("source") or system.get("uri") or ""), size << 20 if isinstance(size, int) else 0,
                   settings.get("strict") is not False, _paths(settings.get("extra-dirs-rootfs")), _paths(settings.get("excluded-paths")),
                   str(settings.get("grub-entry-name") or ""), settings.get("allow-insecure-registries") is True)


def source_of(options: Options) -> str:
    """What the upgrade is made of, as it was asked for. KairosError: nothing says so."""
    if options.source:
        return options.source
    raise KairosError("nothing says what to upgrade to", key_of(options), "name it: kairos-boot upgrade --source oci:REGISTRY/IMAGE:TAG, or in a document")


def key_of(options: Options) -> str:
    """Where in a document the source is named."""
    return "upgrade.recovery-system.source" if options.entry == "recovery" else "upgrade.system.source"


def _paths(value: object) -> tuple[str, ...]:
    return tuple("/" + path.strip("/") for path in value if isinstance(path, str) and path) if isinstance(value, list) else ()
