"""Faults: configurations that are wrong in every way at once, a partition that is missing, an image that is missing or damaged."""

from __future__ import annotations

from pathlib import Path

import machine as qemu
import pytest
import rootfs
import variant
from ahead import Ahead
from vm import AT_ONCE, BOOT, Node, damage_inside, leads_with, oem_files

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


def test_the_failure_of_the_initrds_half_stands_under_a_unit_that_is_known(faulty: Node) -> None:
    """Its unit file is in the root, too."""
    unit = faulty.facts["units"]["kairos-boot-initrd.service"]
    assert (unit["LoadState"], unit["ActiveState"]) == ("loaded", "failed")
    assert unit["Description"].startswith("Lay out the immutable root")


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


# The image (D3, D13). A restart ends QEMU, so each boot's console is a file of its own.

CUT = """
set -e
mkdir -p /run/state
mountpoint -q /run/state || mount LABEL=COS_STATE /run/state
mount -o remount,rw /run/state
cd /run/state/cOS
dd if=passive.img of=active.img bs=1M count=1 conv=notrunc status=none
e2label active.img COS_ACTIVE
truncate -s $(($(stat -c %s active.img) / 2)) active.img
"""
"""Makes of the active image one that the boot loader can use, and that ends in its middle."""
WITHOUT_INIT = """
mkdir -p /run/tree/boot /run/tree/etc/cos
cp -L /boot/vmlinuz /boot/initrd /run/tree/boot/
cp /etc/cos/bootargs.cfg /run/tree/etc/cos/
rm passive.img
truncate -s 128M passive.img
mke2fs -q -F -t ext4 -O ^metadata_csum,^metadata_csum_seed,^orphan_file -L COS_PASSIVE -d /run/tree passive.img
"""
AWAY = "cd /; umount /run/state; sync\n"


def fatal(machine: qemu.Machine) -> str:
    """Start the machine, which cannot boot and restarts by itself; what its console showed."""
    machine.start()
    return ended(machine)


def ended(machine: qemu.Machine) -> str:
    """A boot that has just begun, to its banner and its end."""
    machine.wait_console("THIS NODE CANNOT BOOT", BOOT, failed=None)
    machine.wait_off(BOOT)
    return machine.screen()


def verdict(screen: str) -> str:
    """What the node says of its own failure, on one line; it says it once, and nothing follows but the kernel's own last line."""
    assert screen.count("THIS NODE CANNOT BOOT") == 1
    text, _, rest = screen.split("THIS NODE CANNOT BOOT", 1)[1].partition("=====")
    after = [line for line in rest.splitlines() if line.strip("= ")]
    assert [line for line in after if "reboot: Restarting system" not in line] == []
    return " ".join(text.split())


class Story:
    """One machine's boots, one after the other."""

    def __init__(self, home: Path, machines: list[qemu.Machine]) -> None:
        self.overlay = variant.Overlay(variant.base(), home / "node.qcow2")
        self.machine = qemu.Machine(self.overlay.path, home)
        machines.append(self.machine)
        self.screens: list[str] = []

    def dies(self) -> None:
        """A boot that ends at its banner and restarts."""
        self.screens.append(fatal(self.machine))

    def goes_down(self, script: str) -> None:
        """The running node, damaged and switched off."""
        self.machine.ssh(script, BOOT)
        self.machine.press_power(BOOT)


def damaged(home: Path, machines: list[qemu.Machine]) -> tuple[Node, str, Node]:
    """The active image overwritten at its beginning, then cut in half: the passive system both times, and the banner between."""
    story = Story(home, machines)
    story.overlay.write_oem(oem_files(), AT_ONCE)
    story.overlay.damage("state", "/cOS/active.img", length=1 << 20)
    first = Node(story.machine).boot()
    first.facts["screen"] = story.machine.screen()
    story.goes_down(CUT + AWAY)
    story.dies()
    last = Node(story.machine).boot()
    last.facts["kept"] = story.machine.ssh("ls -A /oem/.kairos")
    return first, story.screens[0], last


