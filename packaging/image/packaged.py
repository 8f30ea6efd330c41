"""The node's tree as a maintainer makes it (docs/packaging.md): Debian alone, our debs installed by dpkg, then `kairos-boot-image`.

Nothing of ours is copied into it, and nothing that Debian has is put beside its package manager: dpkg refuses a package whose
dependencies are not met, and the binding of libblkid is the one that lies in the deb. Three parts are cached, each by what it
is made of: Debian's tree, the debs, and the layer of files that the debs and the command make of that tree.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import rootfs
from common import TOP, cached, digest, discard, phase, run

sys.path.insert(0, str(TOP / "packaging/packages"))

ADDED = ["grub-common"]
"""What our packages ask for and the tree of the copies does not have."""
UNPACKED = ("tests/", "benchmarks/", "fuzz/", ".", "Makefile", "NEWS.md")
"""Parts of the source that no deb is made of, by the beginnings of their names."""


def key() -> str:
    """What the tree depends on."""
    return digest(base_key(), debs_key(), Path(__file__))


def build(draft: Path) -> None:
    """Hard links to the cached files of Debian, and new files for those of the layer; nothing of the shared tree is written to."""
    layer = cached("debs-layer", key(), make_layer, keep=2)
    run("cp", "-al", base(), draft)
    for name in (layer / "gone").read_text().splitlines():
        discard(draft / name)
    # The kernel's marks of a layer are extended attributes, and stay behind.
    run("cp", "-dR", "--preserve=mode,ownership,timestamps,links", "--remove-destination", f"{layer}/files/.", draft)


def base_key() -> str:
    """What Debian's tree depends on."""
    return digest(rootfs.key(), *ADDED)


def base() -> Path:
    """The cached tree of Debian's packages alone; never write to it."""
    return cached("rootfs-packages", base_key(), make_base, keep=2)


def make_base(draft: Path) -> None:
    """As rootfs.py makes its own, but for what that one compiles and copies."""
    rootfs.unpack(draft, *ADDED)
    rootfs.tidy(draft)


def debs_key() -> str:
    """What the debs depend on: the release's tools, and each file of the source that is packed."""
    import package_source
    import package_tree

    names = [name for name in package_source.files() if not name.startswith(UNPACKED) and not (name.startswith("packaging/image/") and name.endswith(".py"))]
    bodies = [(TOP / name).readlink() if (TOP / name).is_symlink() else (TOP / name) for name in names]
    return digest(package_tree.key(rootfs.SUITE), *(part for name, body in zip(names, bodies, strict=True) for part in (name, body)))


def debs() -> list[Path]:
    """The three packages of the work tree's files, for the node's release."""
    import package_build

    def make(draft: Path) -> None:
        draft.mkdir()
        package_build.deb(rootfs.SUITE, draft, look=False)

    made = cached("debs", debs_key(), make)
    return sorted(path for path in made.glob("*.deb") if "-dbgsym_" not in path.name)


def make_layer(draft: Path) -> None:
    """Install and finish in a writable layer over Debian's tree, without a network. *draft* gets its `files`, and the names that are `gone`."""
    import package_tree

    packages = debs()
    chamber = package_tree.Chamber(base(), "node")
    try:
        with phase("debs installed"):
            chamber.run("dpkg", "--install", *chamber.put(*packages, into="/debs"))
        with phase("kairos-boot-image"):
            chamber.run("kairos-boot-image")
        for pattern in ("debs", "var/log/*", "var/cache/*", "var/lib/dpkg/*-old"):
            for path in chamber.upper.glob(pattern):
                discard(path)
        gone = whiteouts(chamber.upper, chamber.tree)
        for path in gone:
            path.unlink()
        chamber.upper.chmod(0o755)
        draft.mkdir()
        (draft / "gone").write_text("".join(f"{path.relative_to(chamber.upper)}\n" for path in gone))
        chamber.upper.rename(draft / "files")
    finally:
        chamber.close()


def whiteouts(upper: Path, tree: Path) -> list[Path]:
    """What the layer *upper* has in place of removed files. SystemExit: a directory of *tree* was made anew, which no list of names can say."""
    found = []
    for path in sorted(upper.rglob("*")):
        status, name = path.lstat(), path.relative_to(upper)
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            found.append(path)
        # Each new directory has the mark, also where there was none.
        elif stat.S_ISDIR(status.st_mode) and (tree / name).is_dir() and "trusted.overlay.opaque" in os.listxattr(path, follow_symlinks=False):
            raise SystemExit(f"/{name} was removed and made anew while packages were installed")
    return found
