#!/usr/bin/python3
"""Build a node of one signed file (trusted boot), and print the path of its disk.

    packaging/image/uki.py [--tree DIR] [--out FILE | --esp DIR] [--roles active,passive,recovery] [--key FILE --cert FILE] [--append WORDS]

With no option the path of a cached raw disk of the test node's tree is printed, signed by the test keys of Debian's ovmf; it is shared, so nobody writes to it.
  --tree DIR    (with --out or --esp) of this tree: a root file system with the program, its initrd and systemd's bless-boot in it
  --out FILE    make the disk FILE: an EFI system partition, COS_OEM and COS_PERSISTENT
  --esp DIR     make only what belongs on the EFI system partition, in the new directory DIR
  --roles LIST  which entries there are; each has a file of its own
  --key, --cert the key (PEM, without a password) and the certificate that sign; the firmware has to know the certificate
  --append      more words of the kernel command line, which is signed, too

The file of a role is systemd's stub with the kernel, its command line and the initrd; in the initrd, as a squashfs image, the tree. systemd-boot starts it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

import common
import node
import sealed
from common import EPOCH, MIB, TOP, cached, debian, digest, hold, need_root, partition_start, phase, run, write_tree
from iso import SQUASHFS

sys.path.insert(0, str(TOP))
from kairos_boot.boot.uki import SYSTEM
from kairos_boot.lifecycle.layout import SYSTEMS
from kairos_boot.lifecycle.roles import FOLDER
from kairos_boot.lifecycle.uki_install import ROLES
from kairos_boot.lifecycle.uki_upgrade import NOROLE
from kairos_boot.node import loader
from kairos_boot.node.state import release
from kairos_boot.system.host import Host

SYSTEMD = Path("/usr/lib/systemd/boot/efi")
STUB, LOADER = SYSTEMD / "linuxx64.efi.stub", SYSTEMD / "systemd-bootx64.efi"
SNAKEOIL = Path("/usr/share/ovmf/PkKek-1-snakeoil.key"), Path("/usr/share/ovmf/PkKek-1-snakeoil.pem")
LABEL = "COS_UKI"
CMDLINE = (f"console=tty1 console=ttyS0,115200 net.ifnames=1 root=LABEL={LABEL} rootfstype=squashfs ro rd.immucore.uki rd.immucore.oemlabel=COS_OEM panic=5 "
           "rd.emergency=reboot rd.shell=0 systemd.crash_reboot=yes selinux=0")
RULE = f'ACTION!="remove", SUBSYSTEM=="block", KERNEL=="loop*", ATTR{{loop/backing_file}}=="{SYSTEM}", SYMLINK+="disk/by-label/{LABEL}"\n'
BLESS = ("systemd-bless-boot", "system-generators/systemd-bless-boot-generator", "system/systemd-bless-boot.service")
"""What takes the counter away, below the tree's systemd; Debian has it in the package of the boot loader."""
OEM, PERSISTENT = 64 * MIB, 512 * MIB


def key() -> str:
    """What the disk depends on."""
    return digest(node.key(), sealed.equipment(), Path(__file__), STUB, LOADER, *SNAKEOIL, TOP / "units", run("mksquashfs", "-version").splitlines()[0])


def disk() -> Path:
    """The path of the cached disk."""
    raw = cached("uki", key(), build, keep=2, rest=300) / "node.raw"
    hold(raw)
    return raw


def build(draft: Path) -> None:
    """Make the directory *draft* with node.raw, of the test node's tree."""
    with node.made_for(draft) as tree, tempfile.TemporaryDirectory(dir=draft) as esp:
        complete(tree)
        make_esp(tree, Path(esp), ["active"], SNAKEOIL, "")
        make_disk(Path(esp), draft / "node.raw")


def complete(tree: Path) -> None:
    """What such a node has more than others: what blesses an entry, and what makes and opens encrypted partitions."""
    bless(tree)
    sealed.equip(tree)


def bless(tree: Path) -> None:
    """The program that blesses an entry, of the version that the tree's systemd has, from its package."""
    version = run("dpkg-query", f"--admindir={tree}/var/lib/dpkg", "--show", "--showformat=${Version}", "systemd")
    with tempfile.TemporaryDirectory() as scratch:
        files = debian(Path(scratch), f"systemd-boot={version}")
        for name in BLESS:
            source, target = files / "lib/systemd" / name, tree / "usr/lib/systemd" / name
            shutil.copyfile(source, target)
            shutil.copymode(source, target)


