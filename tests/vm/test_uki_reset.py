"""A reset of a node that is one signed EFI program, and the choice of an entry, started by firmware with Secure Boot: numbers are those of the published suites' assertions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import machine as qemu
import pytest
from resets import RESET as RESETS
from uki_node import send, started, system, told, without_root
from vm import BOOT

pytestmark = [pytest.mark.vm, pytest.mark.root, pytest.mark.long]

UPGRADE = ["kairos-uki-upgrade.pre", "before-upgrade", "after-upgrade", "kairos-uki-upgrade.after"]
RESET = ["kairos-uki-reset.pre", "after-reset", "kairos-uki-reset.after"]
UNMOUNT = "mkdir -p /usr/local/cloud-config; cp /oem/91_stages.yaml /usr/local/cloud-config; umount /oem"
"""What the step of after-reset does under the running reset; the last stage has its configuration from elsewhere then."""
MORE = {"after-reset": UNMOUNT, RESET[-1]: "cp /run/order /usr/local/order"}
"""The last one keeps the order where the boot after a reset finds it: on the persistent partition, which is a new one by then."""
STAGES = "stages:\n" + "".join(f"  {name}:\n    - commands: ['{'; '.join([f'echo {name} >> /run/order', *([MORE[name]] if name in MORE else [])])}']\n" for name in UPGRADE + RESET)
FAILED = {"active+0-3.conf": "title Node\nefi /EFI/kairos/active.efi\nsort-key 0001\n", "recovery+3.conf": "title Node recovery\nefi /EFI/kairos/active.efi\nsort-key 0003\n"}
"""The menu of a node whose active system was started in vain: what comes is recovery."""
MENU = "grep -H ^efi /efi/loader/entries/*; ls /efi/EFI/kairos"


@pytest.fixture(scope="module")
def reset(scratch: Path, machines: list[qemu.Machine]) -> dict[str, Any]:
    """A node that came up in recovery: there its active system is upgraded (to a bad one), then reset; the boot after that is the passive system, which is chosen.
    There a boot is chosen that resets the node by itself, and the one after it.
    """
    bad = without_root(system(scratch), scratch / "small.efi")
    machine = started(scratch, machines, "reset", STAGES, FAILED)
    found: dict[str, Any] = {"recovery": told(machine)}
    machine.ssh("touch /oem/mine")
    send(machine, bad, "/run")
    found["upgrade"] = machine.ssh("kairos-boot upgrade --source file:/run/small.efi 2>&1; echo code $?; ls /efi/loader/entries", 900)
    found["reset"] = machine.ssh("kairos-boot reset --unattended 2>&1; echo code $?; cat /run/order; findmnt -no OPTIONS /efi; findmnt /oem || echo unmounted", 900)
    found["left"] = machine.ssh(f"{MENU}; sha256sum /efi/EFI/kairos/* | cut -d' ' -f1 | uniq | wc -l")
    found["chosen"] = machine.ssh("kairos-boot bootentry; kairos-boot bootentry --select fallback && kairos-boot bootentry")
    machine.reboot(BOOT)
    found["passive"] = told(machine)
    found["data"] = machine.ssh("ls -A /oem; cat /usr/local/.kairos-state")
    machine.ssh("rm -r /usr/local/cloud-config; touch /usr/local/mine")
    found["asked"] = machine.ssh("kairos-boot reset --next-boot; echo code $?; ls /efi/loader/entries; kairos-boot bootentry --select cos; kairos-boot bootentry --select statereset; kairos-boot bootentry")
    machine.reboot(BOOT)
    machine.wait_off(RESETS)
    found["screen"] = machine.screen()
    machine.start()
    found["active"] = told(machine)
    found["order"] = machine.ssh("cat /usr/local/order; ls -A /oem /usr/local; cat /usr/local/.kairos-state")
    machine.press_power(BOOT)
    return found


def test_a_node_whose_active_system_has_no_tries_left_comes_up_in_recovery_and_that_is_blessed(reset: dict[str, Any]) -> None:
    assert reset["recovery"]["state"].startswith("recovery_boot")
    assert {"recovery_mode", "uki_boot_mode"} <= set(reset["recovery"]["sentinels"].split())
    assert reset["recovery"]["entries"].split() == ["active+0-3.conf", "recovery.conf", "code", "0"]
    assert reset["recovery"]["failed"] == "code 0"


def test_recovery_upgrades_the_active_system(reset: dict[str, Any]) -> None:
    assert reset["upgrade"].split("code 0\n")[1].split() == ["active+3.conf", "passive+3.conf", "recovery.conf"]


def test_the_stages_of_both_come_in_their_order_though_one_of_them_unmounts_oem_under_the_reset(reset: dict[str, Any]) -> None:
    """UKI-26"""
    *stages, options, oem = reset["reset"].split("code 0\n")[1].splitlines()
    assert stages == UPGRADE + RESET
    assert options.startswith("ro,")
    assert oem == "unmounted"


def test_after_the_reset_every_entry_starts_the_whole_system_of_recovery_and_the_bad_one_is_gone(reset: dict[str, Any]) -> None:
    entries = dict(re.findall(r"^/efi/loader/entries/(.+):efi\s+(.+)$", reset["left"], re.MULTILINE))
    assert entries.pop("active+3-0.conf").startswith("/EFI/kairos/active-")  # the other name of three tries, since nothing is written over
    assert entries == {"passive+3.conf": "/EFI/kairos/active.efi", "recovery.conf": "/EFI/kairos/active.efi"}
    assert reset["left"].splitlines()[-1] == "1"


def test_the_next_boot_is_the_active_system_unless_another_entry_is_chosen_by_its_name(reset: dict[str, Any]) -> None:
    """UKI-27: an entry that has a counter."""
    before, after = reset["chosen"].split("the next boot takes the entry fallback, once")
    assert "cos  (the next boot, once; 3 tries left)" in before
    assert "fallback  (the next boot, once; 3 tries left)" in after
    assert reset["passive"]["state"].startswith("passive_boot")
    assert reset["passive"]["entries"].split() == ["active+3-0.conf", "passive.conf", "recovery.conf", "code", "0"]


def test_the_configuration_stays_and_the_reset_is_noted(reset: dict[str, Any]) -> None:
    assert "mine" in reset["data"].split()
    assert "last-reset" in reset["data"]
    assert reset["passive"]["failed"] == "code 0"


def test_a_boot_that_resets_the_node_by_itself_is_chosen_by_its_entry_which_is_made_for_it(reset: dict[str, Any]) -> None:
    """Both ways to ask for it; what another entry chose since is over."""
    assert "statereset+0.conf" in reset["asked"].split("code 0\n")[1].split()
    assert reset["asked"].splitlines()[-1] == "statereset  (the next boot, once)"


def test_that_boot_resets_and_restarts_by_itself(reset: dict[str, Any]) -> None:
    """Its stages come in their order, one of which takes /oem away; nobody logs in."""
    order = reset["order"].split("/oem:")[0].split()
    assert order == RESET
    assert "the reset is done" in reset["screen"]
    assert "login:" not in reset["screen"]


def test_the_active_system_comes_up_after_it_with_the_old_configuration_and_nothing_else(reset: dict[str, Any]) -> None:
    assert reset["active"]["state"].startswith("active_boot")
    assert reset["active"]["failed"] == "code 0"
    oem, persistent = reset["order"].split("/oem:\n")[1].split("/usr/local:\n")
    assert {"mine", "91_stages.yaml"} <= set(oem.split())
    assert "mine" not in persistent.split()
    assert "last-reset" in persistent


def test_the_choice_of_that_boot_is_used_up(reset: dict[str, Any]) -> None:
    assert "next boot" not in reset["active"]["menu"]
    assert reset["active"]["menu"].splitlines()[0].startswith("cos  (this boot)")
