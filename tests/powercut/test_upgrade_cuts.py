"""A power cut at any instant of an upgrade: two entries boot, and the next boot leaves the old node or the upgraded one, never something between."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import cut_controls
import cut_disk
import pytest
from cut_replay import SCHEDULES, is_caught, judged_states, record
from cut_upgrade_judge import SOURCE, UpgradeJudge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root



@pytest.fixture(scope="module")
def before(memory: Path) -> Iterator[bytes]:
    path = memory / "before.disk"
    cut_disk.build(path, memory / "scratch")
    new = memory / "new.img"
    cut_disk.system_image(new, "COS_SYSTEM", 3, memory / "scratch")
    os.environ[SOURCE] = str(new)
    yield path.read_bytes()
    del os.environ[SOURCE]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_state_that_a_cut_leaves_is_the_old_node_or_the_upgraded_one_after_the_next_boot(before: bytes, memory: Path, schedule: str) -> None:
    entries, ended = record(before, memory, schedule=schedule, action="upgrade")
    assert ended == {"failures": []}
    told = judged_states(before, entries, memory, schedule, UpgradeJudge)
    assert told.resumed > told.states // 4


@pytest.mark.parametrize("control", cut_controls.UPGRADE)
def test_a_wrong_program_is_caught(before: bytes, memory: Path, control: str) -> None:
    """The check itself is checked: each of these is known to lose something."""
    entries, _ = record(before, memory, control, action="upgrade")
    assert is_caught(before, entries, memory, UpgradeJudge), f"{control}: none of 400 states was wrong"
