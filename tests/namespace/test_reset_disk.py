"""A reset of a node on a whole disk: partitions that its table lacks are made where there is room, and no other disk is touched."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.root

START = """
from reset_disk import *
from reset_node import content, digest, mounts, text, with_state
from kairos_boot.lifecycle import marker
from kairos_boot.lifecycle.resetting import reset, plan_of
from kairos_boot.errors import KairosError
from kairos_boot.node import grubenv
STATE = "/run/cos/state"
def at(path):
    found = mounts.at(path, mounts.mounted())
    return [found.source, found.fstype, probe(found.source).label] if found else None
def table(disk):
    return [[slot.number, slot.start, slot.size, slot.name] for slot in partitions.read_table(Host("/"), disk).slots]
"""


@pytest.mark.parametrize("lacks", [("persistent",), ("oem",), ("oem", "persistent")])
def test_a_partition_that_the_table_lacks_is_made_where_it_was(unshared: Callable[..., Any], lacks: tuple[str, ...]) -> None:
    """The plan says so; the other disk, whose partitions have all the labels, is not touched."""
    planned, before, after, oem, persistent, other, kept, active, clear = unshared(START + f"""
node = DiskNode(home, lacks={lacks!r})
twin, before = sum_of(node.twin), table(node.twin)
planned = [line for phase in plan_of(node, {{}}) for line in phase["does"] if line.startswith("make the partition")]
reset(node, {{}})
tell([planned, before, sorted(table(node.whole)), at("/oem"), at("/usr/local"), sum_of(node.twin) == twin, text("/oem/kept"), content(STATE + "/cOS/active.img")[""],
      marker.load(STATE) is None])
node.close()
""")
    assert len(planned) == len(lacks)
    assert after == before  # of the twin, which has them all
    assert oem[1:] == ["ext4", "COS_OEM"]
    assert persistent[1:] == ["ext4", "COS_PERSISTENT"]
    assert oem[0].rpartition("p")[0] == persistent[0].rpartition("p")[0]
    assert kept == (None if "oem" in lacks else "kept")
    assert (other, active, clear) == (True, "COS_ACTIVE", True)


def test_it_takes_the_size_that_the_configuration_names(unshared: Callable[..., Any]) -> None:
    slots, size = unshared(START + """
node = DiskNode(home, lacks=["persistent"], spare=100, steps="#cloud-config\\ninstall: {partitions: {persistent: {size: 70}}}\\n")
reset(node, {})
table = table(node.whole)
tell([table, os.statvfs("/usr/local").f_blocks * os.statvfs("/usr/local").f_frsize >> 20])
node.close()
""")
    assert slots[-1][2:] == [70 << 11, "persistent"]
    assert size < 70


NO_ROOM = {
    "no room": ({"lacks": ["persistent"], "filled": True}, "there is no room to make it: 64 MiB are needed, 0 MiB are free in one piece"),
    "too little room": ({"lacks": ["oem"], "filled": True, "spare": 40}, "there is no room to make it: 64 MiB are needed, 40 MiB are free in one piece"),
    "room for one of two": ({"lacks": ["oem", "persistent"], "filled": True, "spare": 70}, "the persistent partition is not found, and there is no room"),
    "a table of another kind": ({"lacks": ["persistent"], "kind": "dos", "filled": True}, "no GPT partition table"),
}


@pytest.mark.parametrize("fault", NO_ROOM)
def test_where_there_is_no_room_nothing_is_destroyed(unshared: Callable[..., Any], fault: str) -> None:
    """And cause and remedy are named."""
    more, message = NO_ROOM[fault]
    said, hint, planned, same, slots, environment, twin = unshared(START + f"""
node = DiskNode(home, **{more!r})
twin = sum_of(node.twin)
def state(place):
    return [digest(f"{{place}}/cOS/{{name}}.img") for name in ("active", "passive")], sorted(os.listdir(place + "/cOS"))
before, slots = with_state(node.parts["state"], home, state), table(node.whole)
try:
    plan_of(node, {{}})
    planned = ""
except KairosError as error:
    planned = error.message
try:
    reset(node, {{}})
    said = hint = ""
except KairosError as error:
    said, hint = str(error), error.hint
mounts.unmount(STATE)
tell([said, hint, planned, with_state(node.parts["state"], home, state) == before, table(node.whole) == slots,
      with_state(node.parts["state"], home, lambda place: grubenv.load(place + "/grubenv")), sum_of(node.twin) == twin])
