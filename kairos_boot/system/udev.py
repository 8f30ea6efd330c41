"""udev's view of the disks: what is there now, and waiting for what is not there yet by udev's own events."""

from __future__ import annotations

import errno
import os
import time

from kairos_boot.records import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    T = TypeVar("T")

CRYPT = "crypto_LUKS"
"""The type of a container, opened or not."""
MOMENT = 2.0
"""Seconds for udev to look again at a partition that was formatted just now."""


@record
class Partition:
    """A block device that may carry a file system: `disk` is the kernel's name of the disk that it is on."""

    node: str
    disk: str = ""
    label: str = ""
    fstype: str = ""
    partuuid: str = ""
    uuid: str = ""
    within: str = ""
    """The node of the container that this is the opened content of; it is on that one's disk."""


def contents(found: Sequence[Partition]) -> list[Partition]:
    """*found* without the containers whose content is among them: that is what is meant by their common label."""
    opened = {part.within for part in found}
    return [part for part in found if part.node not in opened]


class Udev:
    """Partitions as udev has seen them; pyudev is loaded when it is first asked."""

    def __init__(self, context: Any = None, monitor: Any = None) -> None:
        if context is None:
            import pyudev

            context = pyudev.Context()
            monitor = pyudev.Monitor.from_netlink(context)
        self._context, self._monitor = context, monitor
        monitor.filter_by("block")
        monitor.start()  # before the first look, so that nothing falls between the two
        self._known: dict[str, Partition] = {}
        self._look()

    def _look(self) -> None:
        self._known.clear()
        for device in self._context.list_devices(subsystem="block"):
            self._take(device)

    def _next(self, limit: float) -> Any:
        """The next event, None after *limit* seconds. When more came than the socket holds, all is looked at anew."""
        try:
            return self._monitor.poll(limit)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            self._look()
            return None

    def _take(self, device: Any) -> None:
        if device.action == "remove" or not device.is_initialized:
            self._known.pop(device.sys_name, None)
            return
        if device.sys_name.startswith(("loop", "ram", "zram", "fd")):
            return
        has = device.properties.get
        disk = device.find_parent("block", "disk") if device.device_type == "partition" else device
        self._known[device.sys_name] = Partition(device.device_node, disk.sys_name if disk else "", has("ID_FS_LABEL", ""),
                                                 has("ID_FS_TYPE", ""), has("ID_PART_ENTRY_UUID", "").lower(), has("ID_FS_UUID", ""),
                                                 _container(device) if has("DM_UUID", "").startswith("CRYPT-") else "")

    def partitions(self) -> list[Partition]:
        """What udev knows now, by node."""
        disks = {part.node: part.disk for part in self._known.values()}
        found = (replace(part, disk=disks.get(part.within, "")) if part.within else part for part in self._known.values())
        return sorted(found, key=lambda item: item.node)

    def complete(self, disk: str, kernel: str = "/sys/class/block") -> bool:
        """Whether udev has looked at every partition that the kernel found on *disk*: what is missing now will not come."""
        try:
            names = [name for name in os.listdir(f"{kernel}/{disk}") if os.path.exists(f"{kernel}/{disk}/{name}/partition")]
        except OSError:
            return False
        return all(name in self._known for name in names)

    def wait(self, find: Callable[[list[Partition]], T | None], limit: float, disk: str = "") -> T | None:
        """What *find* makes of the partitions, as soon as it is not None; None after *limit* seconds.

        With *disk* it is a partition of that disk that is looked for: when udev knows all of them, only a label that is just being
        written can still come, and that takes no longer than a moment.
        """
        end = time.monotonic() + (min(limit, MOMENT) if disk and self.complete(disk) else limit)
        while True:
            found = find(self.partitions())
            left = end - time.monotonic()
            if found is not None or left <= 0:
                return found
            device = self._next(left)
            while device is not None:
                self._take(device)
                device = self._next(0)


def _container(device: Any) -> str:
    """The node of what the opened container *device* lies on; nothing where that is not one partition."""
    try:
        below = os.listdir(f"{device.sys_path}/slaves")
    except OSError:
        return ""
    return f"/dev/{below[0]}" if len(below) == 1 else ""
