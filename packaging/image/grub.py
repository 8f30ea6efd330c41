"""GRUB for BIOS and for UEFI, made on this machine and put into the image: the node's own tools for it are not needed then."""

from __future__ import annotations

import sys
from pathlib import Path

from common import EPOCH, TOP, digest, run, write_tree

sys.path.insert(0, str(TOP))
from kairos_boot.lifecycle.bootcode import MADE
from kairos_boot.system import grub as product
from kairos_boot.system.host import Host

LIB = Path("/usr/lib/grub")


def key() -> str:
    """What the files depend on."""
    return digest(Path(__file__), TOP / "kairos_boot/system/grub.py", run("grub-mkimage", "--version"))


def add(tree: Path) -> None:
    """The files below *tree*, where `install` and `upgrade` look for them."""
    host = Host("/")
    write_tree(tree, {
        f"{MADE}/boot.img": (LIB / "i386-pc/boot.img").read_bytes(),
        f"{MADE}/core.img": product.make(host, str(LIB / "i386-pc"), "i386-pc", ("biosdisk",)),
        f"{MADE}/bootx64.efi": product.make(host, str(LIB / "x86_64-efi"), "x86_64-efi", ("efi_gop",)),
    })
    run("find", tree / MADE.lstrip("/"), "-exec", "touch", "--date", f"@{EPOCH}", "{}", "+")
