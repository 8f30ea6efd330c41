#!/usr/bin/python3
"""The node's root file system: Debian's tree, our program, its units, its initrd and the default configurations.

packaging/image/node.py [--debs] DIR    makes the tree in DIR, which must not exist

Our files are copied into it: a second of work after a change. With --debs, or KAIROS_BOOT_DEBS=1 for whatever builds nodes, dpkg
installs them as packages of the work tree (packaged.py). A test holds that both trees are equal in what is ours.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grub
import initrd
import packaged
import rootfs
from common import EPOCH, HERE, TOP, digest, discard, need_root, phase, run, write_tree

sys.path.insert(0, str(TOP))
from kairos_boot import __version__

DEBS = os.environ.get("KAIROS_BOOT_DEBS", "") not in ("", "0")
PROGRAM = "/usr/lib/kairos-boot"
OEM = HERE / "oem"
INSTALLED = ("install", "install-image", "entry", "generator", "catalog", "udev", "kubernetes/suc-upgrade", "kairos-boot-image", "image/oem")
SOURCES = [TOP / "kairos_boot", TOP / "units", TOP / "dracut", *(TOP / "packaging" / name for name in INSTALLED)]
CONFIGS = [HERE / "grub.cfg", HERE / "grubmenu.cfg", HERE / "bootargs.cfg"]

DEBIAN = {"bookworm": "12", "trixie": "13"}.get(rootfs.SUITE, rootfs.SUITE)
RELEASE = {
    "ID": "kairos", "ID_LIKE": f"kairos-core-debian-{DEBIAN}", "NAME": f"kairos-core-debian-{DEBIAN}", "VERSION": f"v{__version__}", "RELEASE": f"v{__version__}", "ARCH": "amd64", "TARGETARCH": "amd64",
    "FLAVOR": "debian", "FLAVOR_RELEASE": DEBIAN, "FAMILY": "debian", "MODEL": "generic", "VARIANT": "core", "FIPS": "false", "TRUSTED_BOOT": "false",
}
"""What the image says of itself; GRUB and shells read the file, too."""


def key(system_oem: Path = OEM) -> str:
    """What the tree depends on."""
    present = [path for path in [*SOURCES, *CONFIGS, system_oem] if path.exists()]
    return digest(packaged.key() if DEBS else rootfs.key() + initrd.key(), grub.key(), Path(__file__), *present)


@contextmanager
def made_for(draft: Path, system_oem: Path = OEM) -> Iterator[Path]:
    """The node's tree, below the new directory *draft*, for what is made of it there; thrown away then."""
    draft.mkdir()
    tree = draft / "tree"
    try:
        with phase("node tree"):
            build(tree, system_oem)
        yield tree
    finally:
        discard(tree)


def build(draft: Path, system_oem: Path = OEM, *, debs: bool = DEBS) -> None:
    """Hard links to the cached files of Debian, and new files of ours, packed by *debs* or copied, with the configurations of *system_oem*.

    No file of the shared tree may be written in place; everything here makes new files.
    """
    if debs:
        packaged.build(draft)
    else:
        copy(draft)
    if not debs or system_oem != OEM:
        discard(draft / "system/oem")
        (draft / "system/oem").mkdir()
        for config in sorted(system_oem.glob("*.y*ml")):
            place(config, draft / "system/oem" / config.name, 0o644)
    grub.add(draft)
    if not debs:
        place(initrd.image(draft), draft / "boot/initrd", 0o644)
    run("find", draft, "-xdev", "-newermt", f"@{EPOCH}", "-exec", "touch", "--no-dereference", "--date", f"@{EPOCH}", "{}", "+")


def copy(draft: Path) -> None:
    """What the packages and `kairos-boot-image` do, but for the initrd, in a second: a change is seen in a node at once."""
    run("cp", "-al", rootfs.tree(), draft)
    run(TOP / "packaging/install", "--destdir", draft)
    run(TOP / "packaging/install-image", "--destdir", draft)
    # By the node's Python, which may be another one than this machine's: byte code of that one would count for nothing at each start.
    code = f"{PROGRAM}/kairos_boot/bytecode.py"
    run("chroot", draft, "python3", "-B", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", f"{PROGRAM}/kairos_boot/__init__.py", code)
    run("chroot", draft, "python3", "-ISB", code, PROGRAM, PROGRAM)
    for name in ("grub.cfg", "bootargs.cfg"):
        place(HERE / name, draft / "etc/cos" / name, 0o644)
    place(HERE / "grubmenu.cfg", draft / "etc/kairos/branding/grubmenu.cfg", 0o644)
    write_tree(draft, {"etc/kairos-release": "".join(f'KAIROS_{name}="{value}"\n' for name, value in RELEASE.items())})
    # So that `journalctl -x` explains our entries: the database lies in /var, which each boot takes from the image anew.
    run("journalctl", "--update-catalog", f"--root={draft}")


def place(source: Path, target: Path, mode: int) -> None:
    """A new file, whatever was there before."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


if __name__ == "__main__":
    need_root(sys.argv)
    words = [word for word in sys.argv[1:] if word != "--debs"]
    if len(words) != 1 or words[0].startswith("-"):
        sys.exit(__doc__)
    with phase("node tree"):
        build(Path(words[0]), debs=DEBS or "--debs" in sys.argv)
