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
"""Of the entry that is made here. systemd-boot sorts what has no tries behind everything else."""

MARK = b"# made for one reset, and removed behind it\n"
"""The first line of such an entry."""


def is_meant(asked: str) -> bool:
    """Whether *asked* is a name of that entry."""
    wanted = loader.parse(asked)
    return (wanted.name if wanted else asked) == NAME


def is_made(host: Host, entry: loader.Entry) -> bool:
    """Whether *entry* is one that was made here, which it says itself: systemd-boot counts its starts in its name (`statereset+0-1.conf`), and a menu's own
    one has no tries left one day, too. KairosError: it cannot be read.
    """
    if entry.name != NAME or entry.left != 0:
        return False
    path = f"{loader.ENTRIES}/{entry.file}"
    with Explained("the entry cannot be read", path, roles.CHECK):
        return (host.read(path) or b"").startswith(MARK)


def made(host: Host) -> list[str]:
    """The files of such entries, on the ESP of *host*. KairosError: the menu cannot be read."""
    return [f"{loader.ENTRIES}/{entry.file}" for entry in loader.entries(host) if is_made(host, entry)]


def make(host: Host, limit: float) -> None:
    """Have the entry in the menu. KairosError: there is no recovery system, an action still runs after *limit* seconds, or the disk fails."""
    if [entry for entry in loader.entries(host) if entry.name == NAME and not is_made(host, entry)]:
        return
    recovery = roles.known(host).get("recovery")
    if recovery is None or recovery.size < 0:
        raise KairosError("the boot menu has no entry 'recovery', whose system resets a node", host.path(loader.ENTRIES), "upgrade the active system instead, or install the node anew")
    content = MARK + loader.text(host, NAME, recovery.lines.get("title", ""), recovery.program, recovery.lines).encode()
    path = f"{loader.ENTRIES}/{FILE}"
    olds = made(host)
    if [host.read(old) for old in olds] == [content]:
        return
    from kairos_boot.lifecycle.writable import Writable
    from kairos_boot.system.lock import ACTIONS

    with Writable(host, loader.EFI, "the entry of a reset", limit, lock=host.path(ACTIONS)), Explained("the entry cannot be written", path, "make room on the EFI system partition"):
        for old in olds:  # of an older recovery system; nothing is written over
            roles.remove(host.path(old))
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
        return bool(made(host)) and loader.next_once(host) != NAME

    def apply(self, host: Host) -> bool:
        """Remove it. KairosError: the disk fails."""
        if not self.would_change(host):
            return False
        with Explained("it cannot be removed", loader.ENTRIES, roles.CHECK):
            for path in made(host):
                roles.remove(host.path(path))
        return True
