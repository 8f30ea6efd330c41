"""The partitions of the boot disk: found by label and name, inside an opened container, or missing and given a place."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.lifecycle.missing import SIZES, places, sizes
from kairos_boot.lifecycle.reset import Options, phases
from kairos_boot.lifecycle.reset_room import Room
from kairos_boot.lifecycle.sources import Source
from kairos_boot.lifecycle.wired import Surroundings
from kairos_boot.node.partitions import NodeDisk, find
from kairos_boot.system.host import Host
from kairos_boot.system.partitions import Slot, Table
from kairos_boot.system.udev import Partition

if TYPE_CHECKING:
    from pathlib import Path

    from kairos_boot.lifecycle.phases import Phase

MIB = 2048
STATE = Partition("/dev/vda4", "vda", "COS_STATE", "ext4")
OEM = Partition("/dev/vda2", "vda", "COS_OEM", "ext4")
LOCKED = Partition("/dev/vda5", "vda", "COS_PERSISTENT", "crypto_LUKS")
NAMELESS = Partition("/dev/vda5", "vda", "", "crypto_LUKS")
OPENED = Partition("/dev/dm-0", "", "COS_PERSISTENT", "ext4")


def table(*slots: tuple[int, int, int, str], mib: int = 1000) -> Table:
    """A GPT on /dev/vda; numbers, starts and sizes in MiB, names."""
    return Table("gpt", "", 512, 34, mib * MIB - 34, mib * MIB, tuple([Slot(n, f"/dev/vda{n}", s * MIB, z * MIB, name=name) for n, s, z, name in slots]))


def opened(tmp_path: Path, *below: str) -> Host:
    """A node where dm-0 lies on these partitions."""
    for name in below:
        (tmp_path / "sys/class/block/dm-0/slaves" / name).mkdir(parents=True)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/dm-0").touch()
    os.truncate(tmp_path / "dev/dm-0", 64 << 20)
    return Host(str(tmp_path))


def reset_of(disk: NodeDisk, options: Options | None = None) -> list[Phase]:
    """The phases of a reset, with nothing behind them."""
    around = Surroundings(lambda stage, root: "", lambda stage, root: 0, lambda title: lambda done, total: None)
    return phases(disk, Source("/recovery.img", is_tree=False, size=0), options or Options(), around, Room(1 << 40))


def refusals(host: Host, found: list[Phase]) -> list[str]:
    """What the checks of the partitions say."""
    said = []
    for check in found[0].checks[1:]:
        try:
            check(host)
        except KairosError as error:
            said.append(str(error))
    return said


@pytest.mark.parametrize("container", [LOCKED, NAMELESS])
def test_an_opened_container_counts_for_its_partition_and_is_kept(tmp_path: Path, container: Partition) -> None:
    """Only what is in it is made anew: no action of a reset names the container. Another disk's container of that label is not taken."""
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "usr/sbin/mkfs.ext4").touch()
    host = opened(tmp_path, "vda5")
    slots = table((2, 1, 64, "oem"), (4, 65, 100, "state"), (5, 200, 800, "persistent"))
    foreign = Partition("/dev/dm-1", "", "COS_PERSISTENT", "ext4")
    (tmp_path / "sys/class/block/dm-1/slaves/vdb5").mkdir(parents=True)
    disk = find(host, "vda", [STATE, OEM, container, foreign, OPENED], slots)
    assert disk.persistent == OPENED
    found = reset_of(disk)
    lines = [line for phase in found for line in phase.describe()]
    assert "erase /dev/dm-0: a new ext4, COS_PERSISTENT" in lines
    assert "mount /dev/dm-0 at /usr/local (ext4)" in lines
    assert not any("vda5" in line or "dm-1" in line for line in lines)
    assert refusals(host, found) == []


def test_the_content_of_an_opened_container_may_be_damaged(tmp_path: Path) -> None:
    """It is the container on the partition of that name, whatever is in it."""
    disk = find(opened(tmp_path, "vda5"), "vda", [STATE, OEM, LOCKED, Partition("/dev/dm-0")], table((5, 200, 800, "persistent")))
    assert disk.persistent == Partition("/dev/dm-0")


