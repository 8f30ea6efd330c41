"""The tool that tells what a run waits for tells it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.hanging import FAULTHANDLER, ended

if TYPE_CHECKING:
    from tests.integration.isolated import Isolated


@pytest.mark.root
def test_it_tells_what_a_run_waits_for(machine: Isolated) -> None:
    """The command that runs, where it and the program wait, and the program's own stack."""
    machine.put("/oem/a.yaml", "stages: {boot: [{name: waits, commands: ['echo begun >/run/begun; sleep 1000']}]}\n")
    run = machine.start(*FAULTHANDLER, "run-stage", "boot", "/oem")
    end = time.monotonic() + 60
    while not machine.read("/run/begun") and time.monotonic() < end:
        time.sleep(0.02)
    with pytest.raises(AssertionError) as caught:
        ended(run, machine.root, 0.1)
    told = str(caught.value)
    for word in ("sleep 1000", "run-stage boot /oem", "State", "thread ", "Fatal Python error: Aborted", "kairos_boot/system/process.py"):
        assert word in told
