"""The isolated machine as a fixture."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from isolated import Isolated


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Isolated]:
    """A machine of this test's own."""
    made = Isolated(tmp_path)
    yield made
    made.close()
