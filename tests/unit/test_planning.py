"""A plan hears what became of each of its actions before it yields the next: from the runner, from `plan`, from nobody."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from kairos_boot.actions.base import Invalid, Told
from kairos_boot.cloudconfig.model import Step
from kairos_boot.cloudconfig.plain import build
from kairos_boot.errors import KairosError
from kairos_boot.facts import Facts
from kairos_boot.stages.planning import Planned

if TYPE_CHECKING:
    from kairos_boot.modules import Plan

ORDER = (("commands", "listening"), ("sysctl", "listening"))


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> tuple[Step, list[object]]:
    """A step of two keys whose plan notes what it hears."""
    told: list[object] = []

    def plan(step: Step, facts: Facts) -> Plan:
        first = yield Invalid("", "0")
        last = yield Invalid("", "1")
        told.extend((first, last))
        if last is None:
            raise KairosError("deaf")

    module = ModuleType("kairos_boot.modules.listening")
    module.plan = plan  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    made: Step = build(Step, {"source": "/a", "place": "stages.s[0]", "keys": ("commands", "sysctl"), "commands": ["x"], "sysctl": {"a": "b"}})
    return made, told


def test_a_plan_hears_what_was_said_of_its_own_action(step: tuple[Step, list[object]]) -> None:
    """Each answer belongs to one action: what is said of the last action of a key is not told to the next key."""
    wanted, told = step
    answers: list[bool | Told] = [True, False, Told(note="found"), Told(changed=True)]
    plan = Planned(wanted, Facts(), ORDER)
    for (key, action), answer in zip(plan, answers, strict=True):
        assert key in wanted.keys
        assert isinstance(action, Invalid)
        plan.heard = answer
    assert told == answers
    assert [bool(answer) for answer in answers] == [True, False, False, True]


def test_who_only_looks_tells_nothing_and_an_error_ends_the_key_alone(step: tuple[Step, list[object]]) -> None:
    wanted, told = step
    found = list(Planned(wanted, Facts(), ORDER))
    assert [str(action) for _, action in found if isinstance(action, KairosError)] == ["deaf", "deaf"]
    assert told == [None] * 4
