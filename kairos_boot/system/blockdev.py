"""The kernel's idea of a disk's partitions, changed one by one (BLKPG), so that it works while others are mounted."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import sys
import time

from kairos_boot.errors import KairosError, reason
from kairos_boot.system.descriptors import Held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kairos_boot.system.host import Host

_BLKPG, _ADD, _DELETE, _RESIZE = 0x1269, 1, 2, 3
SYSFS_SECTOR = 512
"""Bytes of the sectors that sysfs counts in, whatever the disk's are."""
PATIENCE = 3.0


def known(disk: str) -> dict[int, tuple[int, int]]:
    """Start and size in bytes of each partition that the kernel knows of *disk*, by number."""
    number = os.stat(disk).st_rdev
    entry = os.path.realpath(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    found = {}
    for name in os.listdir(entry):
        try:
            values = [_read(f"{entry}/{name}/{attribute}") for attribute in ("partition", "start", "size")]
        except (FileNotFoundError, NotADirectoryError):
            continue
        found[values[0]] = (values[1] * SYSFS_SECTOR, values[2] * SYSFS_SECTOR)
    return found


def _read(path: str) -> int:
    with open(path, encoding="ascii") as file:
        return int(file.read())


def tell(disk: str, wanted: dict[int, tuple[int, int]], patience: float = PATIENCE) -> None:
    """Make the kernel's partitions of *disk* those of *wanted* (number to start and size in bytes); an image file has none. *patience* are the seconds for
    whoever only looks at a partition that must go, as udev does at each one that appears.

    KairosError: a partition that must go or move is in use.
    """
    if not stat.S_ISBLK(os.stat(disk).st_mode):
        return
    have = known(disk)
    with Held(os.open(disk, os.O_RDONLY | os.O_CLOEXEC)) as fd:
        for number in sorted({*have, *wanted}):
            old, new = have.get(number), wanted.get(number)
            if old == new:
                continue
            if old and new and old[0] == new[0]:
                _change(fd, disk, _RESIZE, number, *new, patience)
                continue
            if old:
                _change(fd, disk, _DELETE, number, 0, 0, patience)
            if new:
                _change(fd, disk, _ADD, number, *new, 0)


def _change(fd: int, disk: str, operation: int, number: int, start: int, size: int, patience: float) -> None:
    import array
    import struct

    partition = array.array("b", struct.pack("=qqi64s64s4x", start, size, number, b"", b""))
    request = struct.pack("iiiP" if sys.maxsize < 1 << 32 else "iii4xP", operation, 0, partition.itemsize * len(partition), partition.buffer_info()[0])
    try:
        _asked(fd, request, patience)
    except OSError as error:
        if error.errno == errno.EBUSY and operation == _ADD:
            return  # udev's own look at the table was quicker
        hint = "it is in use; the new table counts from the next boot" if error.errno == errno.EBUSY else ""
        raise KairosError(f"the kernel does not take partition {number}: {reason(error)}", disk, hint) from error


def _asked(fd: int, request: bytes, seconds: float) -> None:
    """Ask the kernel, and again for *seconds* while the partition is in use."""
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.ioctl(fd, _BLKPG, request)
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() >= end:
                raise
            time.sleep(0.05)
        else:
            return


def look_again(host: Host, nodes: Sequence[str]) -> None:
    """Have udev look at *nodes*, which have just been formatted, and wait for their links below /dev/disk.

    It looks at a partition when that appears, and watches it only from then on: a format that ended in between is missed, and
    the links by label and uuid would not come before the next boot.
    """
    if not host.exists("/run/udev/control"):
        return
    for node in nodes:
        try:
            with open(host.path(f"/sys/class/block/{os.path.basename(os.path.realpath(node))}/uevent"), "w", encoding="ascii") as file:
                file.write("change")
        except OSError:
            continue  # a file, or a container's read-only /sys
    host.processes.run(("udevadm", "settle", "--timeout=10"), timeout=20)
