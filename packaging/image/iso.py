#!/usr/bin/python3
"""Build a live medium and print its path: an image for discs and sticks, for BIOS and UEFI, that boots the system it can install.

    packaging/image/iso.py [--out FILE] [--tree DIR | --signed]

With no option the path of a cached image of the test node's tree is printed; it is shared, so nobody writes to it.
  --out FILE  make FILE instead of a cached image
  --tree DIR  (with --out) of this tree: a root file system with the program, its initrd and its boot loader's parts in it
  --signed    with Debian's shim and signed GRUB in the tree: for firmware with Secure Boot, as is the node that is installed

On it: /rootfs.squashfs, the tree; /boot/kernel and /boot/initrd, which are its own; GRUB. What boots from it is told the number of this very image,
so another medium of the same label is never taken for it. Two builds of one tree are equal, byte for byte.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import grub
import node
from common import EPOCH, HERE, MIB, TOP, cached, debian, digest, hold, need_root, phase, run, write_tree

sys.path.insert(0, str(TOP))
from kairos_boot.lifecycle import bootcode
from kairos_boot.node.state import release
from kairos_boot.system import grub as product
from kairos_boot.system.host import Host

LABEL = "COS_LIVE"
MENU = HERE / "live.cfg"
SQUASHFS = ["-noappend", "-quiet", "-no-progress", "-comp", "zstd", "-Xcompression-level", "6", "-b", "256K"]
SIGNED = ("shim-signed", "shim-helpers-amd64-signed", "grub-efi-amd64-signed")
"""Debian's packages of what firmware with Secure Boot starts: the shim has Microsoft's signature, and knows Debian's, which the others and the kernel have."""
PROGRAMS = ("usr/lib/shim/shimx64.efi.signed", "usr/lib/shim/mmx64.efi.signed", "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed")
MODULES = ("iso9660", "part_msdos", "search_fs_uuid")
EARLY = """\
serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
search --no-floppy --set=root --fs-uuid {uuid}
echo "GRUB: menu is on $root"
configfile ($root)/boot/grub2/grub.cfg
"""


def key() -> str:
    """What the medium depends on."""
    return digest(node.key(), grub.key(), Path(__file__), MENU, TOP / "kairos_boot/lifecycle/bootcode.py", run("mksquashfs", "-version").splitlines()[0])


def iso(*, signed: bool = False) -> Path:
    """The path of the cached image; *signed*: with a boot loader for Secure Boot."""
    image = cached("iso", digest(key(), SIGNED) if signed else key(), lambda draft: build(draft, signed=signed), keep=3, rest=300) / "live.iso"
    hold(image)
    return image


def build(draft: Path, *, signed: bool = False) -> None:
    """Make the directory *draft* with live.iso."""
    with node.made_for(draft) as tree:
        if signed:
            add_signed(tree)
        make(tree, draft / "live.iso")


def add_signed(tree: Path) -> None:
    """Debian's signed programs below *tree*, where its packages have them: an installation prefers them to what was made."""
    with tempfile.TemporaryDirectory() as scratch:
        files = debian(Path(scratch), *SIGNED)
        write_tree(tree, {name: (files / name).read_bytes() for name in PROGRAMS})


