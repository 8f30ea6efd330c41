#!/usr/bin/python3
"""The node's root file system: Debian's tree, our program, its units, its initrd and the default configurations.

packaging/image/node.py DIR    makes the tree in DIR, which must not exist
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import grub
import initrd
import rootfs
from common import EPOCH, HERE, TOP, digest, need_root, phase, run, write_tree

sys.path.insert(0, str(TOP))
from kairos_boot import __version__

OEM = HERE / "oem"
SOURCES = [TOP / "kairos_boot", TOP / "units", TOP / "dracut", *(TOP / "packaging" / name for name in ("install", "entry", "generator", "catalog", "udev", "kubernetes/suc-upgrade"))]
CONFIGS = [HERE / "grub.cfg", HERE / "grubmenu.cfg", HERE / "bootargs.cfg", *sorted(HERE.glob("*.preset")), *sorted(HERE.glob("*.tmpfiles"))]

DEBIAN = {"bookworm": "12", "trixie": "13"}.get(rootfs.SUITE, rootfs.SUITE)
RELEASE = {
    "ID": "kairos", "ID_LIKE": f"kairos-core-debian-{DEBIAN}", "NAME": f"kairos-core-debian-{DEBIAN}", "VERSION": f"v{__version__}", "RELEASE": f"v{__version__}", "ARCH": "amd64", "TARGETARCH": "amd64",
    "FLAVOR": "debian", "FLAVOR_RELEASE": DEBIAN, "FAMILY": "debian", "MODEL": "generic", "VARIANT": "core", "FIPS": "false", "TRUSTED_BOOT": "false",
}
"""What the image says of itself; GRUB and shells read the file, too."""


def key(system_oem: Path = OEM) -> str:
    """What the tree depends on."""
    present = [path for path in [*SOURCES, *CONFIGS, system_oem] if path.exists()]
    return digest(rootfs.key(), initrd.key(), grub.key(), Path(__file__), *present)


def build(draft: Path, system_oem: Path = OEM) -> None:
    """Hard links to the cached files of Debian, and new files of ours: a second of work, and nothing copied.

    No file of the shared tree may be written in place; everything here makes new files.
    """
    run("cp", "-al", rootfs.tree(), draft)
    run(TOP / "packaging/install", "--destdir", draft, "--compile")
    for name, mode in (("grub.cfg", 0o644), ("bootargs.cfg", 0o644)):
        place(HERE / name, draft / "etc/cos" / name, mode)
    place(HERE / "grubmenu.cfg", draft / "etc/kairos/branding/grubmenu.cfg", 0o644)
    grub.add(draft)
    write_tree(draft, {"etc/kairos-release": "".join(f'KAIROS_{name}="{value}"\n' for name, value in RELEASE.items())})
    for config in sorted(system_oem.glob("*.y*ml")):
        place(config, draft / "system/oem" / config.name, 0o644)
    for preset in HERE.glob("*.preset"):
        place(preset, draft / "usr/lib/systemd/system-preset" / preset.name, 0o644)
    for tmpfiles in HERE.glob("*.tmpfiles"):
        place(tmpfiles, draft / "usr/lib/tmpfiles.d" / f"{tmpfiles.stem}.conf", 0o644)
    # So that `journalctl -x` explains our entries: the database lies in /var, which each boot takes from the image anew.
    run("journalctl", "--update-catalog", f"--root={draft}")
    place(initrd.image(draft), draft / "boot/initrd", 0o644)
    run("find", draft, "-xdev", "-newermt", f"@{EPOCH}", "-exec", "touch", "--no-dereference", "--date", f"@{EPOCH}", "{}", "+")


def place(source: Path, target: Path, mode: int) -> None:
    """A new file, whatever was there before."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


if __name__ == "__main__":
    need_root(sys.argv)
    with phase("node tree"):
        build(Path(sys.argv[1]))
