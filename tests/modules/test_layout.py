"""layout: what is wrong with a layout is known before a disk is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

import pytest

from kairos_boot.actions.base import Invalid, Note
from kairos_boot.actions.layout import BASIC, BIOS_BOOT, ESP, LINUX, SWAP, ArrangeDisk, NewPartition, guid
from kairos_boot.errors import KairosError
from kairos_boot.facts import Facts
from kairos_boot.modules import layout
from kairos_boot.system.host import Host
from kairos_boot.system.partitions import node_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.modules.conftest import MakeStep


def plan(step: Any, **value: Any) -> list[Any]:
    """The actions of a layout."""
    return list(layout.plan(step(layout=value), Facts()))


def test_a_layout_is_one_action_for_one_disk(step: MakeStep) -> None:
    [action] = plan(step, device={"path": "/dev/vdb"}, add_partitions=({"fsLabel": "DATA", "pLabel": "data", "size": 20, "filesystem": "ext4"},),
                    expand_partition={"size": 0})
    assert isinstance(action, ArrangeDisk)
    assert (action.path, action.expand) == ("/dev/vdb", 0)
    assert action.partitions[0].name == "data"
    assert action.describe() == "partition /dev/vdb: partition data (20 MiB, ext4), last partition grown to the end"


@pytest.mark.parametrize("name", ["YIP_DISK", "kairos", "a", "gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n"])
def test_the_identifier_of_a_disk_follows_from_its_name(name: str) -> None:
    """As Python's own module has it, which no initrd has."""
    assert guid(name) == str(uuid5(NAMESPACE_URL, name)).upper()


def test_no_device_is_nothing_to_do_and_work_without_one_is_an_error(step: MakeStep) -> None:
    assert plan(step) == []
    [wrong] = plan(step, expand_partition={"size": 0})
    assert "no device" in wrong.message


def test_the_root_does_not_grow_and_says_so(step: MakeStep) -> None:
    """`growpart` of cloud-init names / in every example."""
    [note] = plan(step, device={"path": "/"}, expand_partition={"size": 0})
    assert isinstance(note, Note)
    assert "COS_PERSISTENT" in note.hint


def test_a_path_wins_over_a_label(step: MakeStep) -> None:
    [action] = plan(step, device={"path": "/dev/vdb", "label": "X"}, expand_partition={})
    assert (action.path, action.label) == ("/dev/vdb", "")


def test_a_script_is_split_at_white_space_and_not_given_to_a_shell(step: MakeStep) -> None:
    [action] = plan(step, device={"path": "script:///usr/bin/pick  --small $X"}, expand_partition={})
    assert action.script == ("/usr/bin/pick", "--small", "$X")
    assert action.path == ""


def test_a_missing_growth_is_none_and_an_empty_one_is_all(step: MakeStep) -> None:
    assert plan(step, device={"path": "/dev/vdb"})[0].expand is None
    assert plan(step, device={"path": "/dev/vdb"}, expand_partition={})[0].expand == 0


@pytest.mark.parametrize(("device", "partition", "message"), [
    ({"path": "/d", "label": "X", "init_disk": True}, {}, "init_disk goes with a path alone"),
    ({"label": "X", "init_disk": True}, {}, "init_disk needs the path"),
    ({}, {}, "neither a path nor a label"),
    ({"path": "script://"}, {}, "without a command"),
    ({"path": "/d"}, {"filesystem": "ntfs"}, "unsupported file system type: 'ntfs'"),
    ({"path": "/d"}, {"filesystem": "xfs", "fsLabel": "x" * 13}, "cannot be longer than 12 char"),
    ({"path": "/d"}, {"fsLabel": "x" * 17}, "cannot be longer than 16 char"),
    ({"path": "/d"}, {"pLabel": "x" * 37}, "cannot be longer than 36 char"),
    ({"path": "/d"}, {"pLabel": 'a"b'}, "not a partition's name"),
    ({"path": "/d"}, {"fsLabel": "a\tb"}, "not a file system's label"),
])
def test_what_is_wrong_stops_the_layout_as_a_whole(step: MakeStep, device: dict[str, Any], partition: dict[str, Any], message: str) -> None:
    actions = plan(step, device=device, add_partitions=({"pLabel": "a", **partition},), expand_partition={})
    assert all(isinstance(action, Invalid) for action in actions)
    assert any(message in f"{action.message}; {action.hint}" or message in f"{action.message.split(',')[0]}{action.hint}"
               or message in action.describe() for action in actions)


def test_two_partitions_of_one_name_are_an_error(step: MakeStep) -> None:
    [wrong] = plan(step, device={"path": "/d"}, add_partitions=({"pLabel": "a"}, {"pLabel": "a"}))
    assert "two partitions" in wrong.message


def test_a_partition_without_any_name_gets_one_by_which_the_next_run_knows_it(step: MakeStep) -> None:
    [action] = plan(step, device={"path": "/d"}, add_partitions=({"size": 1}, {"fsLabel": "X", "size": 1}))
    assert [p.name for p in action.partitions] == ["partition-1", ""]


@pytest.mark.parametrize(("fstype", "bootable", "kind", "attribute"), [
    ("ext4", False, LINUX, ""), ("ext4", True, BIOS_BOOT, "LegacyBIOSBootable"), ("vfat", False, BASIC, ""), ("vfat", True, ESP, "RequiredPartition"),
    ("swap", True, SWAP, ""), ("none", True, LINUX, ""), ("xfs", False, LINUX, ""),
])
def test_the_type_follows_from_file_system_and_bootability(fstype: str, bootable: bool, kind: str, attribute: str) -> None:
    line = NewPartition("n", "", 1, fstype, bootable).script(2048, 2048)
    assert f"type={kind}" in line
    assert ("attrs=" in line) == bool(attribute)
    assert attribute in line


@pytest.mark.parametrize(("disk", "number", "node"), [
    ("/dev/sda", 1, "/dev/sda1"), ("/dev/vda", 2, "/dev/vda2"), ("/dev/mmcblk0", 4, "/dev/mmcblk0p4"), ("/dev/nvme0n1", 1, "/dev/nvme0n1p1"),
    ("/dev/loop0", 1, "/dev/loop0p1"), ("/dev/xvda", 3, "/dev/xvda3"),
])
def test_nodes_of_partitions(disk: str, number: int, node: str) -> None:
    assert node_of(disk, number) == node


def test_a_tool_that_cannot_be_run_is_told_with_the_layouts_place_and_nothing_else_before_it(tmp_path: Path) -> None:
    class Refuses:
        def run(self, *_: Any, **__: Any) -> Any:
            raise KairosError("cannot run find-disk", hint="install it")

    with pytest.raises(KairosError) as caught:
        ArrangeDisk(script=("find-disk",), where="/oem/x.yaml:1:1").apply(Host(str(tmp_path), Refuses()))
    assert str(caught.value) == "/oem/x.yaml:1:1: cannot run find-disk; install it"
