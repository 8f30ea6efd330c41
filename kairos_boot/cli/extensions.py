"""What the verbs `sysext` and `confext` do: they differ in what systemd merges."""

from __future__ import annotations

from kairos_boot.boot.extensions import COMMON, STATES
from kairos_boot.boot.state import RECOVERY
from kairos_boot.cli import wiring
from kairos_boot.cli.actions import Wired
from kairos_boot.cli.arguments import UsageError, parse
from kairos_boot.cli.output import complain, say, say_data
from kairos_boot.lifecycle import extensions, trusted
from kairos_boot.node.mode import boot_word
from kairos_boot.shown import one_line
from kairos_boot.system import filesystems
from kairos_boot.system.host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kairos_boot.boot.extensions import Kind
    from kairos_boot.cli.arguments import Arguments

FLAGS = {**dict.fromkeys(STATES, False), "now": False, "json": False, "checksum": True, "allow-insecure-registries": False}
OF_VERB = {"list": (*STATES, "json"), "enable": (*STATES, "now"), "disable": (*STATES, "now"), "install": ("checksum", "allow-insecure-registries"), "remove": ("now",)}
"""The flags that a verb takes."""


def run(kind: Kind, words: list[str]) -> int:
    """Do what *words* say with extensions of *kind*."""
    given = parse(words, FLAGS)
    verb, names = (given.words or ["list"])[0], given.words[1:]
    if verb not in OF_VERB:
        raise UsageError(f"it knows {', '.join(OF_VERB)}, and no {verb!r}")
    for flag in given.flags:
        if flag not in OF_VERB[verb]:
            raise UsageError(f"--{flag} does not go with {verb}")
    if len(names) != (verb != "list"):
        raise UsageError(f"{verb} takes no name" if verb == "list" else f"{verb} takes one {'source' if verb == 'install' else 'name'}")
    states = [state for state in STATES if state in given]
    if verb == "list":
        return _list(kind, states, as_json="json" in given)
    if verb in ("enable", "disable") and not states:
        raise UsageError(f"{verb} says for which system: --active, --passive, --recovery or --common")
    wiring.need_root("/")
    wired = Wired(kind.name)
    if verb in ("enable", "install"):  # what nobody would merge is not promised
        trusted.refuse(wired.host, f"{kind.name} {verb}")
        filesystems.need(wired.host, [kind.program])
    free = wired.lock()
    try:
        if verb == "install":
            return _install(wired, kind, names[0], given)
        if verb == "remove":
            return _remove(wired.host, kind, names[0], now="now" in given)
        return _switch(wired.host, kind, names[0], states, on=verb == "enable", now="now" in given)
    finally:
        free()


def _list(kind: Kind, states: Sequence[str], *, as_json: bool) -> int:
    host = Host("/")
    listed = [name for state in states or [""] for name in extensions.names(host, kind, state)]
    if not states:  # what is enabled and gone is no secret
        listed += [name for state in STATES for name in extensions.names(host, kind, state)]
    found = extensions.look(host, kind, sorted(dict.fromkeys(listed)))
    if as_json:
        say_data([each.data for each in found])
        return 0
    width = max((len(each.name) for each in found), default=0)
    for each in found:
        boots = f"for {', '.join(each.enabled)}" if each.enabled else "not enabled"
        say(f"{one_line(each.name):<{width}}  {boots}  {'merged' if each.merged else 'not merged'}{f': {each.why}' if each.why else ''}\n")
    return 0


def _install(wired: Wired, kind: Kind, source: str, given: Arguments) -> int:
    from kairos_boot.lifecycle.extension_sources import install

    for name, changed, why in install(wired, kind, source, checksum=given.value("checksum"), insecure="allow-insecure-registries" in given):
        say(f"{name} is installed: kairos-boot {kind.name} enable --active {name}\n" if changed else f"{name} is installed already\n")
        if changed and extensions.enabled(wired.host, kind, name):
            say(f"{name} is enabled for {', '.join(extensions.enabled(wired.host, kind, name))}: the next boot takes the new one\n")
        _tell(name, why)
    return 0


def _remove(host: Host, kind: Kind, wanted: str, *, now: bool) -> int:
    name = extensions.chosen(host, kind, wanted)
    took = extensions.remove(host, kind, name)
    before = f", which was enabled for {', '.join(took)}" if took else ""
    say(f"{name} is removed{before}\n")
    if now:
        extensions.offer(host, kind, name, "", there=False)
    return _merge(host, kind, name, there=False) if now else 0


def _switch(host: Host, kind: Kind, wanted: str, states: Sequence[str], *, on: bool, now: bool) -> int:
    """Enable or disable."""
    if on:
        name = extensions.chosen(host, kind, wanted)
        [found] = extensions.look(host, kind, [name])
        _tell(name, found.why)
    code = 0
    for state in states:
        if not on:
            name = extensions.chosen(host, kind, wanted, state)
            if not name:
                say(f"{wanted} is not enabled for {state}\n")
                continue
        changed = (extensions.enable if on else extensions.disable)(host, kind, name, state)
        say(f"{name} is {'' if changed else 'already '}{'enabled' if on else 'disabled'} for {state}\n")
        if on and state == RECOVERY:
            complain(f"the recovery system takes {name} only from {kind.store}/{RECOVERY} of its own image: it does not mount the persistent partition\n")
        if not now:
            continue
        if state != COMMON and boot_word(host) != f"{state}_boot":
            say(f"{state} is not the system that runs: nothing was merged now\n")
            continue
        others = [] if on else [other for other in (COMMON, boot_word(host).removesuffix("_boot")) if other != state and name in extensions.names(host, kind, other)]
        if others:
            extensions.offer(host, kind, name, others[0], there=True)
            say(f"{name} stays merged: it is enabled for {others[0]}, too\n")
            continue
        extensions.offer(host, kind, name, state, there=on)
        code = max(code, _merge(host, kind, name, there=on))
    return code


def _merge(host: Host, kind: Kind, name: str, *, there: bool) -> int:
    """Let systemd merge what is offered; 1 if the image is not what it should be then."""
    from kairos_boot.lifecycle.extension_release import names_of
    from kairos_boot.system.mounts import mounted

    extensions.refresh(host, kind)
    merged = set(names_of(name, kind)) & extensions.merged(kind, mounted())
    if bool(merged) == there:
        say(f"{name} is {'merged' if there else 'not merged any more'}\n")
        return 0
    complain(f"{name} is {'not merged' if there else 'still merged'}: see journalctl -u {kind.program}.service\n")
    return 1


def _tell(name: str, why: str) -> None:
    if why:
        complain(f"{name}: systemd would not merge it into this system: {why}\n")
