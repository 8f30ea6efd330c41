"""GRUB's files: made by grub-mkimage with the few lines that find the menu on the disk that the firmware started, and written as boot code.

No program of GRUB looks at the disks: where its core lies is three numbers, and which disk is meant the firmware knows.
"""

from __future__ import annotations

import os
import struct

from kairos_boot.errors import KairosError
from kairos_boot.system.descriptors import InMemory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host

EARLY = """\
serial --unit=0 --speed=115200
terminal_output console serial
regexp --set=1:disk "^(hd[0-9]+)" "$root"
search --no-floppy --set=root --label COS_STATE --hint "$disk,"
echo "GRUB: menu is on $root"
export disk
configfile ($root)/grub2/grub.cfg
configfile ($root)/grub2/grub.cfg.old
configfile ($root)/grub/grub.cfg
"""
"""What GRUB runs first, read by its rescue parser: no comments, no `if`. Of two partitions of that label it takes the one of its own disk; a node that
Kairos installed may have its menu at the last place until ours is written.
"""
UNMEASURED = "rmmod tpm\n"
"""What a signed GRUB needs before that. It has a module in it that measures each file that is opened, with a TPM or without, and reads all of it into memory for
that: an image of a system does not fit, and counts as missing.
"""
MODULES = ("part_gpt", "ext2", "fat", "loopback", "linux", "normal", "configfile", "loadenv", "search", "search_label", "search_fs_file", "test", "echo", "probe",
           "regexp", "squash4", "xzio", "gzio", "serial", "terminal", "minicmd", "reboot", "halt", "sleep", "ls", "cat", "true", "eval")
FOLDERS = ("/usr/lib/grub", "/usr/share/grub2", "/usr/lib/grub2")
"""Where distributions have GRUB's modules."""
MAKERS = ("grub-mkimage", "grub2-mkimage")
BOOT_CODE = 440
"""Bytes of the first sector before the disk's signature and its partition table."""
SECTOR = 512
_CORE_SECTOR, _JUMP, _BLOCKS = 0x5C, 0x66, 0x1F4


def modules(tree: Host, platform: str) -> str:
    """The directory of GRUB's modules for *platform* in a tree, or nothing."""
    return next((f"{folder}/{platform}" for folder in FOLDERS if tree.exists(f"{folder}/{platform}/kernel.img")), "")


def make(host: Host, directory: str, platform: str, more: tuple[str, ...] = (), early: str = EARLY) -> bytes:
    """GRUB for *platform* as one file, of the modules in *directory*; it runs *early* first. KairosError: the program is missing or fails."""
    with InMemory(early.encode()) as first, InMemory() as made:
        prefix = "/grub2" if platform.startswith("i386-pc") else "/EFI/BOOT"
        words = ("-d", directory, "-O", platform, "-o", made.path, "-p", prefix, "-c", first.path, *MODULES, *more)
        for program in MAKERS:
            if any(os.access(f"{place}/{program}", os.X_OK) for place in ("/usr/bin", "/usr/sbin", "/usr/local/bin")):
                result = host.processes.run((program, *words), timeout=120, env={"LC_ALL": "C"})
                if result.code or result.timed_out:
                    raise KairosError(f"{program}: {result.explain(120)}: {result.output.strip()[-400:]}", directory)
                return made.read()
    raise KairosError("grub-mkimage is missing", directory, "install GRUB's tools (Debian: grub-common), or build the image with its boot loader made")


def core_at(sector: bytes, core: bytes, at: int) -> tuple[bytes, bytes]:
    """The boot code *sector* and the core *core*, knowing that the core lies at the byte *at* of the disk: what grub-bios-setup writes."""
    boot, rest = bytearray(sector[:BOOT_CODE].ljust(BOOT_CODE, b"\0")), bytearray(core)
    struct.pack_into("<Q", boot, _CORE_SECTOR, at // SECTOR)
    boot[_JUMP:_JUMP + 2] = b"\x90\x90"  # do not insist on the first hard disk
    struct.pack_into("<QHH", rest, _BLOCKS, at // SECTOR + 1, -(-len(core) // SECTOR) - 1, 0x820)
    return bytes(boot), bytes(rest)


def is_signed(program: bytes) -> bool:
    """Whether a program of UEFI bears a signature, of whomever: its certificate table is not empty (PE/COFF)."""
    at = int.from_bytes(program[0x3C:0x40], "little")
    if program[:2] != b"MZ" or program[at:at + 4] != b"PE\0\0":
        return False
    entry = at + 24 + (144 if program[at + 24:at + 26] == b"\x0b\x02" else 128)
    return any(program[entry:entry + 8])


def core_of(sector: bytes) -> int:
    """Where the boot code *sector* says that its core lies, in bytes."""
    found: int = struct.unpack_from("<Q", sector, _CORE_SECTOR)[0]
    return found * SECTOR
