"""The boot loader's files: what an image brings, and how they lead to each other."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.lifecycle.bootcode import MACHINES, MADE, BootFiles, find, put_bios, stays_trusted
from kairos_boot.system import grub
from kairos_boot.system.host import Host
from kairos_boot.system.partitions import Slot

if TYPE_CHECKING:
    from pathlib import Path

SHORT = MACHINES.get(os.uname().machine, ("", ""))[1]
needs_uefi = pytest.mark.skipif(not SHORT, reason="no UEFI boot loader is known for this machine")


def write(root: Path, path: str, content: bytes) -> None:
    """One file of a tree."""
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


@needs_uefi
def test_a_shim_comes_first_and_leads_to_the_signed_grub_and_that_to_the_menu(tmp_path: Path) -> None:
    """What firmware starts is written last; the signed GRUB finds its few lines under its distribution's name."""
    platform = MACHINES[os.uname().machine][0]
    write(tmp_path, f"/usr/lib/shim/shim{SHORT}.efi.signed", b"shim")
    write(tmp_path, f"/usr/lib/grub/{platform}-signed/grub{SHORT}.efi.signed", b"grub")
    write(tmp_path, f"{MADE}/boot{SHORT}.efi", b"unsigned")
    write(tmp_path, "/etc/os-release", b"ID=ubuntu\nID_LIKE=debian\n")
    files = find(Host("/"), Host(str(tmp_path)), "efi").efi
    assert list(files)[-1] == f"EFI/BOOT/BOOT{SHORT.upper()}.EFI"
    assert files[f"EFI/BOOT/BOOT{SHORT.upper()}.EFI"] == b"shim"
    assert files[f"EFI/BOOT/grub{SHORT}.efi"] == b"grub"
    for folder in ("BOOT", "ubuntu", "debian"):
        assert b"configfile ($root)/grub2/grub.cfg" in files[f"EFI/{folder}/grub.cfg"]
        assert files[f"EFI/{folder}/grub.cfg"].startswith(b"rmmod tpm\n"), "else it reads whole images into memory, and finds none"


@needs_uefi
def test_without_a_shim_the_image_s_own_program_is_started(tmp_path: Path) -> None:
    write(tmp_path, f"{MADE}/boot{SHORT}.efi", b"made")
    assert find(Host("/"), Host(str(tmp_path)), "efi").efi == {f"EFI/BOOT/BOOT{SHORT.upper()}.EFI": b"made"}


@pytest.mark.parametrize(("firmware", "said"), [("bios", "no boot loader for BIOS"), ("efi", "no boot loader for UEFI"), ("both", "no boot loader for BIOS")])
@needs_uefi
def test_an_image_without_a_boot_loader_is_told_what_it_needs(tmp_path: Path, firmware: str, said: str) -> None:
    with pytest.raises(KairosError, match=said) as caught:
        find(Host("/"), Host(str(tmp_path)), firmware)
    assert "it needs" in caught.value.hint


def test_the_boot_code_knows_where_the_core_lies_and_the_core_where_its_rest_does() -> None:
    """The three numbers that grub-bios-setup writes."""
    boot, core = grub.core_at(bytes(512), bytes(1300), 5 << 20)
    assert len(boot) == 440
    assert grub.core_of(boot + bytes(72)) == 5 << 20
    assert struct.unpack_from("<QHH", core, 0x1F4) == ((5 << 20) // 512 + 1, 2, 0x820)


def test_the_partition_table_in_the_first_sector_stays(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(440) + b"T" * 72 + bytes((4 << 20) - 512))
    slot = Slot(1, f"{disk}1", 2048, 2048)
    files = BootFiles(b"B" * 512, b"C" * 1000)
    assert put_bios(str(disk), slot, 512, files) is True
    content = disk.read_bytes()
    assert content[440:512] == b"T" * 72
    assert content[1 << 20] == ord("C")
    assert put_bios(str(disk), slot, 512, files) is False
    assert disk.read_bytes() == content


def test_a_core_that_does_not_fit_twice_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(4 << 20))
    with pytest.raises(KairosError, match="and half of its partition"):
        put_bios(str(disk), Slot(1, "x", 2048, 2048), 512, BootFiles(b"B" * 512, b"C" * (600 << 10)))
    assert not disk.read_bytes().strip(b"\0")


