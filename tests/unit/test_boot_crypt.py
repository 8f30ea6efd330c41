"""The script that opens the encrypted partitions in the initrd: which ones, in which order it asks, and what it says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kairos_boot.boot.cmdline import Cmdline
from kairos_boot.boot.report import Report
from kairos_boot.boot.sequence import ENTERED, ROOT, SEAL, Boot, tell_of_recovery_keys
from kairos_boot.boot.state import detect
from kairos_boot.reports import history, status
from kairos_boot.stages.ledger import encode
from kairos_boot.system import luks
from kairos_boot.system.host import Host
from tests.unit.test_boot_image import Notes

UNLOCK = Path(__file__).resolve().parents[2] / "dracut/51kairos-boot-crypt/unlock"
CRYPTSETUP = """#!/bin/sh
echo "$*" >>HOME/calls
case $5 in
tpm2-device=*) [ -e HOME/tpm ] ;;
*) [ -e HOME/person ] ;;
esac
"""


class Initrd:
    """A disk vda (which this boot is from) and a disk vdb, in files; programs that stand for blkid, udevadm and systemd-cryptsetup."""

    def __init__(self, home: Path) -> None:
        self.home = home
        for name in ("class", "mapper", "bin", "types", "labels"):
            (home / name).mkdir()
        self.program("blkid", "#!/bin/sh\ncase $5 in TYPE) d=types ;; *) d=labels ;; esac\ncat HOME/$d/${6##*/}\n")
        self.program("udevadm", "#!/bin/sh\n")
        self.program("systemd-cryptsetup", CRYPTSETUP)
        (home / "boot-disk").write_text("DISK=vda\nSTATE=/dev/vda4\n")

    def program(self, name: str, text: str) -> None:
        path = self.home / "bin" / name
        path.write_text(text.replace("HOME", str(self.home)))
        path.chmod(0o755)

    def part(self, name: str, kind: str, label: str, partname: str = "") -> None:
        place = self.home / "class" / name[:3] / name
        place.mkdir(parents=True)
        (place / "partition").write_text(name[3:])
        (place / "uevent").write_text(f"DEVTYPE=partition\nPARTNAME={partname}\n")
        (self.home / "types" / name).write_text(kind + "\n")
        (self.home / "labels" / name).write_text(label + "\n" if label else "")

    def unlock(self) -> tuple[int, list[str], str]:
        """Its exit status, what systemd-cryptsetup was asked, and what the console shows."""
        text = UNLOCK.read_text()
        for path, ours in (("/run/kairos-boot/boot-disk", "boot-disk"), (ENTERED, "entered"), ("/sys/class/block", "class"), ("/dev/mapper", "mapper"),
                           ("/usr/lib/systemd/systemd-cryptsetup", "bin/systemd-cryptsetup")):
            assert f"={path}\n" in text
            text = text.replace(f"={path}\n", f"={self.home}/{ours}\n")
        done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=False, env={"PATH": f"{self.home}/bin:/usr/bin:/bin"}, timeout=60)
        calls = self.home / "calls"
        return done.returncode, calls.read_text().splitlines() if calls.exists() else [], done.stderr


@pytest.fixture
def initrd(tmp_path: Path) -> Initrd:
    return Initrd(tmp_path)


def test_only_containers_of_the_node_on_the_disk_of_this_boot_are_opened(initrd: Initrd) -> None:
    """By label, by the name in the table where the label was lost; not those of another disk (G5), of another label, plain ones, and open ones."""
    (initrd.home / "tpm").touch()
    for name, kind, label, partname in (("vda2", "crypto_LUKS", "COS_OEM", "oem"), ("vda4", "ext4", "COS_STATE", "state"), ("vda5", "crypto_LUKS", "", "persistent"),
                                        ("vda6", "crypto_LUKS", "DATA", "data"), ("vda7", "crypto_LUKS", "", "other"), ("vdb2", "crypto_LUKS", "COS_OEM", "oem")):
        initrd.part(name, kind, label, partname)
    code, calls, said = initrd.unlock()
    assert [call.split()[:3] for call in calls] == [["attach", "vda2", "/dev/vda2"], ["attach", "vda5", "/dev/vda5"]]
    assert (code, said) == (0, "")


def test_one_that_is_open_stays_as_it_is(initrd: Initrd) -> None:
    initrd.part("vda2", "crypto_LUKS", "COS_OEM")
    (initrd.home / "mapper/vda2").touch()
    assert initrd.unlock() == (0, [], "")


def test_where_the_tpm_refuses_somebody_is_told_why_and_asked_for_the_recovery_key(initrd: Initrd) -> None:
    (initrd.home / "person").touch()
    initrd.part("vda2", "crypto_LUKS", "COS_OEM")
    code, calls, said = initrd.unlock()
    assert [call.split()[-1].partition(",")[0] for call in calls] == ["tpm2-device=auto", "tries=3"]
    assert "headless=1" in calls[0]
    assert "the TPM does not open COS_OEM (/dev/vda2)" in said
    assert "Enter the recovery key of COS_OEM" in said
    assert code == 0


def test_one_that_stays_closed_keeps_no_other_closed_and_fails_the_unit(initrd: Initrd) -> None:
    initrd.part("vda2", "crypto_LUKS", "COS_OEM")
    initrd.part("vda5", "crypto_LUKS", "COS_PERSISTENT")
    code, calls, said = initrd.unlock()
    assert [call.split()[1] for call in calls] == ["vda2", "vda2", "vda5", "vda5"]
    assert "COS_OEM (/dev/vda2) stays closed: this boot goes on without it" in said
    assert code == 1


def test_a_boot_whose_disk_is_not_known_opens_nothing(initrd: Initrd) -> None:
    initrd.part("vda2", "crypto_LUKS", "COS_OEM")
    (initrd.home / "boot-disk").write_text("DISK=\n")
    assert initrd.unlock() == (0, [], "")


def test_one_recovery_key_is_asked_for_once_and_noted_for_the_record_of_the_boot(initrd: Initrd) -> None:
    """Which partitions it opened, not the key; the kernel keeps it for the second one, where the unit shares the keyring of root."""
    (initrd.home / "person").touch()
    initrd.part("vda2", "crypto_LUKS", "COS_OEM")
    initrd.part("vda5", "crypto_LUKS", "COS_PERSISTENT")
    code, calls, said = initrd.unlock()
    assert code == 0
    assert [call.split()[-1] for call in calls if "tries" in call] == ["tries=3", "tries=4"], "the first try of the second one asks nobody"
    assert said.count("Enter the recovery key") == 1
    assert "The recovery key that was entered is tried for COS_PERSISTENT, too" in said
    assert (initrd.home / "entered").read_text() == "COS_OEM /dev/vda2\nCOS_PERSISTENT /dev/vda5\n"
    assert "\nKeyringMode=shared\n" in (UNLOCK.parent / "kairos-boot-crypt.service").read_text()


def test_what_the_tpm_opens_or_nobody_does_is_no_recovery_key(initrd: Initrd) -> None:
    initrd.part("vda2", "crypto_LUKS", "COS_OEM")
    initrd.unlock()
    (initrd.home / "tpm").touch()
    initrd.unlock()
    assert not (initrd.home / "entered").exists()


def test_status_warns_of_a_node_that_was_opened_by_a_recovery_key_and_says_what_ends_it(tmp_path: Path) -> None:
    """The boot is not degraded: all is mounted."""
    noted = tmp_path / ENTERED.lstrip("/")
    noted.parent.mkdir(parents=True)
    noted.write_text("COS_OEM /dev/vda2\n")
    notes, line = Notes(), Cmdline("root=LABEL=COS_ACTIVE cos-img/filename=/cOS/active.img")
    report = Report(notes, notes.log, str(tmp_path / "console"))  # type: ignore[arg-type]
    tell_of_recovery_keys(Boot(Host(str(tmp_path)), line, detect(line), report, None, None, None, None))  # type: ignore[arg-type]
    told = history.Boot("b1", "".join(f"{encode(record)}\n" for record in notes.records).encode())
    text = "\n".join(status.as_text(told, 0))
    assert told.result == "ok"
    assert "the TPM did not open COS_OEM (/dev/vda2)" in text
    assert f"      systemd-cryptenroll --wipe-slot=tpm2 /dev/vda2 && systemd-cryptenroll --tpm2-device=auto --tpm2-pcrs={luks.PCRS} /dev/vda2\n" in f"{text}\n"
    assert SEAL.format(node="/dev/vda2") in "".join(notes.lines)
    assert report.failed == 0
    assert any(step is tell_of_recovery_keys for _, step in ROOT)
