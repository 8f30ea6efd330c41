"""A node's disk as one small file: partitions at fixed places, filled as an installation and some use left them."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.namespace.initrds import initrd

MIB = 1 << 20
IMAGE = 4 * MIB
GRUBENV = b"# GRUB Environment Block\n".ljust(1024, b"#")
MENU = b"menuentry x --id cos {}\n"


class Part(NamedTuple):
    """A partition: where it lies in the disk, in bytes, and its label."""

    start: int
    size: int
    label: str


PARTS = {
    "state": Part(0, 24 * MIB, "COS_STATE"), "recovery": Part(24 * MIB, 12 * MIB, "COS_RECOVERY"),
    "oem": Part(36 * MIB, 12 * MIB, "COS_OEM"), "persistent": Part(48 * MIB, 12 * MIB, "COS_PERSISTENT"),
}
SIZE = 60 * MIB
MARKS = SIZE
"""Where the program writes how far it says it is."""
HOOKS = """
stages:
  before-upgrade:
  - files: [{path: /oem/before, content: x}]
  after-upgrade:
  - files: [{path: /usr/local/after, content: x}]
  before-reset:
  - files: [{path: /oem/before, content: x}]
  after-reset:
  - files: [{path: /usr/local/after, content: x}]
"""


def file_system(path: Path, size: int, label: str, source: Path | None = None, *, journal: bool = True) -> None:
    """As production makes them: blocks of 4096 bytes."""
    with path.open("wb") as file:
        file.truncate(size)
    features = [] if journal else ["-O", "^has_journal"]
    tree = ["-d", str(source)] if source else []
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0", *features, "-L", label, *tree, str(path)], check=True,
                   stdout=subprocess.DEVNULL)


def system_image(path: Path, label: str, seed: int, scratch: Path) -> None:
    """An image with a kernel and an initrd that starts it by its name; *seed* makes its content its own."""
    tree = scratch / f"tree{seed}"
    files = {"boot/vmlinuz": _noise(seed, MIB // 4), "boot/initrd": initrd(_noise(seed + 100, MIB).decode("latin-1")).encode("latin-1"), "etc/os-release": b"ID=test\n", "etc/cos/grub.cfg": MENU,
             "etc/cos/bootargs.cfg": b"x", "sbin/init": b"#!", "usr/lib/kairos-boot/x": b"", "usr/lib/udev/rules.d/61-kairos-boot.rules": b"",
              "usr/lib/old": b"x" * seed}
    for name, data in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    for name in ("dev", "proc", "run", "sys", "tmp", "oem", "usr/local"):
        (tree / name).mkdir(parents=True, exist_ok=True)
    file_system(path, IMAGE, label, tree, journal=False)


def _noise(seed: int, size: int) -> bytes:
    return hashlib.shake_128(str(seed).encode()).digest(size)


def build(disk: Path, scratch: Path) -> None:
    """The disk before the reset: the images of seed 1, a recovery image of seed 2, a configuration, a user's file."""
    scratch.mkdir(parents=True, exist_ok=True)
    old, recovery = scratch / "old.img", scratch / "recovery.img"
    system_image(old, "COS_ACTIVE", 1, scratch)
    system_image(recovery, "COS_SYSTEM", 2, scratch)
    trees = {name: scratch / f"{name}.tree" for name in PARTS}
    for tree in trees.values():
        (tree / "cOS").mkdir(parents=True)
    for name, label in (("active", "COS_ACTIVE"), ("passive", "COS_PASSIVE")):
        target = trees["state"] / f"cOS/{name}.img"
        subprocess.run(["cp", str(old), str(target)], check=True)
        subprocess.run(["e2label", str(target), label], check=True)
    (trees["state"] / "grubenv").write_bytes(GRUBENV)
    (trees["state"] / "grub2").mkdir()
    (trees["state"] / "grub2/grub.cfg").write_bytes(b"# old\n" + MENU)
    subprocess.run(["cp", str(recovery), str(trees["recovery"] / "cOS/recovery.img")], check=True)
    digest = hashlib.sha256(recovery.read_bytes()).hexdigest()
    (trees["recovery"] / "cOS/recovery.img.sha256").write_text(f"{digest}  recovery.img\n")
    (trees["oem"] / "grubenv").write_bytes(GRUBENV)
    (trees["oem"] / "90_custom.yaml").write_text("#cloud-config\nusers: [{name: a, groups: [admin]}]\n" + HOOKS)
    (trees["persistent"] / "old").write_text("old")
    with disk.open("wb") as file:
        file.truncate(SIZE + MIB)
        for name, part in PARTS.items():
            made = scratch / f"{name}.part"
            file_system(made, part.size, part.label, trees[name])
            file.seek(part.start)
            with made.open("rb") as source:
                while data := source.read(MIB):
                    if data.strip(b"\0"):
                        file.write(data)
                    else:
                        file.seek(len(data), os.SEEK_CUR)
