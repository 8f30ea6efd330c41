"""What the program costs a whole boot, above all from the switch to the root on.

    sudo /usr/bin/python3 benchmarks/bench_boot.py [ROUNDS] [--against CHECKOUT] [--only PATTERN] [--chain] [--counted]

The same tree is booted in several ways, in turn, so that a busy machine slows them alike: without us (a plain, writable root on the same disk, the same kernel
and initrd, nothing of ours), the same with its end behind `network-online.target`, as that of a node is for stage network, as a node with our defaults, as a node with the published ones, and, with `--against`, as a node of another version of this program with
the published ones. A first boot of each node comes before the rounds and does not count: keys are made in it, disks grow. Nobody logs in before the console says
that the boot is over. Times are the guest's own clock's, CPU is what its control groups counted; only ratios mean anything, since an emulated processor is
ten times slower than a real one. `--chain` also shows what the last boot of each kind waited for. With `--counted` the machine has one processor, whose clock counts instructions: what a boot has to do, the same on a
busy machine, and not how well two processors share it.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TOP), str(TOP / "packaging/image")]

import machine as qemu  # noqa: E402
import variant  # noqa: E402
from common import hold, need_root, say  # noqa: E402

from benchmarks.lib import plain  # noqa: E402
from benchmarks.lib.timing import show  # noqa: E402

PUBLISHED = TOP.parent / "shared/corpus/defaults"
STAGES = ("fs", "boot", "network")
BARE, ONLINE, OURS, THEIRS, OTHER = "without us", "without us, network awaited", "our defaults", "published defaults", "published, other version"
WHOLE = ("end", "cpu")
LIMIT = 900.0
"""Seconds for a boot, against hanging only."""
TRIES = 3
MARK = 150.0
"""Seconds in which the mark must come on the console, and the guest must have nothing more to do then."""
SETTLE, QUIET, IDLE = 3.0, 2, 0.25
"""The guest has nothing to do when it takes less than so much of a processor for so many seconds, so many times in a row."""
ASK = """
systemctl is-system-running --wait
systemctl show -p InitRDTimestampMonotonic -p UserspaceTimestampMonotonic -p FinishTimestampMonotonic
echo
systemctl show -p Id -p ActiveEnterTimestampMonotonic -p ExecMainStartTimestampMonotonic -p ExecMainExitTimestampMonotonic -p CPUUsageNSec '*.service' '*.target'
echo
echo "pid1=$(cut -d' ' -f14,15 /proc/1/stat)"
echo "waits=$(journalctl -b -t kairos-boot -o cat KAIROS_EVENT=lock | wc -l)"
"""
TOP_CPU = "systemctl show -p Id -p CPUUsageNSec '*.service' | awk -F= '/^Id/ {id=$2} /^CPU/ {cpu=$2} /^$/ && cpu > 0 && length(cpu) < 16 {printf \"%.3f s of CPU  %s\\n\", cpu/1e9, id; cpu=0}' | sort -rn | head -n 25"
CHAIN = f"systemd-analyze; systemd-analyze critical-chain; systemd-analyze blame | grep -v '[.]device' | head -n 25; {TOP_CPU}; journalctl -b -o short-monotonic -t kairos-boot | tail -n 60"


class Kind:
    """One way to boot: its name, its machine, and the figures of its boots."""

    def __init__(self, name: str, scratch: Path) -> None:
        self.name, self.scratch = name, scratch
        self.taken: list[dict[str, float]] = []
        self.how: dict[str, object] = {}
        self.counted = False
        scratch.mkdir()

    def machine(self) -> qemu.Machine:
        """Its machine, with the disk made."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Make the disk."""
        self.node = self.machine()
        self.node.counted = self.counted

    def boot(self, *, chain: bool = False) -> dict[str, float]:
        """Boot, take the figures, switch off; once more where the emulator's processor got stuck."""
        for _ in range(TRIES - 1):
            try:
                return self._boot(chain=chain)
            except qemu.MachineError as error:
                if "soft lockup" not in self.node.screen():
                    raise
                say(f"{self.name}: a processor of the emulator was stuck, once more: {str(error).splitlines()[0]}")
        return self._boot(chain=chain)

    def _boot(self, *, chain: bool) -> dict[str, float]:
        node = self.node
        try:
            node.start(**self.how)  # type: ignore[arg-type]
            node.wait_console(r"Reached target.*(multi-user|Multi-User)|login: ", LIMIT if self.counted else MARK)
            settle(node)
            told = node.ssh(ASK, LIMIT, check=False)
            if chain:
                print(f"== {self.name}\n{node.ssh(CHAIN, LIMIT, check=False)}", flush=True)
            node.press_power(300)
            return parse(told)
        finally:
            node.kill()


