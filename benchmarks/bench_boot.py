"""What the program costs a whole boot, from the switch to the root on: the node with our defaults, the node with the published ones, and the same tree without us.

    sudo /usr/bin/python3 benchmarks/bench_boot.py [ROUNDS]

The three are booted in turn, so that a busy machine slows them alike. "Without us" is the image of our node as a plain, writable root on a disk of its own,
the same kernel and initrd, our units masked. Times are systemd's own (from the start of PID 1 in the root to the end of the boot), CPU is what the guest's
kernel counted until then. Only ratios mean anything; an emulated processor is ten times slower than a real one.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TOP), str(TOP / "packaging/image")]

import machine as qemu  # noqa: E402
import variant  # noqa: E402
from common import debugfs, run  # noqa: E402

from benchmarks.lib.timing import show  # noqa: E402

PUBLISHED = TOP.parent / "shared/corpus/defaults"
UNITS = ("kairos-boot-image", "kairos-boot-initrd", "cos-setup-fs", "cos-setup-boot", "cos-setup-network", "cos-setup-reconcile", "kairos-boot-assess")
ASK = """
systemctl is-system-running --wait >/dev/null
systemctl show -p UserspaceTimestampMonotonic -p FinishTimestampMonotonic
sed -n 's/^cpu  *//p' /proc/stat
for unit in cos-setup-fs cos-setup-boot cos-setup-network; do
  systemctl show "$unit" -p Id -p ExecMainStartTimestampMonotonic -p ExecMainExitTimestampMonotonic -p CPUUsageNSec | tr '\\n' ' '; echo
done
"""
HOLD = 1500


class Kind:
    """One way to boot: a name, and what makes a machine for a scratch directory."""

    def __init__(self, name: str, oem: Path | None) -> None:
        self.name, self.oem = name, oem
        self.taken: list[dict[str, float]] = []

    def machine(self, scratch: Path) -> tuple[qemu.Machine, dict[str, object]]:
        """The machine, and how it is started."""
        if self.oem is None:
            return without_us(scratch)
        overlay = variant.Overlay(variant.base(self.oem, ("active",)), scratch / "node.qcow2")
        overlay.write_oem(variant.access(), {"menu_timeout": "0"})
        return qemu.Machine(overlay.path, scratch), {}

    def round(self) -> None:
        """Boot once, with a first boot before it that does not count: keys are made in it."""
        with tempfile.TemporaryDirectory() as place:
            machine, how = self.machine(Path(place))
            try:
                for count in (False, True):
                    machine.start(**how)  # type: ignore[arg-type]
                    machine.wait_ssh(HOLD)
                    told = machine.ssh(ASK, HOLD, check=False)
                    if count:
                        self.taken.append(parse(told))
                    machine.press_power(300)
            finally:
                machine.kill()


def without_us(scratch: Path) -> tuple[qemu.Machine, dict[str, object]]:
    """The node's image as the root file system of a plain system."""
    raw = variant.base(variant.OEM, ("active",))
    state = next(part for part in json.loads(run("sfdisk", "--json", raw))["partitiontable"]["partitions"] if part["name"] == "state")
    plain = scratch / "plain.raw"
    run("debugfs", "-R", f"dump /cOS/active.img {plain}", f"{raw}?offset={state['start'] * 512}")
    run("truncate", "-s", "+512M", plain)
    subprocess.run(["e2fsck", "-fy", str(plain)], capture_output=True, check=False)
    run("resize2fs", plain)
    run("e2label", plain, "PLAIN")
    (scratch / "authorized_keys").write_text(variant.SSH_KEY.with_suffix(".pub").read_text())
    for kind in ("rsa", "ed25519"):
        run("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", scratch / f"ssh_host_{kind}_key")
    files = [("/root/.ssh/authorized_keys", "authorized_keys", "0100600")]
    files += [(f"/etc/ssh/ssh_host_{kind}_key{end}", f"ssh_host_{kind}_key{end}", mode) for kind in ("rsa", "ed25519") for end, mode in (("", "0100600"), (".pub", "0100644"))]
    lines = ["set_inode_field /root/.ssh mode 040700"]
    for target, source, mode in files:
        lines += [f"write {scratch / source} {target}", f"set_inode_field {target} mode {mode}"]
    if "Type: directory" not in run("debugfs", "-R", "stat /root/.ssh", plain):
        debugfs(plain, "mkdir /root/.ssh")
    debugfs(plain, *lines)
    disk = scratch / "plain.qcow2"
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", plain, disk)
    # The kernel unpacks what is appended over the rest: without the file that keeps an unfinished root from being entered.
    drop_in = scratch / "over/usr/lib/systemd/system/initrd-cleanup.service.d/50-kairos-boot.conf"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("")
    names = [str(path.relative_to(scratch / "over")) for path in sorted((scratch / "over").rglob("*"))]
    run("cpio", "-o", "-H", "newc", "--quiet", "-O", scratch / "over.cpio", cwd=scratch / "over", stdin="\n".join(names) + "\n")
    initrd = scratch / "initrd"
    base = (raw.parent / "initrd").read_bytes()
    initrd.write_bytes(base + bytes(-len(base) % 4) + (scratch / "over.cpio").read_bytes())
    masks = " ".join(f"{prefix}systemd.mask={unit}.service" for unit in UNITS for prefix in ("", "rd."))
    append = f"console=ttyS0,115200 net.ifnames=1 root=LABEL=PLAIN rootfstype=ext4 rw rd.immucore.disable selinux=0 {masks}"
    return qemu.Machine(disk, scratch), {"kernel": raw.parent / "vmlinuz", "initrd": initrd, "append": append}


