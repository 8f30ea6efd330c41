"""Jobs of systemd: whether what a step starts would wait for the very stage that runs the step (C11)."""

from __future__ import annotations

from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kairos_boot.system.host import Host

CGROUP = "/proc/self/cgroup"
PULLS = ("Requires", "Wants", "BindsTo")
PROPERTIES = ("Id", "Names", "ActiveState", "Before", "After", *PULLS)
AT_ONCE = 100
"""Units that one call asks for: the door to other programs keeps a bounded output."""


@record
class Unit:
    """What systemd says of one unit: all its names, whether it is up, its order, and what it pulls in."""

    id: str
    names: frozenset[str]
    active: bool
    before: frozenset[str]
    after: frozenset[str]
    pulls: frozenset[str]


def running_unit(host: Host) -> str:
    """The service that this program is a process of; nothing where a person started it, from a session."""
    lines = (host.read(CGROUP) or b"").decode("utf-8", "replace").splitlines()
    return next((part for part in reversed(lines[-1].split("/")) if part.endswith(".service")), "") if lines else ""


def holder(host: Host, words: Sequence[str], ask: Callable[[tuple[str, ...]], str]) -> str:
    """The running unit, if a job that starts the units in *words* would wait for its end; else nothing.

    *ask* gives the output of a command. A unit waits for what it is ordered after and what has a job, and so on; what it pulls in
    gets a job with it.
    """
    own = running_unit(host)
    if not own:
        return ""
    jobs = queued(ask)
    if own not in jobs:
        return ""
    shown = _show([own, *(word for word in words if not word.startswith("-") and word != own)], ask)
    wanted = [unit for unit in shown if unit.id != own or own in words]
    at_once = {own}.union(*(unit.before & set(jobs) for unit in shown if unit.id == own))  # in `fs` this decides: sysinit.target
    if any(unit.after & at_once or unit.id == own for unit in wanted):
        return own
    started = {unit.id: unit for unit in wanted}
    new = wanted
    while new:
        missing = {name for unit in new for name in unit.pulls} - {name for unit in started.values() for name in unit.names} - set(jobs)
        new = [unit for unit in _show(sorted(missing), ask) if not unit.active and unit.id not in started]
        started.update({unit.id: unit for unit in new})
    queue = {**started, **{unit.id: unit for unit in _show(jobs, ask)}}
    waiting = {own}
    while found := {name for name, unit in queue.items() if name not in waiting and unit.after & waiting}:
        waiting |= found
    return own if any(unit.id in waiting or unit.names & waiting for unit in wanted) else ""


def queued(ask: Callable[[tuple[str, ...]], str]) -> list[str]:
    rows = [line.split() for line in ask(("systemctl", "list-jobs", "--no-legend", "--no-pager", "--plain", "--full")).splitlines()]
    return [row[1] for row in rows if len(row) == 4]


def _show(names: Sequence[str], ask: Callable[[tuple[str, ...]], str]) -> list[Unit]:
    return [unit for start in range(0, len(names), AT_ONCE)
            for unit in _parse(ask(("systemctl", "show", f"--property={','.join(PROPERTIES)}", "--", *names[start:start + AT_ONCE])))]


def _parse(text: str) -> Iterable[Unit]:
    """Units of `systemctl show`: lines KEY=VALUE, a blank line between two units."""
    for block in text.split("\n\n"):
        said = {key: value for key, equals, value in (line.partition("=") for line in block.splitlines()) if equals}
        if said.get("Id"):
            yield Unit(said["Id"], frozenset(said.get("Names", "").split()) | {said["Id"]}, said.get("ActiveState") == "active",
                       frozenset(said.get("Before", "").split()), frozenset(said.get("After", "").split()), frozenset(name for key in PULLS for name in said.get(key, "").split()))
