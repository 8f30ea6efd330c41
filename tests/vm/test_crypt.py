"""A node whose OEM and persistent partitions are encrypted, on a machine with an emulated TPM: installed by a live medium, opened without anybody, by the recovery key
where the TPM is another one, by the TPM again once it was told, reset; the same where the firmware is another one; and where nobody has the key.

One machine, one boot after the other; the tests look at what each of them told.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import machine as qemu
import media
import pytest
import sealed
import variant
from common import run
from resets import RESET
from vm import BOOT, HERE

from kairos_boot.system import efi
from tests.unit.esp_node import signature_list

pytestmark = [pytest.mark.vm, pytest.mark.root, pytest.mark.long]

INSTALL = 1800
"""Seconds for an installation, against hanging only."""
KEY = re.compile(r"\b[cbdefghijklnrtuv]{8}(?:-[cbdefghijklnrtuv]{8}){7}\b")
ASKED = re.compile(r"(?i)please enter .*vda")
PARTS = "/dev/disk/by-partlabel/oem", "/dev/disk/by-partlabel/persistent"
LOOK = f"""\
say() {{ echo "== $1"; shift; "$@" 2>&1; echo "code $?"; }}
say state kairos-boot state get boot
say status kairos-boot status
say oem findmnt -no SOURCE,FSTYPE /oem
say persistent findmnt -no SOURCE,FSTYPE /usr/local
say kinds blkid -o value -s TYPE {' '.join(PARTS)}
say journal journalctl -b -o cat -u kairos-boot-crypt
say steps cat /run/of-rootfs /etc/of-initramfs
say register cat /sys/class/tpm/tpm0/pcr-sha256/7
say headers sh -c 'for part in {' '.join(PARTS)}; do cryptsetup luksDump $part; done'
say mine cat /usr/local/mine
say kept cat /oem/kept
say blocks sh -c 'ls /oem; cat /run/initramfs/cos-state/grubenv'
say failed systemctl --failed --no-legend --plain
say log cat /run/immucore/immucore.log
"""
REMEDY = re.compile(r"systemd-cryptenroll --wipe-slot=tpm2 (/dev/vda\d) && systemd-cryptenroll --tpm2-device=auto --tpm2-pcrs=7 \1(?!\d)")
"""What `status` says of one partition."""
TRUST = f"""\
import struct, sys, uuid
content = bytes.fromhex(sys.argv[1])
descriptor = struct.pack("<HBBBBBBIhBB", 2025, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0) + struct.pack("<IHH", 24, 0x200, 0xEF1) + uuid.UUID("4aafd29d-68df-49ee-8aa9-347d375665a7").bytes_le
with open("/sys/firmware/efi/efivars/db-{efi.SECURITY}", "wb", buffering=0) as file:
    file.write(struct.pack("<I", 0x27) + descriptor + content)
"""
"""Firmware without a key of its owner takes such a list unsigned: of whom it trusts, which is what PCR 7 measures, be Secure Boot on or off."""
LEAKS = """\
import os, subprocess, sys
key = sys.stdin.buffer.read().strip()
assert len(key) == 71
with open("/run/control", "wb") as file:
    file.write(key)
places = ("/run", "/var", "/etc", "/tmp", "/root", "/oem", "/usr/local", "/run/initramfs/cos-state")
listed = subprocess.run(["find", *places, "-xdev", "-type", "f", "-size", "-65536k", "-print0"], stdout=subprocess.PIPE, check=False).stdout.split(b"\\0")
listed += [f"/proc/{number}/{name}".encode() for number in os.listdir("/proc") if number.isdecimal() for name in ("cmdline", "environ")]
for path in dict.fromkeys(filter(None, listed)):
    try:
        with open(path, "rb") as file:
            found = key in file.read()
    except OSError:
        continue
    if found:
        print(path.decode())
for words in (["journalctl", "-a", "-o", "export"], ["dmesg"]):
    if key in subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout:
        print(words[0])