def make(tree: Path, image: Path) -> None:
    """The image of *tree*."""
    with tempfile.TemporaryDirectory(dir=image.parent) as scratch:
        top = Path(scratch) / "medium"
        (top / "boot/grub2").mkdir(parents=True)
        with phase("live system (squashfs)"):
            run("env", "-u", "SOURCE_DATE_EPOCH", "mksquashfs", tree, top / "rootfs.squashfs", *SQUASHFS, "-mkfs-time", str(EPOCH), "-all-time", str(EPOCH))
        for name, target in (("vmlinuz", "kernel"), ("initrd", "initrd")):
            shutil.copyfile(tree / "boot" / name, top / "boot" / target)
        title = release(Host(str(tree))).get("grub_entry_name") or "Kairos"
        date = number(digest(*sorted(path for path in top.rglob("*") if path.is_file()), MENU, __file__, title))
        uuid = f"{date[:4]}-" + "-".join(date[at:at + 2] for at in range(4, 16, 2))
        (top / "boot/grub2/grub.cfg").write_text(MENU.read_text().replace("@UUID@", uuid).replace("@LABEL@", LABEL).replace("@TITLE@", title))
        early = EARLY.format(uuid=uuid)
        host = Host("/")
        (top / "boot/grub2/eltorito.img").write_bytes(product.make(host, str(grub.LIB / "i386-pc"), "i386-pc-eltorito", (*MODULES, "biosdisk"), early))
        esp, started = Path(scratch) / "esp", programs(host, tree, early)
        make_esp(esp, started)
        # A signed GRUB that was started from a disc reads its configuration there, not in the image of the ESP.
        write_tree(top, {name: content for name, content in started.items() if name.endswith(".cfg")})
        run("find", top, "-exec", "touch", "--no-dereference", "--date", f"@{EPOCH}", "{}", "+")
        with phase("medium"):
            run("xorriso", "-as", "mkisofs", "-quiet", "-o", image, "-V", LABEL, "-r", f"--modification-date={date}", "--set_all_file_dates", date,
                "-b", "boot/grub2/eltorito.img", "-c", "boot/grub2/boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info",
                "--grub2-mbr", grub.LIB / "i386-pc/boot_hybrid.img", "--mbr-force-bootable", "-append_partition", "2", "0xef", esp, "-appended_part_as_gpt",
                "--gpt_disk_guid", "modification-date", "-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::", "-no-emul-boot", top)  # fmt: skip


def number(text: str) -> str:
    """The image's own number, which is written like a time (it is the one of its last change): YYYYMMDDhhmmsscc, out of a hexadecimal *text*."""
    rest, parts = int(text, 16), []
    for least, count, width in ((2025, 1, 4), (1, 12, 2), (1, 28, 2), (0, 24, 2), (0, 60, 2), (0, 60, 2), (0, 100, 2)):
        rest, at = divmod(rest, count)
        parts.append(f"{least + at:0{width}}")
    return "".join(parts)


def programs(host: Host, tree: Path, early: str) -> dict[str, bytes]:
    """What UEFI starts: the tree's own where it is signed, told where the menu is; else GRUB of this machine."""
    files = dict(bootcode.find(host, Host(str(tree)), "efi", elsewhere=True).efi)
    started = list(files)[-1]
    if product.is_signed(files[started]):
        return {name: early.encode() if name.endswith("grub.cfg") else content for name, content in files.items()}
    return {started: product.make(host, str(grub.LIB / "x86_64-efi"), "x86_64-efi", (*MODULES, "efi_gop"), early)}


def make_esp(target: Path, files: dict[str, bytes]) -> None:
    """A FAT file system with *files*."""
    with target.open("wb") as file:
        file.truncate(max(4, sum(map(len, files.values())) // MIB + 2) * MIB)
    run("mkfs.fat", "-i", digest(*files)[:8], "-n", "COS_GRUB", "--invariant", target)
    folders = dict.fromkeys(str(parent) for name in files for parent in reversed(Path(name).parents) if parent.name)
    run("mmd", "-i", target, *(f"::{folder}" for folder in folders))
    with tempfile.TemporaryDirectory() as scratch:
        for name, content in files.items():
            path = Path(scratch) / "file"
            path.write_bytes(content)
            run("touch", "--date", f"@{EPOCH}", path)
            run("mcopy", "-m", "-i", target, path, f"::{name}")


def main() -> None:
    """Parse the command line, build, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--tree", type=Path)
    parser.add_argument("--signed", action="store_true")
    args = parser.parse_args()
    need_root(sys.argv)
    if args.tree and (args.signed or not args.out):
        parser.error("--tree goes with --out, and what is signed is in the tree then")
    if args.tree:
        make(args.tree, args.out)
    elif args.out:
        shutil.copyfile(iso(signed=args.signed), args.out)
    print(args.out or iso(signed=args.signed))


if __name__ == "__main__":
    main()
