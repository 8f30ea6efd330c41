"""What is on a device or in an image file, by libblkid (module `blkid` of pylibblkid)."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host


@record
class Content:
    """What a probe found; all empty where there is nothing."""

    fstype: str = ""
    label: str = ""
    uuid: str = ""
    usage: str = ""
    boot_label: str = ""
    """Of a FAT file system, the name in its first sector; `label` is that of its root directory."""


def probe(path: str) -> Content:
    """The file system of *path*. KairosError: several contradict each other, the device cannot be read, no `blkid` module."""
    try:
        import blkid
    except ModuleNotFoundError as error:
        raise KairosError("the Python module blkid is missing", hint="install pylibblkid") from error
    prober = blkid.Probe()
    try:
        prober.set_device(path)
        prober.enable_superblocks(True)
        prober.set_superblocks_flags(blkid.SUBLKS_TYPE | blkid.SUBLKS_LABEL | blkid.SUBLKS_UUID | blkid.SUBLKS_USAGE)
        prober.enable_partitions(True)
        found = prober.do_safeprobe()
    except OSError as error:
        raise KairosError(f"cannot be probed: {reason(error)}", path) from error
    except RuntimeError as error:
        raise KairosError(f"what is on it is ambiguous ({error})", path, "wipe the old signature with wipefs, after looking at it") from error
    if not found:
        return Content()
    values = {str(key): str(value) for key, value in prober.items()}
    return Content(values.get("TYPE", ""), values.get("LABEL", ""), values.get("UUID", ""), values.get("USAGE", ""),
                   values.get("LABEL_FATBOOT", ""))


def labelled(host: Host, name: str) -> list[str]:
    """The devices whose file system has the label *name*, found by looking at all of them."""
    try:
        devices = [item for item in sorted(os.listdir(host.path("/sys/class/block"))) if not item.startswith(("ram", "zram", "fd", "sr"))]
    except OSError:
        return []
    found = []
    for device in devices:
        try:
            if probe(host.path(f"/dev/{device}")).label == name:
                found.append(f"/dev/{device}")
        except KairosError:
            continue  # nothing that can be read, such as a loop device without a file
    return found