def program(*, signed: bool) -> bytes:
    """The head of a PE32+ program."""
    head = bytearray(1024)
    head[:2] = b"MZ"
    struct.pack_into("<I", head, 0x3C, 0x80)
    head[0x80:0x84] = b"PE\0\0"
    struct.pack_into("<H", head, 0x80 + 24, 0x20B)
    if signed:
        struct.pack_into("<II", head, 0x80 + 24 + 144, 900, 100)
    return bytes(head)


@pytest.mark.parametrize(("old", "new", "replaced"), [(True, True, True), (False, True, True), (False, False, True), (True, False, False)])
def test_a_signed_program_is_never_replaced_by_one_that_is_not(old: bool, new: bool, replaced: bool) -> None:
    """With Secure Boot the node would not start any more."""
    assert stays_trusted(program(signed=old), program(signed=new)) is replaced


def test_what_is_no_program_is_not_signed() -> None:
    assert not any(grub.is_signed(text) for text in (b"", b"MZ", b"MZ" + bytes(200), bytes(500)))


@needs_uefi
def test_where_the_firmware_insists_on_signatures_a_boot_loader_without_one_is_refused(tmp_path: Path) -> None:
    """Before anything is changed; a disk that is made for another machine may have it."""
    write(tmp_path, f"{MADE}/boot{SHORT}.efi", program(signed=False))
    write(tmp_path / "machine", "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", bytes([6, 0, 0, 0, 1]))
    machine, tree = Host(str(tmp_path / "machine")), Host(str(tmp_path))
    with pytest.raises(KairosError, match="signed programs only"):
        find(machine, tree, "efi")
    assert find(machine, tree, "efi", elsewhere=True).efi
    write(tmp_path, f"{MADE}/boot{SHORT}.efi", program(signed=True))
    assert find(machine, tree, "efi").efi


@needs_uefi
@pytest.mark.parametrize(("shim", "loader", "kernel", "named"), [
    (True, True, True, ""), (True, False, True, "EFI/BOOT/grub{m}.efi"), (False, True, True, "EFI/BOOT/BOOT{M}.EFI"), (True, True, False, "/boot/vmlinuz"),
    (True, False, False, "EFI/BOOT/grub{m}.efi, /boot/vmlinuz"),
])
def test_each_program_between_the_firmware_and_the_kernel_has_to_be_signed(tmp_path: Path, shim: bool, loader: bool, kernel: bool, named: str) -> None:
    """A signed shim refuses a GRUB without a signature, and that GRUB such a kernel: what lacks one is named, before anything is changed."""
    platform = MACHINES[os.uname().machine][0]
    write(tmp_path / "machine", "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", bytes([6, 0, 0, 0, 1]))
    write(tmp_path, f"/usr/lib/shim/shim{SHORT}.efi.signed", program(signed=shim))
    write(tmp_path, f"/usr/lib/shim/mm{SHORT}.efi", program(signed=False))  # of no need for a boot
    write(tmp_path, f"/usr/lib/grub/{platform}-signed/grub{SHORT}.efi.signed", program(signed=loader))
    write(tmp_path, "/boot/vmlinuz", program(signed=kernel))
    machine, tree = Host(str(tmp_path / "machine")), Host(str(tmp_path))
    assert find(machine, tree, "efi", elsewhere=True).efi
    if not named:
        assert find(machine, tree, "efi").efi
        return
    with pytest.raises(KairosError, match="signed programs only") as caught:
        find(machine, tree, "efi")
    assert caught.value.message.endswith(": " + named.format(m=SHORT, M=SHORT.upper()))


@needs_uefi
def test_of_several_boot_loaders_a_signed_one_is_taken(tmp_path: Path) -> None:
    platform = MACHINES[os.uname().machine][0]
    write(tmp_path, f"/usr/lib/shim/shim{SHORT}.efi.signed", program(signed=True))
    write(tmp_path, f"/usr/lib/grub/{platform}-signed/grub{SHORT}.efi.signed", program(signed=False))
    write(tmp_path, f"/boot/efi/EFI/fedora/grub{SHORT}.efi", program(signed=True))
    assert find(Host("/"), Host(str(tmp_path)), "efi").efi[f"EFI/BOOT/grub{SHORT}.efi"] == program(signed=True)
