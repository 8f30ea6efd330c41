"""A machine with an empty disk and Secure Boot becomes a node of one signed file by its medium and the configuration beside it: numbers are those of the published suites' assertions."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import machine as qemu
import media
import pytest
import uki_iso
import variant
from common import run
from uki_node import LOOK, told_by

pytestmark = [pytest.mark.vm, pytest.mark.root, pytest.mark.long]

MEMORY = 4096
INSTALL = 1800
"""Seconds for an installation, against hanging only."""
NAME = "deb.debian.org"
STAGES = ("kairos-uki-install.pre", "before-install", "after-install", "kairos-uki-install.after")
DOCUMENT = """\
#cloud-config
install: {auto: true, device: auto, partitions: {oem: {size: 32}}}
users:
  - {name: kairos, passwd: kairos, groups: [admin], ssh_authorized_keys: ["@KEY@"]}
stages:
  initramfs:
    - authorized_keys: {root: ["@KEY@"]}
""" + "".join(f"  {stage}:\n    - commands: ['echo {stage} $(findmnt -no TARGET /run/cos/efi) >> /run/order; cp /run/order /run/cos/oem/ || true']\n" for stage in STAGES)
LIVE = """\
say() { echo "== $1"; shift; "$@" 2>&1; echo "code $?"; }
until systemctl is-active kairos-installer | grep -qx -e active -e failed; do sleep 2; done
say installer systemctl show -P Result kairos-installer
say sentinels ls /run/cos
say secureboot kairos-boot state get kairos.secureboot
say journal journalctl -b --no-pager -t kairos-boot -t kairos-agent
say mounts findmnt -rno TARGET,SOURCE,FSTYPE
say table lsblk -rno NAME,PARTLABEL,LABEL,FSTYPE,SIZE
say system sha256sum /run/rootfsbase/EFI/kairos/norole.efi
head -c 8000000 /run/rootfsbase/EFI/kairos/norole.efi >/run/cut.efi
say cut kairos-boot install --source file:/run/cut.efi /dev/vda
cp /run/rootfsbase/EFI/kairos/norole.efi /run/altered.efi
printf 'x' | dd of=/run/altered.efi bs=1 seek=9000000 conv=notrunc status=none
say altered kairos-boot install --source file:/run/altered.efi /dev/vda
say plan kairos-boot install --plan /dev/vda
say failed systemctl --failed --no-legend --plain
"""
NODE = LOOK + f"""\
say order cat /oem/order
say documents ls /oem
say programs sh -c 'cat /efi/loader/entries/*; sha256sum /efi/EFI/kairos/*'
say ssh id kairos
say tmp sh -c 'echo kept >/tmp/mine; cat /tmp/mine'
say mounts mount
say shared sh -c 'grep " / / " /proc/1/mountinfo'
say servers cat /etc/resolv.conf
say name getent ahosts {NAME}
say units systemctl status kairos-interactive kairos-recovery
"""


@pytest.fixture(scope="module")
def installed(scratch: Path, machines: list[qemu.Machine]) -> dict[str, Any]:
    """The medium, which installs by itself, and then the node from its disk."""
    variant.access()
    document = DOCUMENT.replace("@KEY@", variant.SSH_KEY.with_suffix(".pub").read_text().strip())
    beside = media.qcow2(media.iso_disc(scratch / "cidata.iso", "cidata", {"user-data": document, "meta-data": ""}))
    disk = scratch / "disk.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", disk, "8G")
    machine = qemu.Machine(disk, scratch, secure=True, memory=MEMORY, others=[beside])
    machines.append(machine)
    machine.start(disc=uki_iso.iso())
    live = told_by(machine, LIVE, INSTALL)
    machine.press_power()
    machine.start()
    node = told_by(machine, NODE, INSTALL)
    machine.press_power()
    return {"live": live, "node": node}


def test_the_medium_boots_with_secure_boot_and_installs_by_itself(installed: dict[str, Any]) -> None:
    """UKI-2, CFG-1"""
    live = installed["live"]
    assert {"uki_install_mode", "live_mode"} <= set(live["sentinels"].split())
    assert live["secureboot"].startswith("true")
    assert live["installer"] == "success\ncode 0"
    assert "Running after-install hook" in live["journal"]
    assert live["failed"] == "code 0"


def test_the_disk_has_its_three_partitions_and_none_is_mounted_after_the_installation(installed: dict[str, Any]) -> None:
    """UKI-3"""
    rows = [line.split() for line in installed["live"]["table"].splitlines() if line.startswith("vda")]
    assert [row[1:4] for row in rows[1:]] == [["efi", "COS_GRUB", "vfat"], ["oem", "COS_OEM", "ext4"], ["persistent", "COS_PERSISTENT", "ext4"]]
    assert "/dev/vda" not in installed["live"]["mounts"]


@pytest.mark.parametrize(("wrong", "said"), [("cut", "it is cut off"), ("altered", "altered after it was signed")])
def test_what_the_firmware_would_not_start_is_refused(installed: dict[str, Any], wrong: str, said: str) -> None:
    """The disk is as it was: it boots afterwards."""
    assert said in installed["live"][wrong]
    assert installed["live"][wrong].endswith("code 3")


def test_a_plan_says_what_an_installation_does(installed: dict[str, Any]) -> None:
    assert "erase /dev/vda" in installed["live"]["plan"]
    assert installed["live"]["plan"].endswith("code 0")


def test_the_stages_came_in_their_order(installed: dict[str, Any]) -> None:
    """The ESP is mounted from before-install on, to the end of the last stage."""
    assert installed["node"]["order"].splitlines() == [STAGES[0], *(f"{stage} /run/cos/efi" for stage in STAGES[1:]), "code 0"]


def test_the_root_is_read_only(installed: dict[str, Any]) -> None:
    """UKI-6: the two letters `rw` stand nowhere."""
    assert re.search(r"\bro\b", installed["node"]["root"])
    assert "rw" not in installed["node"]["root"]


def test_sentinels_state_and_command_line_say_which_boot_it_is(installed: dict[str, Any]) -> None:
    """UKI-8, UKI-12, UKI-22"""
    node = installed["node"]
    assert {"active_mode", "uki_boot_mode"} <= set(node["sentinels"].split())
    assert not {"uki_install_mode", "live_mode", "unknown"} & set(node["sentinels"].split())
    assert node["state"].startswith("active_boot")
    assert "rd.immucore.uki" in node["cmdline"]
    assert node["selected"].startswith("active")
    assert node["failed"] == "code 0"


@pytest.mark.parametrize("stage", ["initramfs.before", "initramfs", "initramfs.after"])
def test_the_stages_of_the_boot_ran(installed: dict[str, Any], stage: str) -> None:
    """UKI-13"""
    assert f"Running stage: {stage}\n" in installed["node"]["log"] + "\n"


def test_the_boot_is_good_and_takes_the_counter_of_its_entry_away(installed: dict[str, Any]) -> None:
    assert installed["node"]["entries"].split()[:3] == ["active.conf", "passive+3.conf", "recovery+3.conf"]


def test_each_role_has_the_system_of_the_medium(installed: dict[str, Any]) -> None:
    digest = installed["live"]["system"].split()[0]
    lines = [line.split() for line in installed["node"]["programs"].splitlines() if "/efi/EFI/kairos/" in line]
    assert lines == [[digest, f"/efi/EFI/kairos/{role}.efi"] for role in ("active", "passive", "recovery")]
    assert [line.split()[1] for line in installed["node"]["programs"].splitlines() if line.startswith("sort-key")] == ["0001", "0002", "0003"]


def test_the_configuration_is_the_nodes(installed: dict[str, Any]) -> None:
    assert "90_custom.yaml" in installed["node"]["documents"]
    assert "(admin)" in installed["node"]["ssh"]
    assert installed["node"]["oem"].startswith("/dev/vda2")
    assert installed["node"]["persistent"].startswith("/dev/vda3")


def test_the_running_system_is_writable_where_it_has_to_be(installed: dict[str, Any]) -> None:
    """UKI-14 to UKI-16 (BST-13 to BST-15)."""
    node = installed["node"]
    assert node["tmp"] == "kept\ncode 0"
    assert " type bpf " in node["mounts"]
    assert "shared" in node["shared"]


def test_names_resolve(installed: dict[str, Any]) -> None:
    """UKI-17 (BST-16). A name is asked for where this machine itself can resolve one."""
    assert any(line.startswith("nameserver ") for line in installed["node"]["servers"].splitlines())
    try:
        socket.getaddrinfo(NAME, 80)
    except OSError:
        return
    assert installed["node"]["name"].endswith("code 0")


def test_units_of_the_medium_are_unknown_to_the_node(installed: dict[str, Any]) -> None:
    """UKI-18 (BST-17)."""
    for unit in ("kairos-interactive", "kairos-recovery"):
        assert f"Unit {unit}.service could not be found" in installed["node"]["units"]
