"""What it takes to make a system of its source, against the tools that people use for the same work, and the memory that it takes.

    sudo /usr/bin/python3 benchmarks/bench_sources.py [TREE [DIRECTORY]]

TREE (/usr/share) stands for the system. `built` makes an image of it as an installation does, against `cp -a --sparse=always` and sync of the same tree into a
file system of the same kind. `fetched` is an image of a container registry, fetched and unpacked, against `skopeo copy` and `umoci unpack`; without umoci it is
left out. The registry is a layout on the disk that both read by skopeo. Each round has every program once; a ratio is that of one round, and the middle one is told.
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

ROUNDS = 3
WORK = """
import os, resource, sys, time
sys.path[:0] = [sys.argv[1]]
from kairos_boot.actions.image_file import BuildImage, no_progress
from kairos_boot.actions.image_layers import make_tree
from kairos_boot.actions.image_tree import size_for
from kairos_boot.system.host import Host
from kairos_boot.system.oci import described
kind, source, target = sys.argv[2:5]
host = Host("/")
start = time.perf_counter()
if kind == "built":
    BuildImage(source, target, "COS_ACTIVE", size_for(source)).apply(host)
else:
    host.processes.run(("skopeo", "--insecure-policy", "copy", "--quiet", f"oci:{source}:1", f"oci:{target}.layout:1"), timeout=3600)
    blob = lambda digest: f"{target}.layout/blobs/sha256/{digest[7:]}"
    index = open(f"{target}.layout/index.json", "rb").read()
    image = described(index, lambda digest: open(blob(digest), "rb").read(), lambda digest: (blob(digest), 0), ("linux", "amd64"))
    make_tree(host, source, image.layers, target, no_progress)
used = max(resource.getrusage(who).ru_maxrss for who in ([resource.RUSAGE_SELF] if kind == "built" else [resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN]))
print(time.perf_counter() - start, used // 1024)
"""
COPY = 'truncate -s "$3" "$2"; mkfs.ext4 -q -F -m 0 -O ^has_journal "$2"; mkdir -p "$2.d"; mount -o loop "$2" "$2.d"; cp -a --sparse=always "$1" "$2.d"; umount "$2.d"; sync "$2"'
FETCH = 'skopeo --insecure-policy copy --quiet "oci:$1:1" "oci:$2.layout:1"; umoci unpack --image "$2.layout:1" "$2"; sync -f "$2"'


def container(tree: str, layout: str) -> None:
    """An image of *tree*, of two layers."""
    subprocess.run(["sh", "-ec", 'umoci init --layout "$2"; umoci new --image "$2:1"; umoci unpack --image "$2:1" "$2.b"; cp -a "$1" "$2.b/rootfs/"; umoci repack --image "$2:1" "$2.b"; rm -rf "$2.b"',
                    "sh", tree, layout], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Measure."""
    if os.geteuid():
        sys.exit("needs root: sudo make bench")
    tree = sys.argv[1] if len(sys.argv) > 1 else "/usr/share"
    place = tempfile.mkdtemp(prefix="bench-sources-", dir=sys.argv[2] if len(sys.argv) > 2 else "/var/tmp")
    taken: dict[str, list[float]] = {"cp": [], "built": []}
    memory = dict.fromkeys(("built", "fetched"), 0)
    try:
        if shutil.which("umoci") and shutil.which("skopeo"):
            container(tree, f"{place}/image")
            taken |= {"skopeo, umoci": [], "fetched": []}
        count = sum(len(files) for _, _, files in os.walk(tree))
        size = int(subprocess.run(["du", "-sbx", tree], check=True, stdout=subprocess.PIPE, text=True).stdout.split()[0])
        for _ in range(ROUNDS):
            for name, seconds in taken.items():
                target = f"{place}/target"
                subprocess.run(["sync"], check=True)
                if name == "cp":
                    seconds.append(shell(COPY, tree, target, str(size * 3 // 2 + (300 << 20))))
                elif name == "skopeo, umoci":
                    seconds.append(shell(FETCH, f"{place}/image", target))
                else:
                    needed, used = measured_by_itself(WORK, name, tree if name == "built" else f"{place}/image", target)
                    seconds.append(needed)
                    memory[name] = max(memory[name], used)
                subprocess.run(["rm", "-rf", target, f"{target}.layout", f"{target}.d"], check=True)
        rows = [[f"{count} files, {size >> 20} MiB", "time", "speed", "memory"]]
        for name, against in (("cp", "cp"), ("built", "cp"), ("skopeo, umoci", "skopeo, umoci"), ("fetched", "skopeo, umoci")):
            if name in taken:
                ratio = statistics.median(other / own for own, other in zip(taken[name], taken[against], strict=True))
                rows.append([name, f"{statistics.median(taken[name]):.2f} s", f"{ratio:.2f}", f"{memory[name]} MiB" if memory.get(name) else ""])
        show(rows)
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
