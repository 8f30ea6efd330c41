"""A power cut at any instant of a reset: the next boot ends in a reset node, nothing that was to be kept is lost."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import cut_controls
import cut_disk
import cut_recording
import cut_states
import pytest
from cut_judge import Judge

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


def every_state(before: bytes, entries: list[cut_recording.Entry], seed: int) -> list[tuple[str, int, list[cut_recording.Entry]]]:
    """All states of a recording: the epoch, and what of it is there."""
    return [(f"epoch {number}: {name}", number, writes) for number, epoch in enumerate(cut_states.epochs(entries))
            for name, writes in cut_states.crashes(epoch, seed + number)]


def judged(before: bytes, entries: list[cut_recording.Entry], judge: Judge, count: int, seed: int) -> dict[str, list[str]]:
    """The faults of *count* states of a recording, spread over all its epochs, by their name."""
    parts = cut_states.epochs(entries)
    todo = every_state(before, entries, seed)
    random.Random(seed).shuffle(todo)
    chosen = sorted(todo[:count], key=lambda item: item[1])
    faults: dict[str, list[str]] = {}
    durable, reached = bytearray(before), 0
    for name, number, writes in chosen:
        while reached < number:
            cut_states.apply(durable, parts[reached])
            reached += 1
        state = bytearray(durable)
        cut_states.apply(state, writes)
        found = judge.verdict(bytes(state))
        if found:
            faults[name] = found
    return faults


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_state_that_a_cut_leaves_ends_in_a_reset_node(before: bytes, memory: Path, schedule: str) -> None:
    if schedule == "delayed" and not shutil.which("strace"):
        pytest.skip("strace is not installed")
    judge = Judge(before, memory / "judge")
    entries = record(before, memory, schedule=schedule)
    count = WANTED // len(SCHEDULES)
    seed = int(os.environ.get("POWERCUT_SEED", "1"))
    faults: dict[str, list[str]] = {}
    while judge.states < count and seed < 50:
        faults |= judged(before, entries, judge, count, seed)
        seed += 1
    assert not faults, f"{len(faults)} of {judge.states} states: {dict(list(faults.items())[:5])}"
    assert judge.states >= count
    assert judge.resumed > count // 3
    print(f"{schedule}: {len(entries)} entries, {len(cut_states.epochs(entries))} epochs, {judge.states} states, {judge.resumed} resumed")


@pytest.mark.parametrize("control", cut_controls.CONTROLS)
def test_a_wrong_program_is_caught(before: bytes, memory: Path, control: str) -> None:
    """The check itself is checked: each of these is known to lose something."""
    judge = Judge(before, memory / "judge")
    entries = record(before, memory, control)
    for seed in range(1, 7):
        faults = judged(before, entries, judge, 60, seed)
        if faults:
            print(f"{control}: {Counter(fault[:60] for found in faults.values() for fault in found)}")
            return
    pytest.fail(f"{control}: none of {judge.states} states was wrong")
