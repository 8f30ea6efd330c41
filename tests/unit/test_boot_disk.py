"""The boot disk (D9): from the boot loader's word to one partition, never a guess between two."""

from __future__ import annotations

import os

import pytest

from kairos_boot.boot.disk import elsewhere, find_label, find_spec, find_state
from kairos_boot.errors import KairosError
from kairos_boot.system.udev import Partition

ESP = Partition("/dev/vda1", "vda", "", "vfat", "e5b")
STATE = Partition("/dev/vda4", "vda", "COS_STATE", "ext4", "aa-1", "u1")
OTHER = Partition("/dev/vdb4", "vdb", "COS_STATE", "ext4", "bb-1", "u2")
DATA = Partition("/dev/vdb1", "vdb", "DATA", "xfs", "bb-2", "u3")


def test_the_partition_that_the_boot_loader_names_is_taken_whatever_other_disks_have() -> None:
    assert find_state([STATE, OTHER], "BB-1", "COS_STATE") == OTHER


def test_it_is_waited_for_even_if_another_partition_has_the_label() -> None:
    assert find_state([OTHER], "aa-1", "COS_STATE") is None


def test_without_its_word_the_disk_of_the_firmware_decides() -> None:
    assert find_state([ESP, STATE, OTHER], "", "COS_STATE", "E5B") == STATE


def test_without_both_the_only_partition_of_the_label_is_taken() -> None:
    assert find_state([ESP, STATE], "", "COS_STATE") == STATE


def test_two_of_the_label_are_an_error_that_lists_them() -> None:
    with pytest.raises(KairosError, match="LABEL=COS_STATE: /dev/vda4, /dev/vdb4"):
        find_state([STATE, OTHER], "", "COS_STATE")


def test_a_cloned_disk_with_the_same_guids_is_an_error_that_lists_them() -> None:
    clone = Partition("/dev/vdc4", "vdc", "COS_STATE", "ext4", "aa-1")
    with pytest.raises(KairosError, match="/dev/vda4, /dev/vdc4"):
        find_state([STATE, clone], "aa-1", "COS_STATE")


def test_of_two_with_the_same_guid_the_one_on_the_firmwares_disk_is_taken() -> None:
    """The GUIDs of Kairos' disks are the same on every machine, so a second such disk must not decide by chance (D9)."""
    clone = Partition("/dev/vdc4", "vdc", "COS_STATE", "ext4", "aa-1")
    assert find_state([clone, ESP, STATE], "AA-1", "COS_STATE", "E5B") == STATE
    assert find_state([ESP, OTHER], "bb-1", "COS_STATE", "e5b") == OTHER  # told by the boot loader, and the only one


def test_two_disks_that_are_the_same_in_all_are_an_error_that_lists_them() -> None:
    twins = [Partition("/dev/vdc1", "vdc", "", "vfat", "e5b"), Partition("/dev/vdc4", "vdc", "COS_STATE", "ext4", "aa-1")]
    for partuuid in ("aa-1", ""):
        with pytest.raises(KairosError, match="/dev/vda4, /dev/vdc4"):
            find_state([ESP, STATE, *twins], partuuid, "COS_STATE", "e5b")


def test_the_nodes_own_labels_count_on_the_boot_disk_only() -> None:
    assert find_label([STATE, OTHER], "vda", "COS_STATE") == STATE
    assert find_label([OTHER], "vda", "COS_STATE") is None
    assert find_spec([OTHER], "vda", "LABEL=COS_STATE") is None
    assert elsewhere([STATE, OTHER], "vda", "COS_STATE") == "/dev/vdb4"


@pytest.mark.parametrize("spec", ["LABEL=DATA", "UUID=u3", "PARTUUID=BB-2", "/dev/vdb1"])
def test_a_further_volume_may_be_on_any_disk(spec: str) -> None:
    assert find_spec([STATE, DATA], "vda", spec) == DATA


@pytest.mark.parametrize("spec", ["/dev/disk/by-label/DATA", "/dev/disk/by-uuid/u3", "/dev/disk/by-partuuid/bb-2"])
def test_udevs_link_by_a_name_is_that_name(spec: str) -> None:
    """Two partitions that have the name have one link (D9)."""
    assert find_spec([STATE, DATA], "vda", spec) == DATA
    twin = Partition("/dev/vdc1", "vdc", "DATA", "xfs", "bb-2", "u3")
    with pytest.raises(KairosError, match="/dev/vdb1, /dev/vdc1"):
        find_spec([STATE, DATA, twin], "vda", spec)
    assert find_spec([OTHER], "vda", "/dev/disk/by-label/COS_STATE") is None


def test_another_link_is_followed() -> None:
    """/dev/stdin is a link everywhere; by-path and by-id are such."""
    assert find_spec([DATA, Partition(os.path.realpath("/dev/stdin"), "vdb")], "vda", "/dev/stdin") == Partition(os.path.realpath("/dev/stdin"), "vdb")


def test_a_further_volume_on_the_boot_disk_is_preferred() -> None:
    here = Partition("/dev/vda6", "vda", "DATA")
    assert find_spec([DATA, here], "vda", "LABEL=DATA") == here


@pytest.mark.parametrize("spec", ["PARTLABEL=x", "x", "LABEL"])
def test_another_form_of_a_device_is_an_error(spec: str) -> None:
    with pytest.raises(KairosError, match="not a device"):
        find_spec([DATA], "vda", spec)


def test_an_empty_value_matches_nothing() -> None:
    assert find_spec([ESP], "vda", "LABEL=") is None
