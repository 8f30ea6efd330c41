"""Nodes that are reset in virtual machines: the ways in, the power cuts, and what a reset left.

A reset node is a node to reset, so the ways share machines.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import shlex
import subprocess
from typing import Any

import machine as qemu
from common import TOP
from vm import BOOT, HERE, Node

RESET = 2 * BOOT
"""Seconds for a boot that resets, against hanging only."""
LOOK = (HERE / "reset_look.py").read_text()
PREPARE = "echo mine >/usr/local/mine; echo kept >/oem/kept; rm -f /oem/hooks; kairos-boot reset --plan --json"
POD = """\
set -e
mkdir -p /run/pod && mount -t tmpfs tmpfs /run/pod && cd /run/pod
mkdir -p host proc dev tmp usr etc SECRET/..1
for name in bin lib lib64 sbin; do ln -s "usr/$name" "$name"; done
mount --bind /usr usr; mount --bind /etc etc; mount --rbind /dev dev; mount -t proc proc proc; mount --rbind / host
printf '#cloud-config\\nhostname: of-the-pod\\nusers:\\n- name: pod\\n  groups: [admin]\\n' >SECRET/..1/cloud-config.yaml
cat >SECRET/..1/reset.sh <<'EOF'
SCRIPT
EOF
ln -s ..1 SECRET/..data
for name in cloud-config.yaml reset.sh; do ln -s "..data/$name" "SECRET/$name"; done
code=0
chroot . env -i PATH=/usr/bin:/bin HOST_DIR=/host GRACE=0 /bin/sh /SECRET/reset.sh || code=$?
echo "the pod ended with $code"
""".replace("SECRET", "run/system-upgrade/secrets/kairos-boot-reset").replace("SCRIPT", (TOP / "packaging/kubernetes/reset.sh").read_text())
"""Another root directory, the node's at /host, a secret of symbolic links: the script of the Plan sees what it sees in its pod."""
MARKS = ["stage before-reset", "make room", "write the active system", "write the passive system", "refresh the boot menu", "stage after-reset-chroot",
         "erase the persistent partition", "stage after-reset"]
"""Phases of a reset, in order, by what the console shows of them."""
WAYS = {
    "next_boot": "kairos-boot reset --next-boot && systemctl reboot",
    "grub2_editenv": "grub2-editenv /oem/grubenv set next_entry=statereset && systemctl reboot",
    "systemd": "systemctl start factory-reset.target",
    "pod": f"unshare --mount --propagation private sh -c {shlex.quote(POD)} 2>&1",
    "entry": "kairos-boot bootentry --select statereset && systemctl reboot",
}
"""How a running node is told that its next boot resets it."""
BOMB = """\
stages:
  fs:
    - name: The first start ends by force, and the next one has an init that exits
      if_files:
        all: [/run/cos/active_mode]
      commands:
        - grub-editenv /oem/grubenv set extra_active_cmdline=init=/bin/true
        - fsfreeze -f /oem; fsfreeze -u /oem
        - systemctl reboot --force
"""


STILLBORN = re.compile(r"^\[ +0\.\d+\] (Kernel panic|Rebooting in)", re.MULTILINE)


class Reset:
    """The node after a reset, and what led there."""

    def __init__(self, node: Node, screens: list[str], plan: str = "[]") -> None:
        self.node, self.screens = node, screens
        told = node.host.run("/usr/bin/python3 -c %s", LOOK)
        assert told.rc == 0, told.stderr
        self.left: dict[str, Any] = json.loads(told.stdout)
        self.plan: list[dict[str, Any]] = json.loads(plan)
        self.again = ""
        """What the same way in said on the node that it had reset."""

    def phases(self) -> list[tuple[str, str]]:
        """Name and title of the phases that the last reset started, by the record that it kept."""
        return [(r["phase"], r["title"]) for r in self.left["phases"] if r["event"] == "start"]


def boots(machine: qemu.Machine) -> list[str]:
    """Start the machine, again while it restarts by itself, until the node answers; what the consoles of the other starts showed."""
    screens: list[str] = []
    while len(screens) < 5:
        machine.start()
        try:
            machine.wait_ssh(RESET)
        except qemu.MachineError:
            if machine.running():
                raise
            screens.append(machine.screen())
        else:
            return screens
    raise machine.fail("the node restarts again and again")


def ends(machine: qemu.Machine, seconds: float = RESET) -> str:
    """A boot that ends by itself; what its console showed."""
    machine.start()
    machine.wait_off(seconds)
    return machine.screen()


def cut(machine: qemu.Machine, phase: str, delay: float = 0) -> str:
    """Pull the plug when the console shows that this phase of a reset starts, or so many seconds later; what it showed. What was not flushed is lost."""
    machine.wait_console(rf"reset \d+/\d+: {phase}(?!: done before)", RESET)
    with contextlib.suppress(subprocess.TimeoutExpired):
        if delay and machine.process:
            machine.process.wait(delay)
    machine.kill()
    return machine.screen()


def cuts_of(number: int) -> list[tuple[str, float]]:
    """Where the power goes in the reset with this number: in the first one at three of its marks, in each other at another three moments."""
    if not number:
        return [(MARKS[2], 0), (MARKS[3], 0), (MARKS[6], 0)]
    chance = random.Random(number)
    return [(MARKS[mark], round(chance.uniform(0, 8), 1) if mark in (2, 3) else 0) for mark in sorted(chance.sample(range(len(MARKS)), 3))]


def reset_by(machine: qemu.Machine, way: str) -> Reset:
    """Let the running node reset itself; the node after it.

    An emulated processor that does not come up, in a kernel's first second, costs what the boot loader was told: it is told again.
    """
    plan = machine.ssh(PREPARE, BOOT)
    for _ in range(3):
        machine.ssh(WAYS[way], BOOT, check=False)
        machine.wait_off(BOOT)
        screen = ends(machine)
        if not STILLBORN.search(screen):
            break
        machine.start()
        machine.wait_up(BOOT)
    return Reset(Node(machine).boot(), [screen], plan)