node.close()
""")
    assert message in said
    assert hint
    assert planned
    assert planned in said
    assert (same, slots, environment, twin) == (True, True, {}, True)


def test_a_cut_between_the_table_and_the_file_system_is_gone_over(unshared: Callable[..., Any]) -> None:
    """The partition is there then, and empty."""
    slots, persistent = unshared(START + """
from kairos_boot.lifecycle.missing import SIZES as WANTED, places
from kairos_boot.actions.partition import AddPartition
node = DiskNode(home, lacks=["persistent"])
for slot in places(node.disk(), WANTED).values():
    tried = AddPartition(node.whole, slot)
    assert [tried.apply(node.host), tried.apply(node.host)] == [True, False]
reset(node, {})
tell([table(node.whole), at("/usr/local")])
node.close()
""")
    assert [slot[3] for slot in slots] == ["oem", "recovery", "state", "persistent"]
    assert persistent[2] == "COS_PERSISTENT"


def test_one_label_twice_on_the_boot_disk_is_refused(unshared: Callable[..., Any]) -> None:
    """Nobody can say which of the two is meant."""
    said, hint, same = unshared(START + """
node = DiskNode(home)
import subprocess
mounts.unmount("/oem")
subprocess.run(["e2label", node.parts["oem"], "COS_PERSISTENT"], check=True)
before = with_state(node.parts["persistent"], home, lambda place: text(place + "/old"))
try:
    reset(node, {})
except KairosError as error:
    tell([str(error), error.hint, with_state(node.parts["persistent"], home, lambda place: text(place + "/old")) == before == "old"])
node.close()
""")
    assert "several partitions of the boot disk have the label COS_PERSISTENT" in said
    assert hint
    assert same


@pytest.mark.parametrize("fstype", ["xfs", "btrfs"])
def test_a_state_partition_of_another_kind(unshared: Callable[..., Any], fstype: str) -> None:
    """Images and settings are written there as on ext4; with two images and their copies it shares blocks where it can."""
    needs(fstype)
    seen = unshared(START + f"""
node = DiskNode(home, state={fstype!r}, sizes={{"state": 400}})
outcome = reset(node, {{}})
tell([outcome.failures, at(STATE)[1], content(STATE + "/cOS/active.img")[""], content(STATE + "/cOS/passive.img")[""], grubenv.load(STATE + "/grubenv"),
      marker.load(STATE) is None, text(STATE + "/grub2/grub.cfg"), sorted(os.listdir(STATE + "/cOS"))])
node.close()
""")
    assert seen == [[], fstype, "COS_ACTIVE", "COS_PASSIVE", {"trial": "reset"}, True, "menuentry x --id cos {}\n",
                    ["active.img", "active.img.sha256", "passive.img", "passive.img.sha256"]]


@pytest.mark.parametrize("fstype", ["xfs", "btrfs"])
def test_another_kind_of_oem_is_kept(unshared: Callable[..., Any], fstype: str) -> None:
    """As it is, and made anew as the same kind where that is asked for."""
    needs(fstype)
    seen = unshared(START + f"""
node = DiskNode(home, oem={fstype!r}, sizes={{"oem": 320}})
reset(node, {{}})
first = [at("/oem"), text("/oem/kept")]
reset(node, {{"reset-oem": True}})
tell([*first, at("/oem"), text("/oem/kept")])
node.close()
""")
    assert seen[0][1:] == seen[2][1:] == [fstype, "COS_OEM"]
    assert (seen[1], seen[3]) == ("kept", None)


def test_a_kind_that_cannot_have_the_label_becomes_ext4(unshared: Callable[..., Any]) -> None:
    """Labels of xfs have at most twelve letters, and COS_PERSISTENT has more, so only the table's name told which partition it is; the plan says so."""
    needs("xfs")
    planned, persistent, old = unshared(START + """
node = DiskNode(home, persistent="xfs", sizes={"persistent": 320})
planned = [line for phase in plan_of(node, {}) for line in phase["does"] if "xfs" in line]
reset(node, {})
tell([planned, at("/usr/local"), text("/usr/local/old")])
node.close()
""")
    assert planned == ["it is xfs now, which cannot be made under the label COS_PERSISTENT"]
    assert persistent[1:] == ["ext4", "COS_PERSISTENT"]
    assert old is None


