"""The isolated machine as a fixture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.isolated import Isolated


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Isolated]:
    """A machine of this test's own."""
    made = Isolated(tmp_path)
    yield made
    made.close()
