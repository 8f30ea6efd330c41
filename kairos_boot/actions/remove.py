"""Something taken away: a file, or a directory with all that is in it."""

from __future__ import annotations

import os

from kairos_boot.errors import Explained
from kairos_boot.records import record
from kairos_boot.system import trees
from kairos_boot.system.atomic import sync_place
from kairos_boot.system.descriptors import Held
from kairos_boot.system.host import Host


@record
class Remove:
    """Nothing is at *path*. A link is removed, not what it leads to; what is mounted below it stays. With *content* the directory itself stays."""

    path: str
    content: bool = False

    def describe(self) -> str:
        return f"remove {'everything in ' if self.content else ''}{self.path}"

    def would_change(self, host: Host) -> bool | None:
        path = host.entry(self.path)
        return bool(os.listdir(path)) if self.content and os.path.isdir(path) else not self.content and os.path.lexists(path)

    def apply(self, host: Host) -> bool:
        """Remove it. KairosError: an unsafe path, something is mounted there, or the disk fails."""
        if not self.would_change(host):
            return False
        with Explained("cannot be removed", self.path), host.place(self.path, follow=False) as place:
            if self.content:
                with Held(place.open(os.O_DIRECTORY)) as fd:
                    trees.empty(fd)
            elif not place.missing:
                trees.remove(place.name, place.directory)
            sync_place(place)
        return True
