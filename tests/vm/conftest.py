"""The shared disk, and the machines of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import machine as qemu
import pytest
import variant


@pytest.fixture(scope="session")
def base_disk() -> Path:
    """The node's disk as it is shipped; shared, so only overlays of it are written."""
    return variant.base()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a module's machine has its disk, console logs and sockets."""
    return tmp_path_factory.mktemp("vm")


@pytest.fixture(scope="module")
def machines() -> Iterator[list[qemu.Machine]]:
    """The machines of a module; those that still run at its end are switched off hard."""
    made: list[qemu.Machine] = []
    yield made
    for machine in made:
        machine.kill()
