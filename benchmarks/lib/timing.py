"""Processes timed in turn, so that a busy machine slows all of them alike, and ratios to the bare interpreter."""

from __future__ import annotations

import os
import shlex
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get("KAIROS_BOOT", f"{TOP}/build/usr/bin/kairos-boot")
"""The installed program; `make build` makes it."""
BARE = "/usr/bin/python3 -I -S -c pass"


def once(command: str) -> float:
    """Seconds of wall time that *command* takes as a process; its exit code must be 0 or 1."""
    start = time.perf_counter()
    done = subprocess.run(shlex.split(command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    taken = time.perf_counter() - start
    if done.returncode not in (0, 1):
        sys.exit(f"{command}: exit status {done.returncode}: {done.stderr.decode(errors='replace')}")
    return taken


def rounds(commands: Mapping[str, str], count: int) -> dict[str, float]:
    """The median seconds of each command, all run once a round; a first round warms the caches."""
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(count + 1):
        for name, command in commands.items():
            seconds = once(command)
            if number:
                taken[name].append(seconds)
    return {name: statistics.median(values) for name, values in taken.items()}


def shell(text: str, *words: str) -> float:
    """Seconds of a line of shell."""
    start = time.perf_counter()
    subprocess.run(["sh", "-ec", text, "sh", *words], check=True)
    return time.perf_counter() - start


def measured_by_itself(code: str, *argv: str) -> tuple[float, int]:
    """What the Python text *code* prints of its own work: seconds, and MiB of memory. Its first argument is the checkout."""
    done = subprocess.run([sys.executable, "-I", "-c", code, TOP, *argv], check=True, stdout=subprocess.PIPE, text=True)
    seconds, memory = done.stdout.split()
    return float(seconds), int(memory)


def isolate(script: str, setup: str) -> None:
    """Run *script* again in a mount namespace after the shell text *setup*, unless this is that run. Needs root."""
    if os.environ.get("BENCH_INSIDE") == script:
        return
    if os.geteuid():
        sys.exit("needs root: sudo make bench")
    environment = {**os.environ, "BENCH_INSIDE": script}
    words = ["unshare", "--mount", "--uts", "/bin/sh", "-ec", f"mount --make-rprivate /\n{setup}", "sh", sys.executable, script, *sys.argv[1:]]
    sys.exit(subprocess.run(words, env=environment, check=False).returncode)


def show(rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) if not i else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip())
