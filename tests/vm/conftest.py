"""The shared disk, and the machines of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import machine as qemu
import pytest
import variant
from ahead import Ahead


@pytest.fixture(scope="session")
def base_disk() -> Path:
    """The node's disk as it is shipped; shared, so only overlays of it are written."""
    return variant.base()


@pytest.fixture(scope="session", autouse=True)
def ahead(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ahead]:
    """The boots that are made ahead; begun here, for the tests that were chosen."""
    lane = Ahead(tmp_path_factory.mktemp)
    for item in request.session.items:
        for name, boots in getattr(getattr(item, "module", None), "AHEAD", {}).items():
            if name in getattr(item, "fixturenames", ()) and not item.get_closest_marker("skip"):
                lane.begin(boots)
    yield lane
    lane.end()


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
