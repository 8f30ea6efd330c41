"""What only the running system can tell: room, and the clock."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kairos_boot.reports.examined import Examined, Fault

LEAST = {"/oem": 4 << 20, "/usr/local": 64 << 20, "/run": 16 << 20, "/var": 32 << 20, "/tmp": 16 << 20}
"""Bytes that must be free, at least, where a boot and its services write."""
REMEDIES = {"/oem": "remove old configurations and kept logs", "/usr/local": "remove data, or make the persistent partition larger"}
STATE = "/run/initramfs/cos-state"


def room(examined: Examined) -> Iterator[Fault]:
    """Free space, and whether an upgrade has it."""
    if not examined.runs:
        return
    for path, least in LEAST.items():
        free = _free(examined, path)
        if free is not None and free < least:
            yield "error", path, f"{free >> 20} MiB are free, less than {least >> 20} MiB", REMEDIES.get(path, "find out what fills it (du -xh), or give it more room")
    free, image = _free(examined, STATE), examined.status(f"{STATE}/cOS/active.img")
    if free is not None and image and free < image.st_blocks * 512:
        yield ("warning", STATE, f"{free >> 20} MiB are free: an upgrade to an image as large as this one ({image.st_blocks * 512 >> 20} MiB) removes the fallback before it writes",
               "install with a larger state partition, or build a smaller image")


def _free(examined: Examined, path: str) -> int | None:
    if not examined.host.is_directory(path):
        return None
    told = os.statvfs(examined.host.path(path))
    return told.f_bavail * told.f_frsize


def clock(examined: Examined) -> Iterator[Fault]:
    """A clock before the image was made is wrong."""
    made = examined.status("/usr/lib/os-release")
    if examined.runs and made and time.time() < made.st_mtime:
        yield ("error", "", f"it is {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC by this machine's clock, before the image was made",
               "look at the machine's battery and at its time service; certificates fail meanwhile")
