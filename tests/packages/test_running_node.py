"""Packages in a booted system: an installation or an upgrade there starts, restarts and stops nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import package_tree
import pytest

from tests.container.conftest import Container
from tests.packages.test_debs import newer

pytestmark = [pytest.mark.root, pytest.mark.container]
CONFIGURATION = "stages: {boot: [{name: Once, commands: ['echo run >> /var/tmp/runs']}]}\n"


@pytest.fixture
def system(suite: str, debs: list[Path], tmp_path: Path) -> Iterator[Container]:
    """Debian, booted; the packages lie in /new."""
    home = package_tree.scratch("boot")
    upper = home / "upper"
    (upper / "new").mkdir(parents=True)
    (upper / "oem").mkdir()
    (upper / "oem/90_custom.yaml").write_text(CONFIGURATION)
    for deb in (*debs, *newer(debs, tmp_path)):
        shutil.copy(deb, upper / "new")
    container = Container(package_tree.tools(suite), upper, tmp_path / "log")
    container.wait()
    yield container
    container.process.terminate()
    container.process.wait(timeout=60)
    shutil.rmtree(home)


def units(system: Container) -> dict[str, dict[str, str]]:
    """Every loaded service, timer and target with its state, since when, and its process; but what `apt-get` itself asks for by the bus."""
    found = {}
    said = system.run("systemctl", "show", "*.service", "*.timer", "*.target", "--all", "--property=Id,ActiveState,ActiveEnterTimestampMonotonic,InactiveEnterTimestampMonotonic,MainPID")
    for block in said.strip().split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines())
        found[values.pop("Id")] = values
    return {name: state for name, state in found.items() if state["ActiveState"] == "active"}


def test_an_installation_and_an_upgrade_start_and_restart_nothing(system: Container) -> None:
    before = units(system)
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
    system.run("sh", "-c", "dpkg --purge kairos-boot-image kairos-boot-dracut kairos-boot")
    assert system.run("systemctl", "list-jobs", "--no-legend").strip() in ("", "No jobs running.")
