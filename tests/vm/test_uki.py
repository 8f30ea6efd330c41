"""A node that is one signed EFI program, started by firmware with Secure Boot (trusted boot): numbers are those of the published suites' assertions."""

from __future__ import annotations

import mmap
import re
from pathlib import Path
from typing import Any

import machine as qemu
import pytest
import uki
import variant
from uki_node import MEMORY, made_of, send, started, system, told
from vm import BOOT

pytestmark = [pytest.mark.vm, pytest.mark.root, pytest.mark.long]

REFUSED = ("reset --plan", "reset --unattended", "reset --next-boot", "reset --state-only", "upgrade --source dir:/", "upgrade --plan --source dir:/", "install --device /dev/vda --source dir:/",
           "rollback", "bootentry --select statereset")


@pytest.fixture(scope="module")
def node(scratch: Path, machines: list[qemu.Machine]) -> dict[str, Any]:
    """Two boots of a node: the first of its entry, and one that was chosen."""
    overlay = variant.Overlay(uki.disk(), scratch / "node.qcow2")
    overlay.fill("oem", "COS_OEM", variant.access())
    machine = qemu.Machine(overlay.path, scratch, secure=True, memory=MEMORY)
    machines.append(machine)
    machine.start()
    first = told(machine)
    before = machine.ssh("sha256sum /efi/loader/entries/* /efi/EFI/kairos/*; blkid; ls -A /oem")
    refused = {verb: machine.ssh(f"kairos-boot {verb} 2>&1; echo code $?", check=False) for verb in REFUSED}
    after = machine.ssh("sha256sum /efi/loader/entries/* /efi/EFI/kairos/*; blkid; ls -A /oem")
    chosen = machine.ssh("kairos-boot bootentry --select active && kairos-boot bootentry")
    machine.reboot()
    second = told(machine)
    machine.press_power()
    return {"first": first, "second": second, "refused": refused, "same": before == after, "chosen": chosen}


def test_secure_boot_is_on(node: dict[str, Any]) -> None:
    """UKI-9"""
    assert node["first"]["secureboot"].startswith("true")
    assert re.search(r"(?i)secure.*enabled", node["first"]["dmesg"])


def test_the_root_is_read_only(node: dict[str, Any]) -> None:
    """UKI-6: the two letters `rw` stand nowhere."""
    assert re.search(r"\bro\b", node["first"]["root"])
    assert "rw" not in node["first"]["root"]


@pytest.mark.parametrize("boot", ["first", "second"])
def test_sentinels_state_and_command_line_say_which_boot_it_is(node: dict[str, Any], boot: str) -> None:
    """UKI-8, UKI-12, UKI-22"""
    assert {"active_mode", "uki_boot_mode"} <= set(node[boot]["sentinels"].split())
    assert not {"uki_install_mode", "live_mode", "unknown"} & set(node[boot]["sentinels"].split())
    assert node[boot]["state"].startswith("active_boot")
    assert "rd.immucore.uki" in node[boot]["cmdline"]


def test_efi_is_the_read_only_partition_of_the_boot_loader_again_after_the_blessing(node: dict[str, Any]) -> None:
    assert re.match(r"/dev/vda1 +vfat +ro,", node["first"]["efi"])


def test_configuration_and_persistent_data_come_from_the_same_disk(node: dict[str, Any]) -> None:
    assert node["first"]["oem"].startswith("/dev/vda2")
    assert node["first"]["persistent"].startswith("/dev/vda3")


@pytest.mark.parametrize("stage", ["rootfs", "initramfs.before", "initramfs", "initramfs.after"])
def test_the_stages_ran_in_the_initrd(node: dict[str, Any], stage: str) -> None:
    """UKI-13"""
    assert f"Running stage: {stage}\n" in node["first"]["log"] + "\n"


def test_no_unit_failed(node: dict[str, Any]) -> None:
    assert node["second"]["failed"] == "code 0"


def test_a_good_boot_takes_the_counter_away(node: dict[str, Any]) -> None:
    assert node["first"]["entries"].split() == ["active.conf", "code", "0"]
    assert set(node["first"]["blessed"].split()) == {"success", "active", "code", "0"}
    assert node["first"]["menu"].startswith("cos  (this boot)")


