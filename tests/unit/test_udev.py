"""Partitions as udev tells of them: what is there at first, what comes by event, what has gone (D2: waiting is an event, never a sleep)."""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.boot.disk import find_label
from kairos_boot.errors import KairosError
from kairos_boot.system.udev import Partition, Udev

if TYPE_CHECKING:
    from pathlib import Path


class Device:
    """What pyudev tells of a block device."""

    def __init__(self, name: str, label: str = "", action: str | None = None, *, known: bool = True, disk: str = "vda") -> None:
        self.sys_name, self.device_node, self.action, self.is_initialized = name, f"/dev/{name}", action, known
        self.device_type = "disk" if name == disk else "partition"
        self.properties = {"ID_FS_LABEL": label, "ID_FS_TYPE": "ext4", "ID_PART_ENTRY_UUID": f"GUID-{name}"}
        self._disk, self.sys_path = disk, f"/sys/nowhere/{name}"

    def find_parent(self, subsystem: str, kind: str) -> Any:
        return Device(self._disk, disk=self._disk)


class Source:
    """A udev with these devices, and these events to come: a number is a pause in which nothing does."""

    def __init__(self, devices: list[Device], events: list[Device | OSError | None] | None = None) -> None:
        self.devices, self.events = devices, events or []
        self.calls: list[str] = []

    def filter_by(self, subsystem: str) -> None:
        self.calls.append(f"filter {subsystem}")

    def start(self) -> None:
        self.calls.append("start")

    def list_devices(self, subsystem: str) -> list[Device]:
        self.calls.append("list")
        return self.devices

    def poll(self, seconds: float) -> Device | None:
        self.calls.append(f"poll {seconds > 0}")
        if self.events:
            event = self.events.pop(0)
            if isinstance(event, OSError):
                raise event
            return event
        time.sleep(min(seconds, 0.05))
        return None


def udev(devices: list[Device], events: list[Device | OSError | None] | None = None) -> tuple[Udev, Source]:
    source = Source(devices, events)
    return Udev(source, source), source


def state(partitions: list[Partition]) -> Partition | None:
    return find_label(partitions, "vda", "COS_STATE")


def test_events_are_listened_to_before_the_first_look_so_that_none_is_lost() -> None:
    _, source = udev([])
    assert source.calls == ["filter block", "start", "list"]


def test_what_is_there_is_found_without_waiting() -> None:
    seen, source = udev([Device("vda"), Device("vda4", "COS_STATE")])
    assert seen.wait(state, 60) == Partition("/dev/vda4", "vda", "COS_STATE", "ext4", "guid-vda4")
    assert not any(call.startswith("poll") for call in source.calls)


def test_a_flood_of_events_that_the_socket_does_not_hold_ends_no_boot() -> None:
    """A machine with hundreds of disks; what was dropped is seen by looking again."""
    lost = OSError(errno.ENOBUFS, "No buffer space available")
    seen, source = udev([Device("vda")], [lost, None])
    source.devices = [Device("vda"), Device("vda4", "COS_STATE")]
    assert seen.wait(state, 60) is not None
    with pytest.raises(OSError, match="gone"):
        udev([], [OSError(errno.EBADF, "gone")])[0].wait(state, 60)


def test_a_partition_that_comes_later_ends_the_wait_at_once() -> None:
    seen, _ = udev([Device("vda")], [Device("vda1", "COS_OEM", "add"), None, Device("vda4", "COS_STATE", "change"), None])
    before = time.monotonic()
    found = seen.wait(state, 60)
    assert found is not None
    assert time.monotonic() - before < 30


def test_a_device_that_udev_has_not_looked_at_does_not_count() -> None:
    seen, _ = udev([Device("vda4", "COS_STATE", known=False)])
    assert seen.wait(state, 0.1) is None


def test_a_partition_that_was_taken_away_is_gone() -> None:
    seen, _ = udev([Device("vda4", "COS_STATE")], [Device("vda4", "COS_STATE", "remove"), None])
    assert seen.wait(lambda parts: None if state(parts) else Partition("none"), 5) == Partition("none")


def test_loop_devices_are_no_partitions_of_the_node() -> None:
    seen, _ = udev([Device("loop0", "COS_STATE", disk="loop0")])
    assert seen.partitions() == []


def test_a_disk_is_complete_when_udev_knows_every_partition_that_the_kernel_has(tmp_path: Path) -> None:
    for name in ("vda1", "vda2"):
        (tmp_path / "vda" / name).mkdir(parents=True)
        (tmp_path / "vda" / name / "partition").touch()
    (tmp_path / "vda/queue").mkdir()
    assert udev([Device("vda1"), Device("vda2")])[0].complete("vda", str(tmp_path))
    assert not udev([Device("vda1")])[0].complete("vda", str(tmp_path))
    assert not udev([Device("vda1")])[0].complete("vdb", str(tmp_path))


def opened(tmp_path: Path, disk: str = "vda") -> list[Device]:
    """A container on *disk* and its content, which is on nothing that udev calls a disk of it."""
    content = Device("dm-0", "COS_OEM", disk="dm-0")
    content.properties["DM_UUID"] = "CRYPT-LUKS2-0123-vda2"
    content.sys_path = str(tmp_path)
    (tmp_path / f"slaves/{disk}2").mkdir(parents=True)
    container = Device(f"{disk}2", "COS_OEM", disk=disk)
    container.properties["ID_FS_TYPE"] = "crypto_LUKS"
    return [content, Device(disk, disk=disk), container]


def test_the_content_of_an_opened_container_is_on_its_disk_and_meant_by_their_common_label(tmp_path: Path) -> None:
    seen, _ = udev(opened(tmp_path))
    found = find_label(seen.partitions(), "vda", "COS_OEM")
    assert found is not None
    assert (found.node, found.disk, found.within) == ("/dev/dm-0", "vda", "/dev/vda2")


def test_a_plain_partition_of_the_same_label_beside_a_container_is_never_a_guess(tmp_path: Path) -> None:
    """Whoever may add a partition to the disk must not get his configuration taken for the encrypted one."""
    seen, _ = udev([*opened(tmp_path), Device("vda9", "COS_OEM")])
    with pytest.raises(KairosError, match="several partitions are LABEL=COS_OEM"):
        find_label(seen.partitions(), "vda", "COS_OEM")


def test_a_container_of_another_disk_is_not_this_nodes(tmp_path: Path) -> None:
    seen, _ = udev([Device("vda"), *opened(tmp_path, "vdb")])
    assert find_label(seen.partitions(), "vda", "COS_OEM") is None
