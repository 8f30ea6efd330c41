#!/usr/bin/python3
"""Build the live medium of a node whose partitions can be encrypted, and print its path: the test node, and what opens containers by a TPM.

    packaging/image/sealed.py

It is shared, so nobody writes to it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import initrd
import iso
import node
from common import EPOCH, TOP, cached, digest, hold, need_root, phase, run, write_tree

PACKAGES = "cryptsetup-bin libpopt0 dmsetup libtss2-esys-3.0.2-0 libtss2-sys1 libtss2-rc0 libtss2-mu0 libtss2-tcti-device0".split()
"""Of this machine's Debian, which the node has, too; all else that they need is in the node's tree."""
MODULE = TOP / "dracut/51kairos-boot-crypt"
DROPPED = ("doc", "man", "locale", "lintian")
ASKED = "etc/dracut.conf.d/50-kairos-boot-crypt.conf"
"""How an image asks for the dracut module once and for all."""
UNPACK = 'dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink --no-overwrite-dir -C "$2" ' + " ".join(f"--exclude=./usr/share/{name}" for name in DROPPED)


def key() -> str:
    """What the medium depends on."""
    return digest(iso.key(), equipment())


def equipment() -> str:
    """What that depends on which a node has more than others."""
    return digest(Path(__file__), MODULE)


def medium() -> Path:
    """The path of the cached medium."""
    image = cached("sealed", key(), build, keep=2, rest=300) / "live.iso"
    hold(image)
    return image


def build(draft: Path) -> None:
    """Make the directory *draft* with live.iso."""
    with node.made_for(draft) as tree:
        equip(tree)
        iso.make(tree, draft / "live.iso")


def equip(tree: Path) -> None:
    """Let the node's *tree*, and the initrd in it, make and open containers."""
    add(tree)
    write_tree(tree, {ASKED: 'add_dracutmodules+=" kairos-boot-crypt "\n'})
    node.place(initrd.image(tree, equipment()), tree / "boot/initrd", 0o644)
    run("find", tree, "-xdev", "-newermt", f"@{EPOCH}", "-exec", "touch", "--no-dereference", "--date", f"@{EPOCH}", "{}", "+")


def add(tree: Path) -> None:
    """The packages, unpacked: every file is a new one, none of a shared tree is written to."""
    with tempfile.TemporaryDirectory() as scratch, phase("what opens containers"):
        run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *PACKAGES, cwd=Path(scratch))
        for package in sorted(Path(scratch).glob("*.deb")):
            run("sh", "-c", UNPACK, "sh", package, tree)
    run("chroot", tree, "ldconfig")
    for program in ("cryptsetup", "dmsetup", "systemd-cryptenroll"):  # a library that is missing
        run("chroot", tree, program, "--version")


def main() -> None:
    """Build, print."""
    need_root(sys.argv)
    print(medium())


if __name__ == "__main__":
    main()
