#!/usr/bin/python3
"""A node's disk as a raw, sparse file, made by the program itself: `kairos-boot install --disk-image`."""

from __future__ import annotations

import shutil
from pathlib import Path

import node
from common import TOP, debugfs, digest, partition_start, phase, run

SEED = "the test node"
SETTINGS = ["install.partitions.persistent.size=512"]
SPARE = "+512M"
"""Unpartitioned, behind COS_PERSISTENT: it grows into it."""
PLACES = {"active": "state", "passive": "state", "recovery": "recovery"}


def key(system_oem: Path, images: list[str]) -> str:
    """What the disk depends on; of the program, the whole: a part of what the node depends on."""
    return digest(node.key(system_oem), images, Path(__file__))


def build(draft: Path, system_oem: Path, images: list[str]) -> None:
    """Make the directory *draft* with node.raw, and the kernel and the initrd of its images; *images* says which of them it has."""
    raw = draft / "node.raw"
    with node.made_for(draft, system_oem) as tree:
        with phase("disk"):
            install(raw, tree)
            for name, partition in PLACES.items():
                if name not in images:
                    debugfs(raw, f"rm cOS/{name}.img", f"rm cOS/{name}.img.sha256", offset=partition_start(raw, partition))
        shutil.copyfile(tree / "boot/vmlinuz", draft / "vmlinuz")
        shutil.copyfile(tree / "boot/initrd", draft / "initrd")


def install(raw: Path, tree: Path) -> None:
    """Let the program that is in *tree* make the disk *raw* of it, with this machine's Python."""
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    run("env", f"PYTHONPATH={TOP}", "PYTHONDONTWRITEBYTECODE=1", "/usr/bin/python3", "-m", "kairos_boot", "install", "--disk-image", raw, "--source", f"dir:{tree}",
        "--size", SPARE, "--firmware", "both", "--seed", SEED, *settings)  # fmt: skip
