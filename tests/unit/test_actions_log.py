"""What an action tells where nobody is logged in: every console has it, and the journal too (D8)."""

from __future__ import annotations

import os
import select
import tty
from typing import Any

from kairos_boot.cli.actions import OnConsoles


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
