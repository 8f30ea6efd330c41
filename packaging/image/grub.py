"""GRUB on a disk that is a file: for BIOS and for UEFI, without mounting anything and without the installer's guesses."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

from common import HERE, run

LIB = Path("/usr/lib/grub")
MODULES = [
    "part_gpt", "ext2", "fat", "loopback", "linux", "normal", "configfile", "loadenv", "search", "search_label", "search_fs_file", "test",
    "echo", "probe", "regexp", "serial", "terminal", "minicmd", "reboot", "halt", "sleep", "ls", "cat", "true", "eval",
]  # fmt: skip
BOOT_CODE = 440  # bytes of the first sector before the disk's signature and partition table
SECTOR = 512


def install_bios(disk: Path, offset: int, size: int) -> None:
    """Boot code into the first sector, the core into the partition at *offset*.

    The three numbers are those that grub-bios-setup writes: where the first sector of the core lies, where the rest of it lies,
    and how long that rest is.
    """
    with tempfile.TemporaryDirectory() as scratch:
        core_file = Path(scratch) / "core.img"
        image("i386-pc", core_file, "/grub2", ["biosdisk"])
        core = bytearray(core_file.read_bytes())
    boot = bytearray((LIB / "i386-pc/boot.img").read_bytes())
    sectors = -(-len(core) // SECTOR)
    if sectors * SECTOR > size:
        raise SystemExit(f"GRUB's core has {len(core)} bytes, its partition {size}")
    struct.pack_into("<Q", boot, 0x5C, offset // SECTOR)
    boot[0x66:0x68] = b"\x90\x90"  # do not insist on the first hard disk
    struct.pack_into("<QHH", core, 0x1F4, offset // SECTOR + 1, sectors - 1, 0x820)
    with disk.open("r+b") as file:
        file.write(boot[:BOOT_CODE])
        file.seek(offset)
        file.write(core)


def install_uefi(disk: Path, offset: int, size: int) -> None:
    """A FAT file system at *offset* with GRUB under the name that firmware looks for on a disk it has no entry for."""
    with tempfile.TemporaryDirectory() as scratch:
        program = Path(scratch) / "BOOTX64.EFI"
        image("x86_64-efi", program, "/EFI/BOOT", ["efi_gop"])
        esp = f"{disk}@@{offset}"
        run("mkfs.fat", "-n", "COS_GRUB", "-i", "4b424f54", "-F", "16", "--offset", str(offset // SECTOR), disk, str(size // 1024))
        run("mmd", "-i", esp, "::/EFI", "::/EFI/BOOT")
        run("mcopy", "-i", esp, program, "::/EFI/BOOT/BOOTX64.EFI")


def image(platform: str, target: Path, prefix: str, more: list[str]) -> None:
    """GRUB as one file, with every module it needs and the few lines that find the menu on the disk that the firmware started.

    Those lines are read by the rescue parser: no comments, no `if`.
    """
    run("grub-mkimage", "-O", platform, "-o", target, "-p", prefix, "-c", HERE / "grub-early.cfg", *MODULES, *more)