os.unlink("/run/control")
"""


class Story:
    """What one machine told, from an empty disk on."""

    def __init__(self, home: Path, machines: list[qemu.Machine]) -> None:
        run("qemu-img", "create", "-q", "-f", "qcow2", home / "disk.qcow2", "8G")
        variant.access()
        self.public = variant.SSH_KEY.with_suffix(".pub").read_text().strip()
        beside = media.qcow2(media.fat_disc(home / "cidata.img", "cidata", {"user-data": self.document("live.yaml"), "meta-data": ""}))
        self.machine = qemu.Machine(home / "disk.qcow2", home, tpm=True, others=[beside])
        machines.append(self.machine)
        self.install()
        self.first = self.boots()
        self.machine.ssh("echo mine >/usr/local/mine; echo kept >/oem/kept")
        self.off()
        shutil.rmtree(self.machine.secrets)
        self.asked = self.boots_by_the_key("wrong")
        self.tell_the_tpm()
        self.selected = self.machine.ssh("kairos-boot bootentry --select statereset; ls /oem; cat /run/initramfs/cos-state/grubenv")
        self.machine.reboot()
        self.machine.wait_off(RESET)
        self.reset = self.machine.screen()
        self.after = self.boots()
        self.trust_another()
        self.off()
        self.changed = self.boots_by_the_key()
        self.do_as_status_says()
        self.off()
        self.mended = self.boots()
        self.off()
        shutil.rmtree(self.machine.secrets)
        self.closed = self.boots_without_it()

    def document(self, name: str) -> str:
        """A configuration of this directory, with the key that lets us in."""
        return (HERE / "install" / name).read_text().replace("@KEY@", self.public)

    def install(self) -> None:
        """A live system that was started by this machine makes it a node."""
        self.machine.start(disc=sealed.medium())
        self.machine.wait_up(BOOT)
        self.machine.ssh(f"cat >/tmp/config.yaml <<'EOF'\n{self.document('crypt.yaml')}\nEOF")
        self.plan = self.machine.ssh("kairos-boot manual-install --plan --device /dev/vda /tmp/config.yaml 2>&1; echo code $?", INSTALL)
        self.installed = self.machine.ssh("kairos-boot --debug manual-install --device /dev/vda /tmp/config.yaml 2>&1; echo code $?", INSTALL)
        self.shown = KEY.findall(self.machine.screen())
        assert self.shown, f"{self.plan}{self.installed}{self.machine.screen()}"
        self.key = self.shown[0]
        self.left = {"install": leaks(self.machine, self.key)}
        self.off()
        self.machine.others = ()
        self.machine.variables.unlink()  # the firmware was told to start the medium, and forgot the disk for it

    def boots(self) -> dict[str, str]:
        """The node, started without anybody."""
        self.machine.start()
        return self.look()

    def boots_by_the_key(self, *before: str) -> dict[str, str]:
        """The node, whose TPM refuses; the recovery key, and others *before* it."""
        self.machine.start(keyboard=True)
        for number, key in enumerate((*before, self.key)):
            self.question(number)
            self.machine.type(f"{key}\n")
        return self.look()

    def boots_without_it(self) -> str:
        """Another TPM, and nobody who knows the key."""
        self.machine.start(keyboard=True)
        for number in range(6):
            self.question(number)
            self.machine.type("wrong\n")
        self.machine.wait_console("login:", BOOT)
        return self.machine.screen()

    def question(self, before: int) -> None:
        """Wait until the console asks for a key once more than so often."""
        self.machine.wait("a question for the recovery key", lambda: len(ASKED.findall(self.machine.screen())) > before, BOOT)

    def look(self) -> dict[str, str]:
        """What the running node tells, each answer by its name, and its console; what has the key."""
        self.machine.wait_up(BOOT)
        told = {name: answer.rstrip() for name, _, answer in (part.partition("\n") for part in self.machine.ssh(LOOK, 600).split("== ")[1:])}
        self.left[str(self.machine.boots)] = leaks(self.machine, self.key)
        return {**told, "screen": self.machine.screen()}

    def tell_the_tpm(self, *commands: str) -> None:
        """What the documentation says, or these *commands*, with the key in a file in the node's memory instead of at a terminal."""
        subprocess.run([*self.machine.ssh_command(), "umask 077; cat >/run/key"], input=self.key, text=True, timeout=180, check=True)
        for command in commands or [f"systemd-cryptenroll --wipe-slot=tpm2 {part} && systemd-cryptenroll --tpm2-device=auto --tpm2-pcrs=7 {part}" for part in PARTS]:
            self.machine.ssh(command.replace("systemd-cryptenroll", "systemd-cryptenroll --unlock-key-file=/run/key"), 300)

    def trust_another(self) -> None:
        """Change the firmware's list of whom it trusts: the same TPM finds another PCR 7 in the next boot."""
        content = signature_list(efi.SHA256, [bytes(range(32))]).hex()
        self.machine.ssh(f"/usr/bin/python3 - {content} <<'EOF'\n{TRUST}EOF")

    def do_as_status_says(self) -> None:
        """Its commands, word by word, one for each partition."""
        self.remedy = [found[0] for found in REMEDY.finditer(self.changed["status"])]
        assert len(self.remedy) == len(PARTS), self.changed["status"]
        self.tell_the_tpm(*self.remedy)

    def off(self) -> None:
        """Shut it down."""
        self.machine.ssh("systemctl poweroff", check=False)
        self.machine.wait_off(300)