@pytest.fixture(scope="module")
def overwritten(ahead: Ahead) -> tuple[Node, str, Node]:
    """The three boots."""
    boots: tuple[Node, str, Node] = ahead.result(damaged)
    return boots


def test_an_image_that_grub_cannot_read_is_named_and_the_fallback_comes_up(overwritten: tuple[Node, str, Node]) -> None:
    node = overwritten[0]
    assert "Entry cos: /cOS/active.img cannot be read" in node.facts["screen"]
    assert "passive_mode" in node.facts["cos"]
    assert "kairos.failed=cos" in node.facts["cmdline"]
    assert leads_with(node) == ["cos"]
    assert "the image is damaged: it has no ext4 file system, or its beginning was overwritten" in node.facts["status"][1]


def test_an_image_that_was_cut_off_ends_at_the_banner_and_the_node_restarts_with_the_fallback(overwritten: tuple[Node, str, Node]) -> None:
    text = verdict(overwritten[1])
    for words in ("Cause: the state image is damaged: it was cut off", "Remedy: boot the fallback", "Next: in 30 s this node restarts with entry fallback", "Kept: on COS_OEM"):
        assert words in text
    assert "System halted" not in overwritten[1]


def test_the_system_that_came_up_leads_with_the_reason_and_the_list_is_empty_again(overwritten: tuple[Node, str, Node]) -> None:
    node = overwritten[2]
    assert "passive_mode" in node.facts["cos"]
    assert leads_with(node) == ["cos"]
    assert "the state image is damaged: it was cut off" in node.facts["status"][1]
    assert "failed_entries=\n" in node.facts["grubenv"]
    assert "next_entry=\n" in node.facts["grubenv"]
    assert "failed-boots" not in node.facts["kept"]


def both_damaged(home: Path, machines: list[qemu.Machine]) -> tuple[list[str], Node]:
    """An active image that was cut in half and a passive one without an init: both banners, and the system that came up."""
    story = Story(home, machines)
    story.overlay.write_oem(oem_files(), {**AT_ONCE, "next_entry": "recovery"})
    Node(story.machine).boot()
    story.goes_down(CUT + WITHOUT_INIT + AWAY)
    story.dies()
    story.dies()
    return story.screens, Node(story.machine).boot()


@pytest.fixture(scope="module")
def dead(ahead: Ahead) -> tuple[list[str], Node]:
    """The two banners and the third system."""
    boots: tuple[list[str], Node] = ahead.result(both_damaged)
    return boots


AHEAD = [("overwritten", damaged), ("dead", both_damaged)]


def test_a_dead_fallback_ends_at_its_own_banner_and_leads_to_recovery(dead: tuple[list[str], Node]) -> None:
    first, second = map(verdict, dead[0])
    assert "entry fallback, the passive system" in first
    assert "Cause: the root file system has no init" in second
    assert "Next: in 30 s this node restarts with entry recovery, the recovery system" in second


def test_recovery_tells_of_both(dead: tuple[list[str], Node]) -> None:
    node = dead[1]
    assert "recovery_mode" in node.facts["cos"]
    assert leads_with(node) == ["cos", "fallback"]