class Plain(Kind):
    """Without us, *words* on the kernel's command line."""

    def __init__(self, name: str, scratch: Path, words: str = "") -> None:
        super().__init__(name, scratch)
        self.words = words

    def machine(self) -> qemu.Machine:
        """The tree as an ordinary system."""
        disk = self.scratch / "plain.qcow2"
        self.how = plain.make(variant.base(variant.OEM, ("active",)), self.scratch, disk, self.words)
        return qemu.Machine(disk, self.scratch)


class Node(Kind):
    """A node with the configurations of *oem* in its image, made by the scripts of *checkout*."""

    def __init__(self, name: str, scratch: Path, oem: Path, checkout: Path = TOP) -> None:
        super().__init__(name, scratch)
        self.oem, self.checkout = oem, checkout

    def prepare(self) -> None:
        """Make the disk, and boot once."""
        super().prepare()
        self.boot()

    def machine(self) -> qemu.Machine:
        """The node."""
        overlay = variant.Overlay(self.base(), self.scratch / "node.qcow2")
        overlay.write_oem(variant.access(), {"menu_timeout": "0"})
        return qemu.Machine(overlay.path, self.scratch)

    def base(self) -> Path:
        """The disk that its own version makes."""
        if self.checkout == TOP:
            return variant.base(self.oem, ("active",))
        script = f"import pathlib, variant; print(variant.base(pathlib.Path({str(self.oem)!r}), ('active',)))"
        made = subprocess.run([sys.executable, "-c", script], cwd=self.checkout / "packaging/image", stdout=subprocess.PIPE, text=True, check=True)
        raw = Path(made.stdout.strip().splitlines()[-1])
        hold(raw)
        return raw


def settle(node: qemu.Machine) -> None:
    """Wait until the guest has nothing more to do: what follows the login prompt is not on the console, and a login would take part in it."""
    assert node.process is not None
    deadline, quiet, before = time.monotonic() + MARK, 0, taken(node.process.pid)
    while quiet < QUIET and time.monotonic() < deadline:
        time.sleep(SETTLE)
        after = taken(node.process.pid)
        quiet = quiet + 1 if after - before < IDLE * SETTLE else 0
        before = after


def taken(pid: int) -> float:
    """Seconds of processor time that a process took so far."""
    return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")


def parse(told: str) -> dict[str, float]:
    """Seconds: of the initrd, of the rest of the boot, until a login is possible, of all services' CPU, and wall and CPU of each stage."""
    blocks = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in told.split("\n\n")]
    merged = {name: value for block in blocks if "Id" not in block for name, value in block.items()}
    units = {block["Id"]: block for block in blocks if "Id" in block}
    switch = stamp(merged, "UserspaceTimestampMonotonic")
    found = {
        "initrd": switch - stamp(merged, "InitRDTimestampMonotonic"),
        "end": stamp(merged, "FinishTimestampMonotonic") - switch,
        "basic": stamp(units["basic.target"], "ActiveEnterTimestampMonotonic") - switch,
        "login": max(stamp(units[name], "ActiveEnterTimestampMonotonic") for name in ("ssh.service", "getty.target")) - switch,
        "cpu": sum(cpu(unit) for name, unit in units.items() if name not in ("kairos-boot-image.service", "kairos-boot-initrd.service")),
        "manager": sum(map(int, merged.get("pid1", "0").split())) / 100,
        "waits": float(merged.get("waits") or 0),
    }
    for name in STAGES:
        unit = units.get(f"cos-setup-{name}.service", {})
        found[name] = max(stamp(unit, "ExecMainExitTimestampMonotonic") - stamp(unit, "ExecMainStartTimestampMonotonic"), 0.0)
        found[f"{name} CPU"] = cpu(unit)
    return found


