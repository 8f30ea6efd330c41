#!/usr/bin/python3
"""The node's initrd: dracut's, with our module 50kairos-boot, made inside the node's own root file system.

dracut takes 15 seconds and more, so its result is cached by the root file system, our dracut module and the names of the
modules that the program imports from elsewhere (they decide which parts of Python are packed). The program itself is appended
as a second archive, whose files replace those of the first when the kernel unpacks them: a change of code costs nothing.
"""

from __future__ import annotations

import ast
import shutil
import sys
import tempfile
from pathlib import Path

import rootfs
from common import TOP, cached, digest, phase, run

MODULE = TOP / "dracut/50kairos-boot"
LEVEL = "zstd -3 -q -T0"  # for tests; a release is packed at dracut's own level
DRACUT = ["dracut", "--force", "--no-hostonly", "--no-hostonly-cmdline", "--reproducible", "--quiet", "--compress", LEVEL]
CHROOT = """
set -e
mount --make-rprivate /
mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && mount --rbind /sys "$1/sys" && mount -t tmpfs tmpfs "$1/var/tmp"
root=$1; shift
exec chroot "$root" "$@"
"""


def imports() -> list[str]:
    """The top-level names of all modules that the program imports and does not contain."""
    names = set()
    for path in (TOP / "kairos_boot").rglob("*.py"):
        try:
            nodes = list(ast.walk(ast.parse(path.read_bytes())))
        except SyntaxError:  # somebody is at work on it; the program will say so itself
            continue
        names |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return sorted(name for name in names if not name.startswith("kairos_boot"))


def key() -> str:
    """What the part made by dracut depends on."""
    module = [MODULE] if MODULE.is_dir() else []
    return digest(rootfs.key(), Path(__file__), imports(), *module)


def image(tree: Path, more: str = "") -> Path:
    """The path of an initrd for the node whose root file system, with the program in it, is *tree*; *more* is the key of what was added there that goes into it."""
    made = f"{key()}{more}"
    base = cached("initrd-base", digest(made) if more else made, lambda draft: pack(tree, draft), keep=3)
    code = [tree / "usr/lib/kairos-boot", tree / "usr/bin/kairos-boot"]

    def append(draft: Path) -> None:
        shutil.copyfile(base, draft)
        with draft.open("ab") as file:
            file.write(b"\0" * (-file.tell() % 4) + program(tree))

    return cached("initrd", digest(made, *code), append, keep=3)


def pack(tree: Path, draft: Path) -> None:
    """Run dracut inside *tree*, with the kernel's own file systems mounted for it alone."""
    [kernel] = [path.name for path in (tree / "usr/lib/modules").iterdir()]
    modules = ["--add", "kairos-boot"] if MODULE.is_dir() else []
    with phase("initrd by dracut"):
        said = run("unshare", "--mount", "sh", "-c", CHROOT, "sh", tree, *DRACUT, *modules, "/boot/initrd.dracut", kernel)
    made = tree / "boot/initrd.dracut"
    if not made.exists():
        raise SystemExit(f"dracut made no initrd\n{said}")
    listing = run("chroot", tree, "lsinitrd", "/boot/initrd.dracut")
    missing = [name for name in ("usr/lib/systemd/systemd", "kernel/fs/overlayfs/overlay.ko") if name not in listing]
    if MODULE.is_dir():
        missing += [name for name in ("usr/bin/python3", "usr/lib/kairos-boot") if name not in listing]
    if missing:  # dracut goes on without what it cannot find
        raise SystemExit(f"dracut left out {', '.join(missing)}\n{said}")
    shutil.move(made, draft)


def program(tree: Path) -> bytes:
    """A compressed cpio archive of the installed program."""
    parts = [tree / "usr/lib/kairos-boot", tree / "usr/bin/kairos-boot"]
    paths = sorted(str(p.relative_to(tree)) for part in parts for p in [part, *part.rglob("*")])
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch) / "program.cpio"
        run("cpio", "-o", "-H", "newc", "--reproducible", "--quiet", "-O", archive, cwd=tree, stdin="\n".join(paths) + "\n")
        run("zstd", "-q", "-3", "--check", archive)
        return archive.with_suffix(".cpio.zst").read_bytes()


if __name__ == "__main__":
    sys.exit("this is a part of packaging/image/build")
