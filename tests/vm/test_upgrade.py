"""Nodes that are upgraded: with the power cut before the switch and behind it, back by hand and by themselves, recovery and a reset to it.

Two machines at once, each boot made once; the tests look at what it left.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import machine as qemu
import pytest
import variant
from ahead import Ahead
from resets import RESET, boots, ends
from vm import AT_ONCE, BOOT, HERE, Node, leads_with, oem_files

pytestmark = [pytest.mark.vm, pytest.mark.root, pytest.mark.long]

LOOK = (HERE / "upgrade_look.py").read_text()
TREE = """\
set -e
[ -d /run/new ] || {
    mkdir -p /run/image /run/changes /run/new
    mount --bind / /run/image
    mount -t tmpfs tmpfs /run/changes
    mkdir /run/changes/upper /run/changes/work
    mount -t overlay -o lowerdir=/run/image,upperdir=/run/changes/upper,workdir=/run/changes/work overlay /run/new
}
echo VERSION >/run/new/etc/node-version
mkdir -p /run/new/etc/kairos/health.d
CHANGE
"""
"""The tree of another version: what runs, and some changes."""
INSIDE = """\
cat >/run/new/system/oem/95_inside.yaml <<'EOF'
stages:
  after-upgrade-chroot:
    - files: [{path: /etc/written-inside, content: inside}]
EOF
"""
PANIC = "for path in /sbin/init /usr/lib/systemd/systemd; do rm -f /run/new$path; ln -s /bin/true /run/new$path; done"
UNHEALTHY = """\
printf '#!/bin/sh\\necho the moon is full; exit 1\\n' >/run/new/etc/kairos/health.d/50-moon
chmod 755 /run/new/etc/kairos/health.d/50-moon
cat >/run/new/system/oem/96_bad.yaml <<'EOF'
stages:
  boot:
    - name: A step of the new version
      commands: ['exit 3']
