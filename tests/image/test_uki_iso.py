"""The medium of trusted boot: a disc with the label that an installation looks for, whose firmware starts a FAT image with all that the node is made of (3.14)."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
import uki_iso
from common import write_tree

from kairos_boot.lifecycle import uki_medium, uki_upgrade
from kairos_boot.lifecycle.sources import Named, Source
from kairos_boot.node import loader
from kairos_boot.system.host import Host
from tests.unit.esp_node import program, word_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not shutil.which("xorriso") or not shutil.which("mcopy"), reason="xorriso and mtools make media")


def disc(place: Path, name: str) -> Path:
    esp, top, image = place / f"{name}-esp", place / f"{name}-top", place / f"{name}.iso"
    write_tree(esp, {"EFI/kairos/norole.efi": program("one"), **dict.fromkeys(loader.LOADERS, program("loader")), "loader/entries/norole.conf": "title Our node\nefi /EFI/kairos/norole.efi\n"})
    top.mkdir()
    uki_iso.make_disc(esp, top, image)
    return image


def test_what_an_installation_takes_from_the_disc_is_what_was_put_there(tmp_path: Path) -> None:
    image = disc(tmp_path, "one")
    told = subprocess.run(["xorriso", "-indev", image, "-pvd_info", "-report_el_torito", "plain", "-osirrox", "on", "-extract", f"/{uki_medium.IMAGE}", tmp_path / "fat"],
                          capture_output=True, text=True, check=True)
    assert f"Volume Id    : {uki_medium.LABEL}" in told.stdout + told.stderr
    assert "UEFI" in told.stdout
    tree = tmp_path / "tree"
    tree.mkdir()
    subprocess.run(["mcopy", "-s", "-i", tmp_path / "fat", "::*", tree], check=True)
    source, host = Source("/tree", True, 0, Named("dir", "/tree")), Host(str(tmp_path))
    found = uki_upgrade.find(host, source, "active")
    assert (found.path, found.title) == ("/tree/EFI/kairos/norole.efi", "Our node")
    with open(host.path(uki_medium.loader_of(host, source)), "rb") as file:
        assert word_of(file.read()) == "loader"


def test_two_discs_of_one_content_are_equal(tmp_path: Path) -> None:
    one = disc(tmp_path, "one")
    os.utime(tmp_path, (1, 1))
    assert one.read_bytes() == disc(tmp_path, "two").read_bytes()
