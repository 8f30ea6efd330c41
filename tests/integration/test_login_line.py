"""A degraded node says so at login; what somebody tries out by hand is no state of the node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.isolated import Isolated

pytestmark = pytest.mark.root


def test_what_fails_in_a_run_by_hand_is_not_said_to_everybody_who_logs_in(machine: Isolated) -> None:
    machine.put("/oem/a.yaml", "stages: {boot: [{commands: ['exit 3']}]}\n")
    code, said = machine.kairos("run-stage", "boot")
    assert (code, "exit status 3" in said) == (1, True)
    assert machine.run("sh", "-c", "ls /run/motd.d/50-kairos-boot /run/issue.d/50-kairos-boot.issue 2>/dev/null")[1] == ""
