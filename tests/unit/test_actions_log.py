"""What an action tells where nobody is logged in: every console has it, and the journal too (D8)."""

from __future__ import annotations

import json
import os
import select
import tty
from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.cli.actions import OnConsoles, Wired
from kairos_boot.lifecycle.wired import Outcome
from kairos_boot.system.host import Host
from kairos_boot.system.process import Result

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Refusing:
    """A process runner whose every program fails."""

    def run(self, argv: Sequence[str], **_: object) -> Result:
        """Fail."""
        return Result(1, f"{argv[0]} is refused")


def test_phases_progress_and_failures_are_on_every_console_and_the_rest_is_in_the_journal() -> None:
    heard: list[str] = []

    def log(priority: int, message: str, **_: Any) -> None:
        heard.append(f"{priority} {message}")

    terminals = [os.openpty() for _ in range(2)]
    for _, terminal in terminals:
        tty.setraw(terminal)
    told = OnConsoles(log, [os.ttyname(terminal) for _, terminal in terminals])
    told(5, "reset 3/9: write the active system", kind="phase")
    told(6, "50 %", kind="progress")
    told(3, "the disk \033[2Jfails", kind="failure")
    told(6, "a step", kind="step-end")
    assert len(heard) == 4
    for screen, terminal in terminals:
        text = ""
        while "fails" not in text and select.select([screen], [], [], 10)[0]:  # the kernel hands on what was written in its own time
            text += os.read(screen, 4096).decode()
        os.close(screen)
        os.close(terminal)
        assert "\033" not in text
        assert "a step" not in text
        assert [word in text for word in ("reset 3/9", "50 %", "fails")] == [True] * 3


def test_a_restart_that_is_refused_does_not_call_back_what_was_done(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 3 would say that nothing was changed, and whoever reads it would do it again."""
    wired = Wired("upgrade")
    wired.host = Host("/", Refusing())
    assert wired.carry_out(lambda: Outcome(()), "reboot") == 1
    assert "it is done, but systemctl reboot" in capsys.readouterr().err


@pytest.mark.parametrize(("stage", "command", "found"), [("after-reset", "cryptsetup close vda3", True), ("after-reset.before", "for p in x; do\n  cryptsetup close $p\ndone", True),
                                                         ("after-reset", "echo done", False), ("boot", "cryptsetup close vda3", False)])
def test_whether_a_command_of_a_stage_names_a_program_is_known_from_the_nodes_documents(tmp_path: Path, stage: str, command: str, *, found: bool) -> None:
    """By it a reset knows whether a step of after-reset opens the containers itself."""
    document = tmp_path / "oem/90.yaml"
    document.parent.mkdir()
    document.write_text(json.dumps({"stages": {stage: [{"name": "other"}, {"commands": ["echo", command]}]}}))
    wired = Wired("reset")
    wired.host = Host(str(tmp_path))
    assert wired.calls("after-reset", "cryptsetup") is found
    assert wired.steps("after-reset", "/") == (0 if stage == "boot" else 2)
