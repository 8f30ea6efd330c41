#!/usr/bin/python3
"""A node's disk as a raw, sparse file: GPT, GRUB for BIOS and UEFI, and the five COS_ partitions.

The file systems are written straight into the file; no loop device, no mount and no udev takes part.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import NamedTuple

import grub
import node
from common import HERE, MIB, debugfs, digest, discard, make_ext4, phase, run, stable_uuid

LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
GRUBENV = b"# GRUB Environment Block\n".ljust(1024, b"#")
FREE = 512 * MIB  # unpartitioned, behind COS_PERSISTENT: it grows into it


class Partition(NamedTuple):
    """One partition; offset and size are in bytes."""

    name: str
    label: str
    type: str
    offset: int
    size: int


def layout(image_size: int) -> list[Partition]:
    """The partitions of a disk whose images have *image_size* bytes: room for a third image while one is replaced."""
    wanted = [
        ("bios", "", BIOS_BOOT, 1 * MIB),
        ("efi", "COS_GRUB", ESP, 16 * MIB),
        ("oem", "COS_OEM", LINUX, 64 * MIB),
        ("recovery", "COS_RECOVERY", LINUX, 2 * image_size + 100 * MIB),
        ("state", "COS_STATE", LINUX, 3 * image_size + 200 * MIB),
        ("persistent", "COS_PERSISTENT", LINUX, 512 * MIB),
    ]
    partitions, offset = [], MIB
    for name, label, kind, size in wanted:
        partitions.append(Partition(name, label, kind, offset, size))
        offset += size
    return partitions


def key(system_oem: Path, images: list[str]) -> str:
    """What the disk depends on."""
    sources = [HERE / name for name in ("disk.py", "grub.py", "grub-early.cfg", "common.py")]
    return digest(node.key(system_oem), images, *sources)


def build(draft: Path, system_oem: Path, images: list[str]) -> None:
    """Make the directory *draft* with node.raw, and the kernel and the initrd of its images; *images* says which of them it has."""
    draft.mkdir()
    disk, tree, system = draft / "node.raw", draft / "tree", draft / "system.img"
    try:
        with phase("node tree"):
            node.build(tree, system_oem)
        with phase("system image"):
            size = system_image(tree, system)
        with phase("disk"):
            assemble(disk, system, size, images)
        shutil.copyfile(tree / "boot/vmlinuz", draft / "vmlinuz")
        shutil.copyfile(tree / "boot/initrd", draft / "initrd")
    finally:
        discard(tree)
        discard(system)


def system_image(tree: Path, target: Path) -> int:
    """An ext4 file system of *tree*, without a journal since it is never written; returns its size."""
    used = int(run("du", "-sx", "--block-size=1M", tree).split()[0])
    size = (used * 108 // 100 + 48) // 4 * 4 * MIB
    make_ext4(target, size, "COS_ACTIVE", tree, features=",^has_journal", name="system")
    return size


def assemble(disk: Path, system: Path, size: int, images: list[str]) -> None:
    """Partition table, boot loaders, file systems."""
    parts = {part.name: part for part in layout(size)}
    last = parts["persistent"]
    with disk.open("wb") as file:
        file.truncate(last.offset + last.size + FREE + MIB)
    partition_table(disk, list(parts.values()))
    grub.install_bios(disk, parts["bios"].offset, parts["bios"].size)
    grub.install_uefi(disk, parts["efi"].offset, parts["efi"].size)
    for name in ("oem", "recovery", "state", "persistent"):
        make_ext4(disk, parts[name].size, parts[name].label, offset=parts[name].offset)
    block = grubenv(disk)
    debugfs(disk, f"write {block} grubenv", offset=parts["oem"].offset)
    # The menu counts starts there, so that the first boot of all is on trial like any other (G4).
    debugfs(disk, f"write {block} grubenv", "mkdir grub2", f"write {HERE / 'grub.cfg'} grub2/grub.cfg", "mkdir cOS", offset=parts["state"].offset)
    debugfs(disk, "mkdir cOS", offset=parts["recovery"].offset)
    for image, place, label in (("active", "state", "ACTIVE"), ("passive", "state", "PASSIVE"), ("recovery", "recovery", "SYSTEM")):
        if image in images:
            run("e2label", system, f"COS_{label}")
            debugfs(disk, f"write {system} cOS/{image}.img", f"write {digest_file(system, image)} cOS/{image}.img.sha256", offset=parts[place].offset)
    block.unlink()
    system.with_suffix(".sha256").unlink(missing_ok=True)


def digest_file(system: Path, image: str) -> Path:
    """The image's digest as it lies beside it on the node: what a reset compares, whatever else e2fsck would not see."""
    path = system.with_suffix(".sha256")
    with system.open("rb") as file:
        path.write_text(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {image}.img\n")
    return path


def partition_table(disk: Path, parts: list[Partition], *, without: str = "", owner: str = "") -> None:
    """A GPT with the same identifiers at every build; another *owner* has others."""
    lines = ["label: gpt", f"label-id: {stable_uuid(owner + 'disk')}", "first-lba: 34"]
    for part in parts:
        if part.name != without:
            fields = f"start={part.offset // 512}, size={part.size // 512}, type={part.type}, uuid={stable_uuid(owner + part.name)}, name={part.name}"
            lines.append(f"{parts.index(part) + 1} : {fields}")
    run("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", disk, stdin="\n".join(lines) + "\n")


def grubenv(disk: Path) -> Path:
    """An empty environment block: GRUB writes into the block it finds, so the file is there from the start, in its full size."""
    path = disk.with_suffix(".grubenv")
    path.write_bytes(GRUBENV)
    return path
