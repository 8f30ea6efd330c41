"""A live medium as a file: it can be found by its own number, started by both firmwares, and is the same at every build."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import iso
import pytest
from common import run, write_tree

from kairos_boot.lifecycle.bootcode import MADE
from tests.modules.test_boot_code import program

pytestmark = pytest.mark.slow
NEEDED = ("boot/vmlinuz", "boot/initrd", "etc/name", f"{MADE.lstrip('/')}/bootx64.efi")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a tree that no firmware would start."""
    home = tmp_path_factory.mktemp("iso")
    for name in NEEDED:
        (home / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "tree" / name).write_text(name)
    iso.make(home / "tree", home / "live.iso")
    return home / "live.iso"


def content(image: Path, path: str) -> bytes:
    """A file of the medium."""
    out = image.parent / "out"
    out.unlink(missing_ok=True)
    run("xorriso", "-osirrox", "on", "-indev", image, "-extract", path, out)
    return out.read_bytes()


def esp(image: Path) -> int:
    """Where the partition for UEFI begins, in bytes."""
    [part] = [part for part in json.loads(run("sfdisk", "--json", image))["partitiontable"]["partitions"] if part["type"].upper().startswith("C12A7328")]
    return int(part["start"]) * 512


def test_boot_loader_and_initrd_look_for_this_very_image(image: Path) -> None:
    """Another medium of the same label is never taken for it (D9)."""
    about = dict(line.split("=", 1) for line in run("blkid", "-p", "-o", "export", image).splitlines())
    assert (about["LABEL"], about["TYPE"]) == ("COS_LIVE", "iso9660")
    assert f"kairos.live=UUID={about['UUID']}" in content(image, "/boot/grub2/grub.cfg").decode()
    run("mcopy", "-n", "-i", f"{image}@@{esp(image)}", "::EFI/BOOT/BOOTX64.EFI", image.parent / "efi")
    assert about["UUID"].encode() in (image.parent / "efi").read_bytes()


def test_kernel_initrd_and_system_are_those_of_the_tree(image: Path) -> None:
    assert [content(image, f"/boot/{name}").decode() for name in ("kernel", "initrd")] == ["boot/vmlinuz", "boot/initrd"]
    (image.parent / "rootfs").write_bytes(content(image, "/rootfs.squashfs"))
    assert run("unsquashfs", "-cat", image.parent / "rootfs", "etc/name") == "etc/name"


def test_bios_and_uefi_start_it_from_a_disc_and_from_a_stick(image: Path) -> None:
    """Boot code in the first sector, El Torito entries for both, and a partition that UEFI finds on a stick."""
    assert image.read_bytes()[510:512] == b"\x55\xaa"
    told = run("xorriso", "-indev", image, "-report_el_torito", "plain")
    assert [line.split()[6] for line in told.splitlines() if line.startswith("El Torito boot img")] == ["BIOS", "UEFI"]
    assert "BOOTX64" in run("mdir", "-i", f"{image}@@{esp(image)}", "::EFI/BOOT")


def test_signed_programs_of_the_tree_are_what_uefi_starts_and_find_the_menu_from_a_disc_and_from_a_stick(image: Path) -> None:
    """GRUB reads a file of a name that was built in: of the medium where it comes from a disc, of the partition where it comes from a stick."""
    tree, medium = image.parent / "signed", image.parent / "signed.iso"
    shutil.copytree(image.parent / "tree", tree)
    write_tree(tree, {name: program(signed=True) + bytes(2 << 20) + name.encode() for name in iso.PROGRAMS})
    write_tree(tree, {"etc/os-release": "ID=debian\n"})
    iso.make(tree, medium)
    menu = content(medium, "/EFI/debian/grub.cfg")
    assert run("blkid", "-p", "-s", "UUID", "-o", "value", medium).strip().encode() in menu
    found = {name: run("mtype", "-i", f"{medium}@@{esp(medium)}", f"::EFI/{name}") for name in ("BOOT/BOOTX64.EFI", "BOOT/grubx64.efi", "BOOT/mmx64.efi", "debian/grub.cfg", "BOOT/grub.cfg")}
    assert [found[f"BOOT/{name}"].endswith(signed) for name, signed in zip(("BOOTX64.EFI", "mmx64.efi", "grubx64.efi"), iso.PROGRAMS, strict=True)] == [True] * 3
    assert found["debian/grub.cfg"] == found["BOOT/grub.cfg"] == menu.decode()


def test_two_builds_of_one_tree_are_equal_and_another_tree_has_another_number(image: Path) -> None:
    again, other = image.parent / "again.iso", image.parent / "other.iso"
    os.utime(image.parent / "tree/etc/name", (1, 1))
    iso.make(image.parent / "tree", again)
    assert again.read_bytes() == image.read_bytes()
    (image.parent / "tree/etc/name").write_text("other")
    iso.make(image.parent / "tree", other)
    assert run("blkid", "-p", "-s", "UUID", "-o", "value", other) != run("blkid", "-p", "-s", "UUID", "-o", "value", image)


@pytest.mark.parametrize("text", ["0" * 16, "f" * 16, "0123456789abcdef"])
def test_the_number_is_a_time_that_every_calendar_has(text: str) -> None:
    number = iso.number(text)
    assert len(number) == 16
    assert (1 <= int(number[4:6]) <= 12, 1 <= int(number[6:8]) <= 28, int(number[8:10]) < 24, int(number[10:12]) < 60, int(number[12:14]) < 60) == (True,) * 5
