#!/usr/bin/python3
"""Build the medium that installs a node of one signed file (trusted boot), and print its path: a disc for UEFI.

    packaging/image/uki_iso.py [--out FILE] [--tree DIR] [--key FILE --cert FILE] [--append WORDS]

With no option the path of a cached image of the test node's tree is printed; it is shared, so nobody writes to it.
  --out FILE    make FILE instead of a cached image
  --tree DIR    (with --out) of this tree, as for uki.py
  --key, --cert (with --out) the key (PEM, without a password) and the certificate that sign
  --append      (with --out) more words of the kernel command line

On it is one file, efiboot.img, the FAT image that the firmware starts: systemd-boot and the signed file, which is the system of the medium and of the node that it installs.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import node
import uki
from common import EPOCH, MIB, TOP, cached, digest, hold, need_root, phase, run

sys.path.insert(0, str(TOP))
from kairos_boot.lifecycle.uki_medium import IMAGE, LABEL
from kairos_boot.lifecycle.uki_upgrade import NOROLE

WORDS = "install-mode"
"""What the live system installs by itself for, where its configuration says so; on a node the word does nothing."""


def key() -> str:
    """What the medium depends on."""
    return digest(uki.key(), Path(__file__))


def iso() -> Path:
    """The path of the cached image."""
    image = cached("uki-iso", key(), build, keep=2, rest=300) / "install.iso"
    hold(image)
    return image


def build(draft: Path) -> None:
    """Make the directory *draft* with install.iso, of the test node's tree."""
    with node.made_for(draft) as tree:
        uki.complete(tree)
        make(tree, draft / "install.iso", uki.SNAKEOIL, "")


def make(tree: Path, image: Path, keys: tuple[Path, Path], append: str) -> None:
    """The image of *tree*, signed with *keys*."""
    with tempfile.TemporaryDirectory(dir=image.parent) as scratch:
        esp, top = Path(scratch) / "esp", Path(scratch) / "medium"
        esp.mkdir()
        top.mkdir()
        uki.make_esp(tree, esp, [NOROLE], keys, f"{WORDS} {append}".strip())
        with phase("medium"):
            make_disc(esp, top, image)


def make_disc(esp: Path, top: Path, image: Path) -> None:
    """The *image* of a disc whose firmware starts what *esp* has; *top* is an empty directory for what comes onto the disc. Two discs of one content are equal."""
    make_fat(esp, top / IMAGE)
    run("find", top, "-exec", "touch", "--date", f"@{EPOCH}", "{}", "+")
    date = time.strftime("%Y%m%d%H%M%S00", time.gmtime(EPOCH))
    run("xorriso", "-as", "mkisofs", "-quiet", "-o", image, "-V", LABEL, "-r", f"--modification-date={date}", "--set_all_file_dates", date, "-e", IMAGE, "-no-emul-boot", top)


def make_fat(esp: Path, target: Path) -> None:
    """A FAT file system with the content of *esp*, and no room to spare."""
    size = sum(path.stat().st_size for path in esp.rglob("*") if path.is_file())
    with target.open("wb") as file:
        file.truncate((-(-(size + size // 64) // MIB) + 36) * MIB)
    run("find", esp, "-exec", "touch", "--date", f"@{EPOCH}", "{}", "+")
    run("mkfs.fat", "-F", "32", "-n", "UKI_INSTALL", "-i", digest("uki medium")[:8], "--invariant", target)
    run("mcopy", "-s", "-m", "-i", target, *sorted(esp.iterdir()), "::")


def main() -> None:
    """Parse the command line, build, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--tree", type=Path)
    parser.add_argument("--key", type=Path)
    parser.add_argument("--cert", type=Path)
    parser.add_argument("--append", default="")
    args = parser.parse_args()
    need_root(sys.argv)
    if bool(args.key) != bool(args.cert):
        parser.error("--key and --cert go together")
    if not args.out and (args.tree or args.key or args.append):
        parser.error("say where it is to be made: --out FILE")
    if args.tree or args.key or args.append:
        with tempfile.TemporaryDirectory(dir=args.out.resolve().parent) as scratch:
            tree = args.tree
            if not tree:
                tree = Path(scratch) / "tree"
                node.build(tree)
                uki.complete(tree)
            make(tree, args.out, (args.key, args.cert) if args.key else uki.SNAKEOIL, args.append)
    elif args.out:
        shutil.copyfile(iso(), args.out)
    print(args.out or iso())


if __name__ == "__main__":
    main()
