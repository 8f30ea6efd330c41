"""Actions as lists of phases: what is checked, what runs, what a cut leaves for the next run, and what is told (G1, G8)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.lifecycle.phases import RESUMED, Broken, Engine, Phase, Refused, plan
from kairos_boot.records import record
from kairos_boot.system.host import Host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@record
class Act:
    """Notes that it ran, and whether as one that is done again; fails with *error*."""

    name: str
    done: list[str]
    error: str = ""
    changes: bool = True

    def describe(self) -> str:
        return f"do {self.name}"

    def would_change(self, host: Host) -> bool | None:
        return self.changes

    def apply(self, host: Host) -> bool:
        self.done.append(self.name + ("!" if os.environ.get(RESUMED) == "1" else ""))
        if self.error:
            raise KairosError(self.error, "/there", "mend it")
        return self.changes


class Marker:
    """What a cut run left."""

    def __init__(self, *done: str, started: str = "") -> None:
        self.done, self.started = list(done), started
        self.failed_before: list[str] = []
        self.notes: list[str] = []

    def begin(self, phase: str) -> None:
        self.notes.append(f"begin {phase}")

    def end(self, phase: str, failure: str = "") -> None:
        self.notes.append(f"end {phase}")
        self.failed_before += [failure] if failure else []
        self.done.append(phase)
        self.started = ""


class Told:
    """The record and the log."""

    def __init__(self, root: Path) -> None:
        self.records: list[dict[str, Any]] = []
        self.lines: list[str] = []
        self.engine = Engine("reset", Host(str(root)), self, self.log)

    def write(self, kind: str, **fields: Any) -> None:
        self.records.append({"kind": kind, **fields})

    def log(self, priority: int, message: str, **_: Any) -> None:
        self.lines.append(f"{priority} {message}")


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    """An engine and what it tells; the environment is as it was afterwards."""
    yield Told(tmp_path)
    os.environ.pop(RESUMED, None)


def fails(message: str) -> Callable[[Host], None]:
    def check(_: Host) -> None:
        raise KairosError(message, "/place", "remedy")

    return check


def test_every_check_of_every_phase_is_asked_before_anything_is_done(told: Told) -> None:
    done: list[str] = []
    phases = [Phase("a", "A", (Act("a", done),), checks=(fails("no room"),)), Phase("b", "B", checks=(fails("no tool"),))]
    with pytest.raises(Refused) as caught:
        told.engine.check(phases)
    assert [fault.message for fault in caught.value.faults] == ["no room", "no tool"]
    assert str(caught.value) == "/place: no room (and 1 more); remedy"
    assert [(r["kind"], r["message"], r["hint"]) for r in told.records] == [("problem", "no room", "remedy"), ("problem", "no tool", "remedy")]
    assert done == []


def test_phases_run_in_order_and_each_is_noted_before_and_after_it(told: Told) -> None:
    done: list[str] = []
    marker = Marker()
    assert told.engine.run([Phase("a", "A", (Act("a", done), Act("a2", done))), Phase("b", "B", (Act("b", done, changes=False),))], marker) == []
    assert done == ["a", "a2", "b"]
    assert marker.notes == ["begin a", "end a", "begin b", "end b"]
    assert [(r["phase"], r["event"], r.get("result")) for r in told.records] == [("a", "start", None), ("a", "end", "done"), ("b", "start", None), ("b", "end", "unchanged")]
    assert told.lines == ["5 reset 1/2: A", "5 reset 2/2: B"]


def test_a_cut_run_goes_on_with_the_phase_that_was_cut_and_tells_it(told: Told) -> None:
    """What holds from a phase on (a mount) is set up again; only the phase that was cut finds the variable."""
    done: list[str] = []
    phases = [Phase("a", "A", (Act("a", done),), standing=(Act("mount", done),)), Phase("b", "B", (Act("b", done),)), Phase("c", "C", (Act("c", done),))]
    told.engine.run(phases, Marker("a", started="b"))
    assert done == ["mount", "b!", "c"]
    assert told.lines == ["6 reset 1/3: A: done before", "5 reset 2/3: B (again: it was cut short)", "5 reset 3/3: C"]
    assert [r["resumed"] for r in told.records if r["event"] == "start"] == [True, False]


def test_a_failure_ends_the_action_where_it_is_and_the_phase_does_not_count_as_done(told: Told) -> None:
    done: list[str] = []
    marker = Marker()
    with pytest.raises(Broken) as caught:
        told.engine.run([Phase("a", "A", (Act("a", done, "disk fails"),)), Phase("b", "B", (Act("b", done),))], marker)
    assert (caught.value.phase, caught.value.message, caught.value.hint) == ("a", "disk fails", "mend it")
    assert (done, marker.notes) == (["a"], ["begin a"])
    assert next(r for r in told.records if r["event"] == "end")["result"] == "failed"


def test_the_failure_of_an_extra_phase_stops_nothing_and_is_not_silent(told: Told) -> None:
    done: list[str] = []
    assert told.engine.run([Phase("a", "A", (Act("a", done, "no room"),), extra=True), Phase("b", "B", (Act("b", done),))], Marker()) == ["A: /there: no room; mend it"]
    assert done == ["a", "b"]
    assert "4 reset 1/2: A: /there: no room; mend it" in told.lines


@record
class Breaks:
    """Fails as the kernel does."""

    def describe(self) -> str:
        return "mount it"

    def would_change(self, host: Host) -> bool | None:
        return True

    def apply(self, host: Host) -> bool:
        raise OSError(22, "Invalid argument")


def test_an_error_of_the_kernel_is_one_of_the_phase(told: Told) -> None:
    """Nobody behind the engine knows another error: the reason would not be told, and an extra phase would end the action."""
    assert told.engine.run([Phase("a", "A", (Breaks(),), extra=True)], Marker()) == ["A: it was not possible to mount it: Invalid argument"]
    with pytest.raises(Broken, match="mount it: Invalid argument"):
        told.engine.run([Phase("a", "A", (Breaks(),))], Marker())


def test_what_cannot_be_set_up_again_after_a_cut_is_a_failure_of_its_phase(told: Told) -> None:
    """So it is tried once more, as every other failure of a phase."""
    done: list[str] = []
    for standing in (Act("mount", done, "no such device"), Breaks()):
        with pytest.raises(Broken) as caught:
            told.engine.run([Phase("a", "A", standing=(standing,)), Phase("b", "B", (Act("b", done),))], Marker("a"))
        assert caught.value.phase == "a"
    assert told.engine.run([Phase("a", "A", standing=(Breaks(),), extra=True)], Marker("a")) == ["A: it was not possible to mount it: Invalid argument"]
    assert done == ["mount"]


@pytest.mark.parametrize("when", ["begin", "end"])
@pytest.mark.parametrize("error", [KairosError("no room"), OSError(28, "no room")])
def test_a_phase_that_cannot_be_noted_has_failed_even_an_extra_one(told: Told, when: str, error: Exception) -> None:
    def fails(*_: str) -> None:
        raise error

    marker = Marker()
    setattr(marker, when, fails)
    with pytest.raises(Broken, match="no room"):
        told.engine.run([Phase("a", "A", extra=True)], marker)
    assert any(line.startswith("3 reset 1/1: A: ") for line in told.lines)


def test_the_plan_is_the_list_that_runs(told: Told) -> None:
    done: list[str] = []
    phases = [Phase("a", "A", (Act("x", done),), standing=(Act("y", done),), notes=("said besides",)), Phase("b", "B", again="nothing is left to do")]
    assert plan("reset", phases, done=["b"]) == [
        {"action": "reset", "number": 1, "phase": "a", "title": "A", "does": ["do x", "do y", "said besides"], "again": "done again from its start", "done": False},
        {"action": "reset", "number": 2, "phase": "b", "title": "B", "does": [], "again": "nothing is left to do", "done": True}]
    told.engine.run(phases, Marker())
    assert [r["phase"] for r in told.records if r["event"] == "start"] == ["a", "b"]


def test_a_check_that_the_kernel_fails_refuses_the_action(told: Told) -> None:
    def fails(_: Host) -> None:
        raise OSError(5, "Input/output error")

    with pytest.raises(Refused, match="Input/output error"):
        told.engine.check([Phase("a", "A", checks=(fails,))])


def test_what_failed_before_a_cut_is_told_at_the_end_of_the_run_after_it(told: Told) -> None:
    """An extra phase whose failure stops nothing is done; its failure is the action's all the same."""
    done: list[str] = []
    phases = [Phase("a", "A", (Act("x", done, "it broke"),), extra=True), Phase("b", "B", (Act("y", done),))]
    marker = Marker()
    first = told.engine.run(phases[:1], marker)
    assert ["it broke" in failure for failure in first] == [True]
    assert told.engine.run(phases, marker) == first
    assert done == ["x", "y"]


def test_an_action_that_knows_what_is_in_its_way_refuses_before_anything_is_done(told: Told) -> None:
    done: list[str] = []

    class Full(Act):
        def check(self, _: Host) -> None:
            raise KairosError("no room for it", "/there")

    with pytest.raises(Refused, match="no room for it"):
        told.engine.check([Phase("a", "A", (Act("x", done),)), Phase("b", "B", (Full("y", done),))])
    assert done == []