def make_esp(tree: Path, esp: Path, roles: list[str], keys: tuple[Path, Path], append: str) -> None:
    """The directory *esp* with systemd-boot, its menu, and a signed file for each of *roles*."""
    missing = [name for name in BLESS if not (tree / "usr/lib/systemd" / name).exists()]
    if missing:
        raise SystemExit(f"the tree has no {missing[0]}, which marks a boot as good: install systemd's boot loader in it (Debian: systemd-boot)")
    title = release(Host(str(tree))).get("grub_entry_name") or "Kairos"
    with tempfile.TemporaryDirectory(dir=esp.parent) as place:
        scratch = Path(place)
        secret = plain_key(keys, scratch / "key.pem")
        program = scratch / "node.efi"
        assemble(tree, scratch, f"{CMDLINE} {append}".strip(), program)
        signed = scratch / "signed.efi"
        sign(program, signed, secret, keys[1])
        sign(LOADER, scratch / "loader.efi", secret, keys[1])
        for name in loader.LOADERS:
            (esp / name).parent.mkdir(parents=True)
            shutil.copyfile(scratch / "loader.efi", esp / name)
        write_tree(esp, {"loader/loader.conf": loader.MENU})
        for role in roles:
            path = f"{FOLDER}/{role}.efi"
            target = esp / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(signed, target)
            # Nobody takes a counter away from a medium, which is only read.
            file = f"{role}.conf" if role == NOROLE else f"{role}+{loader.TRIES}.conf"
            write_tree(esp, {f"loader/entries/{file}": loader.text(Host(str(esp)), role, title, path, {})})


