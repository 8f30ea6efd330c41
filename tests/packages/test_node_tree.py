"""The test node's tree that copies make in a second, and the one that a maintainer makes of the debs, are equal in what is ours."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import node
import package_tree
import packaged
import pytest
import rootfs

from tests.packages.conftest import need_trees

pytestmark = pytest.mark.root
PACKED = ("var/lib/dpkg/", "var/lib/apt/", "usr/lib/kairos-boot/blkid.")
"""What the package manager writes for itself, and the binding of libblkid, which the tree of the copies has among Python's own modules."""
INITRD = "boot/initrd"
"""Of the copies it is made of two archives, so that a change of the program costs no run of dracut."""


def record(path: Path) -> tuple[object, ...] | None:
    """Kind, mode, owners and contents of what is there; None: nothing."""
    if not os.path.lexists(path):
        return None
    status = path.lstat()
    who = (stat.filemode(status.st_mode), status.st_uid, status.st_gid)
    if path.is_symlink():
        return *who, os.readlink(path)
    return *who, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def ours(tree: Path, base: Path) -> set[str]:
    """The names of what was added to the tree *base* of Debian, taken from it or changed; what shares its file with it is the same."""
    found = set()
    names = {str(path.relative_to(root)) for root in (tree, base) for path in root.rglob("*")}
    for name in names:
        here, there = tree / name, base / name
        if not (os.path.lexists(here) and os.path.lexists(there) and here.lstat().st_ino == there.lstat().st_ino) and record(here) != record(there):
            found.add(name)
    return found


def differences(copies: Path, packages: Path) -> dict[str, tuple[object, object]]:
    """What of ours is in one of the two trees only, or another one there."""
    names = ours(copies, rootfs.tree()) | ours(packages, packaged.base())
    # Nobody reads manuals on a node, so its dpkg leaves them out of each package; the copies have them.
    unread = [pattern.lstrip("/") for pattern in rootfs.EXCLUDED]
    compared = {name for name in names if not f"{name}/".startswith(PACKED) and not any(fnmatch.fnmatch(f"{name}/", pattern) for pattern in unread)}
    both = {name: (record(copies / name), record(packages / name)) for name in compared - {INITRD}}
    return {name: pair for name, pair in both.items() if pair[0] != pair[1]}


@pytest.fixture(scope="module")
def trees() -> Iterator[tuple[Path, Path]]:
    """The node's tree by copies, and by debs."""
    need_trees()
    home = package_tree.scratch("trees")
    node.build(home / "copies", debs=False)
    node.build(home / "debs", debs=True)
    yield home / "copies", home / "debs"
    shutil.rmtree(home)


def test_both_have_the_same_files_modes_owners_links_and_enabled_units(trees: tuple[Path, Path]) -> None:
    assert differences(*trees) == {}
