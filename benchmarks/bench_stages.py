"""How long the six stages of a boot take over the node image's own default configurations, in multiples of the bare interpreter.

    make build && sudo /usr/bin/python3 benchmarks/bench_stages.py

Every round runs the stages in boot order on a fresh overlay of this machine, effects included; systemctl does nothing there.
The first round warms the caches and is not counted.
"""

from __future__ import annotations

import os
import statistics
import sys

sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]

from benchmarks.lib.timing import BARE, PROGRAM, TOP, isolate, once, show  # noqa: E402

STAGES = ("rootfs", "initramfs", "fs", "boot", "network", "reconcile")
CONFIGS = f"{TOP}/packaging/image/oem"
ROUNDS = 5
# The tree is entered once a round: the namespace ends with its process, and everything written with it.
SETUP = """
mount -t tmpfs none /mnt && mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay none -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
root=/mnt/root
mkdir -p $root/system/oem $root/oem && cp "$BENCH_CONFIGS"/*.yaml $root/system/oem/
mkdir -p "$root$BENCH_TOP" && mount --bind -o ro "$BENCH_TOP" "$root$BENCH_TOP"
mount -t proc proc $root/proc && mount --rbind /sys $root/sys && mount --rbind /dev $root/dev && mount -t tmpfs none $root/run
mkdir -p $root/run/cos && echo 1 >$root/run/cos/active_mode
for path in usr/bin/systemctl usr/sbin/sysctl; do printf '#!/bin/sh\\nexit 0\\n' >$root/$path && chmod 755 $root/$path; done
exec chroot $root "$@"
"""


def inside() -> None:
    """One round: the bare interpreter and the six stages, in milliseconds on one line."""
    bare = statistics.median(once(BARE) for _ in range(7))
    print(*(f"{seconds * 1e3:.3f}" for seconds in (bare, *(once(f"{PROGRAM} run-stage {stage}") for stage in STAGES))))


def main() -> None:
    """Run the rounds, each in a namespace of its own, and print medians."""
    os.environ.update(BENCH_CONFIGS=CONFIGS, BENCH_TOP=TOP, KAIROS_BOOT=PROGRAM)
    if "--inside" in sys.argv:
        isolate(os.path.abspath(__file__), SETUP)
        inside()
        return
    import subprocess

    results = []
    for _ in range(ROUNDS + 1):
        done = subprocess.run([sys.executable, os.path.abspath(__file__), "--inside"], stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            sys.exit(done.returncode)
        results.append([float(word) for word in done.stdout.split()])
    results = results[1:]
    rows = [["stage", "median", "x bare"]]
    for number, stage in enumerate(STAGES, 1):
        rows.append([stage, f"{statistics.median(r[number] for r in results):.1f} ms", f"{statistics.median(r[number] / r[0] for r in results):.1f}"])
    rows.append(["all six", f"{statistics.median(sum(r[1:]) for r in results):.1f} ms", f"{statistics.median(sum(r[1:]) / r[0] for r in results):.1f}"])
    show(rows)
    print(f"bare: {statistics.median(r[0] for r in results):.1f} ms")


if __name__ == "__main__":
    main()
