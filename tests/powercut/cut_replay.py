"""Judge many states that a cut may have left, by two processes."""

from __future__ import annotations

import multiprocessing
import random
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import cut_states
from cut_judge import Judge

if TYPE_CHECKING:
    from pathlib import Path

    import cut_recording


def every_state(entries: list[cut_recording.Entry], seed: int) -> list[tuple[str, int, list[cut_recording.Entry]]]:
    """All states of a recording in a random order: a name, the epoch, and what of it is there."""
    todo = [(f"epoch {number}: {name}", number, writes) for number, epoch in enumerate(cut_states.epochs(entries))
            for name, writes in cut_states.crashes(epoch, seed + number)]
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
