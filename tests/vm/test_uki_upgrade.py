"""A bad upgrade of a node that is one signed EFI program, started by firmware with Secure Boot: numbers are those of the published suites' assertions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import machine as qemu
import pytest
from uki_node import send, started, system, told, without_root
from vm import BOOT

pytestmark = [pytest.mark.vm, pytest.mark.root, pytest.mark.long]

MENU = "grep -H ^efi /efi/loader/entries/*; ls /efi/EFI/kairos"


@pytest.fixture(scope="module")
def fallen(scratch: Path, machines: list[qemu.Machine]) -> dict[str, Any]:
    """An upgrade to a system that gives up before anything of it can count, until the passive system comes; each boot is a process of its own."""
    bad = without_root(system(scratch), scratch / "bad.efi")
    machine = started(scratch, machines, "fallen")
    send(machine, bad)
    found: dict[str, Any] = {"upgrade": machine.ssh("kairos-boot upgrade --source file:/usr/local/bad.efi 2>&1; echo code $?; rm /usr/local/bad.efi", 900)}
    machine.ssh("systemctl reboot", check=False)
    machine.wait_off(BOOT)
    screens = []
    for _ in range(3):
        machine.start()
        machine.wait_off(BOOT)
        screens.append(machine.screen())
    machine.start()
    found |= {"screens": screens, "passive": told(machine), "programs": machine.ssh(MENU)}
    found["again"] = machine.ssh("kairos-boot bootentry --select active; kairos-boot bootentry")
    machine.press_power(BOOT)
    return found


def test_a_system_that_does_not_come_up_burns_its_tries_and_passive_comes(fallen: dict[str, Any]) -> None:
    """ASM-2, ASM-3, ASM-4: what was active before is what runs, and is marked good."""
    assert fallen["upgrade"].endswith("code 0\n")
    assert ["Kernel panic" in screen for screen in fallen["screens"]] == [True] * 3
    assert fallen["passive"]["state"].startswith("passive_boot")
    assert fallen["passive"]["entries"].split() == ["active+0-3.conf", "passive.conf", "code", "0"]
    assert "passive.conf:efi /EFI/kairos/active.efi" in fallen["programs"]


def test_the_passive_system_is_a_whole_node(fallen: dict[str, Any]) -> None:
    """ASM-5"""
    seen = fallen["passive"]
    assert {"passive_mode", "uki_boot_mode"} <= set(seen["sentinels"].split())
    assert seen["efi"].split()[:2] == ["/dev/vda1", "vfat"]
    assert seen["oem"].startswith("/dev/vda2")
    assert seen["persistent"].startswith("/dev/vda3")
    assert seen["failed"] == "code 0"


def test_a_system_without_tries_can_be_chosen_once_and_that_is_said(fallen: dict[str, Any]) -> None:
    assert "none of its tries is left" in fallen["again"]
    assert "cos  (the next boot, once; 0 tries left)" in fallen["again"]
