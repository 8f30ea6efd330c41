"""Nodes that are reset: from the boot menu with the power cut at three marks, by hand after a refusal, and from a pod under UEFI.

Two machines. The one that a pod resets has a second disk with the same labels, and the system that comes up on it dies. Each boot is made once; the
tests look at what it left. With KAIROS_RESETS=all (`make resets`) every way in is gone through; POWERCUTS_VM=N (`make powercut-vm`) cuts the power N times.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import machine as qemu
import pytest
import variant
from ahead import Ahead
from common import SECTOR, run
from resets import BOMB, MARKS, PREPARE, RESET, WAYS, Reset, boots, cut, cuts_of, ends, reset_by
from vm import AT_ONCE, BOOT, Node, leads_with, oem_files

pytestmark = [pytest.mark.vm, pytest.mark.root]

ALL = "KAIROS_RESETS" in os.environ
ROUNDS = -(-int(os.environ.get("POWERCUTS_VM", "3")) // 3)
"""Resets whose power is cut, three times each."""
FIRST = [f"menu{number or ''}" for number in range(ROUNDS)]
LEFT = [*FIRST, *(("next_boot", "grub2_editenv") if ALL else ())]
RIGHT = ["refused", "by_hand", *(("systemd",) if ALL else ()), "pod"]
DIGEST = "/cOS/recovery.img.sha256"
REFUSED = "ls /run/cos/state/cOS; grep -c resume_entry /run/cos/state/grubenv; [ -e /oem/hooks ] || echo no hooks; ls /oem/.kairos/reset | wc -l"
"""What a refused reset left; it has mounted COS_STATE there."""
MEND = "cd /run/initramfs/cos-state/cOS; mount -o remount,rw ..; sha256sum recovery.img >recovery.img.sha256; mount -o remount,ro .."
DIES = RIGHT[-1]
"""The system that comes up after this reset dies in both of its starts."""
RESETS = [*LEFT, *RIGHT[1:]]
LASTING = [name for name in RESETS if name != DIES]


def left(home: Path, machines: list[qemu.Machine]) -> dict[str, Reset]:
    """A person chooses the reset in the menu, and the power is cut again and again; then the other ways."""
    overlay = variant.Overlay(variant.base(), home / "node.qcow2")
    overlay.write_oem({**oem_files("reset"), "kept": "kept\n"}, {"menu_timeout": "1"})
    overlay.fill("persistent", "COS_PERSISTENT", {"mine": "mine\n"})
    machine = qemu.Machine(overlay.path, home)
    machines.append(machine)
    found = {}
    for number, name in enumerate(FIRST):
        if number:
            machine.ssh(PREPARE, BOOT)
            machine.ssh(WAYS["entry"], BOOT, check=False)
            machine.wait_off(BOOT)
        screens: list[str] = []
        for moment in cuts_of(number):
            machine.start()
            if not number and not screens:
                machine.wait_console("GRUB: menu is on", BOOT)
                machine.press("down", "down", "down", "ret")
            screens.append(cut(machine, *moment))
        screens += boots(machine)
        found[name] = Reset(Node(machine).look(), screens)
    for name in LEFT[ROUNDS:]:
        found[name] = reset_by(machine, name)
    return found


def right(home: Path, machines: list[qemu.Machine]) -> dict[str, Any]:
    """A reset that is refused, since the recovery image boots, but is not what its digest says; mended and done by hand. Then ways in under UEFI, the last one into
    a system that dies.
    """
    base = variant.base()
    overlay = variant.Overlay(base, home / "node.qcow2")
    overlay.write_oem({**oem_files("reset", "reset-chroot"), "kept": "kept\n"}, {**AT_ONCE, "next_entry": "statereset"})
    overlay.fill("persistent", "COS_PERSISTENT", {"mine": "mine\n"})
    digest = run("debugfs", "-R", f"cat {DIGEST}", f"{base}?offset={overlay.parts['recovery']['start'] * SECTOR}")[:8]
    overlay.edit("recovery", DIGEST, digest, "00000000")
    other = other_disk(base, home)
    machine = qemu.Machine(overlay.path, home, others=[other])
    machines.append(machine)
    node = Node(machine).boot()
    node.facts["left"] = machine.ssh(REFUSED)
    node.facts["screen"] = machine.screen()
    plan = machine.ssh(f"{MEND}; {PREPARE}", BOOT)
    said = machine.ssh("kairos-boot reset --unattended --reboot 2>&1", RESET, check=False)
    machine.wait_off(BOOT)
    found: dict[str, Any] = {"refused": node, "by_hand": Reset(Node(machine).boot(), [said], plan), "other disk": other}
    machine.uefi = True
    machine.ssh("rm /oem/30_chroot.yaml")
    for name in RIGHT[2:-1]:
        found[name] = reset_by(machine, name)
    plan = machine.ssh(f"cat >/oem/99_bomb.yaml <<'EOF'\n{BOMB}EOF\n{PREPARE}", BOOT)
    machine.ssh(WAYS[DIES], BOOT, check=False)
    machine.wait_off(BOOT)
    screens = [ends(machine), ends(machine, BOOT), ends(machine, BOOT)]
    found[DIES] = Reset(Node(machine).boot(), screens, plan)
    found[DIES].again = machine.ssh(WAYS[DIES], BOOT)
    machine.control("quit")
    machine.wait_off(BOOT)
    return found


def other_disk(base: Path, home: Path) -> Path:
    """A disk with the same labels and file systems, and identifiers of its own; all that is written to it goes to the file returned."""
    whole, seen = home / "other.qcow2", home / "seen.qcow2"
    variant.Overlay(base, whole).table(owner="other")
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", whole, "-F", "qcow2", seen)
    return seen


AHEAD = [("stories", right), ("stories", left)]


@pytest.fixture(scope="module")
def stories(ahead: Ahead) -> dict[str, Any]:
    """Each reset, and the refusal, by its name; the left one is asked for first, since the right one is begun first: two machines at once."""
    found = ahead.result(left)
    return {**found, **ahead.result(right)}


@pytest.fixture(params=RESETS)
def reset(request: pytest.FixtureRequest, stories: dict[str, Any]) -> Reset:
    """The node after each of the resets."""
    found: Reset = stories[request.param]
    return found


@pytest.fixture(params=LASTING)
def lasting(request: pytest.FixtureRequest, stories: dict[str, Any]) -> Reset:
    """The node after each of the resets whose system lives."""
    found: Reset = stories[request.param]
    return found


@pytest.fixture
def menu(stories: dict[str, Any]) -> Reset:
    """The first reset of the left machine."""
    found: Reset = stories["menu"]
    return found


@pytest.fixture
def dead(stories: dict[str, Any]) -> Reset:
    """The last reset of the right machine."""
    found: Reset = stories[DIES]
    return found


# Each way in


def test_persistent_data_is_gone_and_oem_is_kept(reset: Reset) -> None:
    assert (reset.left["mine"], reset.left["kept"]) == ("", "kept\n")


def test_hooks_ran_in_order_and_what_the_last_one_wrote_is_on_the_new_partition(reset: Reset) -> None:
    """By what they wrote themselves; the persistent partition is not mounted before the reset and is the new one after it (G3)."""
    ran = [line for line in reset.left["hooks"] if line != "chroot"]
    assert [line.split()[0] for line in dict.fromkeys(ran)] == ["before", "after"]
    assert (ran[0].split()[2], ran[-1].split()[2]) == ("overlayfs", "ext2/ext3")
    assert reset.left["written"] == "after-reset\n"


def test_nothing_is_left_of_the_action_for_the_boot_loader(reset: Reset) -> None:
    """The one-shot entry is used up, no marker and no file of an image half written is there."""
    assert not {"next_entry", "saved_entry", "reset_asked"} & set(reset.left["oem"])
    assert not {"resume_entry", "resume_tries", "next_entry"} & set(reset.left["state"])
    assert [name for name in reset.left["on state"] if name != "known-failures"] == ["active.img", "active.img.sha256", "passive.img", "passive.img.sha256"]


def test_both_images_are_the_recovery_image_behind_their_own_labels(reset: Reset, stories: dict[str, Any]) -> None:
    """But for what a hook wrote inside."""
    images = reset.left["images"]
    assert (images["active label"], images["passive label"]) == ("COS_ACTIVE", "COS_PASSIVE")
    inside = "inside" if reset is stories["by_hand"] else ""
    assert (images["active inside"], images["passive inside"]) == (inside, inside)
    assert (images["active"], images["passive"]) == ((1, 1) if inside else (0, 0))


def test_a_hook_inside_the_image_ran_once(stories: dict[str, Any]) -> None:
    assert stories["by_hand"].left["hooks"].count("chroot") == 1


def test_the_first_boot_after_it_is_one(lasting: Reset) -> None:
    """Steps with `frequency: once` run again, whichever partition has their record."""
    assert lasting.left["once"] == ["once-boot", "once-rootfs"]
    assert "last-reset: " in lasting.left["events"]


def test_each_reset_makes_another_node(stories: dict[str, Any]) -> None:
    nodes = [stories[name].node.facts for name in RESETS]
    for identity in ("host_key", "machine_id"):
        assert len({facts[identity] for facts in nodes}) == len(RESETS)


def test_the_active_system_is_up_and_its_boot_was_good(lasting: Reset) -> None:
    """The count of its starts and the trial are gone (G4)."""
    facts = lasting.node.facts
    assert facts["cos"]["active_mode"] == "1"
    assert (facts["state"], facts["failed"]) == ("running", [])
    assert not {"boot_tries", "fallback_tries", "trial"} & set(lasting.left["state"])
    assert [(r["result"], r["trial"]) for r in facts["ledger"] if r["kind"] == "assessment"] == [("good", "reset")]


@pytest.mark.parametrize("name", [name for name in RESETS if name not in FIRST])
def test_the_plan_is_what_was_done(name: str, stories: dict[str, Any]) -> None:
    """The list that is printed is the list that runs (G8)."""
    reset: Reset = stories[name]
    titles = [phase["title"] for phase in reset.plan]
    assert [title for title in titles if title in MARKS] == MARKS
    assert reset.phases() == [(phase["phase"], phase["title"]) for phase in reset.plan]


def test_the_second_run_of_the_pod_finds_its_configuration_in_place(dead: Reset) -> None:
    assert "the node has this configuration: nothing to do" in dead.again
    assert "the pod ended with 0" in dead.again


# Power cuts


def test_a_reset_whose_power_was_cut_goes_on_with_the_phase_that_was_cut(menu: Reset) -> None:
    first, second, third, last = menu.screens
    assert "*Kairos state reset (auto)" in first, "the cursor of the menu"
    assert "the reset begins" in first
    for screen in (second, third, last):
        assert "an interrupted reset goes on" in screen
        assert "stage before-reset: done before" in screen
    assert "write the active system (again: it was cut short)" in second
    assert "write the passive system (again: it was cut short)" in third
    assert "erase the persistent partition (again: it was cut short)" in last
    assert "is done: reboot follows" in last


def test_a_reset_boot_offers_no_login_and_no_service_but_the_reset(menu: Reset) -> None:
    """Decision D8."""
    for screen in menu.screens:
        assert "login:" not in screen
        assert "Multi-User" not in screen


# A second disk with the same labels


def test_a_disk_with_the_same_labels_is_not_written_to(dead: Reset, stories: dict[str, Any]) -> None:
    """Through two resets and all boots of the other disk (G5): QEMU has not one block that differs from what was there before."""
    assert dead.node.facts["efi"]
    told = json.loads(subprocess.run(["qemu-img", "map", "--output=json", stories["other disk"]], capture_output=True, check=True).stdout)
    assert {part["depth"] for part in told} - {0}
    assert [part for part in told if part["depth"] == 0 and part.get("present", True)] == []


# A system that dies


def test_a_system_that_dies_twice_leads_to_the_fallback_which_says_why(dead: Reset) -> None:
    """One start was ended by force in stage fs, in the other the init exited; nobody was there to choose (G4)."""
    node = dead.node
    assert "Attempted to kill init" in dead.screens[2]
    assert (node.facts["cos"]["passive_mode"], node.facts["cos"]["upgrade_failure"]) == ("1", "1")
    assert {"kairos.failed=cos", "kairos.tried=cos"} <= set(node.facts["cmdline"])
    assert leads_with(node) == ["cos"]
    assert "the active system was started twice and not found good either time" in node.facts["status"][1]
    assert dead.left["once"] == ["once-boot"], "the first of the starts that died had the one of stage rootfs"
    assert dead.left["state"]["boot_tries"] == "xx"
    assert "fallback_tries" not in dead.left["state"]


# A reset that is refused


def test_a_reset_that_is_refused_ends_in_recovery_with_a_login_and_the_reason(stories: dict[str, Any]) -> None:
    """Decision D8: on every console, and in the record on /oem; no hook ran (G1)."""
    node: Node = stories["refused"]
    screen = node.facts["screen"]
    assert screen.count("THE RESET FAILED") == 1
    assert "the image is damaged: its content has the digest" in " ".join(screen.split())
    assert "login:" in screen
    assert node.facts["units"]["multi-user.target"]["ActiveState"] == "active"


def test_a_refusal_changes_nothing_and_keeps_its_record(stories: dict[str, Any]) -> None:
    node: Node = stories["refused"]
    assert node.facts["left"].split() == ["active.img", "active.img.sha256", "passive.img", "passive.img.sha256", "0", "no", "hooks", "1"]
    assert "next_entry=statereset" not in node.facts["grubenv"]