EOF
"""
UPGRADE = "kairos-boot upgrade --source dir:/run/new 2>&1"


def tree(version: str, change: str = "") -> str:
    """Shell text that makes the tree of a version."""
    return TREE.replace("VERSION", version).replace("CHANGE", change)


class Seen:
    """A node in one of its boots, and what led there."""

    def __init__(self, node: Node, said: str = "", screens: list[str] | None = None) -> None:
        self.node, self.said, self.screens = node, said, screens or []
        told = node.host.run("/usr/bin/python3 -c %s", LOOK)
        assert told.rc == 0, told.stderr
        self.left: dict[str, Any] = json.loads(told.stdout)


def node_of(home: Path, machines: list[qemu.Machine]) -> qemu.Machine:
    """A machine with a node that has data and hooks."""
    overlay = variant.Overlay(variant.base(), home / "node.qcow2")
    overlay.write_oem({**oem_files("upgrade"), "kept": "kept\n"}, AT_ONCE)
    overlay.fill("persistent", "COS_PERSISTENT", {"mine": "mine\n"})
    machine = qemu.Machine(overlay.path, home)
    machines.append(machine)
    return machine


def left(home: Path, machines: list[qemu.Machine]) -> dict[str, Seen]:
    """The power goes as the new image is written, then behind the switch; back by hand; then a system that panics, given to the passive one."""
    machine = node_of(home, machines)
    found: dict[str, Seen] = {}
    found["first"] = Seen(Node(machine).boot())
    found["cut"] = cut(machine, r"upgrade \d+/\d+: write the new active system")
    found["upgraded"] = cut(machine, r"upgrade \d+/\d+: note the upgrade")
    machine.ssh("kairos-boot rollback; systemctl reboot", check=False)
    machine.wait_off()
    found["rolled_back"] = Seen(Node(machine).boot())
    said = machine.ssh(tree("3", PANIC) + UPGRADE, RESET)
    machine.ssh("systemctl reboot", check=False)
    machine.wait_off()
    screens = [ends(machine, BOOT), ends(machine, BOOT)]
    found["panicked"] = Seen(Node(machine).boot(), said, screens)
    return found


def cut(machine: qemu.Machine, moment: str) -> Seen:
    """Upgrade the running node to version 2, pull the plug when its console shows *moment*, and start it again."""
    machine.ssh(tree("2", INSIDE) + "setsid kairos-boot upgrade --source dir:/run/new >/dev/ttyS0 2>&1 </dev/null &", RESET)
    machine.wait_console(moment, RESET)
    machine.kill()
    screen = machine.screen()
    return Seen(Node(machine).boot(), screen)


def right(home: Path, machines: list[qemu.Machine]) -> dict[str, Seen]:
    """Recovery gets version 2; active gets one that is not good, and the node goes back by itself; a reset goes to version 2. Under UEFI."""
    machine = node_of(home, machines)
    found: dict[str, Seen] = {}
    machine.uefi = True
    machine.start()
    machine.wait_up(BOOT)
    said = machine.ssh(tree("2") + UPGRADE.replace("upgrade ", "upgrade --recovery "), RESET)
    found["recovery"] = Seen(Node(machine).look(), said)
    said = machine.ssh(tree("3", UNHEALTHY) + UPGRADE, RESET)
    machine.ssh("systemctl reboot", check=False)
    machine.wait_off()
    screens = [ends(machine, BOOT), ends(machine, BOOT)]
    found["unhealthy"] = Seen(Node(machine).boot(), said, screens)
    machine.ssh("kairos-boot reset --next-boot && systemctl reboot", check=False)
    machine.wait_off()
    screens = boots(machine)
    found["reset"] = Seen(Node(machine).look(), "", screens)
    return found


AHEAD = [("part", left)]


@pytest.fixture(scope="module")
def part(ahead: Ahead, scratch: Path, machines: list[qemu.Machine]) -> Callable[[str], Seen]:
    """What a part of the stories left, by its name; the left machine is at work while the right one is, or before."""
    found = right(scratch, machines)
    parts = {**ahead.result(left), **found}
    return parts.__getitem__


# Upgraded, with the power cut twice


def test_a_cut_before_the_switch_leaves_the_old_node_which_says_so(part: Callable[[str], Seen]) -> None:
    seen = part("cut")
    assert (seen.left["version"], seen.node.facts["cos"].get("active_mode")) == ("1", "1")
    assert {name: image[:2] for name, image in seen.left["images"].items()} == {"active": ["1", "COS_ACTIVE"], "passive": ["1", "COS_PASSIVE"]}
    assert not [name for name in seen.left["on state"] if "transition" in name or "action" in name or name.endswith(".new")]
    assert any("cut short before the new system was in place" in r["message"] for r in seen.left["records"] if r["kind"] == "problem")
    assert "cut short before the new system was in place" in seen.node.facts["status"][1]
    assert "trial" not in seen.left["state"]


def test_a_cut_behind_the_switch_leaves_the_new_node_and_the_rest_is_done(part: Callable[[str], Seen]) -> None:
    seen = part("upgraded")
    assert (seen.left["version"], seen.left["inside"], seen.node.facts["cos"].get("active_mode")) == ("2", "inside", "1")
    assert "behind its switch" in seen.node.facts["status"][1]
    assert not [name for name in seen.left["on state"] if "transition" in name or "action" in name or name.endswith(".new")]
    assert "last-active-upgrade: " in seen.left["events"]
    assert "last-active-upgrade: never" not in seen.left["events"]


def test_hooks_ran_in_order_and_the_last_one_found_the_new_system_in_place(part: Callable[[str], Seen]) -> None:
    """Those of the first upgrade, which was cut, and of the second one, whose last hook the boot after it ran."""
    assert part("upgraded").left["hooks"] == ["before 0", "before 0", "after 0 dir:///run/new"]


def test_identity_and_data_are_kept(part: Callable[[str], Seen]) -> None:
    first, seen = part("first"), part("upgraded")
    assert (seen.left["mine"], seen.left["kept"]) == ("mine\n", "kept\n")
    for identity in ("host_key", "machine_id"):
        assert seen.node.facts[identity] == first.node.facts[identity] != ""


def test_the_old_system_is_passive_under_its_own_label(part: Callable[[str], Seen]) -> None:
    """A second name of the old image: no label is rewritten (G9)."""
    first, seen = part("first"), part("upgraded")
    assert seen.left["images"]["passive"] == first.left["images"]["active"]
    assert seen.left["images"]["passive"][1] == "COS_ACTIVE"
    assert seen.left["readonly"]


def test_the_boot_of_the_new_system_was_good_and_its_trial_is_over(part: Callable[[str], Seen]) -> None:
    seen = part("upgraded")
    assert "this boot is good: the trial after the upgrade is over" in seen.left["assess"]
    assert not {"boot_tries", "trial", "resume_entry"} & set(seen.left["state"])


# Back by hand


def test_rollback_boots_the_old_system_by_its_name(part: Callable[[str], Seen]) -> None:
    """The entry fallback says root=LABEL=COS_PASSIVE, and the image that it names bears another label."""
    seen = part("rolled_back")
    assert (seen.left["version"], seen.node.facts["cos"].get("passive_mode")) == ("1", "1")
    assert seen.left["root"][1].endswith("/cOS/passive.img")
    assert seen.left["oem"]["saved_entry"] == "fallback"
    assert (seen.node.facts["failed"], seen.left["mine"]) == ([], "mine\n")


# Back by itself


def test_a_system_that_panics_leads_back_to_the_one_before_which_says_why(part: Callable[[str], Seen]) -> None:
    """It was given to the passive system, which stayed, and whose choice as the default was taken back."""
    seen = part("panicked")
    assert "Upgrade completed" in seen.said
    assert all("Rebooting in" in screen for screen in seen.screens)
    assert any("Attempted to kill init" in screen for screen in seen.screens), "an emulated processor that did not come up is a panic, too, but not this one"
    assert (seen.left["version"], seen.node.facts["cos"].get("passive_mode")) == ("1", "1")
    assert seen.left["images"]["active"][0] == "3"
    assert "saved_entry" not in seen.left["oem"]
    assert leads_with(seen.node) == ["cos"]


def test_a_system_that_is_not_good_leads_back_and_the_reasons_are_said(part: Callable[[str], Seen]) -> None:
    """A health check of the image, and a step that did not fail before (G9)."""
    seen = part("unhealthy")
    assert (seen.left["version"], seen.node.facts["cos"].get("passive_mode")) == ("1", "1")
    for told in (seen.node.facts["status"][1], *seen.screens):
        text = " ".join(told.split())
        assert "the system on trial after the upgrade is not good" in text
        assert "50-moon failed" in text
        assert "A step of the new version failed" in text
    assert leads_with(seen.node) == ["cos"]


# Recovery


def test_the_recovery_system_alone_was_upgraded(part: Callable[[str], Seen]) -> None:
    seen = part("recovery")
    assert "Upgrade completed" in seen.said
    assert {name: image[0] for name, image in seen.left["images"].items()} == {"active": "1", "passive": "1"}
    assert "last-recovery-upgrade: never" not in seen.left["events"]
    assert "last-active-upgrade: never" in seen.left["events"]


def test_a_reset_goes_to_what_the_recovery_system_is_now(part: Callable[[str], Seen]) -> None:
    seen = part("reset")
    assert (seen.left["version"], seen.node.facts["cos"].get("active_mode"), seen.left["mine"]) == ("2", "1", "")
    assert {name: image[0] for name, image in seen.left["images"].items()} == {"active": "2", "passive": "2"}