@pytest.fixture(scope="module")
def story(scratch: Path, machines: list[qemu.Machine]) -> Story:
    return Story(scratch, machines)


def leaks(machine: qemu.Machine, key: str) -> list[str]:
    """The files, the arguments and variables of programs, and the logs that have *key*; a file of ours is among them, so that the search is seen to find it."""
    machine.ssh(f"cat >/run/leaks.py <<'EOF'\n{LEAKS}EOF")
    words = [*machine.ssh_command(), "/usr/bin/python3 /run/leaks.py"]
    found: str = subprocess.run(words, input=key, capture_output=True, text=True, timeout=600, check=True).stdout
    return found.split()


def slots(told: dict[str, str]) -> list[str]:
    """Identifiers, key slots and tokens of both containers."""
    return [line.strip() for line in told["headers"].splitlines() if re.match(r"UUID:|  \d: (luks2|systemd-)|\s+(Salt|Digest):", line)]


def test_the_installation_says_what_it_does_and_shows_the_key_once(story: Story) -> None:
    assert story.plan.endswith("code 0\n")
    assert "show the recovery key of COS_OEM and COS_PERSISTENT once" in story.plan
    assert story.installed.endswith("code 0\n"), story.installed
    assert len(story.shown) == 1
    assert not KEY.search(story.plan + story.installed)


def test_the_recovery_key_is_in_no_file_log_argument_or_variable_of_any_boot(story: Story) -> None:
    """Neither on the live system nor on the node, whose boot asked for it."""
    assert len(story.left) == 6
    assert set(map(tuple, story.left.values())) == {("/run/control",)}


def test_the_tpm_opens_both_partitions_and_nobody_is_asked(story: Story) -> None:
    first = story.first
    assert first["kinds"].split() == ["crypto_LUKS", "crypto_LUKS", "code", "0"]
    assert re.fullmatch(r"/dev/(?:mapper/vda\d+|dm-\d+)\s+ext4\ncode 0", first["oem"])
    assert re.match(r"/dev/(?:mapper/vda\d+|dm-\d+)\s+ext4\ncode 0", first["persistent"])
    assert first["state"].startswith("active_boot")
    assert first["status"].startswith("OK: ")
    assert first["failed"] == "code 0"
    assert not ASKED.search(first["screen"])
    assert "recovery key" not in first["screen"] + first["journal"]


def test_what_the_key_is_bound_to_was_measured(story: Story) -> None:
    assert len(set(story.first["register"].splitlines()[0])) > 1


