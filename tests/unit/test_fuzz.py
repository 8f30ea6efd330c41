"""Documents nobody would write never crash, hang, or write outside their root: as many as a test run can afford."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

COUNT = 1500
"""`make fuzz` runs 200 000."""


@pytest.mark.slow
def test_generated_and_damaged_documents_never_crash_hang_or_leave_their_root() -> None:
    path = Path(__file__).resolve().parents[2] / "fuzz/documents.py"
    spec = importlib.util.spec_from_file_location("documents", path)
    assert spec
    assert spec.loader
    documents = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(documents)
    assert documents.run(COUNT, seed=20) == []
