"""What a cut left of a file on the ESP goes without the room that it shares: FAT images are judged by mtools and fsck.fat."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from kairos_boot.system import fat_names
from kairos_boot.system.fat import NEW, OLD

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not all(map(shutil.which, ("mkfs.vfat", "fsck.fat", "mcopy"))), reason="mkfs.vfat, fsck.fat (dosfstools) and mcopy (mtools) are not here")
PROGRAM, MENU = "EFI/BOOT/BOOTX64.EFI", "EFI/debian/grub.cfg"
CONTENT = {PROGRAM: b"MZ" * 40_000, MENU: b"menu\n" * 500}
GROUPS = [(name + NEW, name + OLD) for name in CONTENT]


def mtools(program: str, image: Path, *words: str, stdin: bytes = b"") -> bytes:
    return subprocess.run([program, "-i", image, *words], input=stdin, capture_output=True, check=False, env={**os.environ, "MTOOLS_SKIP_CHECK": "1"}).stdout


def made(path: Path, bits: str) -> Path:
    """A FAT file system with both files, among many others."""
    with path.open("wb") as file:
        file.truncate({"12": 2 << 20, "16": 16 << 20, "32": 40 << 20}[bits])
    subprocess.run(["mkfs.vfat", "-F", bits, "-s", "1", path], check=True, capture_output=True)
    for folder in ("EFI", "EFI/BOOT", "EFI/debian"):
        mtools("mmd", path, f"::{folder}")
    for number in range(20):  # directories of more than one cluster
        mtools("mcopy", path, "-", f"::EFI/BOOT/a file with a long name, {number}", stdin=b"x")
    for name, content in CONTENT.items():
        mtools("mcopy", path, "-", f"::{name}", stdin=content)
    return path


def leave(image: Path, name: str, end: str, *, like: str = "") -> None:
    """Put a file beside *name*; the chain of *like* is its own, too, as after a cut inside a rename."""
    mtools("mcopy", image, "-", f"::{name}{end}", stdin=CONTENT[name] if like else b"half of it" * 99)
    if like:
        with image.open("r+b") as file:
            volume = fat_names.Volume(file.fileno())
            mine, other = volume.find(name + end), volume.find(like)
            assert mine is not None
            assert other is not None
            file.seek(other.places[0])
            entry = file.read(32)
            file.seek(mine.places[0] + 20)
            file.write(entry[20:22])
            file.seek(mine.places[0] + 26)
            file.write(entry[26:32])


def checked(image: Path) -> str:
    return subprocess.run(["fsck.fat", "-n", image], capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("bits", ["12", "16", "32"])
def test_a_name_that_shares_the_room_of_a_program_goes_alone(tmp_path: Path, bits: str) -> None:
    """The program stays whole, and what is written next gets none of its clusters; only room is lost, which fsck.fat finds."""
    image = made(tmp_path / "esp", bits)
    for name in CONTENT:
        leave(image, name, OLD)
        leave(image, name, NEW, like=name)
    assert "share clusters" in checked(image)
    assert fat_names.forget(str(image), GROUPS) == [PROGRAM + NEW, PROGRAM + OLD, MENU + NEW, MENU + OLD]
    said = checked(image)
    assert "share clusters" not in said
    assert "unused clusters" in said
    mtools("mcopy", image, "-", "::filler", stdin=bytes(1 << 20))
    assert {name: mtools("mtype", image, f"::{name}") for name in CONTENT} == CONTENT
    assert b"new" not in mtools("mdir", image, "-b", "-/", "::").lower()
    subprocess.run(["fsck.fat", "-a", image], check=False, capture_output=True)
    assert "unused clusters" not in checked(image)
    assert {name: mtools("mtype", image, f"::{name}") for name in CONTENT} == CONTENT


def test_where_no_cut_left_a_new_file_nothing_is_written(tmp_path: Path) -> None:
    """The old ones stay for whoever wants them back."""
    image = made(tmp_path / "esp", "32")
    leave(image, PROGRAM, OLD)
    before = image.read_bytes()
    assert fat_names.forget(str(image), GROUPS) == []
    assert image.read_bytes() == before
    leave(image, MENU, NEW)
    assert fat_names.forget(str(image), GROUPS) == [MENU + NEW]
    assert fat_names.forget(str(image), GROUPS) == []
    assert mtools("mtype", image, f"::{PROGRAM}{OLD}") == b"half of it" * 99


@pytest.mark.parametrize("content", [b"", bytes(1 << 20), b"\x55\xaa" * (1 << 19), bytes(510) + b"\x55\xaa"])
def test_what_is_no_such_file_system_has_no_names(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "esp").write_bytes(content)
    assert fat_names.forget(str(tmp_path / "esp"), GROUPS) == []
    assert fat_names.forget(str(tmp_path / "none"), GROUPS) == []


def test_a_chain_that_goes_round_comes_to_an_end(tmp_path: Path) -> None:
    image = made(tmp_path / "esp", "32")
    with image.open("r+b") as file:
        volume = fat_names.Volume(file.fileno())
        folder = volume.find("efi/boot")
        assert folder is not None
        file.seek(volume.table + folder.cluster * 4)
        file.write(folder.cluster.to_bytes(4, "little"))
    assert fat_names.forget(str(image), [("EFI/BOOT/nothing.new",)]) == []
