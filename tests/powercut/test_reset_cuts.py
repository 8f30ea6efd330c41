"""A power cut at any instant of a reset: the next boot ends in a reset node, nothing that was to be kept is lost."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import cut_controls
import cut_disk
import cut_recording
import cut_states
import pytest
from cut_replay import by_two, every_state

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

WANTED = int(os.environ.get("POWERCUTS", "300"))
"""Different states to judge, over all recordings."""
SCHEDULES: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "normal": ({}, ()),
    "commits each second": ({"POWERCUT_MOUNT": "commit=1"}, ()),
    "delayed": ({}, ("strace", "-f", "-o", "/dev/null", "-e", "trace=rename,unlink,ftruncate", "-e", "inject=rename,unlink,ftruncate:delay_exit=40000")),
}


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = Path("/dev/shm") / f"kairos-boot-powercut-{os.getpid()}"
    place.mkdir()
    yield place
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def before(memory: Path) -> bytes:
    path = memory / "before.disk"
    cut_disk.build(path, memory / "scratch")
    return path.read_bytes()


def record(before: bytes, memory: Path, control: str = "", schedule: str = "normal") -> list[cut_recording.Entry]:
    environment, wrap = SCHEDULES[schedule]
    path, log = memory / "recorded.disk", memory / "recorded.log"
    path.write_bytes(before)
    with cut_recording.exported(path, log) as place:
        cut_recording.run(place, control, {**environment, "POWERCUT_MARKS": "1"}, wrap)
    return cut_recording.read(log)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_state_that_a_cut_leaves_ends_in_a_reset_node(before: bytes, memory: Path, schedule: str) -> None:
    if schedule == "delayed" and not shutil.which("strace"):
        pytest.skip("strace is not installed")
    entries = record(before, memory, schedule=schedule)
    count, seed = -(-WANTED // len(SCHEDULES)), int(os.environ.get("POWERCUT_SEED", "1"))
    todo = every_state(entries, seed)
    told = by_two(before, entries, todo[:count * 21 // 20 + 4], memory)  # some of them are equal
    assert not told.faults, f"{len(told.faults)} of {told.states} states: {dict(list(told.faults.items())[:5])}"
    assert told.states >= min(count, len(todo) * 3 // 4)
    assert told.resumed > told.states // 3
    print(f"{schedule}: {len(entries)} entries, {len(cut_states.epochs(entries))} epochs, {told.states} states, {told.resumed} resumed")


@pytest.mark.parametrize("control", cut_controls.RESET)
def test_a_wrong_program_is_caught(before: bytes, memory: Path, control: str) -> None:
    """The check itself is checked: each of these is known to lose something."""
    entries = record(before, memory, control)
    todo = every_state(entries, 1)
    for at in range(0, 400, 8):
        told = by_two(before, entries, todo[at:at + 8], memory)
        if told.faults:
            return
    pytest.fail(f"{control}: none of 400 states was wrong")