UNMAKEABLE = {
    "no tool": ("""
os.makedirs(home + "/upper"), os.makedirs(home + "/work")
mounts.mount("overlay", "/usr/sbin", "overlay", ("lowerdir=/usr/sbin", f"upperdir={home}/upper", f"workdir={home}/work"))
os.unlink("/usr/sbin/mkfs.xfs")
""", "the program mkfs.xfs is not in this image"),
    "too small": ("""
import subprocess
mounts.unmount("/oem")
subprocess.run(["sfdisk", "-q", "--no-reread", "--no-tell-kernel", "-N", "1", node.whole], input=",200MiB", text=True, check=True)
partitions.tell_kernel(Host("/"), node.whole)
""", "it is too small for xfs"),
}


@pytest.mark.parametrize("fault", UNMAKEABLE)
def test_a_kind_that_cannot_be_made_is_refused_before_anything_is_changed(unshared: Callable[..., Any], fault: str) -> None:
    needs("xfs")
    ruin, message = UNMAKEABLE[fault]
    said, hint, same = unshared(START + f"""
node = DiskNode(home, oem="xfs", sizes={{"oem": 320}})
def images(place):
    return [digest(f"{{place}}/cOS/{{name}}.img") for name in ("active", "passive")]
before = with_state(node.parts["state"], home, images), sum_of(node.parts["persistent"])
{ruin}
try:
    reset(node, {{"reset-oem": True}})
except KairosError as error:
    mounts.unmount(STATE)
    tell([str(error), error.hint, (with_state(node.parts["state"], home, images), sum_of(node.parts["persistent"])) == before])
node.close()
""")
    assert message in said
    assert hint
    assert same


def needs(fstype: str) -> None:
    """Skip where the tool is not installed."""
    if not shutil.which(f"mkfs.{fstype}"):
        pytest.skip(f"mkfs.{fstype} is not installed")


BOOT_CODE = """
import reset_node, subprocess
from kairos_boot.lifecycle.bootcode import MADE
from kairos_boot.system import grub
from kairos_boot.system.fat import OLD
def loader(node):
    with open(node.whole, "rb") as disk:
        sector = disk.read(512)
        at = grub.core_of(sector)
        disk.seek(at)
        start = disk.read(64)
    efi = subprocess.run(["mtype", "-i", node.parts["efi"], "::/EFI/BOOT/BOOTX64.EFI"], capture_output=True, text=True).stdout
    return [sector[:8].decode(errors="replace"), at, start[:8].decode(errors="replace"), efi, sector[510:] == bytes([0x55, 0xaa])]
def brings(version, core=2000):
    for name, content in (("boot.img", f"boot {version}".ljust(512)), ("core.img", f"core {version}".ljust(core)), ("bootx64.efi", f"efi {version}")):
        reset_node.FILES[f"{MADE[1:]}/{name}"] = content
SIZES = {"bios": 1, "efi": 34}
def made(**more):
    node = DiskNode(home, sizes=SIZES, **more)
    subprocess.run(["mkfs.fat", "-n", "COS_GRUB", node.parts["efi"]], check=True, stdout=subprocess.DEVNULL)
    return node
"""


def test_the_boot_loaders_own_code_is_that_of_the_new_system(unshared: Callable[..., Any]) -> None:
    """For BIOS and for UEFI; what is the same is not written, and the partition table is untouched.

    A kernel without FAT leaves the partition of UEFI as it is, which keeps nothing from the other one.
    """
    fat = "vfat" in Path("/proc/filesystems").read_text()
    first, again, second, same = unshared(START + BOOT_CODE + """
brings(1)
node = made()
slots = table(node.whole)
reset(node, {})
seen = [loader(node)]
reset(node, {})
seen.append(loader(node))
mounts.mount("", "/run/initramfs/cos-state", options=("remount", "rw"))
brings(2)
reset_node.make_file_system(node.image, "COS_SYSTEM", node.tree(), 16)
node.write(node.image + ".sha256", f"{digest(node.image)}  recovery.img\\n")
reset(node, {})
tell([*seen, loader(node), table(node.whole) == slots])
node.close()
""")
    assert first[0] == "boot 1  "
    assert first[2:] == ["core 1  ", "efi 1" if fat else first[3], True]
    assert again == first
    assert second[0] == "boot 2  "
    assert second[2:] == ["core 2  ", "efi 2" if fat else first[3], True]
    assert second[1] != first[1]
    assert same


