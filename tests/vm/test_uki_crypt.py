"""A node of one signed file on a machine with Secure Boot and an emulated TPM: its medium encrypts it without being asked; the TPM opens it; another list of the firmware's
leads to the question for the recovery key; a reset keeps the containers. Numbers are those of the published suites' assertions.

One machine, one boot after the other; the tests look at what each of them told.
"""

from __future__ import annotations

import re
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import machine as qemu
import media
import pytest
import uki_iso
import variant
from common import run
from test_crypt import ASKED, KEY, leaks, slots
from uki_node import LOOK, told_by
from vm import BOOT

pytestmark = [pytest.mark.vm, pytest.mark.root, pytest.mark.long]

MEMORY = 4096
LONG = 1800
"""Seconds for an installation or a reset, against hanging only."""
DOCUMENT = """\
#cloud-config
install: {auto: true, device: auto}
users:
  - {name: kairos, passwd: kairos, groups: [admin], ssh_authorized_keys: ["@KEY@"]}
stages:
  rootfs:
    - commands: ["echo rootfs >/run/of-rootfs"]
  initramfs:
    - authorized_keys: {root: ["@KEY@"]}
      commands: ["echo initramfs >/etc/of-initramfs"]
  after-reset:
    - commands:
        - |
          /bin/bash <<'EOF'
          set -e
          umount /oem || true
          # Close all encrypted partitions
          for p in $(ls /dev/mapper/vda*); do cryptsetup close $p; done
          /usr/lib/systemd/systemd-cryptsetup attach persistent $(findfs PARTLABEL=persistent) - tpm2-device=auto
          mount /dev/mapper/persistent /usr/local
          touch /usr/local/after-reset-file
          umount /dev/mapper/persistent
          cryptsetup close /dev/mapper/persistent
          EOF
"""
"""The step of after-reset is the one that is published for such nodes (UKI-26)."""
LIVE = """\
say() { echo "== $1"; shift; "$@" 2>&1; echo "code $?"; }
until systemctl is-active kairos-installer | grep -qx -e active -e failed; do sleep 2; done
say installer systemctl show -P Result kairos-installer
say journal journalctl -b --no-pager -t kairos-boot -t kairos-agent
say mounts findmnt -rno TARGET,SOURCE,FSTYPE
say mappers ls /dev/mapper
say plan kairos-boot install --plan /dev/vda
"""
PARTS = "/dev/vda2", "/dev/vda3"
NODE = LOOK + f"""\
say kinds blkid -o value -s TYPE {' '.join(PARTS)}
say names blkid -o value -s PARTLABEL {' '.join(PARTS)}
say journal journalctl -b -o cat -u kairos-boot-crypt
say steps cat /run/of-rootfs /etc/of-initramfs
say register cat /sys/class/tpm/tpm0/pcr-sha256/7
say headers sh -c 'for part in {' '.join(PARTS)}; do cryptsetup luksDump $part; done'
say documents ls /oem
say data ls -A /usr/local
say status kairos-boot status
"""
FORBIDDEN = sha256(b"").digest(), sha256(b"something else").digest()
"""What the list dbx of the test keys' firmware has one of, and what an update of that list has in its place."""


class Story:
    """What one machine told, from an empty disk on."""

    def __init__(self, home: Path, machines: list[qemu.Machine]) -> None:
        variant.access()
        document = DOCUMENT.replace("@KEY@", variant.SSH_KEY.with_suffix(".pub").read_text().strip())
        beside = media.qcow2(media.iso_disc(home / "cidata.iso", "cidata", {"user-data": document, "meta-data": ""}))
        run("qemu-img", "create", "-q", "-f", "qcow2", home / "disk.qcow2", "8G")
        self.home, self.left = home, dict[str, list[str]]()
        self.machine = qemu.Machine(home / "disk.qcow2", home, secure=True, tpm=True, memory=MEMORY, others=[beside])
        machines.append(self.machine)
        self.machine.start(disc=uki_iso.iso())
        self.live = told_by(self.machine, LIVE, LONG)
        self.shown = KEY.findall(self.machine.screen())
        assert self.shown, f"{self.live}{self.machine.screen()}"
        self.key = self.shown[0]
        self.left["live"] = leaks(self.machine, self.key)
        self.off()
        self.machine.others = ()
        self.machine.start()
        self.first = self.look()
        self.machine.ssh("echo mine >/usr/local/mine; echo kept >/oem/kept; kairos-boot bootentry --select recovery")
        self.off()
        self.update_the_list()
        self.asked = self.boots_by_the_key()
        self.tell_the_tpm()
        self.plan = self.machine.ssh("kairos-boot reset --plan", LONG)
        self.reset = self.machine.ssh("kairos-boot reset --unattended 2>&1; echo code $?; ls /dev/mapper", LONG)
        self.machine.reboot(BOOT)
        self.after = self.look()
        self.off()

    def off(self) -> None:
        """Shut it down."""
        self.machine.ssh("systemctl poweroff", check=False)
        self.machine.wait_off(300)

    def look(self) -> dict[str, str]:
        """What the running node tells, each answer by its name, and its console; what has the key."""
        found = told_by(self.machine, NODE, 600)
        self.left[str(self.machine.boots)] = leaks(self.machine, self.key)
        return {**found, "screen": self.machine.screen()}

    def update_the_list(self) -> None:
        """As an update of the firmware's list of what it does not start; all that it starts stays."""
        content = self.machine.variables.read_bytes()
        assert FORBIDDEN[0] in content
        self.machine.variables.write_bytes(content.replace(*FORBIDDEN))

    def boots_by_the_key(self) -> dict[str, str]:
        """The recovery system; it asks for the key, once."""
        self.machine.start(keyboard=True)
        self.machine.wait("a question for the recovery key", lambda: ASKED.search(self.machine.screen()), BOOT)
        self.machine.type(f"{self.key}\n")
        return self.look()

    def tell_the_tpm(self) -> None:
        """What status says, with the key in a file in the node's memory."""
        subprocess.run([*self.machine.ssh_command(), "umask 077; cat >/run/key"], input=self.key, text=True, timeout=180, check=True)
        for part in PARTS:
            words = "systemd-cryptenroll --unlock-key-file=/run/key"
            self.machine.ssh(f"{words} --wipe-slot=tpm2 {part} && {words} --tpm2-device=auto --tpm2-pcrs=7 {part}", 300)
        self.headers = self.machine.ssh(f"for part in {' '.join(PARTS)}; do cryptsetup luksDump $part; done; rm /run/key")


