"""A whole stage of many steps: read, ordered, done and recorded, in multiples of the bare interpreter and per step.

    make build && sudo /usr/bin/python3 benchmarks/bench_steps.py

Ten steps a document, each third one with `after`; each step writes one small file. `first` reads the documents as YAML, `again`
from the cache of the run before, and finds every file as wanted. `graph` prints the order only.
"""

from __future__ import annotations

import os
import statistics
import sys

sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]

from benchmarks.lib.timing import BARE, PROGRAM, isolate, once, show  # noqa: E402

SIZES = (100, 1000, 10000)
SETUP = """
for dir in /run /var/log /mnt; do mount -t tmpfs none $dir; done
exec "$@"
"""


def write(directory: str, count: int) -> None:
    """The documents of *count* steps."""
    os.makedirs(directory)
    for number in range(count // 10):
        lines = [f"name: d{number}", "stages:", "  many:"]
        for step in range(10):
            lines.append(f"    - name: s{step}")
            if step % 3 == 2:
                lines.append(f"      after: [{{name: d{number}.s{step - 2}}}]")
            lines.append(f"      files: [{{path: {directory}.out/{number}-{step}, content: text, permissions: 0644}}]")
        with open(f"{directory}/{number:04}.yaml", "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")


def main() -> None:
    """Measure each size."""
    isolate(os.path.abspath(__file__), SETUP)
    bare = statistics.median(once(BARE) for _ in range(9))
    rows = [["steps", "first", "x bare", "a step", "again", "x bare", "a step", "graph", "x bare"]]
    for size in SIZES:
        directory = f"/mnt/in{size}"
        write(directory, size)
        os.mkdir(f"{directory}.out")
        first = once(f"{PROGRAM} run-stage many {directory}")
        again = statistics.median(once(f"{PROGRAM} run-stage many {directory}") for _ in range(3))
        graph = statistics.median(once(f"{PROGRAM} run-stage -a many {directory}") for _ in range(3))
        if len(os.listdir(f"{directory}.out")) != size:
            sys.exit(f"not {size} files")
        cells = [str(size)]
        for seconds in (first, again):
            cells += [f"{seconds:.2f} s", f"{seconds / bare:.0f}", f"{seconds / size * 1e6:.0f} us"]
        rows.append([*cells, f"{graph:.2f} s", f"{graph / bare:.0f}"])
    show(rows)
    print(f"bare: {bare * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
