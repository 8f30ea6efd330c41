"""Which disk somebody means: by path, mount point or name of a partition (C6, D9): never a guess between two."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError
from kairos_boot.system.host import Host
from kairos_boot.system.partitions import check_disk, parent_disk

LINKS = {"/dev/disk/by-label": "LABEL", "/dev/disk/by-uuid": "UUID", "/dev/disk/by-partlabel": "PARTLABEL", "/dev/disk/by-partuuid": "PARTUUID"}
"""udev's links of which the last of several partitions takes the name; those by hardware name one disk."""


def booted_disk(host: Host) -> str:
    """The kernel's name of the disk that the initrd booted from; empty where it is not known."""
    noted = (host.read("/run/kairos-boot/boot-disk") or b"").decode("utf-8", "surrogateescape")
    return next((line.removeprefix("DISK=") for line in noted.splitlines() if line.startswith("DISK=")), "")


def find_path(host: Host, path: str) -> tuple[str, str]:
    """The disk that *path* is, is a partition of, or is mounted from; and the partition if it names one. KairosError: none or several."""
    kind = LINKS.get(os.path.dirname(path))
    if kind:
        found = _only(host, kind, link_value(os.path.basename(path)))
        path = found or path
    real = host.real(path)
    named = ""
    if os.path.isdir(real) and os.path.ismount(real):
        real = _mounted_on(real)
    if os.path.exists(real) and parent_disk(real) != real:
        named, real = real, parent_disk(real)
    check_disk(real)
    return real, named


def find_label(host: Host, label: str) -> str:
    """The disk with a partition of that file system label, else of that name in its table. KairosError: none or several."""
    found = _only(host, "LABEL", label) or _only(host, "PARTLABEL", label)
    if not found:
        raise KairosError("no partition has this file system label or name", f"LABEL={label}")
    disk = parent_disk(host.real(found))
    check_disk(disk)
    return disk


def _only(host: Host, kind: str, value: str) -> str:
    """The partition, or nothing. Of several the one on the disk that was booted from; the node's own labels are looked for nowhere else."""
    from kairos_boot.system.blkid import find

    found = find(host, kind, value)
    disk = booted_disk(host)
    if disk:
        here = [node for node in found if os.path.basename(parent_disk(host.real(node))) == disk]
        if found and not here and value.startswith("COS_"):
            raise KairosError(f"it is on another disk than the one that was booted from ({disk}): {', '.join(found)}", f"{kind}={value}",
                              "name the disk by its path, if it is meant")
        found = here or found
    if len(found) > 1:
        raise KairosError(f"several partitions are meant: {', '.join(found)}", f"{kind}={value}", "name the disk by its path, or detach the one that is not meant")
    return found[0] if found else ""


def _mounted_on(path: str) -> str:
    from kairos_boot.system.mounts import at, mounted

    found = at(path, mounted())
    if found is None or not found.source.startswith("/dev/"):
        raise KairosError("not on a partition", path, "name the disk")
    return os.path.realpath(found.source)


def link_value(name: str) -> str:
    r"""The value that udev made a link's name of: it writes `\x20` for a blank."""
    first, *rest = os.fsencode(name).split(b"\\x")
    return os.fsdecode(first + b"".join(bytes([int(part[:2], 16)]) + part[2:] if _hex(part[:2]) else b"\\x" + part for part in rest))


def _hex(digits: bytes) -> bool:
    return len(digits) == 2 and not digits.strip(b"0123456789abcdefABCDEF")
