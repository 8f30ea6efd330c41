"""The entry of a boot that resets a node of one signed file by itself: recovery's program, under the name by which the boot knows what it is for.

A menu that has such an entry keeps it. Elsewhere it is made when a reset is asked for, without tries, so that no boot takes it by itself; it goes when the
reset is done, or with the next upgrade where another entry was chosen since.
"""

from __future__ import annotations

import os

from kairos_boot.errors import Explained, KairosError
from kairos_boot.lifecycle import roles
from kairos_boot.node import loader
from kairos_boot.records import record
from kairos_boot.system.fat import settle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host

NAME = "statereset"
FILE = f"{NAME}+0{loader.SUFFIX}"
"""Of the entry that is made here. systemd-boot sorts what has no tries behind everything else, and counts nothing there."""


def is_meant(asked: str) -> bool:
    """Whether *asked* is a name of that entry."""
    wanted = loader.parse(asked)
    return (wanted.name if wanted else asked) == NAME


def make(host: Host, limit: float) -> None:
    """Have the entry in the menu. KairosError: there is no recovery system, an action still runs after *limit* seconds, or the disk fails."""
    there = [entry for entry in loader.entries(host) if entry.name == NAME]
    if [entry for entry in there if entry.file != FILE]:
        return
    recovery = roles.known(host).get("recovery")
    if recovery is None or recovery.size < 0:
        raise KairosError("the boot menu has no entry 'recovery', whose system resets a node", host.path(loader.ENTRIES), "upgrade the active system instead, or install the node anew")
    content = loader.text(host, NAME, recovery.lines.get("title", ""), recovery.program, recovery.lines).encode()
    path = f"{loader.ENTRIES}/{FILE}"
    if host.read(path) == content:
        return
    from kairos_boot.lifecycle.writable import Writable
    from kairos_boot.system.lock import ACTIONS

    with Writable(host, loader.EFI, "the entry of a reset", limit, lock=host.path(ACTIONS)), Explained("the entry cannot be written", path, "make room on the EFI system partition"):
        roles.remove(host.path(path))  # of an older recovery system; nothing is written over
        with open(host.path(path), "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        settle(host.path(loader.ENTRIES))


@record
class DropEntry:
    """The entry that was made for one reset is not there, unless the next boot takes it."""

    def describe(self) -> str:
        """The file."""
        return f"remove {loader.ENTRIES}/{FILE}, if it is there and not chosen"

    def would_change(self, host: Host) -> bool | None:
        """Whether it is there, and not chosen."""
        return host.exists(f"{loader.ENTRIES}/{FILE}") and loader.next_once(host) != NAME

    def apply(self, host: Host) -> bool:
        """Remove it. KairosError: the disk fails."""
        if not self.would_change(host):
            return False
        with Explained("it cannot be removed", f"{loader.ENTRIES}/{FILE}", roles.CHECK):
            roles.remove(host.path(f"{loader.ENTRIES}/{FILE}"))
        return True
