"""Faults: configurations that are wrong in every way at once, a partition that is missing, an image that is missing or damaged."""

from __future__ import annotations

from pathlib import Path

import machine as qemu
import pytest
import variant
from vm import AT_ONCE, Node, oem_files

pytestmark = [pytest.mark.vm, pytest.mark.root]


@pytest.fixture(scope="module")
def faulty(base_disk: Path, scratch: Path, machines: list[qemu.Machine]) -> Node:
    """A node with six wrong files in /oem and without COS_PERSISTENT."""
    overlay = variant.Overlay(base_disk, scratch / "faulty.qcow2")
    overlay.write_oem(oem_files("faults"), AT_ONCE)
    overlay.drop_persistent()
    machine = qemu.Machine(overlay.path, scratch)
    machines.append(machine)
    return Node(machine).boot()


def test_the_node_is_up_and_says_that_it_is_degraded(faulty: Node) -> None:
    assert faulty.facts["units"]["multi-user.target"]["ActiveState"] == "active"
    assert faulty.facts["state"] == "degraded"


def test_systemd_shows_the_stages_that_failed(faulty: Node) -> None:
    assert "cos-setup-boot.service" in faulty.facts["failed"]
    assert {unit for unit in faulty.facts["failed"] if not unit.startswith(("cos-setup-", "kairos-boot"))} == set()


def test_everything_else_was_done(faulty: Node) -> None:
    done = faulty.host.run("cd /run && ls -d 7*-*").stdout.split()
    assert done == ["71-done", "72-done", "73-done", "74-done", "75-boot", "75-fs", "75-initramfs", "75-network"]
    assert not faulty.host.file("/run/broken").exists


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("/oem/70_broken.yaml:", ""),
        ("/oem/71_unknown.yaml:5:7", "comands"),
        ("/oem/72_failing.yaml:", "reason-of-the-failure"),
        ("/oem/73_hanging.yaml:", "2"),
        ("/oem/74_after.yaml:", "Fails in its middle"),
    ],
)
def test_status_names_each_culprit_with_its_place_and_cause(faulty: Node, place: str, words: str) -> None:
    text = faulty.facts["status"][1]
    assert place in text
    assert words in text


def test_status_names_the_missing_partition(faulty: Node) -> None:
    assert "COS_PERSISTENT" in faulty.facts["status"][1]


def test_the_other_mounts_are_there(faulty: Node) -> None:
    assert faulty.mount("/oem")[0] == faulty.facts["labels"]["COS_OEM"][0]
    for path in ("/etc", "/var", "/srv"):
        assert faulty.mount(path)[1] == "overlay"


# The image. The kernel and the initrd come from outside the disk, so that the initrd is reached whatever the disk is like.


@pytest.fixture
def broken(base_disk: Path, tmp_path: Path, machines: list[qemu.Machine]) -> tuple[variant.Overlay, qemu.Machine]:
    """A node's disk, to be damaged, and its machine."""
    overlay = variant.Overlay(base_disk, tmp_path / "broken.qcow2")
    machine = qemu.Machine(overlay.path, tmp_path)
    machines.append(machine)
    return overlay, machine


def start(overlay: variant.Overlay, machine: qemu.Machine, image: str) -> str:
    """Boot *image* of the disk into the emergency mode; returns what the console showed."""
    uuid = overlay.parts["state"]["uuid"].lower()
    words = f"console=ttyS0,115200 root=LABEL=COS_ACTIVE cos-img/filename={image} rd.cos.oemlabel=COS_OEM panic=5 rd.shell=0 kairos.state=PARTUUID={uuid}"
    machine.start(kernel=overlay.raw.parent / "vmlinuz", initrd=overlay.raw.parent / "initrd", append=words)
    machine.wait_console(r"(?i)emergency mode", 180, failed=None)
    machine.wait_console(r"(?i)system halted|reboot: |Boot has failed", 120, failed=None)
    return machine.screen()


def verdict(screen: str) -> str:
    """What the node says of its own failure, on one line."""
    assert "THIS NODE CANNOT BOOT" in screen
    return " ".join(screen.split("THIS NODE CANNOT BOOT", 1)[1].split("=====", 1)[0].split())


def test_a_missing_image_ends_in_emergency_mode_with_cause_and_remedy(broken: tuple[variant.Overlay, qemu.Machine]) -> None:
    text = verdict(start(*broken, "/cOS/gone.img"))
    for words in ("/cOS/gone.img", "Cause: the state image is missing", "Remedy: boot the fallback or the recovery entry"):
        assert words in text


def test_a_damaged_image_ends_in_emergency_mode_with_cause_and_remedy(broken: tuple[variant.Overlay, qemu.Machine]) -> None:
    overlay, machine = broken
    overlay.damage("state", "/cOS/active.img")
    text = verdict(start(overlay, machine, "/cOS/active.img"))
    for words in ("/cOS/active.img", "Cause: ", "Remedy: boot the fallback or the recovery entry"):
        assert words in text
    assert "missing" not in text


def test_grub_starts_the_fallback_entry_when_the_active_image_cannot_be_read(broken: tuple[variant.Overlay, qemu.Machine]) -> None:
    overlay, machine = broken
    overlay.damage("state", "/cOS/active.img")
    machine.start()
    line = machine.wait_console(r"Command line: .*", 120, failed=None)[0]
    assert "root=LABEL=COS_PASSIVE cos-img/filename=/cOS/passive.img" in line
