"""A marker on COS_STATE and a system that came up: whose work it is to go on (D8, G2)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kairos_boot.boot.cmdline import Cmdline
from kairos_boot.boot.resume import MARKER, asked_for
from kairos_boot.boot.state import detect

ACTIVE = Cmdline("root=LABEL=COS_ACTIVE")


def marked(home: Path, text: str) -> str:
    path = home / MARKER
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return str(home)


@pytest.mark.parametrize(("text", "why"), [
    (json.dumps({"action": "reset"}), "a reset was cut short"), ("{", "a reset was cut short"), ("[]", "a reset was cut short"),
    (json.dumps({"action": "reset", "failed": "no room"}), ""), (json.dumps({"action": "upgrade", "started": "switch"}), ""),
])
def test_only_a_reset_that_is_to_be_ended_is_handed_on(tmp_path: Path, text: str, why: str) -> None:
    """An upgrade that was cut is ended or undone by whichever system comes up."""
    assert asked_for(detect(ACTIVE), ACTIVE, marked(tmp_path, text)) == why


def test_without_a_marker_nothing_is_handed_on(tmp_path: Path) -> None:
    assert asked_for(detect(ACTIVE), ACTIVE, str(tmp_path)) == ""
