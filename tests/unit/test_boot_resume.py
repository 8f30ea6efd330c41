"""A marker on COS_STATE and a system that came up: whose work it is to go on (D8, G2)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kairos_boot.boot.cmdline import Cmdline
from kairos_boot.boot.resume import MARKER, asked_for
from kairos_boot.boot.state import detect
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import marker

ACTIVE = Cmdline("root=LABEL=COS_ACTIVE")


def marked(home: Path, text: str) -> str:
    path = home / MARKER
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return str(home)


@pytest.mark.parametrize(("text", "why"), [
    (json.dumps({"action": "reset"}), "a reset was cut short"),
    (json.dumps({"action": "reset", "failed": "no room"}), ""), (json.dumps({"action": "upgrade", "started": "switch"}), ""),
])
def test_only_a_reset_that_is_to_be_ended_is_handed_on(tmp_path: Path, text: str, why: str) -> None:
    """An upgrade that was cut is ended or undone by whichever system comes up."""
    assert asked_for(detect(ACTIVE), ACTIVE, marked(tmp_path, text)) == why


def test_without_a_marker_nothing_is_handed_on(tmp_path: Path) -> None:
    assert asked_for(detect(ACTIVE), ACTIVE, str(tmp_path)) == ""


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "[" * 100_000, '{"action": 3}', None],
                         ids=["empty", "cut", "a list", "no action", "deep", "a number", "unreadable"])
def test_a_marker_that_cannot_be_read_is_told_and_never_a_reset(tmp_path: Path, text: str | None) -> None:
    """It may be one of an upgrade, and a reset erases the persistent data."""
    home = marked(tmp_path, text or "")
    if text is None:  # what reading a damaged disk is like
        (tmp_path / MARKER).unlink()
        (tmp_path / MARKER).mkdir()
    for look in (lambda: asked_for(detect(ACTIVE), ACTIVE, home), lambda: marker.load(home)):
        with pytest.raises(KairosError, match="cannot be read") as caught:
            look()
        assert (caught.value.where, bool(caught.value.hint)) == (f"{home}/{MARKER}", True)


@pytest.mark.parametrize("part", [{"options": []}, {"done": "all"}, {"cuts": "1"}, {"failed": None}])
def test_a_marker_with_a_damaged_part_is_not_gone_on_with(tmp_path: Path, part: dict[str, object]) -> None:
    """Without the options that a reset was asked with it would erase what was to be kept."""
    with pytest.raises(KairosError, match="damaged"):
        marker.load(marked(tmp_path, json.dumps({"action": "reset", **part})))
