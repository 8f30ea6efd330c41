"""Packages in a booted system of each release: nothing that is done with them there starts, restarts or stops anything, or leaves a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.container.conftest import Container
from tests.packages.conftest import booted
from tests.packages.test_debs import newer

pytestmark = [pytest.mark.root, pytest.mark.container]
RELEASES = {"bookworm": "12", "trixie": "13"}
NAMES = ("kairos-boot-image", "kairos-boot-dracut", "kairos-boot")
CONFIGURATION = "stages: {boot: [{name: Once, commands: ['echo run >> /var/tmp/runs']}]}\n"


@pytest.fixture
def system(suite: str, debs: list[Path], tmp_path: Path) -> Iterator[Container]:
    """Debian, booted; the packages lie in /new."""
    with booted(suite, tmp_path / "log", [*debs, *newer(debs, tmp_path)], {"/oem/90_custom.yaml": CONFIGURATION}) as container:
        yield container


def units(system: Container) -> dict[str, dict[str, str]]:
    """Every loaded service, timer and target with its state, since when, and its process; but what `apt-get` itself asks for by the bus."""
    found = {}
    said = system.run("systemctl", "show", "*.service", "*.timer", "*.target", "--all", "--property=Id,ActiveState,ActiveEnterTimestampMonotonic,InactiveEnterTimestampMonotonic,MainPID")
    for block in said.strip().split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines())
        found[values.pop("Id")] = values
    return {name: state for name, state in found.items() if state["ActiveState"] == "active"}


def files(system: Container) -> set[str]:
    """Every path where packages put files; what systems write of themselves lies elsewhere."""
    return set(system.run("sh", "-c", "find / -xdev -path /var -prune -o -path /tmp -prune -o -path /root -prune -o -print").splitlines())


def test_packages_start_restart_and_stop_nothing_and_leave_nothing(system: Container, suite: str) -> None:
    """Installation, upgrade, removal and purge, one after the other."""
    assert system.run("sh", "-c", ". /etc/os-release && echo $VERSION_ID").strip() == RELEASES[suite]
    before, present = units(system), files(system)
    system.run("sh", "-c", "apt-get install --yes /new/*-1_*.deb")
    assert units(system) == before
    assert "0.1.0" in system.run("kairos-boot", "version")
    # As on a node, where they were started by its boot.
    system.run("systemctl", "start", "cos-setup-boot.service", "cos-setup-reconcile.timer")
    before = units(system)
    assert {"cos-setup-boot.service", "cos-setup-reconcile.timer"} <= set(before)
    system.run("sh", "-c", "apt-get install --yes /new/*-2_*.deb")
    assert units(system) == before
    assert system.run("cat", "/var/tmp/runs") == "run\n"
    assert "NeedDaemonReload=no" in system.run("systemctl", "show", "cos-setup-boot.service", "--property=NeedDaemonReload")
    system.run("apt-get", "remove", "--yes", *NAMES)
    # No script stops it: systemd forgets when a timer without a unit file elapses.
    del before["cos-setup-reconcile.timer"]
    assert units(system) == before
    system.run("apt-get", "purge", "--yes", *NAMES)
    assert units(system) == before
    assert files(system) ^ present == set()
    assert system.run("systemctl", "list-jobs", "--no-legend").strip() in ("", "No jobs running.")
