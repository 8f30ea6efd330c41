"""What a node has before an action begins: its disk, its settings for the action, the room on its state partition. Nothing is changed."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError, reason
from kairos_boot.node.partitions import NodeDisk, boot_disk, find
from kairos_boot.node.sections import understood
from kairos_boot.node.settings import listing, mapping
from kairos_boot.system import mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from kairos_boot.node.config import Config
    from kairos_boot.system.host import Host
    from kairos_boot.system.udev import Partition

NO_USERS = "/etc/kairos/.nousers"
"""The system's own word that nobody has to be able to log in."""
LOOK = "/run/kairos-boot/look"
"""Where a partition is mounted to be looked at."""


def disk_of(host: Host, partitions: Sequence[Partition]) -> NodeDisk:
    """The boot disk. KairosError: it is not known, or a label is there twice."""
    from kairos_boot.system.partitions import read_table

    name = boot_disk(host, partitions, mounts.mounted())
    return find(host, name, partitions, read_table(host, f"/dev/{name}"))


def looked_at(part: Partition, name: str) -> Iterator[str]:
    """The directory where *part* is mounted now; else it is mounted read-only while it is looked at. For `contextlib.contextmanager`."""
    device = mounts.device_of(part.node)
    now = next((m.target for m in mounts.mounted() if m.device == device and m.root == "/"), "")
    if now:
        yield now
        return
    place = f"{LOOK}-{name}"
    try:
        os.makedirs(place, mode=0o700, exist_ok=True)
        mounts.mount(part.node, place, part.fstype or "ext4", ("ro",))
    except OSError as error:
        raise KairosError(f"the {name} partition cannot be mounted: {reason(error)}", part.node, f"check it: fsck {part.node}") from error
    try:
        yield place
    finally:
        mounts.unmount(place)
        os.rmdir(place)


def room(directory: str) -> int:
    """Bytes that root may still write below *directory*."""
    found = os.statvfs(directory)
    return found.f_bfree * found.f_frsize


def blocks(path: str) -> int:
    """Bytes that the file *path* takes on its disk, 0 for none."""
    try:
        return os.stat(path).st_blocks * 512
    except OSError:
        return 0


def must_be_of_one_mind(config: Config) -> None:
    """KairosError: two documents contradict each other, so nobody knows what is asked for (G1)."""
    conflicts = [p for p in config.problems if p.severity == "error" and p.message.startswith("cannot merge")]
    if conflicts:
        raise KairosError(conflicts[0].message, conflicts[0].where, conflicts[0].hint)


def section(config: Config, action: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The section *action* of the configuration, with what was asked for on top. KairosError: a boolean or a size in it is none."""
    data = understood(config.settings, action)
    return {"strict": data.get("strict"), **mapping(data.get(action)), **asked}


def admins(config: Config) -> bool:
    """Whether the configuration makes a user of the group admin, in whatever stage."""
    _, users = steps_and_users(config.settings.data)
    return any("admin" in [*_words(user.get("groups")), user.get("primary_group")] for user in users)


def lets_somebody_in(host: Host, config: Config, install: Mapping[str, Any]) -> bool:
    """Whether somebody can log in to a node with this configuration, or its section *install* or the system say that nobody has to."""
    return admins(config) or install.get("nousers") is True or host.exists(NO_USERS)


def steps_and_users(data: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The steps of all stages in the configuration *data*, and the users that it or one of them makes."""
    steps = [step for value in mapping(data.get("stages")).values() for step in listing(value) if isinstance(step, dict)]
    users = [*listing(data.get("users")), *(user for step in steps for user in mapping(step.get("users")).values())]
    return steps, [user for user in users if isinstance(user, dict)]


def _words(value: object) -> list[object]:
    return value if isinstance(value, list) else str(value or "").replace(",", " ").split()  # type: ignore[return-value]
