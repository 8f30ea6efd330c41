"""What a start of the program costs, in multiples of the bare interpreter (`python3 -I -S -c pass`).

    make build && sudo /usr/bin/python3 benchmarks/bench_startup.py

Runs in a private mount namespace with an empty /run, /var/log, /oem and /system. A stage with nothing to do: at most 6 x bare.
"""

from __future__ import annotations

import os
import sys

sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]

from benchmarks.lib.timing import BARE, PROGRAM, TOP, isolate, rounds, show  # noqa: E402

SETUP = """
program=$BENCH_PROGRAM
for dir in /run /var/log /mnt; do mount -t tmpfs none $dir; done
mkdir -p /mnt/one /mnt/empty
cat >/mnt/one/10.yaml <<'END'
stages:
  one:
  - {name: command, if: '[ ! -e /run/cos/recovery_mode ]', commands: ["true"]}
  - {name: file, files: [{path: /run/bench, content: x, permissions: 0644}]}
END
exec "$@"
"""
ROUNDS = 25


def main() -> None:
    """Measure the starts, in turn."""
    os.environ["BENCH_PROGRAM"] = PROGRAM
    isolate(os.path.abspath(__file__), SETUP)
    commands = {
        "bare interpreter": BARE,
        "--version": f"{PROGRAM} --version",
        "a stage with nothing to do": f"{PROGRAM} run-stage nothing /mnt/empty",
        "a stage with two steps": f"{PROGRAM} run-stage one /mnt/one",
        "the graph of a stage (-a)": f"{PROGRAM} run-stage -a one /mnt/one",
        "status": f"{PROGRAM} status",
        "checkout, no byte code": f"/usr/bin/env -C {TOP} PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m kairos_boot run-stage nothing /mnt/empty",
    }
    taken = rounds(commands, ROUNDS)
    bare = taken["bare interpreter"]
    show([["start", "median", "x bare"], *([name, f"{seconds * 1e3:.1f} ms", f"{seconds / bare:.2f}"] for name, seconds in taken.items())])


if __name__ == "__main__":
    main()
