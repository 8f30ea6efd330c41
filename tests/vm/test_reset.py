"""One node that is reset three times: from the boot menu with the power cut twice, by systemd under UEFI, and by hand in recovery, into a system that dies.

A reset node is a node to reset, so the ways in share one. Each reset and each boot is made once; the tests look at what it left.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import machine as qemu
import pytest
import variant
from vm import AT_ONCE, BOOT, HERE, Node, damage_inside, leads_with, oem_files

pytestmark = [pytest.mark.vm, pytest.mark.root]

PHASES = ["before-reset", "room", "active", "passive", "boot-loader", "after-reset-chroot", "persistent", "after-reset", "finish"]
RESET = 2 * BOOT
"""Seconds for a boot that resets, against hanging only."""
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


class Reset:
    """The node after a reset, and what led there."""

    def __init__(self, node: Node, screens: list[str]) -> None:
        self.node, self.screens = node, screens
        told = node.host.run("/usr/bin/python3 -c %s", (HERE / "reset_look.py").read_text())
        assert told.rc == 0, told.stderr
        self.left: dict[str, Any] = json.loads(told.stdout)
        self.plan: list[dict[str, Any]] = []

    def phases(self) -> list[str]:
        """The phases of the last reset that were started, by the record that it kept."""
        started = [r["phase"] for r in self.left["phases"] if r["event"] == "start"]
        return started[len(started) - 1 - started[::-1].index("before-reset"):] if "before-reset" in started else started


def ends(machine: qemu.Machine, seconds: float = RESET) -> str:
    """A boot that ends by itself; what its console showed."""
    machine.wait_off(seconds)
    return machine.screen()


def cut(machine: qemu.Machine, at: str) -> str:
    """Pull the plug as soon as the console shows *at*; what it showed."""
    machine.wait_console(at, RESET)
    machine.kill()
    return machine.screen()


@pytest.fixture(scope="module")
def menu(base_disk: Path, scratch: Path, machines: list[qemu.Machine]) -> Reset:
    """The entry statereset, chosen once; the power goes while the active image is written and as the persistent partition is erased."""
    overlay = variant.Overlay(base_disk, scratch / "node.qcow2")
    overlay.write_oem(oem_files("reset"), {**AT_ONCE, "next_entry": "statereset"})
    machine = qemu.Machine(overlay.path, scratch)
    machines.append(machine)
    machine.start()
    screens = [cut(machine, r"reset 3/9: ")]
    machine.start()
    screens.append(cut(machine, r"reset 7/9: "))
    machine.start()
    screens.append(ends(machine))
    return Reset(Node(machine).boot(), screens)


@pytest.fixture(scope="module")
def systemd(menu: Reset) -> Reset:
    """The unit factory-reset.target, and UEFI from there on."""
    machine = menu.node.machine
    machine.ssh("echo mine >/usr/local/mine; echo kept >/oem/kept; rm /oem/30_chroot.yaml /oem/hooks")
    plan = json.loads(machine.ssh("kairos-boot reset --plan --json"))
    machine.ssh("systemctl start factory-reset.target", check=False)
    machine.wait_off()
    machine.uefi = True
    machine.start()
    screens = [ends(machine)]
    seen = Reset(Node(machine).boot(), screens)
    seen.plan = plan
    return seen


@pytest.fixture(scope="module")
def by_hand(systemd: Reset) -> Reset:
    """In recovery: kairos-boot reset --unattended --reboot. The system that comes up after it dies in both of its starts."""
    machine = systemd.node.machine
    machine.ssh("echo mine >/usr/local/mine; rm /oem/hooks; kairos-boot bootentry --select recovery; systemctl reboot", check=False)
    machine.wait_off()
    machine.uefi = False
    machine.start()
    machine.wait_up(BOOT)
    machine.ssh(f"cat >/oem/99_bomb.yaml <<'EOF'\n{BOMB}EOF\n")
    screens = [machine.ssh("kairos-boot reset --unattended --reboot 2>&1", RESET, check=False)]
    machine.wait_off()
    for _ in range(2):
        machine.start()
        screens.append(ends(machine, BOOT))
    return Reset(Node(machine).boot(), screens)


# Each way in


@pytest.fixture(params=["menu", "systemd", "by_hand"])
def reset(request: pytest.FixtureRequest) -> Reset:
    """The node after each of the resets."""
    found: Reset = request.getfixturevalue(request.param)
    return found


def test_persistent_data_is_gone_and_oem_is_kept(systemd: Reset, by_hand: Reset) -> None:
    for node in (systemd, by_hand):
        assert (node.left["mine"], node.left["kept"]) == ("", "kept\n")


def test_hooks_ran_in_order_and_what_the_last_one_wrote_is_on_the_new_partition(reset: Reset) -> None:
    """By what they wrote themselves; the persistent partition is not mounted before the reset and is the new one after it (G3)."""
    assert [line for line in reset.left["hooks"] if line != "chroot"] == ["before 0 overlayfs", "after 0 ext2/ext3"]
    assert reset.left["written"] == "after-reset\n"


def test_nothing_is_left_of_the_action_for_the_boot_loader(reset: Reset) -> None:
    """The one-shot entry is used up, no marker and no file of an image half written is there."""
    assert not {"next_entry", "saved_entry", "reset_asked"} & set(reset.left["oem"])
    assert not {"resume_entry", "resume_tries", "next_entry"} & set(reset.left["state"])
    assert [name for name in reset.left["on state"] if name != "known-failures"] == ["active.img", "active.img.sha256", "passive.img", "passive.img.sha256"]


def test_the_images_bear_their_own_labels(reset: Reset) -> None:
    images = reset.left["images"]
    assert (images["active label"], images["passive label"]) == ("COS_ACTIVE", "COS_PASSIVE")


def test_both_images_are_the_recovery_image_behind_the_label(systemd: Reset, by_hand: Reset) -> None:
    for node in (systemd, by_hand):
        images = node.left["images"]
        assert (images["active"], images["passive"], images["active inside"]) == (0, 0, "")


def test_the_first_boot_after_it_is_one(menu: Reset, systemd: Reset, by_hand: Reset) -> None:
    """Steps with `frequency: once` run again, whichever partition has their record. After the third reset a start that died had rootfs already."""
    assert [seen.left["once"] for seen in (menu, systemd, by_hand)] == [["once-boot", "once-rootfs"], ["once-boot", "once-rootfs"], ["once-boot"]]
    assert all("last-reset: " in seen.left["events"] for seen in (menu, systemd, by_hand))


def test_the_node_is_another_one(menu: Reset, systemd: Reset, by_hand: Reset) -> None:
    nodes = [menu, systemd, by_hand]
    assert len({seen.node.facts["host_key"] for seen in nodes}) == 3
    assert len({seen.node.facts["machine_id"] for seen in nodes}) == 3


@pytest.mark.parametrize("name", ["menu", "systemd"])
def test_the_active_system_is_up_and_its_boot_was_good(name: str, request: pytest.FixtureRequest) -> None:
    """The count of its starts and the trial are gone (G4)."""
    reset: Reset = request.getfixturevalue(name)
    assert reset.node.facts["cos"]["active_mode"] == "1"
    assert (reset.node.facts["state"], reset.node.facts["failed"]) == ("running", [])
    assert not {"boot_tries", "fallback_tries", "trial"} & set(reset.left["state"])
    assert "this boot is good: the trial after the reset is over" in reset.left["assess"]


# What the boot menu started, and two power cuts


def test_a_reset_whose_power_was_cut_goes_on_with_the_phase_that_was_cut(menu: Reset) -> None:
    _, second, third = menu.screens
    for number in (1, 2):
        assert f"reset {number}/9: " in second
    assert "an interrupted reset goes on" in second
    assert "write the active system (again: it was cut short)" in second
    assert "erase the persistent partition (again: it was cut short)" in third
    assert "is done: reboot follows" in third


def test_a_hook_inside_the_image_is_in_both_images(menu: Reset) -> None:
    images = menu.left["images"]
    assert (images["active inside"], images["passive inside"]) == ("inside", "inside")
    assert menu.left["hooks"].count("chroot") == 1


def test_a_reset_boot_offers_no_login_and_no_service_but_the_reset(menu: Reset) -> None:
    """Decision D8."""
    for screen in menu.screens:
        assert "login:" not in screen
        assert "Multi-User" not in screen


# What systemd started, under UEFI


def test_the_plan_is_what_was_done(systemd: Reset) -> None:
    """The list that is printed is the list that runs (G8)."""
    assert [phase["phase"] for phase in systemd.plan] == PHASES
    assert systemd.phases() == PHASES
    assert systemd.node.facts["efi"]


# A system that dies


def test_a_system_that_dies_twice_leads_to_the_fallback_which_says_why(by_hand: Reset) -> None:
    """One start was ended by force in stage fs, in the other the init exited; nobody was there to choose (G4)."""
    node = by_hand.node
    assert "Attempted to kill init" in by_hand.screens[2]
    assert node.facts["cos"]["passive_mode"] == "1"
    assert "kairos.failed=cos" in node.facts["cmdline"]
    assert leads_with(node) == ["cos"]
    assert by_hand.left["state"]["boot_tries"] == "xx"
    assert "fallback_tries" not in by_hand.left["state"]


# A reset that is refused


@pytest.fixture(scope="module")
def refused(base_disk: Path, scratch: Path, machines: list[qemu.Machine]) -> Node:
    """The entry statereset, and a recovery image that boots, but is not what was written: only its digest tells."""
    home = scratch / "refused"
    home.mkdir()
    overlay = variant.Overlay(base_disk, home / "node.qcow2")
    overlay.write_oem(oem_files("reset"), {**AT_ONCE, "next_entry": "statereset"})
    damage_inside(overlay, "recovery", "/cOS/recovery.img", "/usr/bin/perl", home)
    machine = qemu.Machine(overlay.path, home)
    machines.append(machine)
    return Node(machine).boot()


def test_a_reset_that_is_refused_ends_in_recovery_with_a_login_and_the_reason(refused: Node) -> None:
    """Decision D8: on every console, and in the record on /oem; no hook ran (G1)."""
    screen = refused.machine.screen()
    assert screen.count("THE RESET FAILED") == 1
    assert "the image is damaged: its content has the digest" in " ".join(screen.split())
    assert "login:" in screen
    assert refused.facts["units"]["multi-user.target"]["ActiveState"] == "active"
    assert refused.host.file("/oem/.kairos/reset").listdir()
    assert not refused.host.file("/oem/hooks").exists


def test_after_a_refusal_nothing_was_changed_and_the_next_boot_is_a_normal_one(refused: Node) -> None:
    told = refused.host.run("ls /run/cos/state/cOS; cat /run/cos/state/grubenv | grep -c resume_entry")  # where the reset has mounted it
    assert told.stdout.split() == ["active.img", "active.img.sha256", "passive.img", "passive.img.sha256", "0"]
    assert "next_entry=statereset" not in refused.facts["grubenv"]