@pytest.mark.parametrize(("variables", "entry"), [
    ({"failed_entries": "cos"}, "COS_PASSIVE"), ({"failed_entries": "cos fallback"}, "COS_SYSTEM"), ({"saved_entry": "fallback", "failed_entries": "fallback"}, "COS_SYSTEM"),
    ({"next_entry": "cos", "failed_entries": "cos"}, "COS_ACTIVE"), ({"resume_entry": "statereset"}, "kairos.reset"),
    ({"resume_entry": "statereset", "failed_entries": "statereset"}, "COS_ACTIVE"),
], ids=lambda value: " ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else value)
def test_the_menu_chooses_what_has_not_failed_and_what_goes_on(variables: dict[str, str], entry: str, base_disk: Path, tmp_path: Path, machines: list[qemu.Machine]) -> None:
    """As far as the kernel's command line."""
    overlay = variant.Overlay(base_disk, tmp_path / "node.qcow2")
    overlay.write_oem({}, {**AT_ONCE, **variables})
    machine = qemu.Machine(overlay.path, tmp_path)
    machines.append(machine)
    line = started(machine)
    assert entry in line
    assert ("kairos.reset" in line) == (entry == "kairos.reset")


def test_a_kernel_that_grub_cannot_load_is_named_and_the_fallback_started(base_disk: Path, tmp_path: Path, machines: list[qemu.Machine]) -> None:
    """What GRUB finds out late must not stop it at a question, nor start what it loaded of the entry before."""
    overlay = variant.Overlay(base_disk, tmp_path / "node.qcow2")
    kernel = f"/boot/{(rootfs.tree() / 'boot/vmlinuz').resolve().name}"
    damage_inside(overlay, "state", "/cOS/active.img", kernel, tmp_path)
    machine = qemu.Machine(overlay.path, tmp_path)
    machines.append(machine)
    line = started(machine)
    assert "root=LABEL=COS_PASSIVE cos-img/filename=/cOS/passive.img" in line
    assert "kairos.failed=cos" in line
    assert "Entry cos: the kernel or the initrd of /cOS/active.img cannot be read" in machine.screen()


def test_an_image_that_grub_does_not_find_is_named_and_the_fallback_started(base_disk: Path, tmp_path: Path, machines: list[qemu.Machine]) -> None:
    overlay = variant.Overlay(base_disk, tmp_path / "node.qcow2")
    overlay.write_oem({}, AT_ONCE)
    overlay.edit("state", "/cOS", "active.img", "absent.img")
    machine = qemu.Machine(overlay.path, tmp_path)
    machines.append(machine)
    line = started(machine)
    assert "root=LABEL=COS_PASSIVE" in line
    assert "kairos.failed=cos" in line
    assert "kairos.tried" not in line
    assert "Entry cos: /cOS/active.img is missing" in machine.screen()


def test_a_new_nodes_system_that_panics_twice_leads_to_the_fallback(base_disk: Path, tmp_path: Path, machines: list[qemu.Machine]) -> None:
    """The starts are counted from the very first one on (G4); the system that comes up instead is told (and says so: test_reset)."""
    overlay = variant.Overlay(base_disk, tmp_path / "node.qcow2")
    overlay.write_oem({}, {**AT_ONCE, "extra_active_cmdline": "rdinit=/none"})
    machine = qemu.Machine(overlay.path, tmp_path)
    machines.append(machine)
    for _ in range(2):
        machine.start()
        machine.wait_off(BOOT)
        assert "Unable to mount root fs" in machine.screen()
        assert "root=LABEL=COS_ACTIVE" in machine.screen()
    line = started(machine)
    assert "root=LABEL=COS_PASSIVE" in line
    assert "kairos.failed=cos kairos.tried=cos upgrade_failure" in line


def started(machine: qemu.Machine) -> str:
    """Start the machine as far as the kernel's command line, and give that."""
    machine.start()
    line: str = machine.wait_console(r"Command line: .*\n", BOOT, failed=None)[0]  # a line that is being written is not what it says yet
    machine.kill()
    return line


def test_an_image_that_is_gone_ends_at_the_banner_with_its_neighbours(base_disk: Path, tmp_path: Path, machines: list[qemu.Machine]) -> None:
    """The kernel and the initrd come from outside the disk, so that the initrd is reached."""
    overlay = variant.Overlay(base_disk, tmp_path / "node.qcow2")
    machine = qemu.Machine(overlay.path, tmp_path)
    machines.append(machine)
    uuid = overlay.parts["state"]["uuid"].lower()
    words = f"console=ttyS0,115200 root=LABEL=COS_ACTIVE cos-img/filename=/cOS/gone.img panic=5 rd.emergency=reboot rd.shell=0 kairos.state=PARTUUID={uuid}"
    machine.start(kernel=overlay.raw.parent / "vmlinuz", initrd=overlay.raw.parent / "initrd", append=words)
    text = verdict(ended(machine))
    for words in ("/cOS/gone.img", "Cause: the state image is missing; in its directory: active.img, passive.img", "Remedy: boot the fallback or the recovery entry"):
        assert words in text