def test_documents_of_the_encrypted_oem_run_in_the_stages_of_the_initrd(story: Story) -> None:
    assert story.first["steps"].split() == ["rootfs", "initramfs", "code", "0"]


def test_the_boot_loaders_settings_lie_where_it_can_read_them(story: Story) -> None:
    """G7"""
    assert "grubenv" not in story.first["blocks"].split("# GRUB")[0]
    assert "menu_timeout=0" in story.first["blocks"]
    assert "next_entry=statereset" in story.selected


def test_another_tpm_leads_to_the_question_for_the_recovery_key_and_the_boot_goes_on(story: Story) -> None:
    """It is given once for both, a wrong one before it."""
    asked = story.asked
    assert "the TPM does not open COS_OEM" in asked["screen"]
    assert "Enter the recovery key of COS_OEM" in asked["screen"]
    assert len(ASKED.findall(asked["screen"])) == 2
    assert asked["oem"] == story.first["oem"]
    assert asked["persistent"] == story.first["persistent"]
    assert asked["steps"] == story.first["steps"]
    assert asked["failed"] == "code 0"


def test_status_and_journal_say_that_the_tpm_did_not_open_them_and_what_to_do(story: Story) -> None:
    for label in ("COS_OEM", "COS_PERSISTENT"):
        assert f"the TPM does not open {label}" in story.asked["journal"]
        assert f"the TPM did not open {label}" in story.asked["status"]
        assert f"the TPM did not open {label}" in story.asked["log"]
    assert "systemd-cryptenroll --wipe-slot=tpm2 /dev/vda" in story.asked["status"]
    assert "&& systemd-cryptenroll --tpm2-device=auto --tpm2-pcrs=7 /dev/vda" in story.asked["status"]


def test_a_reset_makes_the_content_anew_and_keeps_the_containers(story: Story) -> None:
    """Its boot and the one after it ask nobody: the TPM was told."""
    assert "reset is done" in story.reset or "is done: reboot follows" in story.reset
    assert not ASKED.search(story.reset + story.after["screen"])
    assert slots(story.asked) != slots(story.after), "the TPM was told in between"
    identifiers = [[line for line in slots(told) if line.startswith("UUID")] for told in (story.first, story.after)]
    assert identifiers[0] == identifiers[1]
    assert story.first["kinds"] == story.after["kinds"]
    assert story.after["mine"].endswith("code 1")
    assert story.after["kept"] == "kept\ncode 0"
    assert story.after["oem"] == story.first["oem"]
    assert story.after["status"].startswith("OK: ")
    assert "next_entry" not in story.after["blocks"]


def test_another_register_of_the_same_tpm_leads_to_the_question_and_the_recovery_key_opens_them(story: Story) -> None:
    changed = story.changed
    assert changed["register"] != story.first["register"] == story.after["register"]
    assert "the TPM does not open COS_OEM" in changed["screen"]
    assert len(ASKED.findall(changed["screen"])) == 1
    assert changed["oem"] == story.first["oem"]
    assert changed["persistent"] == story.first["persistent"]
    assert changed["kept"] == "kept\ncode 0"
    assert changed["failed"] == "code 0"


def test_what_status_says_then_lets_the_tpm_open_them_again(story: Story) -> None:
    """Each partition once, and nobody is asked in the next boot."""
    assert len(set(story.remedy)) == len(PARTS)
    mended = story.mended
    assert mended["register"] == story.changed["register"]
    assert not ASKED.search(mended["screen"])
    assert mended["status"].startswith("OK: ")
    assert mended["oem"] == story.first["oem"]
    assert mended["persistent"] == story.first["persistent"]


def test_where_nobody_knows_the_key_the_boot_goes_on_without_the_partitions(story: Story) -> None:
    """Another TPM, three wrong keys for each."""
    for label in ("COS_OEM", "COS_PERSISTENT"):
        assert re.search(rf"{label} \(/dev/vda\d\) stays closed: this boot goes on without it", story.closed)
    assert "/oem is not mounted" in story.closed
    assert "emergency mode" not in story.closed.lower()