@pytest.mark.parametrize(("fault", "told"), [("brings(2, 600 << 10)", "half of its partition"), ("wipe(node.parts['efi'])", "refresh the boot loader: /dev/loop")])
def test_a_boot_loader_that_cannot_be_refreshed_stops_no_reset(unshared: Callable[..., Any], fault: str, told: str) -> None:
    """The one that is there starts the new system; it is told."""
    failures, clear = unshared(START + BOOT_CODE + f"""
from kairos_boot.system.filesystems import wipe
brings(1)
{fault if fault.startswith("brings") else ""}
node = made()
{"" if fault.startswith("brings") else fault}
outcome = reset(node, {{}})
tell([outcome.failures, marker.load(STATE) is None])
node.close()
""")
    assert len(failures) == 1
    assert told in failures[0]
    assert clear


def test_an_image_without_a_boot_loader_leaves_the_one_that_is_there(unshared: Callable[..., Any]) -> None:
    failures, before, after = unshared(START + BOOT_CODE + """
node = made()
before = loader(node)
outcome = reset(node, {})
tell([outcome.failures, before, loader(node)])
node.close()
""")
    assert failures == []
    assert after == before


RUIN = """
def ruin(node):
    with open(node, "r+b") as device:
        device.seek(1024)
        device.write(bytes(1024))
        os.fsync(device.fileno())
def wrong_digest():
    mounts.mount("", "/run/initramfs/cos-state", options=("remount", "rw"))
    node.write(node.image + ".sha256", "0" * 64 + "  recovery.img")
def no_image():
    mounts.mount("", "/run/initramfs/cos-state", options=("remount", "rw"))
    os.unlink(node.image)
"""
DAMAGE = {
    "persistent's superblock, and the image is another one": ("ruin(node.parts['persistent']); wrong_digest()", {}, "the image is damaged"),
    "persistent's superblock, and it is to be kept": ("ruin(node.parts['persistent'])", {"reset-persistent": False}, "to be kept, and no file system is found on it"),
    "oem's superblock, and there is no image": ("mounts.unmount('/oem'); ruin(node.parts['oem']); no_image()", {}, "there is no recovery image"),
    "state's superblock": ("ruin(node.parts['state'])", {}, "cannot mount"),
}


@pytest.mark.parametrize("fault", DAMAGE)
def test_damage_that_a_reset_cannot_mend_is_told_before_anything_is_destroyed(unshared: Callable[..., Any], fault: str) -> None:
    """Every partition is byte by byte as it was, but for the state partition, which was mounted; cause and remedy are named, and the boot loader is told of nothing."""
    do, asked, message = DAMAGE[fault]
    said, hint, same, images, environment, twin = unshared(START + RUIN + f"""
node = DiskNode(home)
twin = sum_of(node.twin)
def state(place):
    return [digest(f"{{place}}/cOS/{{name}}.img") for name in ("active", "passive")], sorted(os.listdir(place + "/cOS")), grubenv.load(place + "/grubenv")
before = with_state(node.parts["state"], home, state)
{do}
os.sync()
parts = {{name: sum_of(node.parts[name]) for name in ("persistent",) + (("oem",) if not os.path.ismount("/oem") else ())}}
if {fault == "state's superblock"}:
    parts["state"] = sum_of(node.parts["state"])
try:
    reset(node, {asked!r})
    said = hint = ""
except KairosError as error:
    said, hint = str(error), error.hint
if os.path.ismount(STATE):
    mounts.unmount(STATE)
same = parts == {{name: sum_of(node.parts[name]) for name in parts}}
after = before if "state" in parts else with_state(node.parts["state"], home, state)
tell([said, hint, same, before[:2] == after[:2], after[2], sum_of(node.twin) == twin])
node.close()
""")
    assert message in said
    assert hint
    assert (same, images, environment, twin) == (True, True, {}, True)


def test_a_damaged_superblock_of_persistent_is_no_reason_to_refuse(unshared: Callable[..., Any]) -> None:
    """The label is lost with it; the table's name tells which partition it is."""
    persistent, old, other = unshared(START + RUIN + """
node = DiskNode(home)
twin = sum_of(node.twin)
ruin(node.parts["persistent"])
reset(node, {})
tell([at("/usr/local"), text("/usr/local/old"), sum_of(node.twin) == twin])
node.close()
""")
    assert persistent[1:] == ["ext4", "COS_PERSISTENT"]
    assert (old, other) == (None, True)
