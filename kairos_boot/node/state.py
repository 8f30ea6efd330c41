"""The state document: which boot this is, the node's partitions, its system and its version (the fields that Kairos' operators script against)."""

from __future__ import annotations

import os

from kairos_boot.node.mode import SENTINELS, STATE_MOUNT, boot_word
from kairos_boot.system import efi
from kairos_boot.system.facts import Values, gather, machine_id
from kairos_boot.system.identity import hostname, os_release, variables
from kairos_boot.system.mounts import at, device_of
from kairos_boot.system.udev import CRYPT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from kairos_boot.system.host import Host
    from kairos_boot.system.mounts import Mounted
    from kairos_boot.system.udev import Partition

PARTITIONS = (("persistent", "COS_PERSISTENT"), ("recovery", "COS_RECOVERY"), ("oem", "COS_OEM"), ("state", "COS_STATE"))
RELEASE = "/etc/kairos-release"


def release(host: Host) -> dict[str, str]:
    """What the image says of itself: the KAIROS_ variables of os-release, and all of its own release file, by their names without the prefix in small letters."""
    given = {name: value for name, value in os_release(host).items() if name.startswith("KAIROS_")}
    given.update(variables(host.read(RELEASE) or b""))
    return {name.removeprefix("KAIROS_").lower(): value for name, value in given.items()}


def secure_boot(host: Host) -> bool:
    """Whether the firmware starts signed programs only."""
    return efi.secure_boot(host.path(efi.DIRECTORY))


def document(host: Host, partitions: Callable[[], Sequence[Partition]], mounts: Sequence[Mounted]) -> Values:
    """The whole document; each part is found out when it is asked for."""
    known: list[Sequence[Partition]] = []

    def found() -> Sequence[Partition]:
        if not known:
            known.append(_of_this_node(host, partitions(), mounts))
        return known[0]

    def partition(label: str) -> Callable[[], object]:
        return lambda: _partition(host, label, found(), mounts)

    return Values(unread={
        "uuid": lambda: f"{machine_id(host)}-{hostname(host)}",
        **{name: partition(label) for name, label in PARTITIONS},
        "encrypted_partitions": lambda: _encrypted(found()),
        "boot": lambda: boot_word(host),
        "in_ram": lambda: host.exists(f"{SENTINELS}/in_ram_mode"),
        "system": lambda: Values({name: value for name, value in gather(host).items() if name not in ("Random", "ProtectedID")}),
        "addresses": lambda: _addresses(host),
        "kairos": lambda: _kairos(host),
    })


def _of_this_node(host: Host, partitions: Sequence[Partition], mounts: Sequence[Mounted]) -> Sequence[Partition]:
    """Those of the disk that the state partition was booted from, where that is known (G5), and what is on no disk, such as opened containers."""
    mount = at(STATE_MOUNT, mounts)
    disks = {p.disk for p in partitions if mount is not None and is_mounted_by(host, p.node, mount)}
    return [p for p in partitions if not disks or p.disk in disks or p.node.startswith(("/dev/dm-", "/dev/mapper/"))]


def is_mounted_by(host: Host, node: str, mount: Mounted) -> bool:
    """Whether *mount* is one of the device *node*."""
    try:
        return mount.source == node or device_of(host.path(node)) == mount.device
    except OSError:
        return False


def _partition(host: Host, label: str, partitions: Sequence[Partition], mounts: Sequence[Mounted]) -> dict[str, Any]:
    """The fields of one partition; an opened container counts before the container itself."""
    found = sorted((p for p in partitions if p.label == label), key=lambda p: p.fstype == CRYPT)
    if not found:
        return {"found": False, "mounted": False}
    part = found[0]
    mount = next((m for m in reversed(mounts) if is_mounted_by(host, part.node, m) and m.root == "/"), None)
    return {
        "found": True, "mounted": mount is not None, "name": part.node, "label": label, "filesystemlabel": part.label, "type": part.fstype, "uuid": part.uuid,
        "mount_point": mount.target if mount else "", "read_only": mount is not None and ("ro" in mount.options or "ro" in mount.super_options),
        "size_bytes": _size(host, part.node),
    }


def _size(host: Host, node: str) -> int:
    text = (host.read(f"/sys/class/block/{os.path.basename(node)}/size") or b"").decode().strip()
    return int(text) * 512 if text.isdigit() else 0


def _encrypted(partitions: Sequence[Partition]) -> dict[str, dict[str, bool]]:
    locked = [p for p in partitions if p.fstype == CRYPT]
    return {"by_label": {p.label: True for p in locked if p.label}, "by_device": {p.node: True for p in locked}}


def _addresses(host: Host) -> list[str]:
    """The addresses of the node's links, without the loopback's."""
    text = (host.read("/proc/net/fib_trie") or b"").decode()
    found: list[str] = []
    address = ""
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == "|--":
            address = words[1]
        elif "host" in words and "LOCAL" in words and address and not address.startswith("127.") and address not in found:
            found.append(address)
    return found


def _kairos(host: Host) -> dict[str, Any]:
    given = release(host)
    return {"flavor": given.get("flavor") or os_release(host).get("ID", ""), "version": given.get("version") or given.get("release", ""),
            "init": "systemd", "secureboot": secure_boot(host)}