def assemble(tree: Path, scratch: Path, cmdline: str, program: Path) -> None:
    """The unsigned *program*: systemd's stub and what it starts."""
    initrd = scratch / "initrd"
    shutil.copyfile(tree / "boot/initrd", initrd)
    with initrd.open("ab") as file:
        file.write(b"\0" * (-file.tell() % 4))
        with system(tree, scratch).open("rb") as archive:
            shutil.copyfileobj(archive, file)
    kernel = (tree / "boot/vmlinuz").resolve()
    uname = kernel.name.removeprefix("vmlinuz-")
    if ukify := shutil.which("ukify", path="/usr/bin:/usr/lib/systemd"):
        run(ukify, "build", f"--linux={kernel}", f"--initrd={initrd}", f"--cmdline={cmdline}", f"--os-release=@{tree}/etc/os-release", f"--uname={uname}",
            f"--stub={STUB}", f"--output={program}")  # fmt: skip
        return
    write_tree(scratch, {"cmdline": cmdline, "uname": uname})
    shutil.copyfile((tree / "etc/os-release").resolve(), scratch / "osrel")
    words: list[str | Path] = []
    at = end_of(STUB)
    # The kernel comes last: it may unpack itself where it lies.
    for name, path in (("osrel", scratch / "osrel"), ("cmdline", scratch / "cmdline"), ("uname", scratch / "uname"), ("initrd", initrd), ("linux", kernel)):
        words += ["--add-section", f".{name}={path}", "--change-section-vma", f".{name}={at:#x}"]
        at += -(-path.stat().st_size // 4096) * 4096
    run("objcopy", *words, STUB, program)


def end_of(stub: Path) -> int:
    """The first address behind the sections of *stub*, on a page of its own."""
    found = [line.split() for line in run("objdump", "-h", stub).splitlines()]
    ends = [int(words[3], 16) + int(words[2], 16) for words in found if len(words) > 6 and words[0].isdigit()]
    return -(-max(ends) // 4096) * 4096


def system(tree: Path, scratch: Path) -> Path:
    """A cpio archive with the root as a squashfs image, and the rule that names its device. What boots it is not in it once more."""
    top = scratch / "system"
    image = top / SYSTEM.lstrip("/")
    write_tree(top, {"usr/lib/udev/rules.d/62-kairos-boot-uki.rules": RULE})
    image.parent.mkdir()
    with phase("system (squashfs)"):
        run("env", "-u", "SOURCE_DATE_EPOCH", "mksquashfs", tree, image, *SQUASHFS, "-mkfs-time", str(EPOCH), "-all-time", str(EPOCH), "-wildcards", "-e", "boot/*")
    run("find", top, "-exec", "touch", "--date", f"@{EPOCH}", "{}", "+")
    names = sorted(str(path.relative_to(top)) for path in top.rglob("*"))
    archive = scratch / "system.cpio"
    run("cpio", "-o", "-H", "newc", "--reproducible", "--quiet", "-R", "+0:+0", "-O", archive, cwd=top, stdin="\n".join(names) + "\n")
    return archive


def plain_key(keys: tuple[Path, Path], target: Path) -> Path:
    """The key without a password, which sbsign would ask for at a terminal. That of Debian's test key is no secret."""
    if keys != SNAKEOIL:
        return keys[0]
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(run("openssl", "rsa", "-in", keys[0], "-passin", "pass:snakeoil"))
    return target


def sign(source: Path, target: Path, secret: Path, cert: Path) -> None:
    """*source*, signed, as *target*."""
    run("sbsign", "--key", secret, "--cert", cert, "--output", target, source)
    run("sbverify", "--cert", cert, target)


def make_disk(esp: Path, raw: Path) -> None:
    """A raw disk with the content of *esp*, and room there for what upgrades bring; COS_OEM is empty."""
    files = [path.stat().st_size for path in esp.rglob("*") if path.is_file()]
    size = max(sum(files), SYSTEMS * max(files))
    room = -(-(size + size // 64) // MIB) * MIB + 64 * MIB
    with raw.open("wb") as file:
        file.truncate(room + OEM + PERSISTENT + 4 * MIB)
    kinds = {"efi": ("C12A7328-F81F-11D2-BA4B-00A0C93EC93B", room), "oem": ("L", OEM), "persistent": ("L", PERSISTENT)}
    table = f"label: gpt\nlabel-id: {common.stable_uuid('uki disk')}\n" + "".join(
        f"size={size // 512}, type={kind}, name={name}, uuid={common.stable_uuid(f'uki {name}')}\n" for name, (kind, size) in kinds.items())
    run("sfdisk", "--quiet", raw, stdin=table)
    with phase("disk"), tempfile.TemporaryDirectory(dir=raw.parent) as scratch:
        fat = Path(scratch) / "esp"
        with fat.open("wb") as file:
            file.truncate(room)
        run("mkfs.fat", "-F", "32", "-n", "COS_GRUB", "-i", digest("uki esp")[:8], "--invariant", fat)
        run("mcopy", "-s", "-m", "-i", fat, *sorted(esp.iterdir()), "::")
        run("dd", f"if={fat}", f"of={raw}", "bs=1M", f"seek={partition_start(raw, 'efi') // MIB}", "conv=notrunc,sparse", "status=none")
        for name, length in (("oem", OEM), ("persistent", PERSISTENT)):
            common.make_ext4(raw, length, f"COS_{name.upper()}", offset=partition_start(raw, name), name=f"uki {name}")


def main() -> None:
    """Parse the command line, build, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--esp", type=Path)
    parser.add_argument("--roles", default="active")
    parser.add_argument("--key", type=Path)
    parser.add_argument("--cert", type=Path)
    parser.add_argument("--append", default="")
    args = parser.parse_args()
    need_root(sys.argv)
    roles = args.roles.split(",")
    if unknown := [role for role in roles if role not in ROLES]:
        parser.error(f"no such role: {unknown[0]}; there are {', '.join(ROLES)}")
    if bool(args.key) != bool(args.cert):
        parser.error("--key and --cert go together")
    target = args.esp or args.out
    if not target:
        if args.tree or args.key or args.append or roles != ["active"]:
            parser.error("say where it is to be made: --out FILE or --esp DIR")
        print(disk())
        return
    if args.esp and args.out:
        parser.error("--out or --esp")
    if args.esp and args.esp.exists():
        parser.error(f"{args.esp} is there already")
    with tempfile.TemporaryDirectory(dir=target.resolve().parent) as scratch:
        tree = args.tree
        if not tree:
            tree = Path(scratch) / "tree"
            node.build(tree)
            complete(tree)
        esp = Path(scratch) / "esp"
        esp.mkdir()
        make_esp(tree, esp, roles, (args.key, args.cert) if args.key else SNAKEOIL, args.append)
        if args.esp:
            shutil.move(esp, args.esp)
        else:
            make_disk(esp, args.out)
    print(target)


if __name__ == "__main__":
    main()
