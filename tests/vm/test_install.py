"""A machine with an empty disk becomes a node: without a hand by a medium and the configuration beside it (UEFI, from a disc), and by hand (BIOS, from a stick).

Each is made ahead of the tests, which look at what was left. The numbers are those of the published suites' assertions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import iso
import machine as qemu
import media
import pytest
from ahead import Ahead
from common import run
from installs import INSTALL, document, empty, look, said
from vm import BOOT

pytestmark = [pytest.mark.vm, pytest.mark.root, pytest.mark.long]

BEGUN = """\
until pgrep -f 'kairos-agent install' >/dev/null; do sleep 1; done
systemctl status kairos-installer --no-pager; ps -ef; cat /proc/cmdline; kairos-boot state get boot
"""
DISK = "11111111-2222-3333-4444-555555555555"


def by_itself(home: Path, machines: list[qemu.Machine]) -> dict[str, Any]:
    """A disc, and beside it a medium with the configuration; nobody touches the machine until it is a node."""
    beside = media.qcow2(media.iso_disc(home / "cidata.iso", "cidata", {"user-data": document("auto.yaml"), "meta-data": ""}))
    machine = qemu.Machine(empty(home / "disk.qcow2", "8G"), home, uefi=True, others=[beside])
    machines.append(machine)
    machine.start(disc=iso.iso())
    machine.wait_ssh(BOOT)
    told = {"installer": machine.ssh(BEGUN, BOOT, check=False)}
    machine.wait_off(INSTALL)
    machine.start()
    return {**told, "node": look(machine)}


def by_hand(home: Path, machines: list[qemu.Machine]) -> dict[str, Any]:
    """A stick, a large disk with a file system on the whole of it, and a smaller one: first that is prepared by a step and installed, then the large one."""
    whole = home / "whole.img"
    with whole.open("wb") as file:
        file.truncate(40 << 30)
    run("mke2fs", "-q", "-F", "-t", "ext4", "-L", "TESTDISK", "-U", DISK, "-E", "lazy_itable_init=1,nodiscard", whole)
    beside = media.qcow2(media.fat_disc(home / "cidata.img", "cidata", {"user-data": document("live.yaml"), "meta-data": ""}))
    machine = qemu.Machine(media.qcow2(whole), home, others=[empty(home / "second.qcow2", "30G"), beside])
    machines.append(machine)
    machine.start(stick=iso.iso())
    told: dict[str, Any] = {"live": look(machine)}
    for name in ("prepared", "mixed"):
        machine.ssh(f"cat > /tmp/{name}.yaml <<'EOF'\n{document(f'{name}.yaml')}\nEOF")
    told["prepared"] = said(machine, "--strict-validation --debug manual-install /tmp/prepared.yaml")
    told["after"] = machine.ssh("blkid; cd / && kairos-boot state get persistent.found")
    told["plans"] = {device: said(machine, f"manual-install --plan --device {device} /tmp/mixed.yaml") for device in ("auto", "/dev/disk/by-label/TESTDISK")}
    told["mixed"] = said(machine, f"--debug manual-install --device /dev/disk/by-uuid/{DISK} /tmp/mixed.yaml")
    machine.ssh("reboot", check=False)
    machine.wait_off()
    machine.start()
    return {**told, "node": look(machine)}


AHEAD = [("auto", by_itself), ("hand", by_hand)]


@pytest.fixture(scope="module")
def auto(ahead: Ahead) -> Any:
    return ahead.result(by_itself)


@pytest.fixture(scope="module")
def hand(ahead: Ahead) -> Any:
    return ahead.result(by_hand)


# -- the live system


def test_the_disc_boots_a_live_system_whose_stages_run_and_its_installer_is_there(auto: dict[str, Any]) -> None:
    """BST-18, BST-19, INA-1, CFG-1."""
    assert "oaded (/etc/systemd/system/kairos-installer.service; enabled;" in auto["installer"]
    assert "/usr/bin/kairos-agent install" in auto["installer"]
    assert "rd.cos.disable" in auto["installer"]
    assert auto["installer"].endswith("livecd_boot")


def test_the_stick_boots_the_same_system_under_bios_and_knows_what_it_is(hand: dict[str, Any]) -> None:
    """BST-24: with an empty disk. Nothing asks for an installation, so there is none."""
    live = hand["live"]
    assert (live["state"]["boot"], live["live"], live["efi"]) == ("livecd_boot", True, False)
    assert live["state"]["persistent"]["found"] is False
    assert "inactive" in live["installer"]
    assert live["sources"] == ["/oem/95_userdata/userdata", "/oem/95_userdata/userdata.yaml"]
    assert live["status"].startswith("OK: ")


# -- the node that was installed by itself


def test_the_node_is_active_from_its_own_disk_as_firmware_starts_it(auto: dict[str, Any]) -> None:
    """BST-1, BST-20, INA-2."""
    node = auto["node"]
    assert "active_boot" in node["state boot"]
    assert (node["state"]["boot"], node["live"], node["efi"]) == ("active_boot", False, True)
    assert "could not be found" in node["installer"]
    assert node["status"].startswith("OK: ")


def test_the_kernel_command_line_is_a_nodes_with_the_owners_words(auto: dict[str, Any]) -> None:
    """BST-2 to BST-5."""
    line = auto["node"]["cmdline"]
    assert all(words in line for words in ("cos-img/filename=", "rd.emergency=reboot rd.shell=0", "panic=5", "rd.immucore.debug foobarzz"))
    assert "rd.cos.disable" not in line
    assert "foobarzz" in auto["node"]["oem"]["grubenv"]


def test_the_owner_may_log_in_and_administer(auto: dict[str, Any]) -> None:
    """BST-6."""
    node = auto["node"]
    assert "admin" in node["owner"].splitlines()[0].split()
    assert node["owner"].splitlines()[1] == "0"
    password = node["shadow"].split(":")[1]
    assert run("openssl", "passwd", "-6", "-salt", password.split("$")[2], "kairos").strip() == password


def test_the_running_system_is_writable_where_it_has_to_be(auto: dict[str, Any]) -> None:
    """BST-13 to BST-15, MNT-2, MNT-3."""
    node = auto["node"]
    assert node["tmp"] == "kept"
    assert " type bpf " in node["mounts"]
    assert "shared" in node["root"]
    assert " on /var/lib/longhorn " in node["mounts"]
    assert node["modes"] == ["0o770", "0o770"]


def test_the_configuration_is_there_once_as_it_was_written(auto: dict[str, Any]) -> None:
    """CFG-2, CFG-3; decision F2."""
    assert auto["node"]["oem"]["90_custom.yaml"] == document("auto.yaml")
    assert not auto["node"]["sources"]


def test_the_boot_menu_has_what_others_look_for(auto: dict[str, Any]) -> None:
    """INA-3 to INA-5, MNT-4."""
    node = auto["node"]
    assert all(f"--id {entry}" in node["menu"] for entry in ("cos", "fallback", "recovery", "statereset"))
    assert "--id remoterecovery" in node["on state"]["grubmenu"]
    assert "bootfile_loc" in node["on state"]["grubcustom"]
    assert "boot_assessment_blk" in node["on state"]["grub_boot_assessment"]


@pytest.mark.parametrize("way", ["auto", "hand"])
def test_the_state_document_knows_the_partitions(way: str, request: pytest.FixtureRequest) -> None:
    """BST-21 to BST-26, on both nodes."""
    node = request.getfixturevalue(way)["node"]
    oem, persistent, state = (node["state"][name] for name in ("oem", "persistent", "state"))
    assert (oem["found"], oem["mounted"], oem["type"], oem["mount_point"], oem["read_only"]) == (True, True, "ext4", "/oem", False)
    assert (persistent["found"], persistent["mounted"], persistent["type"], persistent["mount_point"], persistent["read_only"]) == (True, True, "ext4", "/usr/local", False)
    assert (state["mounted"], state["type"], state["mount_point"], state["read_only"]) == (True, "ext4", "/run/initramfs/cos-state", True)
    assert node["disk"] == "/dev/vda5"
    assert node["version"] == node["state"]["kairos"]["version"] != ""
    assert "debian" in node["state"]["system"]["os"]["name"].lower()
    assert "debian" in node["state"]["kairos"]["flavor"].lower()


# -- the nodes that were installed by hand


def test_a_step_prepares_a_disk_that_nobody_named_and_it_is_taken_though_another_is_larger(hand: dict[str, Any]) -> None:
    """PRT-1 to PRT-4, CFG-7, INM-2; BST-24 after an installation."""
    assert hand["prepared"].endswith("code 0\n"), hand["prepared"]
    labels = {line.split(":")[0]: line for line in hand["after"].splitlines() if ":" in line}
    assert [f'LABEL="COS_{name}"' in labels[f"/dev/vdb{at}"] for at, name in ((2, "OEM"), (3, "RECOVERY"), (4, "STATE"), (5, "PERSISTENT"))] == [True] * 4
    assert 'LABEL="TESTDISK"' in labels["/dev/vda"]
    assert not [line for line in labels if line.startswith("/dev/vda") and line != "/dev/vda"]
    assert hand["after"].splitlines()[-1] == "true"


@pytest.mark.parametrize("device", ["auto", "/dev/disk/by-label/TESTDISK"])
def test_the_largest_disk_and_a_name_of_the_whole_disk_both_lead_to_it(hand: dict[str, Any], device: str) -> None:
    """TGT-2, INM-1: as a plan, since the medium and the disk with a node are both there."""
    assert "/dev/vda" in hand["plans"][device]
    assert "/dev/vdb" not in hand["plans"][device]
    assert hand["plans"][device].endswith("code 0\n")


def test_an_installation_by_hand_needs_no_more_than_a_reboot(hand: dict[str, Any]) -> None:
    """INM-1, INM-3, TGT-1, TGT-3, CFG-5; with a node's labels on another disk besides."""
    assert hand["mixed"].endswith("code 0\n"), hand["mixed"]
    assert "Running after-install hook" in hand["mixed"]
    node = hand["node"]
    assert "active_boot" in node["state boot"]
    assert node["names"].split() == ["vda", "vda1", "bios", "vda2", "oem", "vda3", "recovery", "vda4", "state", "vda5", "persistent"]
    assert node["source"] == "/dev/vda2"
    assert "kairos-agent.service: Failed with result" not in node["journal"]


def test_both_kinds_of_documents_hold_and_the_owners_directories_are_mounted(hand: dict[str, Any]) -> None:
    """BST-7, MNT-1."""
    node = hand["node"]
    assert node["foo"] == "bar"
    assert "admin" in node["owner"].splitlines()[0].split()
    assert "/var/bind1 /var/bind2" in node["layout"]
    assert "/var/ephemeral /var/ephemeral2" in node["layout"]
    assert node["bound"] == [True, True]
