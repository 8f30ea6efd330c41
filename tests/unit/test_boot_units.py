"""The units of the initrd: a reason for each order, a limit for each start, nothing cut off, nothing started half (D1-D3)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

MODULE = Path(__file__).resolve().parents[2] / "dracut/50kairos-boot"
SERVICES = sorted(MODULE.glob("*.service"))
ORDER = ("After=", "Before=", "Wants=", "Requires=", "Conflicts=", "OnFailure=")


def lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line]


def values(path: Path, key: str) -> list[str]:
    return [word for line in lines(path) if line.startswith(f"{key}=") for word in line.partition("=")[2].split()]


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_every_order_has_its_reason_above_it(path: Path) -> None:
    text = lines(path)
    for number, line in enumerate(text):
        if line.startswith(ORDER):
            above = text[number - 1]
            assert above.startswith(("#", "Wants=")), f"{path.name}: no reason for {line}"


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_switching_root_waits_and_no_start_lasts_for_ever(path: Path) -> None:
    assert "initrd-switch-root.target" in values(path, "Before")
    assert values(path, "TimeoutStartSec")
    assert values(path, "Type") == ["oneshot"]
    assert values(path, "DefaultDependencies") == ["no"]


def test_the_image_comes_before_the_root_is_mounted_and_its_failure_is_an_emergency() -> None:
    image = MODULE / "kairos-boot-image.service"
    assert "sysroot.mount" in values(image, "Before")
    assert values(image, "OnFailure") == ["emergency.target"]


def test_the_layout_comes_between_the_mounted_root_and_the_initrds_file_systems_and_its_failure_is_no_emergency() -> None:
    root = MODULE / "kairos-boot-initrd.service"
    assert "sysroot.mount" in values(root, "After")
    assert "initrd-fs.target" in values(root, "Before")
    assert not values(root, "OnFailure")


def test_the_initrd_is_left_only_when_the_layout_says_that_it_is_complete() -> None:
    from kairos_boot.boot.sequence import READY

    assert f"ExecStartPre=/usr/bin/test -e {READY}" in lines(MODULE / "initrd-cleanup.conf")


def test_the_dracut_module_brings_every_file_beside_it() -> None:
    setup = (MODULE / "module-setup.sh").read_text()
    for path in MODULE.iterdir():
        if path.name not in ("module-setup.sh", "__pycache__"):
            assert path.name in setup, path.name


def test_the_dracut_module_is_sound_shell() -> None:
    subprocess.run(["bash", "-n", MODULE / "module-setup.sh"], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", "-s", "bash", "-e", "SC2154", MODULE / "module-setup.sh"], check=True)
