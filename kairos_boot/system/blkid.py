"""What is on a device or in an image file, by libblkid (module `blkid` of pylibblkid)."""

from __future__ import annotations

import os
import stat

from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record
from kairos_boot.system.host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@record
class Content:
    """What a probe found; all empty where there is nothing."""

    fstype: str = ""
    label: str = ""
    uuid: str = ""
    usage: str = ""
    boot_label: str = ""
    """Of a FAT file system, the name in its first sector; `label` is that of its root directory."""
    partlabel: str = ""
    partuuid: str = ""


def _library() -> Any:
    try:
        import blkid
    except ModuleNotFoundError as error:
        raise KairosError("the Python module blkid is missing", hint="install pylibblkid") from error
    return blkid


def probe(path: str, *, entry: bool = False) -> Content:
    """The file system of *path*, with *entry* also what the partition table says of it. KairosError: several contradict each other, the
    device cannot be read, no `blkid` module.
    """
    blkid = _library()
    prober = blkid.Probe()
    try:
        if not stat.S_ISREG(mode := os.stat(path).st_mode) and not stat.S_ISBLK(mode):  # a pipe would be waited for
            raise KairosError("it is neither a file nor a disk", path)
        prober.set_device(path)
        prober.enable_superblocks(True)
        prober.set_superblocks_flags(blkid.SUBLKS_TYPE | blkid.SUBLKS_LABEL | blkid.SUBLKS_UUID | blkid.SUBLKS_USAGE)
        prober.enable_partitions(True)
        if entry:
            prober.set_partitions_flags(blkid.PARTS_ENTRY_DETAILS)
        found = prober.do_safeprobe()
    except OSError as error:
        raise KairosError(f"cannot be probed: {reason(error)}", path) from error
    except UnicodeEncodeError as error:
        raise KairosError("cannot be probed: its name is no UTF-8 text", path, "give it another name") from error
    except RuntimeError as error:
        raise KairosError(f"what is on it is ambiguous ({error})", path, "wipe the old signature with wipefs, after looking at it") from error
    if not found:
        return Content()
    values = {str(key): str(value) for key, value in prober.items()}
    return Content(*(values.get(name, "") for name in ("TYPE", "LABEL", "UUID", "USAGE", "LABEL_FATBOOT", "PART_ENTRY_NAME", "PART_ENTRY_UUID")))


def find(host: Host, kind: str, value: str) -> list[str]:
    """The partitions whose *kind* (`LABEL`, `UUID`, `PARTLABEL`, `PARTUUID`) is *value*, found by looking at all of them: of two that udev
    would give one link it shows one. What is no partition counts where no partition is found: it may lie on one.
    KairosError: no `blkid` module, without which none would be found.
    """
    _library()
    folder = host.path("/sys/class/block")
    try:
        devices = [item for item in sorted(os.listdir(folder)) if not item.startswith(("ram", "zram", "fd", "sr"))]
    except OSError:
        return []
    partitions: list[str] = []
    others: list[str] = []
    for device in devices:
        partition = os.path.exists(f"{folder}/{device}/partition")
        if not partition and (kind.startswith("PART") or device.startswith("loop")):
            continue  # an image that is mounted from a file has a label, too
        try:
            content = probe(host.path(f"/dev/{device}"), entry=kind.startswith("PART"))
        except KairosError:
            continue  # nothing that can be read, such as a disc drive without a disc
        if getattr(content, kind.lower()) == (value.lower() if kind == "PARTUUID" else value):
            (partitions if partition else others).append(f"/dev/{device}")
    return partitions or others