def stamp(unit: dict[str, str], name: str) -> float:
    """A time stamp of systemd's, in seconds since the kernel started; 0 where it has none."""
    return int(unit.get(name) or 0) / 1e6


def cpu(unit: dict[str, str]) -> float:
    """Seconds of CPU that a unit took."""
    text = unit.get("CPUUsageNSec", "")
    return int(text) / 1e9 if text.isdecimal() and len(text) < 19 else 0.0


def report(kinds: list[Kind]) -> None:
    """Medians of the kinds so far, and ratios of boots of the same round."""
    columns = ("initrd", "end", "basic", "login", "cpu")
    rows = [["median of the rounds, s", "initrd", "switch to end", "to basic", "to login", "CPU of services"]]
    rows += [[kind.name, *(f"{middle(kind, name):.1f}" for name in columns)] for kind in kinds]
    show(rows)
    rows = [["stages, wall / CPU, s", *STAGES, "waited for a lock or a turn"]]
    rows += [[kind.name, *(f"{middle(kind, name):.2f} / {middle(kind, f'{name} CPU'):.2f}" for name in STAGES), f"{middle(kind, 'waits'):.0f} times"]
             for kind in kinds if not isinstance(kind, Plain)]  # fmt: skip
    if rows[1:]:
        print()
        show(rows)
    rows = [["ratio of boots of the same round", "switch to end", "CPU", "stage network", "its CPU"]]
    found = {kind.name: kind for kind in kinds}
    for one, other, names in ((OURS, BARE, WHOLE), (OURS, ONLINE, WHOLE), (THEIRS, ONLINE, WHOLE), (THEIRS, OTHER, (*WHOLE, "network", "network CPU"))):
        if one in found and other in found:
            cells = [ratio(found[one], found[other], name) for name in names]
            rows.append([f"{one} : {other}", *cells, *[""] * (4 - len(cells))])
    if rows[1:]:
        print()
        show(rows)


def middle(kind: Kind, name: str) -> float:
    """The median of a figure."""
    return statistics.median(taken[name] for taken in kind.taken)


def ratio(one: Kind, other: Kind, name: str) -> str:
    """The median ratio of two boots of a round, and its range."""
    found = [a[name] / b[name] for a, b in zip(one.taken, other.taken, strict=True) if b[name]]
    return f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})" if found else "-"


def main() -> None:
    """Boot all kinds in turn and print what it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rounds", nargs="?", type=int, default=3)
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="a checkout of another version, booted with the published defaults")
    parser.add_argument("--only", metavar="PATTERN", default="", help="only the kinds whose name has this expression")
    parser.add_argument("--chain", action="store_true", help="show what the last boot of each kind waited for")
    parser.add_argument("--counted", action="store_true", help="let the guest's clock count instructions")
    given = parser.parse_args()
    need_root(sys.argv)
    with tempfile.TemporaryDirectory(prefix="bench-boot-") as place:
        scratch = Path(place)
        kinds: list[Kind] = [Plain(BARE, scratch / "plain"), Plain(ONLINE, scratch / "online", "systemd.wants=network-online.target"), Node(OURS, scratch / "ours", variant.OEM)]
        if PUBLISHED.is_dir():
            kinds.append(Node(THEIRS, scratch / "published", PUBLISHED))
            kinds += [Node(OTHER, scratch / "other", PUBLISHED, given.against.resolve())] if given.against else []
        chosen = [kind for kind in kinds if re.search(given.only, kind.name)]
        for kind in chosen:
            kind.counted = given.counted
            kind.prepare()
        for number in range(given.rounds):
            taken = []
            for kind in chosen:
                taken.append(kind.boot(chain=given.chain and number == given.rounds - 1))
                say(f"round {number + 1}, {kind.name}: " + ", ".join(f"{name} {value:.2f}" for name, value in taken[-1].items()))
            for kind, figures in zip(chosen, taken, strict=True):
                kind.taken.append(figures)
            print(f"\nafter round {number + 1}:")
            report(chosen)


if __name__ == "__main__":
    main()