@pytest.fixture(scope="module")
def story(scratch: Path, machines: list[qemu.Machine]) -> Story:
    return Story(scratch, machines)


def test_the_medium_encrypts_without_being_asked_and_shows_the_key_once(story: Story) -> None:
    assert story.live["installer"] == "success\ncode 0"
    assert len(story.shown) == 1
    assert "show the recovery key of COS_OEM and COS_PERSISTENT once" in story.live["plan"]
    assert "not encrypted" not in story.live["journal"] + story.live["plan"]


def test_nothing_is_open_or_mounted_after_the_installation(story: Story) -> None:
    """UKI-3"""
    assert story.live["mappers"].split() == ["control", "code", "0"]
    assert "/dev/vda" not in story.live["mounts"]


def test_the_recovery_key_is_in_no_file_log_argument_or_variable_of_any_boot(story: Story) -> None:
    assert len(story.left) == 4
    assert set(map(tuple, story.left.values())) == {("/run/control",)}


@pytest.mark.parametrize("boot", ["first", "after"])
def test_the_tpm_opens_both_partitions_and_nobody_is_asked(story: Story, boot: str) -> None:
    """UKI-11: in the first boot, and in the one after a reset."""
    told: dict[str, str] = getattr(story, boot)
    assert told["kinds"].split() == ["crypto_LUKS", "crypto_LUKS", "code", "0"]
    assert told["names"].split() == ["oem", "persistent", "code", "0"]
    for name in ("oem", "persistent"):
        assert re.match(r"/dev/(?:mapper/vda\d+|dm-\d+)\s", told[name]), told[name]
    assert told["steps"].split() == ["rootfs", "initramfs", "code", "0"]
    assert told["state"].startswith("active_boot")
    assert told["failed"] == "code 0"
    assert told["status"].startswith("OK: ")
    assert not ASKED.search(told["screen"])
    assert "recovery key" not in told["screen"] + told["journal"]


def test_the_node_is_one_of_this_kind(story: Story) -> None:
    """UKI-6, UKI-8, UKI-9, UKI-12, UKI-13, UKI-22"""
    first = story.first
    assert re.search(r"\bro\b", first["root"])
    assert "rw" not in first["root"]
    assert {"active_mode", "uki_boot_mode"} <= set(first["sentinels"].split())
    assert first["secureboot"].startswith("true")
    assert "rd.immucore.uki" in first["cmdline"]
    for stage in ("initramfs.before", "initramfs", "initramfs.after"):
        assert f"Running stage: {stage}\n" in first["log"] + "\n"


def test_another_list_in_the_firmware_leads_to_the_question_for_the_recovery_key_and_the_boot_goes_on(story: Story) -> None:
    """In the recovery system. Console, journal and status say so; the key is given once for both."""
    asked = story.asked
    assert asked["register"] != story.first["register"]
    assert asked["state"].startswith("recovery_boot")
    for label in ("COS_OEM", "COS_PERSISTENT"):
        for where in ("screen", "journal"):
            assert f"the TPM does not open {label}" in asked[where]
        assert f"the TPM did not open {label}" in asked["status"]
    assert len(ASKED.findall(asked["screen"])) == 1
    assert "kept" in asked["documents"].split()
    assert asked["failed"] == "code 0"


def test_a_reset_makes_the_content_anew_keeps_the_containers_and_lets_steps_close_them(story: Story) -> None:
    """UKI-25, UKI-26: the published step closes both under the running reset, and opens one again by the TPM."""
    assert "a step of after-reset opens it itself (cryptsetup)" in story.plan
    assert "code 0\ncontrol\n" in story.reset, story.reset
    assert slots({"headers": story.headers}) == slots(story.after)
    data = story.after["data"].split()
    assert "after-reset-file" in data
    assert "mine" not in data
    assert "kept" in story.after["documents"].split()


def test_containers_have_the_identifiers_that_kairos_gives_them(story: Story) -> None:
    found: Any = [line.split()[1] for line in slots(story.first) if line.startswith("UUID:")]
    assert found[1] == "85c39d0f-4867-5227-8334-f5eec606d9eb"
