"""`.kairos-state`: what is damaged is kept beside it, what cannot be read now is left as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.node.kairos_state import FILE, load, note

if TYPE_CHECKING:
    from pathlib import Path


def test_an_event_is_added_to_those_before_it(tmp_path: Path) -> None:
    note(str(tmp_path), "first-install", "dir:///a", 0.0)
    note(str(tmp_path), "last-active-upgrade", "oci://b", 86400.0)
    found = load(str(tmp_path))
    assert (found["first-install"], found["first-install-source"]) == ("1970-01-01T00:00:00Z", "dir:///a")
    assert (found["last-active-upgrade"], found["last-active-source"]) == ("1970-01-02T00:00:00Z", "oci://b")


def test_a_damaged_one_is_kept_beside_the_new_one(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("first-install: [\n")
    note(str(tmp_path), "last-reset", "", 0.0)
    assert load(str(tmp_path))["last-reset"] == "1970-01-01T00:00:00Z"
    assert (tmp_path / f"{FILE}.bak").read_text() == "first-install: [\n"


def test_one_that_cannot_be_read_now_is_not_replaced(tmp_path: Path) -> None:
    """A disk that fails once must not cost the history of the node."""
    (tmp_path / FILE).mkdir()
    with pytest.raises(KairosError, match="cannot be written"):
        note(str(tmp_path), "last-reset", "", 0.0)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
