"""Record an action, and judge many states that a cut may have left, by two processes."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import cut_recording
import cut_states
import pytest
from cut_judge import Judge

if TYPE_CHECKING:
    from pathlib import Path

WANTED = int(os.environ.get("POWERCUTS", "300"))
"""Different states to judge, over all recordings of an action."""
SCHEDULES: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "normal": ({}, ()),
    "commits each second": ({"POWERCUT_MOUNT": "commit=1"}, ()),
    "delayed": ({}, ("strace", "-f", "-o", "/dev/null", "-e", "trace=rename,unlink,ftruncate", "-e", "inject=rename,unlink,ftruncate:delay_exit=40000")),
}


def record(before: bytes, memory: Path, control: str = "", schedule: str = "normal", action: str = "reset") -> tuple[list[cut_recording.Entry], dict[str, Any]]:
    """What an action writes to the disk *before*, and how it ended; *control* is a wrong program."""
    environment, wrap = SCHEDULES[schedule]
    if wrap and not shutil.which(wrap[0]):
        pytest.skip(f"{wrap[0]} is not installed")
    path, log = memory / "recorded.disk", memory / "recorded.log"
    path.write_bytes(before)
    with cut_recording.exported(path, log) as place:
        told = cut_recording.run(place, control, {**environment, "POWERCUT_MARKS": "1", "POWERCUT_ACTION": action}, wrap)
    return cut_recording.read(log), told


def every_state(entries: list[cut_recording.Entry], seed: int) -> list[tuple[str, int, list[cut_recording.Entry]]]:
    """All states of a recording in a random order: a name, the epoch, and what of it is there; none stands twice."""
    found = {(number, *map(id, writes)): (f"epoch {number}: {name}", number, writes) for number, epoch in enumerate(cut_states.epochs(entries))
             for name, writes in cut_states.crashes(epoch, seed + number)}
    todo = list(found.values())
    random.Random(seed).shuffle(todo)
    return todo


def judged(before: bytes, entries: list[cut_recording.Entry], todo: list[tuple[str, int, list[cut_recording.Entry]]], scratch: Path, kind: type[Judge] = Judge) -> Told:
    """Judge the states *todo*."""
    judge, parts = kind(before, scratch), cut_states.epochs(entries)
    faults: dict[str, list[str]] = {}
    durable, reached = bytearray(before), 0
    for name, number, writes in sorted(todo, key=lambda item: item[1]):
        while reached < number:
            cut_states.apply(durable, parts[reached])
            reached += 1
        state = bytearray(durable)
        cut_states.apply(state, writes)
        found = judge.verdict(bytes(state))
        if found:
            faults[name] = found
    return Told(faults, judge.states, judge.resumed)


class Told(NamedTuple):
    """What came of some states: faults by the state's name, how many different ones there were, and from how many a reset went on."""

    faults: dict[str, list[str]]
    states: int
    resumed: int


def by_two(before: bytes, entries: list[cut_recording.Entry], todo: list[tuple[str, int, list[cut_recording.Entry]]], memory: Path,
           kind: type[Judge] = Judge) -> Told:
    """The same by two processes."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        halves = [pool.submit(judged, before, entries, todo[at::2], memory / f"judge{at}", kind) for at in (0, 1)]
        one, other = (half.result() for half in halves)
    return Told(one.faults | other.faults, one.states + other.states, one.resumed + other.resumed)


def judged_states(before: bytes, entries: list[cut_recording.Entry], memory: Path, schedule: str, kind: type[Judge] = Judge) -> Told:
    """What came of this recording's share of the states that are wanted; none of them may be wrong."""
    count, seed = -(-WANTED // len(SCHEDULES)), int(os.environ.get("POWERCUT_SEED", "1"))
    todo = every_state(entries, seed)
    told = by_two(before, entries, todo[:count * 3 // 2 + 4], memory, kind)  # some are equal: a write may repeat what is there
    assert not told.faults, f"{len(told.faults)} of {told.states} states: {dict(list(told.faults.items())[:5])}"
    assert told.states >= min(count, len(todo) * 2 // 3), f"{told.states} of {len(todo)}"
    print(f"{schedule}: {len(entries)} entries, {len(cut_states.epochs(entries))} epochs, {told.states} states, {told.resumed} with something to end")
    return told


def is_caught(before: bytes, entries: list[cut_recording.Entry], memory: Path, kind: type[Judge] = Judge) -> bool:
    """Whether one of 400 states of a wrong program is found to be wrong."""
    todo = every_state(entries, 1)
    return any(by_two(before, entries, todo[at:at + 8], memory, kind).faults for at in range(0, 400, 8))
