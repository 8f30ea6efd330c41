"""Where a node stands before an upgrade: its partitions, mounted to be written while it lasts, and what is known of the systems on them."""

from __future__ import annotations

import os

from kairos_boot.actions.filesystem import Remount, Unmount
from kairos_boot.actions.mounts import Mount
from kairos_boot.errors import Explained, KairosError
from kairos_boot.lifecycle import survey
from kairos_boot.lifecycle.assessment import TRIAL
from kairos_boot.lifecycle.switching import is_ours
from kairos_boot.lifecycle.upgrade import Place
from kairos_boot.node import grubenv
from kairos_boot.node.mode import RECOVERY_WORDS, STATE_MOUNT, boot_word
from kairos_boot.records import record
from kairos_boot.system import ext4, mounts
from kairos_boot.system.udev import CRYPT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kairos_boot.node.partitions import NodeDisk
    from kairos_boot.system.host import Host
    from kairos_boot.system.udev import Partition

PERSISTENT = "/usr/local"
OTHER = "/run/cos"
"""Below it the partitions are mounted that this boot has not mounted."""
SYSTEMS = ("active_boot", "passive_boot", *RECOVERY_WORDS)


@record
class Open:
    """Where COS_STATE is mounted, and the partition whose image is replaced."""

    state: str
    images: str


@record
class Uncover:
    """What was mounted at *target* last is not mounted there any more; what it hid is seen again."""

    target: str

    def apply(self, host: Host) -> bool:
        """Unmount that one. KairosError: something uses it."""
        with Explained("cannot be unmounted", self.target):
            mounts.unmount(host.path(self.target))
        return True


def opened(host: Host, disk: NodeDisk, entry: str, tell: Callable[[str], None]) -> Iterator[Open]:
    """Mount what an upgrade of *entry* writes to, and leave it as it was. For `contextlib.contextmanager`. KairosError: it cannot be mounted."""
    undo: list[Remount | Unmount | Uncover] = []
    try:
        state = _writable(host, disk.need("state"), "state", undo)
        images = _writable(host, disk.need("recovery"), "recovery", undo) if entry == "recovery" else state
        if boot_word(host) in RECOVERY_WORDS:
            persistent(host, disk, undo, tell)
        yield Open(state, images)
    finally:
        take_back(host, undo, tell)


def take_back(host: Host, undo: Sequence[Remount | Unmount | Uncover], tell: Callable[[str], None]) -> None:
    """Leave as it was what was mounted, or made writable, the last first. What stays is no failure of what was done there: it is told."""
    for action in reversed(undo):
        try:
            action.apply(host)
        except KairosError as error:
            # The kernel refuses as long as a file without a name is in use: the image that runs and was replaced.
            tell(f"{error.where} stays {'writable' if isinstance(action, Remount) else 'mounted'} until the next boot: {error.message}")


def persistent(host: Host, disk: NodeDisk, undo: list[Remount | Unmount | Uncover], tell: Callable[[str], None]) -> None:
    """Mount the persistent partition over what recovery has in its place, which lies in memory (G7). Without it an upgrade goes on, and is noted nowhere."""
    part = disk.persistent
    if part is None or part.fstype == CRYPT:
        return
    try:
        if Mount(part.node, PERSISTENT, part.fstype or "ext4").apply(host):
            undo.append(Uncover(PERSISTENT))
    except KairosError as error:
        tell(f"the upgrade is not noted, and what is fetched lies in memory: {error}")


def _writable(host: Host, part: Partition, name: str, undo: list[Remount | Unmount | Uncover]) -> str:
    """Where the partition is mounted, writable now."""
    device = mounts.device_of(host.path(part.node))
    here = next((m.target for m in mounts.mounted() if m.device == device and m.root == "/"), "")
    if not here:
        here = f"{OTHER}/{name}"
        Mount(part.node, here, part.fstype or "ext4").apply(host)
        undo.append(Unmount(here))
    elif Remount(here).apply(host):
        undo.append(Remount(here, writable=False))
    return here


def place_of(host: Host, entry: str, state: str, images: str) -> Place:
    """What is known of the place of the new image. *state* and *images* are where COS_STATE and the partition of the image are mounted."""
    room = survey.room(images)
    if entry != "active":
        return Place(images, room, why="this is not about it")
    active, passive = f"{images}/cOS/active.img", f"{images}/cOS/passive.img"
    freed = survey.blocks(passive) if _links(passive) == 1 else 0
    why = _why_not(host, state, active, passive)
    if why:
        return Place(images, room, "keep", why)
    if is_ours(host, active):
        return Place(images, room, "link", freed=freed)
    return Place(images, room, "copy", copied=survey.blocks(active), freed=freed)


def _why_not(host: Host, state: str, active: str, passive: str) -> str:
    """Why the active system does not become the passive one; empty where it does."""
    if boot_word(host) == "passive_boot":
        return "it is what runs"
    fault = _fault(active)
    if fault:
        return f"the active image {fault}"
    variables = grubenv.load(f"{state}/grubenv")
    proved = not variables.get("boot_tries") and not variables.get(TRIAL) and grubenv.load(f"{state}/boot_assessment").get("boot_assessment_tentative") != "yes"
    if proved or _fault(passive):  # what has not proved itself is still more than nothing
        return ""
    return "the active system has not proved itself yet"


def _fault(image: str) -> str:
    try:
        ext4.check(image)
    except OSError:
        return "cannot be read"
    except KairosError as error:
        return f"is damaged: {error.message}"
    return ""


def _links(path: str) -> int:
    try:
        return os.stat(path).st_nlink
    except OSError:
        return 0


__all__ = ["PERSISTENT", "STATE_MOUNT", "SYSTEMS", "Open", "opened", "place_of"]
