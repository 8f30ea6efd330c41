"""How long ordering takes by the number of steps: 10 000 steps in about linear time.

    /usr/bin/python3 benchmarks/bench_order.py

Prints microseconds a step; `growth` is the last column over the first one, 1.0 being exactly linear.
"""

from __future__ import annotations

import gc
import os
import statistics
import sys
import time

sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]

from benchmarks.lib.timing import show  # noqa: E402
from kairos_boot.cloudconfig.model import Document  # noqa: E402
from kairos_boot.stages.graph import order  # noqa: E402

SIZES = (2500, 5000, 10000)
ROUNDS = 5


def plain(count: int) -> list[Document]:
    """One long document."""
    return [Document("a", "A", {"s": [{"name": f"x{i}"} for i in range(count)]})]


def many_documents(count: int) -> list[Document]:
    """Ten steps a document, each third of them with `after`."""
    return [Document(f"d{d}", f"D{d}", {"s": [{"name": f"x{i}", "after": [{"name": f"D{d}.x0"}]} if i % 3 == 2 else {"name": f"x{i}"} for i in range(10)]})
            for d in range(count // 10)]


def backward(count: int) -> list[Document]:
    """Each step names an earlier one."""
    return [Document("a", "A", {"s": [{"name": f"x{i}", "after": [{"name": f"A.x{i // 2}"}]} if i else {"name": "x0"} for i in range(count)]})]


def forward(count: int) -> list[Document]:
    """Each step names the next one, so that all of them move."""
    return [Document("a", "A", {"s": [{"name": f"x{i}", "after": [{"name": f"A.x{i + 1}"}]} if i < count - 1 else {"name": f"x{i}"} for i in range(count)]})]


def cycle(count: int) -> list[Document]:
    """One cycle through all steps."""
    return [Document("a", "A", {"s": [{"name": f"x{i}", "after": [{"name": f"A.x{(i + 1) % count}"}]} for i in range(count)]})]


def misspelt(count: int) -> list[Document]:
    """Every entry names nothing."""
    return [Document("a", "A", {"s": [{"name": f"x{i}", "after": [{"name": f"A.y{i}"}]} for i in range(count)]})]


def equal_names(count: int) -> list[Document]:
    """Half of the steps bear one name, which the other half waits for."""
    half = count // 2
    return [Document("a", "A", {"s": [{"name": "x"}] * half}),
            Document("b", "B", {"s": [{"name": f"y{i}", "after": [{"name": "A.x"}]} for i in range(half)]})]


def main() -> None:
    """Measure every shape at every size."""
    rows = [["shape", *(f"{size} steps" for size in SIZES), "growth", "10 000 in all"]]
    for shape in (plain, many_documents, backward, forward, cycle, misspelt, equal_names):
        micros = []
        for size in SIZES:
            documents = shape(size)
            taken = []
            for _ in range(ROUNDS):
                gc.collect()
                start = time.perf_counter()
                order(documents, "s")
                taken.append(time.perf_counter() - start)
            micros.append(statistics.median(taken) / size * 1e6)
        rows.append([shape.__name__, *(f"{m:.1f} us" for m in micros), f"{micros[-1] / micros[0]:.2f}", f"{micros[-1] * SIZES[-1] / 1e3:.0f} ms"])
    show(rows)


if __name__ == "__main__":
    main()
