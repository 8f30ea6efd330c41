"""Boots that are made ahead, beside those that the tests wait for: a guest waits half of its time, and a machine has a second processor.

A test module names in AHEAD, with the fixture that needs it, each function that boots a machine of its own; it gets a directory and the list that its machines
go into, which are switched off at its end: all that tests look at is in what it returns. Those that a chosen test needs are begun with the first test of the
session, one after the other, also where that test is none of a machine: those wait for the disk and for each other, and leave a processor free.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import machine as qemu

Boots = Callable[[Path, list[qemu.Machine]], Any]


class Ahead:
    """What is made ahead in one session."""

    def __init__(self, place: Callable[[str], Path]) -> None:
        """*place* makes a directory."""
        self._place = place
        self._machines: list[list[qemu.Machine]] = []
        self._begun: dict[Boots, Future[Any]] = {}
        self._lane = ThreadPoolExecutor(1)

    def begin(self, boots: Boots) -> None:
        """Let it begin; with one processor it waits until its result is asked for."""
        if (os.cpu_count() or 1) > 1 and boots not in self._begun:
            self._begun[boots] = self._lane.submit(self._make, boots, self._place("ahead"))

    def result(self, boots: Boots) -> Any:
        """What came of it; its error, if it failed. What is asked for before its turn is made at once, beside what is being made."""
        known = self._begun.get(boots)
        if known is None or known.cancel():
            known = self._begun[boots] = Future()
            try:
                known.set_result(self._make(boots, self._place("ahead")))
            except BaseException as error:  # noqa: BLE001 - an interrupt, too, is what came of it
                known.set_exception(error)
        return known.result()

    def _make(self, boots: Boots, place: Path) -> Any:
        own: list[qemu.Machine] = []
        self._machines.append(own)
        try:
            return boots(place, own)
        finally:
            kill(own)

    def end(self) -> None:
        """Switch all machines off hard, also those of a session that is given up; whatever comes next in their stories fails."""
        self._lane.shutdown(wait=False, cancel_futures=True)
        while left := [future for future in self._begun.values() if not future.done()]:
            for machines in self._machines:
                kill(machines)
            wait(left, timeout=1)


def kill(machines: list[qemu.Machine]) -> None:
    """Pull the plugs."""
    for machine in machines:
        machine.kill()
