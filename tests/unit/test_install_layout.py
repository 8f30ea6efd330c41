"""The partitions of a new node, computed before anything is fetched or written: order, sizes, and what cannot be."""

from __future__ import annotations

import itertools
import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.actions.partitioning import MIB, PartitionDisk
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle.diskimage import least, size_of
from kairos_boot.lifecycle.layout import Images, Layout, compute, wishes
from kairos_boot.system.host import Host
from kairos_boot.system.process import Result

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

IMAGE = 500
IMAGES = Images(IMAGE * MIB, IMAGE * MIB, IMAGE * MIB)


def layout(gib: float = 20, firmware: str = "bios", seed: str = "", **settings: Any) -> Layout:
    """The layout of a disk of so many GiB."""
    return compute("/dev/vda", int(gib * 1024) * MIB, IMAGES, wishes({key.replace("_", "-"): value for key, value in settings.items()}, firmware, seed))


def test_partitions_have_kairos_order_names_labels_and_sizes() -> None:
    parts = layout().places
    assert [(p.number, p.name, p.label, p.fstype, p.size // MIB) for p in parts[:-1]] == [
        (1, "bios", "", "none", 1), (2, "oem", "COS_OEM", "ext4", 64), (3, "recovery", "COS_RECOVERY", "ext4", 2 * IMAGE + 200),
        (4, "state", "COS_STATE", "ext4", 3 * IMAGE + 1000)]
    assert (parts[-1].number, parts[-1].name, parts[-1].label) == (5, "persistent", "COS_PERSISTENT")
    assert parts[0].start == MIB
    assert all(before.start + before.size == after.start for before, after in itertools.pairwise(parts))
    assert parts[-1].start + parts[-1].size == 20 << 30


@pytest.mark.parametrize(("firmware", "first"), [("bios", ["bios"]), ("efi", ["efi"]), ("both", ["bios", "efi"])])
def test_the_firmware_decides_on_the_first_partitions(firmware: str, first: list[str]) -> None:
    names = [p.name for p in layout(firmware=firmware).places]
    assert names == [*first, "oem", "recovery", "state", "persistent"]


def test_sizes_of_the_configuration_count_and_the_partition_without_one_comes_last() -> None:
    found = layout(partitions={"persistent": {"size": 2048}, "oem": {"size": 128}, "efi": {"size": "100"}}, firmware="efi",
                   extra_partitions=[{"name": "data", "size": 0, "fs": "xfs", "label": "DATA"}, {"name": "swap", "size": 512, "fs": "swap"}])
    assert [(p.name, p.size // MIB) for p in found.places if p.name in ("efi", "oem", "persistent", "swap")] == [
        ("efi", 100), ("oem", 128), ("persistent", 2048), ("swap", 512)]
    assert (found.places[-1].name, found.places[-1].fstype, found.places[-1].label) == ("data", "xfs", "DATA")


def test_what_is_too_small_for_the_images_is_made_larger_and_said() -> None:
    found = layout(partitions={"state": {"size": 100}})
    state = next(p for p in found.places if p.name == "state")
    assert state.size // MIB >= 3 * IMAGE
    assert found.notes == (f"the state partition gets {state.size // MIB} MiB instead of 100, which would not hold what lies on it",)


@pytest.mark.parametrize(("settings", "said"), [
    ({"partitions": {"persistent": {"size": 30000}}}, "does not fit in the target disk"),
    ({"extra_partitions": [{"name": "data", "size": 30000}]}, "does not fit in the target disk"),
    ({"extra_partitions": [{"name": "data", "size": 0}]}, "takes the rest of the disk, and so does persistent"),
    ({"partitions": {"persistent": {"size": 100}}, "extra_partitions": [{"name": "a"}, {"name": "b"}]}, "at most one partition takes the rest"),
    ({"extra_partitions": [{"size": 10}]}, "needs a name"),
    ({"extra_partitions": [{"name": "state", "size": 10}]}, "two partitions have the name 'state'"),
    ({"extra_partitions": [{"name": "a", "size": 10, "fs": "zfs"}]}, "unsupported file system type: 'zfs'"),
    ({"extra_partitions": [{"name": "a", "size": 10, "label": "COS_STATE"}]}, "one of the node's own"),
    ({"extra_partitions": [{"name": "a", "size": 10, "fs": "vfat", "label": "MUCH-TOO-LONG"}]}, "cannot be longer than 11 characters"),
    ({"extra_partitions": [{"name": "a", "size": 4096, "fs": "fat16"}]}, "too large for fat16, which is made of 4095 MiB at most: 4096"),
    ({"partitions": {"persistent": {"size": 512}}, "extra_partitions": [{"name": "a", "fs": "fat16"}]}, "a: it is too large for fat16"),
    ({"extra_partitions": [{"name": "a", "size": 8, "fs": "fat16"}]}, "too small for fat16"),
    ({"extra_partitions": [{"name": 'a"b', "size": 10}]}, "not a partition's name"),
    ({"extra_partitions": [{"name": "x\n/dev/sdb1 : start=1", "size": 10}]}, "not a partition's name"),
    ({"extra_partitions": [{"name": "a\\", "size": 10}]}, "not a partition's name"),
    ({"extra_partitions": [{"name": "a", "size": 10, "label": "a\tb"}]}, "not a file system's label"),
    ({"extra_partitions": [{"name": "a", "size": 10, "label": "-b"}]}, "not a file system's label"),
    ({"extra_partitions": [{"name": "a", "size": 10, "label": "COS_ACTIVE"}]}, "one of the node's own"),
    ({"extra_partitions": [{"name": "a", "size": 299, "fs": "xfs"}]}, "too small for xfs, which is made of 300 MiB"),
    ({"extra_partitions": [{"name": "a", "size": 1, "fs": "btrfs"}]}, "too small for btrfs, which is made of 109 MiB"),
    ({"partitions": {"persistent": {"size": 17000}}, "extra_partitions": [{"name": "a", "fs": "xfs"}]}, "does not fit in the target disk"),
    ({"partitions": {"stat": {"size": 10}}}, "no such partition: 'stat'"),
    ({"partitions": {"state": {"size": -1}}}, "not a size"),
    ({"partitions": {"state": {"size": True}}}, "not a size"),
    ({"firmware": "coreboot"}, "not a firmware"),
    ({"part_table": "msdos"}, "only GPT"),
])
def test_a_layout_that_cannot_be_is_refused_with_the_reason(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(KairosError, match=re.escape(said)) as caught:
        layout(**settings)
    assert caught.value.where


def test_a_table_that_sfdisk_refuses_costs_nothing_of_the_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(b"content" * 512)

    class Refusing:
        """A sfdisk that takes no table."""

        def run(self, argv: Sequence[str], **_: object) -> Result:
            """Refuse it."""
            assert argv[0] == "sfdisk"
            return Result(1, "no table")

    with pytest.raises(KairosError, match="no table"):
        PartitionDisk(str(disk), layout().places).apply(Host(str(tmp_path), Refusing()))
    assert disk.read_bytes() == b"content" * 512


def test_before_a_table_names_new_partitions_what_lay_there_is_gone_from_the_disk(tmp_path: Path) -> None:
    """Else a cut behind the table leaves the boot loader of an older node, and nothing else of it."""
    disk = tmp_path / "disk"
    places = layout().places
    with disk.open("wb") as file:
        for place in places:
            file.seek(place.start)
            file.write(b"an older one")
        file.truncate(places[-1].start + places[-1].size + MIB)
    seen: list[list[bytes]] = []

    class Writing:
        """A sfdisk that fails when it is to write the table."""

        def run(self, argv: Sequence[str], **_: object) -> Result:
            """Look at the disk."""
            if "--no-act" in argv:
                return Result(0)
            with disk.open("rb") as file:
                seen.append([os.pread(file.fileno(), 12, place.start) for place in places])
            return Result(1, "cut")

    with pytest.raises(KairosError, match="cut"):
        PartitionDisk(str(disk), places).apply(Host(str(tmp_path), Writing()))
    assert seen == [[bytes(12)] * len(places)]


def test_a_disk_that_is_too_small_is_told_what_is_wanted() -> None:
    with pytest.raises(KairosError, match=r"3830 MiB are wanted, 2048 MiB are there; nothing was fetched or written") as caught:
        layout(2)
    assert "state 2500" in caught.value.hint


def test_identifiers_are_random_and_the_same_for_the_same_seed() -> None:
    def identifiers(seed: str) -> set[str]:
        found = layout(seed=seed)
        return {found.guid, *(p.guid for p in found.places)}

    assert len(identifiers("")) == 6
    assert not identifiers("") & identifiers("")
    assert identifiers("a") == identifiers("a")
    assert not identifiers("a") & identifiers("b")
    assert layout().places[-1].uuid == ""
    assert layout(seed="a").places[-1].uuid not in ("", layout(seed="b").places[-1].uuid)


@pytest.mark.parametrize("settings", [{}, {"partitions": {"persistent": {"size": 512}}}, {"extra-partitions": [{"name": "a", "size": 10}]}])
def test_a_disk_image_of_the_least_size_holds_its_partitions(settings: dict[str, Any]) -> None:
    wanted = wishes(settings, "both")
    size = least(IMAGES, wanted)
    found = compute("x", size - 2 * MIB, IMAGES, wanted)
    assert found.places[-1].size >= 512 * MIB
    assert size < 8 << 30


def test_sizes_are_read_as_people_write_them() -> None:
    assert [size_of(text, lambda: 5 << 30) >> 20 for text in ("8G", "8GiB", "8192", "8192M", "1T", "+1G", "+0")] == [8192, 8192, 8192, 8192, 1 << 20, 6144, 5120]
    for text in ("", "G", "8 G", "-1", "8K", "+"):
        with pytest.raises(KairosError, match="not a size"):
            size_of(text, int)
