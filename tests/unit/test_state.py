"""The state document (the fields that operators script against)."""

from __future__ import annotations

from pathlib import Path

import pytest

from kairos_boot.node.mode import boot_word
from kairos_boot.node.state import document, release
from kairos_boot.system.host import Host
from kairos_boot.system.mounts import parse
from kairos_boot.system.udev import Partition

MOUNTS = parse("""\
20 1 254:4 / /run/initramfs/cos-state ro,relatime - ext4 /dev/vda4 ro
21 1 254:2 / /oem rw,relatime - ext4 /dev/vda2 rw
22 1 254:5 / /usr/local rw,relatime - ext4 /dev/vda5 rw
23 1 254:5 /.state/home.bind /home rw,relatime - ext4 /dev/vda5 rw
""")
PARTITIONS = [Partition(f"/dev/{disk}{number}", disk, label, "ext4", "", f"{disk}-{number}")
              for disk in ("sda", "vda") for number, label in enumerate(["COS_OEM", "COS_RECOVERY", "COS_STATE", "COS_PERSISTENT"], 2)]


@pytest.mark.parametrize(("names", "word"), [
    (["active_mode"], "active_boot"), (["passive_mode"], "passive_boot"), (["recovery_mode"], "recovery_boot"),
    (["recovery_mode", "autoreset_mode"], "autoreset_boot"), (["live_mode"], "livecd_boot"), ([], "unknown"),
])
def test_the_boot_is_one_word(names: list[str], word: str, tmp_path: Path) -> None:
    (tmp_path / "run/cos").mkdir(parents=True)
    for name in names:
        (tmp_path / "run/cos" / name).write_text("1")
    assert boot_word(Host(str(tmp_path))) == word


def test_partitions_are_those_of_the_booted_disk(tmp_path: Path) -> None:
    (tmp_path / "sys/class/block/vda5").mkdir(parents=True)
    (tmp_path / "sys/class/block/vda5/size").write_text("2048\n")
    parts = [p for p in PARTITIONS if p.label != "COS_STATE"] + [Partition("/dev/vda4", "vda", "COS_STATE", "ext4")]
    state = document(Host(str(tmp_path)), lambda: parts, MOUNTS)
    assert state["oem"] == {"found": True, "mounted": True, "name": "/dev/vda2", "label": "COS_OEM", "filesystemlabel": "COS_OEM", "type": "ext4",
                            "uuid": "vda-2", "mount_point": "/oem", "read_only": False, "size_bytes": 0}
    persistent, ro = state["persistent"], state["state"]
    assert isinstance(persistent, dict)
    assert isinstance(ro, dict)
    assert (persistent["mount_point"], persistent["size_bytes"], persistent["name"]) == ("/usr/local", 1 << 20, "/dev/vda5")
    assert (ro["mount_point"], ro["read_only"]) == ("/run/initramfs/cos-state", True)


def test_a_disk_that_is_empty_has_nothing(tmp_path: Path) -> None:
    assert document(Host(str(tmp_path)), list, [])["persistent"] == {"found": False, "mounted": False}


def test_the_release_file_names_the_menu_entry_with_and_without_the_prefix(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text("GRUB_ENTRY_NAME=no\nID=debian\n")
    assert release(Host(str(tmp_path))) == {}
    (tmp_path / "etc/kairos-release").write_text('GRUB_ENTRY_NAME="My OS"\nKAIROS_VERSION="v1"\n')
    assert release(Host(str(tmp_path))) == {"grub_entry_name": "My OS", "version": "v1"}


def test_version_and_flavor_come_from_the_release_file(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('ID=debian\nKAIROS_VERSION="v1"\n')
    assert document(Host(str(tmp_path)), list, [])["kairos"] == {"flavor": "debian", "version": "v1", "init": "systemd", "secureboot": False}
    (tmp_path / "etc/kairos-release").write_text('KAIROS_VERSION="v2.0"\nKAIROS_FLAVOR="ubuntu"\n')
    assert document(Host(str(tmp_path)), list, [])["kairos"] == {"flavor": "ubuntu", "version": "v2.0", "init": "systemd", "secureboot": False}
