"""The program that is cut: the real reset or upgrade of a node whose partitions are loop devices (runs as root, in a mount namespace of its own).

    cut_program.py BACKING [CONTROL]     BACKING is the disk, a file; CONTROL is a wrong program to be caught

POWERCUT_ACTION is what it does: reset, upgrade (from the image file POWERCUT_SOURCE) or settle, what the boot after a cut does.

Prints how it ended, as JSON.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from typing import Any

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path[:0] = [TOP, os.path.dirname(os.path.realpath(__file__))]

from cut_disk import MARKS, PARTS  # noqa: E402

from kairos_boot.cli.actions import Wired  # noqa: E402
from kairos_boot.errors import KairosError  # noqa: E402
from kairos_boot.lifecycle import marker, resetting, upgrading  # noqa: E402
from kairos_boot.node.partitions import NodeDisk  # noqa: E402
from kairos_boot.stages.ledger import Ledger  # noqa: E402
from kairos_boot.system import mounts  # noqa: E402
from kairos_boot.system.udev import Partition  # noqa: E402

ACTION = os.environ.get("POWERCUT_ACTION", "reset")
SOURCE = os.environ.get("POWERCUT_SOURCE", "")
OPTIONS = tuple(os.environ.get("POWERCUT_MOUNT", "").split())


class CutNode(Wired):
    """A node over the disk *backing*: in its recovery system for a reset, else in its active one."""

    def __init__(self, backing: str) -> None:
        self.backing = backing
        self.loops = {name: _loop(backing, part.start, part.size) for name, part in PARTS.items()}
        for place in ("/run", "/oem", "/usr/local", "/system"):
            os.makedirs(place, exist_ok=True)
            mounts.mount("tmpfs", place, "tmpfs")
        for path in ("/run/cos", "/run/initramfs/cos-state", "/system/oem"):
            os.makedirs(path)
        with open(f"/run/cos/{'recovery' if ACTION == 'reset' else 'active'}_mode", "w", encoding="ascii") as file:
            file.write("1")
        parts = {name: Partition(node, "vda", PARTS[name].label, "ext4") for name, node in self.loops.items()}
        mounts.mount(self.loops["recovery" if ACTION == "reset" else "state"], "/run/initramfs/cos-state", "ext4", ("ro", *OPTIONS))
        if ACTION != "reset":
            mounts.mount(self.loops["persistent"], "/usr/local", "ext4", OPTIONS)
        mounts.mount(self.loops["oem"], "/oem", "ext4", OPTIONS)
        self.node_disk = NodeDisk("/dev/vda", parts["state"], parts["recovery"], parts["oem"], parts["persistent"])
        super().__init__(ACTION)
        self.ledger = Ledger("/run/cos/ledger", "boot")
        self.log = self.note

    def note(self, priority: int, message: str, **about: Any) -> None:
        """Messages go to standard error."""
        if priority < 6:
            sys.stderr.write(f"{message}\n")

    def disk(self) -> NodeDisk:
        """Known from the start."""
        return self.node_disk

    def close(self) -> None:
        """Leave as a reboot does: everything unmounted."""
        own = set(self.loops.values())
        for mount in reversed([m for m in mounts.mounted() if m.source in own]):
            _unmount(mount.target)
        for node in self.loops.values():
            subprocess.run(["losetup", "-d", node], check=True)


def _unmount(target: str) -> None:
    """A loop device that somebody else looks at in this moment holds its file, and so the file system, a moment longer."""
    for _ in range(100):
        try:
            mounts.unmount(target)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            time.sleep(0.05)
        else:
            return
    mounts.unmount(target)


def _loop(backing: str, start: int, size: int) -> str:
    argv = ["losetup", "--find", "--show", "--offset", str(start), "--sizelimit", str(size), backing]
    for _ in range(20):  # somebody else may take the free device between looking and taking
        done = subprocess.run(argv, check=False, capture_output=True, text=True)
        if done.returncode == 0:
            break
    done.check_returncode()
    return done.stdout.strip()


def mark(backing: str) -> None:
    """Let every phase that is done be seen in the record of the disk, as a write of its own."""
    end = marker.Marker.end
    state = {"number": 0}

    def noted(self: marker.Marker, phase: str, failure: str = "") -> None:
        end(self, phase, failure)
        state["number"] += 1
        fd = os.open(backing, os.O_WRONLY)
        os.pwrite(fd, f"{state['number']} {phase}".encode().ljust(512, b"\0"), MARKS)
        os.close(fd)

    marker.Marker.end = noted  # type: ignore[method-assign]


def do(node: CutNode) -> object:
    """What ACTION says; the failures that stopped nothing."""
    if ACTION == "settle":
        return upgrading.settle(node)
    return (upgrading.upgrade(node, {"source": f"file:{SOURCE}"}) if ACTION == "upgrade" else resetting.reset(node, {})).failures


def main() -> None:
    """Do it once."""
    backing, control = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    if control:
        import cut_controls

        cut_controls.apply(control)
    node = CutNode(backing)
    if os.environ.get("POWERCUT_MARKS"):
        mark(backing)
    try:
        told: dict[str, Any] = {"failures": do(node)}
    except KairosError as error:
        told = {"error": str(error)}
    node.close()
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
