"""How far long work has come: lines for a log, and JSON lines for a program (KAIROS_AGENT_PROGRESS)."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from kairos_boot.lifecycle.progress import DRAW, SAY, Progress

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20


class Clock:
    """Seconds, as a test sets them."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def told(steps: list[tuple[float, int]], total: int, json_lines: Callable[[str], None] | None = None, terminal: int = -1) -> list[str]:
    """What the log hears of work that was so far at these seconds after its start."""
    lines: list[str] = []
    clock = Clock()
    progress = Progress("write active.img", lines.append, terminal, json_lines, clock)
    for seconds, done in steps:
        clock.now = 100.0 + seconds
        progress(done, total)
    return lines


def test_the_log_hears_of_it_every_ten_seconds_with_rate_and_time_left() -> None:
    assert told([(0, 0), (1, MIB), (SAY, 100 * MIB), (SAY + 1, 110 * MIB), (2 * SAY, 200 * MIB)], 400 * MIB) == [
        "write active.img:  25 %  100 of 400 MiB, 10 MiB/s, 0:30 left", "write active.img:  50 %  200 of 400 MiB, 10 MiB/s, 0:20 left"]


def test_short_work_is_not_told_of() -> None:
    assert told([(1, MIB), (2, 2 * MIB)], 2 * MIB) == []


def test_nothing_to_do_is_all_done() -> None:
    assert told([(0, 0), (SAY, 0)], 0) == []


def test_a_program_gets_json_lines_at_a_rate_that_it_can_read_and_always_the_last() -> None:
    lines: list[str] = []
    told([(0.01, MIB), (DRAW + 0.1, 2 * MIB), (DRAW + 0.15, 3 * MIB), (DRAW + 0.16, 4 * MIB)], 4 * MIB, lines.append)
    seen = [json.loads(line) for line in lines]
    assert [(entry["title"], entry["done"], entry["total"]) for entry in seen] == [("write active.img", 2 * MIB, 4 * MIB), ("write active.img", 4 * MIB, 4 * MIB)]
    assert seen[-1]["seconds_left"] == 0
    assert all(line.endswith("\n") for line in lines)


def test_a_terminal_has_one_line_that_is_gone_at_the_end() -> None:
    """And the log of a terminal is not told the same."""
    read, write = os.pipe()
    assert told([(0, 0), (SAY, 2 * MIB), (SAY + 1, 4 * MIB)], 4 * MIB, terminal=write) == []
    os.close(write)
    with os.fdopen(read, newline="") as file:
        text = file.read()
    assert "\r\033[K   50 %  2 of 4 MiB" in text
    assert text.endswith("\r\033[K")


def test_a_terminal_that_hangs_up_does_not_end_the_work() -> None:
    read, write = os.pipe()
    os.close(read)
    told([(1, 1), (2, 2), (3, 3)], 3, terminal=write)
    os.close(write)


def test_the_time_between_planning_and_doing_counts_for_nothing() -> None:
    """All phases of an action are planned at once; the second image is written minutes later, and may be written again."""
    later = [(600, 0), (600 + SAY, 100 * MIB)]
    assert told([*later, (800, 0), (800 + SAY, 200 * MIB)], 400 * MIB) == [
        "write active.img:  25 %  100 of 400 MiB, 10 MiB/s, 0:30 left", "write active.img:  50 %  200 of 400 MiB, 20 MiB/s, 0:10 left"]
