"""What the program adds to the node's initrd, compressed as dracut compresses by itself (`--zstd`), and what that is made of; what opening encrypted partitions adds.

    sudo /usr/bin/python3 benchmarks/bench_initrd.py

The initrds are made by dracut inside the node's own root file system, for any machine (`--no-hostonly`). Minutes the first time:
the root file system is built from Debian's packages.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [TOP, f"{TOP}/packaging/image"]

import initrd  # noqa: E402
import rootfs  # noqa: E402
import sealed  # noqa: E402
from common import MIB, need_root, run  # noqa: E402

from benchmarks.lib.timing import show  # noqa: E402

DRACUT = [word for word in initrd.DRACUT if word not in ("--compress", initrd.LEVEL, "--quiet")]
OURS = ("usr/lib/kairos-boot", "usr/bin/kairos-boot")
KINDS = {"usr/lib/kairos-boot": "the program", "usr/lib/python3": "Python's and Debian's modules", "usr/bin/python3": "the interpreter",
         "lib/x86_64-linux-gnu": "libraries", "usr/lib/x86_64-linux-gnu": "libraries", "usr/lib/modules": "kernel modules"}  # fmt: skip


def pack(tree: Path, name: str, *options: str) -> tuple[dict[str, int], int, int]:
    """An initrd: its files with their sizes, and the bytes of the archive with and without compression."""
    [kernel] = [path.name for path in (tree / "usr/lib/modules").iterdir()]
    sizes = []
    for compression in ("--no-compress", "--zstd"):
        run("unshare", "--mount", "sh", "-c", initrd.CHROOT, "sh", tree, *DRACUT, "--quiet", compression, *options, f"/boot/{name}", kernel)
        sizes.append((tree / "boot" / name).stat().st_size)
        if compression == "--no-compress":
            listing = run("chroot", tree, "lsinitrd", f"/boot/{name}")
    files = {}
    for line in listing.splitlines():
        fields = line.split(None, 8)
        if len(fields) == 9 and fields[0].startswith("-"):
            files[fields[8].split(" -> ")[0]] = int(fields[4])
    return files, sizes[0], sizes[1]


def kind(path: str) -> str:
    """What a file of the initrd is."""
    return next((text for prefix, text in KINDS.items() if path.startswith(prefix)), "tools and units")


def main() -> None:
    """Make them and compare."""
    need_root(sys.argv)
    with tempfile.TemporaryDirectory(dir=rootfs.tree().parent, prefix=".bench-") as scratch:
        tree = Path(scratch) / "tree"
        run("cp", "-al", rootfs.tree(), tree)
        without, raw_without, packed_without = pack(tree, "without", "--omit", "kairos-boot")
        run(f"{TOP}/packaging/install", "--destdir", tree, "--compile")
        with_us, raw_with, packed_with = pack(tree, "with", "--add", "kairos-boot")
        sealed.add(tree)
        plain, raw_plain, packed_plain = pack(tree, "plain", "--add", "kairos-boot")
        opening, raw_opening, packed_opening = pack(tree, "opening", "--add", "kairos-boot kairos-boot-crypt")
    if not all(any(path.startswith(prefix) for path in with_us) for prefix in OURS):
        sys.exit("the program is not in the initrd that should have it")
    if "usr/lib/kairos-boot-crypt/unlock" not in opening or any("kairos-boot-crypt" in path or "libtss2" in path for path in plain):
        sys.exit("what opens encrypted partitions is not where it was asked for, or where it was not")
    compare("the program (kairos-boot)", without, with_us, (raw_without, raw_with), (packed_without, packed_with))
    print()
    compare("opening encrypted partitions (kairos-boot-crypt), in an image with all that it needs", plain, opening, (raw_plain, raw_opening), (packed_plain, packed_opening))


def compare(what: str, without: dict[str, int], with_it: dict[str, int], raw: tuple[int, int], packed: tuple[int, int]) -> None:
    """Print what an initrd has more, by its size and by kinds of files."""
    print(f"{what}:")
    rows = [["initrd", "without", "with", "added", "ratio"]]
    for name, (one, other) in (("cpio", raw), ("zstd, dracut's level", packed)):
        rows.append([name, f"{one / MIB:.2f} MiB", f"{other / MIB:.2f} MiB", f"{(other - one) / MIB:.2f} MiB", f"{other / one:.3f}"])
    show(rows)
    added: Counter[str] = Counter()
    for path in with_it.keys() - without.keys():
        added[kind(path)] += with_it[path]
    print()
    show([["what is added", "uncompressed"], *([name, f"{size / MIB:.2f} MiB"] for name, size in added.most_common())])


if __name__ == "__main__":
    main()