def parse(told: str) -> dict[str, float]:
    """Seconds of the boot after the switch, of CPU in all of it, and of each stage."""
    pairs = dict(word.split("=", 1) for line in told.splitlines() for word in line.split() if "=" in word and "Id=" not in line)
    cpu = next(line.split() for line in told.splitlines() if line[:1].isdigit())
    found = {"boot": (int(pairs["FinishTimestampMonotonic"]) - int(pairs["UserspaceTimestampMonotonic"])) / 1e6,
             "cpu": (sum(map(int, cpu[:3])) + sum(map(int, cpu[5:7]))) / 100}
    for line in told.splitlines():
        if line.startswith("Id="):
            stage = dict(word.split("=", 1) for word in line.split() if "=" in word)
            begin, end = int(stage.get("ExecMainStartTimestampMonotonic") or 0), int(stage.get("ExecMainExitTimestampMonotonic") or 0)
            found[stage["Id"].removesuffix(".service")] = max(end - begin, 0) / 1e6
    return found


def main() -> None:
    """Boot all kinds in turn and print medians and ratios."""
    kinds = [Kind("without us", None), Kind("our defaults", variant.OEM)]
    kinds += [Kind("published defaults", PUBLISHED)] if PUBLISHED.is_dir() else []
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    for number in range(count):
        for kind in kinds:
            kind.round()
            print(f"round {number + 1}: {kind.name}: {kind.taken[-1]}", file=sys.stderr)
    bare = statistics.median(taken["boot"] for taken in kinds[0].taken)
    names = ["boot", "cpu", "cos-setup-fs", "cos-setup-boot", "cos-setup-network"]
    rows = [["", "after the switch", "ratio", "CPU in all", *names[2:]]]
    for kind in kinds:
        median = {name: statistics.median(taken.get(name, 0.0) for taken in kind.taken) for name in names}
        ratios = [a["boot"] / b["boot"] for a, b in zip(kind.taken, kinds[0].taken, strict=True)]
        rows.append([kind.name, f"{median['boot']:.1f} s", f"{statistics.median(ratios):.2f}", f"{median['cpu']:.1f} s", *(f"{median[name]:.1f} s" for name in names[2:])])
    show(rows)
    print(f"ratio: median of the rounds; bare boot {bare:.1f} s")


if __name__ == "__main__":
    main()
