"""A power cut at any instant of a reset: the next boot ends in a reset node, nothing that was to be kept is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cut_controls
import cut_disk
import pytest
from cut_replay import SCHEDULES, is_caught, judged_states, record

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root



@pytest.fixture(scope="module")
def before(memory: Path) -> bytes:
    path = memory / "before.disk"
    cut_disk.build(path, memory / "scratch")
    return path.read_bytes()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_state_that_a_cut_leaves_ends_in_a_reset_node(before: bytes, memory: Path, schedule: str) -> None:
    told = judged_states(before, record(before, memory, schedule=schedule)[0], memory, schedule)
    assert told.resumed > told.states // 3


@pytest.mark.parametrize("control", cut_controls.RESET)
def test_a_wrong_program_is_caught(before: bytes, memory: Path, control: str) -> None:
    """The check itself is checked: each of these is known to lose something."""
    assert is_caught(before, record(before, memory, control)[0], memory), f"{control}: none of 400 states was wrong"