def test_the_chosen_entry_was_taken_under_the_loaders_own_name(node: dict[str, Any]) -> None:
    """UKI-27"""
    assert "cos  (this boot; the next boot, once)" in node["chosen"]
    assert node["second"]["selected"].startswith("active.conf")
    assert "next boot" not in node["second"]["menu"]


@pytest.mark.parametrize("verb", REFUSED)
def test_what_is_not_there_is_refused_in_one_line(node: dict[str, Any], verb: str) -> None:
    said = node["refused"][verb].splitlines()
    assert said[-1] == "code 3"
    assert len(said) == 2


def test_what_was_refused_changed_nothing(node: dict[str, Any]) -> None:
    assert node["same"]


def test_an_altered_file_is_refused_by_the_firmware(tmp_path: Path, machines: list[qemu.Machine]) -> None:
    """One bit in the middle of the system: no kernel of it ever speaks."""
    raw = uki.disk()
    overlay = variant.Overlay(raw, tmp_path / "altered.qcow2")
    with raw.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as disk:
        at = disk.find(b"hsqs") + (1 << 20)
        byte = disk[at]
    overlay.write_bytes(bytes([byte ^ 1]), at)
    machine = qemu.Machine(overlay.path, tmp_path, secure=True, memory=MEMORY)
    machines.append(machine)
    machine.start()
    machine.wait_console(r"(?i)(security (policy )?violation|access denied)", BOOT, failed=re.compile("Linux version"))
    machine.kill()


STAGES = "stages:\n" + "".join(f"  {name}:\n    - commands: ['echo {name} >> /oem/order']\n" for name in ("kairos-uki-upgrade.pre", "before-upgrade", "after-upgrade", "kairos-uki-upgrade.after"))


@pytest.fixture(scope="module")
def upgraded(scratch: Path, machines: list[qemu.Machine]) -> dict[str, Any]:
    """An upgrade that is refused, a good one, and its first boot."""
    good = made_of(system(scratch), scratch / "good.efi", "net.ifnames=1", "kairos.test=2")
    altered = scratch / "altered.efi"
    altered.write_bytes(good.read_bytes().replace(b"kairos.test=2", b"kairos.test=3"))
    machine = started(scratch, machines, "upgraded", STAGES)
    found: dict[str, Any] = {}
    send(machine, altered)
    found["altered"] = machine.ssh("kairos-boot upgrade --source file:/usr/local/altered.efi 2>&1; echo code $?; ls /efi/loader/entries /efi/EFI/kairos; rm /usr/local/altered.efi; rm -f /oem/order", 600)
    send(machine, good)
    found["upgrade"] = machine.ssh("kairos-boot upgrade --source file:/usr/local/good.efi 2>&1; echo code $?; findmnt -no OPTIONS /efi; cat /oem/order; rm /usr/local/good.efi", 900)
    machine.reboot()
    found["first"] = told(machine)
    found["programs"] = machine.ssh("grep ^efi /efi/loader/entries/*; ls /efi/EFI/kairos")
    machine.press_power()
    return found


def test_a_system_that_the_firmware_would_not_start_is_refused_and_the_menu_is_as_it_was(upgraded: dict[str, Any]) -> None:
    assert "altered after it was signed" in upgraded["altered"]
    assert upgraded["altered"].split("code 3\n")[1].split() == ["/efi/EFI/kairos:", "active.efi", "/efi/loader/entries:", "active.conf"]


def test_the_stages_of_an_upgrade_come_in_their_order_and_the_partition_is_read_only_again(upgraded: dict[str, Any]) -> None:
    options, *stages = upgraded["upgrade"].split("code 0\n")[1].splitlines()
    assert options.startswith("ro,")
    assert stages == ["kairos-uki-upgrade.pre", "before-upgrade", "after-upgrade", "kairos-uki-upgrade.after"]


def test_the_next_boot_is_the_new_system_and_is_blessed(upgraded: dict[str, Any]) -> None:
    assert "kairos.test=2" in upgraded["first"]["cmdline"]
    assert upgraded["first"]["state"].startswith("active_boot")
    assert upgraded["first"]["entries"].split() == ["active.conf", "passive+3.conf", "code", "0"]
    assert "passive+3.conf:efi /EFI/kairos/active.efi" in upgraded["programs"]
    assert upgraded["first"]["failed"] == "code 0"