@pytest.mark.parametrize("container", [LOCKED, NAMELESS])
@pytest.mark.parametrize("options", [Options(), Options(erase_persistent=False)])
def test_a_locked_container_is_never_written_to(tmp_path: Path, container: Partition, options: Options) -> None:
    """The reset is refused before anything is changed, and says how to open it."""
    host = Host(str(tmp_path))
    disk = find(host, "vda", [STATE, OEM, container], table((5, 200, 800, "persistent")))
    assert disk.persistent == container
    [said] = refusals(host, reset_of(disk, options))
    assert "encrypted and locked" in said


def test_what_is_free_on_a_disk() -> None:
    """Whole MiB between the partitions and behind them, whatever their numbers; the backup table's place is not free."""
    assert table().gaps == [(MIB, 998 * MIB)]
    assert table((1, 1, 999 - 1, "x")).gaps == []
    assert table((2, 500, 100, "a"), (1, 1, 64, "b")).gaps == [(65 * MIB, 435 * MIB), (600 * MIB, 399 * MIB)]
    odd = Table("gpt", "", 512, 34, 0, 100 * MIB, (Slot(1, "/dev/vda1", 10 * MIB + 7, 3 * MIB),))
    assert odd.gaps == [(MIB, 9 * MIB), (14 * MIB, 85 * MIB)]


def test_a_missing_partition_takes_the_gap_that_fits_best() -> None:
    """OEM the smallest that is large enough, the persistent one the largest; numbers are the free ones, as sfdisk takes them."""
    disk = NodeDisk("/dev/vda", STATE, table=table((1, 1, 1, "bios"), (3, 200, 50, "recovery"), (4, 350, 100, "state")))
    found = places(disk, SIZES)
    assert {name: (slot.node, slot.start // MIB, slot.size // MIB) for name, slot in found.items()} == {
        "oem": ("/dev/vda2", 250, 64), "persistent": ("/dev/vda5", 450, 549)}


@pytest.mark.parametrize(("data", "found"), [
    ({}, (64, 0)), ({"install": {"partitions": {"oem": {"size": 100}, "persistent": {"size": 2000}}}}, (100, 2000)),
    ({"install": []}, (64, 0)), ({"install": {"partitions": {"oem": "x", "persistent": {"size": -1}}}}, (64, 0)), ({"install": {"partitions": {"oem": {"size": "1G"}}}}, (64, 0)),
])
def test_sizes_are_those_of_the_installation(data: dict[str, object], found: tuple[int, int]) -> None:
    assert tuple(sizes(data).values()) == found


def test_the_content_of_a_container_stands_for_it_by_what_udev_tells(tmp_path: Path) -> None:
    opened = Partition("/dev/dm-0", "vda", "COS_PERSISTENT", "ext4", within=LOCKED.node)
    found = find(Host(str(tmp_path)), "vda", [opened, LOCKED])
    assert found.persistent == opened
    assert found.encrypted
    assert find(Host(str(tmp_path)), "vda", [LOCKED]).encrypted
    assert not find(Host(str(tmp_path)), "vda", [Partition("/dev/vda5", "vda", "COS_PERSISTENT", "ext4")]).encrypted


def test_a_reset_makes_the_content_of_an_opened_container_anew_and_never_the_container(tmp_path: Path) -> None:
    """Its keys, the TPM's and the one that people wrote down, stay."""
    oem = Partition("/dev/vda2", "vda", "COS_OEM", "crypto_LUKS")
    opened = [Partition(f"/dev/dm-{at}", "vda", part.label, "ext4", within=part.node) for at, part in enumerate((oem, LOCKED))]
    disk = find(Host(str(tmp_path)), "vda", [STATE, oem, LOCKED, *opened])
    said = "\n".join(line for phase in reset_of(disk, Options(erase_oem=True)) for line in phase.describe())
    assert "erase /dev/dm-0: a new ext4, COS_OEM" in said
    assert "erase /dev/dm-1: a new ext4, COS_PERSISTENT" in said
    assert oem.node not in said
    assert LOCKED.node not in said
