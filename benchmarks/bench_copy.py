"""Images written: copied, against `cp --sparse=always` and `sync` of the same file, and built of a tree; and the memory that it takes.

    sudo /usr/bin/python3 benchmarks/bench_copy.py [DIRECTORY]

All of it lies in a new directory below DIRECTORY (/var/tmp), so that the disk is the one that is asked about. The source is read before, so it is in
the page cache for all alike. Each round has every program once, one after the other; a ratio is that of one round, and the middle one is told.
`copied` is the copy with its digest, `action` also e2fsck and the durable change of names, as a reset does it.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]

from benchmarks.lib.timing import measured_by_itself, shell, show  # noqa: E402

SIZES = (300, 900)
"""MiB of the images; a tenth of each is free, as in those that are made for a node."""
ROUNDS = 5
MIB = 1 << 20
WORK = """
import os, resource, sys, time
sys.path[:0] = [sys.argv[1]]
from kairos_boot.actions.image_file import BuildImage, CopyImage
from kairos_boot.system.copying import copy_file
from kairos_boot.system.host import Host
kind, source, target = sys.argv[2:5]
host = Host("/")
start = time.perf_counter()
if kind == "copied":
    one, other = os.open(source, os.O_RDONLY), os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    copy_file(one, other)
elif kind == "action":
    CopyImage(source, target, "COS_ACTIVE").apply(host)
else:
    BuildImage(source, target, "COS_ACTIVE", int(sys.argv[5])).apply(host)
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def image(path: str, mib: int) -> None:
    """A file system with files of data that cannot be packed, and holes between them."""
    with open(path, "wb") as file:
        file.truncate(mib * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-L", "COS_SYSTEM", path], check=True)
    tree = f"{path}.tree"
    os.makedirs(tree)
    for number in range(mib * 9 // 10 // 4 - 2):
        with open(f"{tree}/{number}", "wb") as file:
            file.write(os.urandom(4 * MIB))
    subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-L", "COS_SYSTEM", "-d", tree, path], check=True)


def measured(place: str, mib: int) -> list[list[str]]:
    """The rows of one size."""
    source, tree, target = f"{place}/image", f"{place}/image.tree", f"{place}/target"
    image(source, mib)
    taken: dict[str, list[float]] = {"cp": [], "copied": [], "action": [], "cp of a tree": [], "built": []}
    memory = dict.fromkeys(taken, 0)
    for _ in range(ROUNDS):
        for name, seconds in taken.items():
            if os.path.exists(target):
                os.unlink(target)
            subprocess.run(["sync"], check=True)
            shell('cat "$1" "$1".tree/* >/dev/null', source)
            if name == "cp":
                seconds.append(shell('cp --sparse=always "$1" "$2"; sync "$2"', source, target))
            elif name == "cp of a tree":
                seconds.append(shell('cp -a --sparse=always "$1" "$2"; sync -f "$2"', tree, target + ".tree"))
                shutil.rmtree(target + ".tree")
            else:
                needed, used = measured_by_itself(WORK, name, tree if name == "built" else source, target, str((mib + 100) * MIB))
                seconds.append(needed)
                memory[name] = max(memory[name], used)
    rows = []
    for name, against in (("cp", "cp"), ("copied", "cp"), ("action", "cp"), ("cp of a tree", "cp of a tree"), ("built", "cp of a tree")):
        ratio = statistics.median(other / own for own, other in zip(taken[name], taken[against], strict=True))
        rows.append([f"{mib} MiB, {name}", f"{statistics.median(taken[name]):.2f} s", f"{ratio:.2f}", f"{memory[name]} MiB" if memory[name] else ""])
    return rows


def main() -> None:
    """Measure each size."""
    if os.geteuid():
        sys.exit("needs root: sudo make bench")
    place = tempfile.mkdtemp(prefix="bench-copy-", dir=sys.argv[1] if len(sys.argv) > 1 else "/var/tmp")
    rows = [["", "time", "speed against cp", "memory"]]
    try:
        for mib in SIZES:
            rows += measured(place, mib)
            shutil.rmtree(f"{place}/image.tree")
    finally:
        shutil.rmtree(place)
    show(rows)


if __name__ == "__main__":
    main()
