"""The block devices of the running initrd: partitions as udev knows them, mounts, loop devices, and what one half tells the other."""

from __future__ import annotations

import os

from kairos_boot.boot.image import BootDisk
from kairos_boot.errors import KairosError, reason
from kairos_boot.system import efi
from kairos_boot.system.private import private_directory
from kairos_boot.system.udev import CRYPT, Partition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kairos_boot.system.host import Host
    from kairos_boot.system.udev import Udev

DISK_FILE, PARTITIONS_FILE = "/run/kairos-boot/boot-disk", "/run/kairos-boot/partitions"


class Devices:
    """What boot.image and boot.build want of the running system. *host* is the initrd."""

    def __init__(self, host: Host) -> None:
        self.processes = host.processes
        self._udev: Udev | None = None
        self._seen = _parse((host.read(PARTITIONS_FILE) or b"").decode("utf-8", "surrogateescape"))

    @property
    def udev(self) -> Udev:
        if self._udev is None:
            from kairos_boot.system.udev import Udev

            self._udev = Udev()
        return self._udev

    def wait(self, find: Callable[[list[Partition]], Partition | None], limit: float, disk: str = "") -> Partition | None:
        """See Udev.wait; what the first half saw, and is still there, needs no udev. A container may have been opened since."""
        found = find(self._seen)
        if found is None or not os.path.exists(found.node):
            return self.udev.wait(find, limit, disk)
        return found if found.fstype != CRYPT else find(self.udev.partitions()) or found

    def partitions(self) -> list[Partition]:
        """What the first half saw; where somebody needed more, what udev knows, and of the rest what is still there."""
        if not self._udev:
            return list(self._seen)
        known = self._udev.partitions()
        nodes = {part.node for part in known}
        return [*known, *(part for part in self._seen if part.node not in nodes and os.path.exists(part.node))]

    def mount(self, source: str, target: str, fstype: str, options: Sequence[str]) -> None:
        """Mount, once: what is mounted there already stays. KairosError: the kernel refuses."""
        from kairos_boot.system import mounts

        if mounts.at(target, mounts.mounted()):
            return
        try:
            mounts.mount(source, target, fstype, options)
        except OSError as error:
            raise KairosError(reason(error), target) from error

    def attach(self, path: str, *, read_only: bool) -> str:
        from kairos_boot.system import loop

        return loop.attach(path, read_only=read_only)

    def esp(self) -> str:
        return efi.text("LoaderDevicePartUUID")


def remember(disk: BootDisk, partitions: Sequence[Partition]) -> None:
    """Write down for the second half which disk this boot is from, and what is on it."""
    private_directory(os.path.dirname(DISK_FILE))
    seen = "".join("\t".join(getattr(part, name) for name in part.__match_args__) + "\n" for part in partitions)
    for path, text in ((DISK_FILE, disk.text()), (PARTITIONS_FILE, seen)):
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)


def boot_disk(host: Host) -> BootDisk:
    """What the first half found; empty where others make the root."""
    return BootDisk.parse((host.read(DISK_FILE) or b"").decode("utf-8", "surrogateescape"))


def _parse(text: str) -> list[Partition]:
    """A partition a line, its fields in the record's order."""
    lines = [line.split("\t") for line in text.splitlines() if line.count("\t") == len(Partition.__match_args__) - 1]
    return [Partition(*fields) for fields in lines]
