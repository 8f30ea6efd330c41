"""A resolver's file that another program writes: a step that gives its content takes it out of that program's hands."""

from __future__ import annotations

import os

from kairos_boot.errors import Explained
from kairos_boot.records import record
from kairos_boot.system.atomic import replace_file
from kairos_boot.system.host import Host

WRITTEN_BY_OTHERS = ("/run/systemd/resolve/", "/run/NetworkManager/", "/run/resolvconf/")
"""Where systemd-resolved, NetworkManager and resolvconf write: at each change of a link, whatever is there."""


@record
class TakeOver:
    """A file of its own in place of a link to one that another program writes; systemd-resolved then reads it, see its manual page."""

    path: str
    where: str = ""

    adds = True
    """The content is another action's."""

    @property
    def subject(self) -> str:
        return self.path

    def describe(self) -> str:
        return f"take {self.path} out of the hands of the program that its link leads to"

    def would_change(self, host: Host) -> bool | None:
        try:
            target = os.readlink(host.entry(self.path))
        except OSError:
            return False
        return os.path.normpath(os.path.join(os.path.dirname(self.path), target)).startswith(WRITTEN_BY_OTHERS)

    def apply(self, host: Host) -> bool:
        """Put an empty file in its place, at once; the content is the next action's. KairosError: it cannot be made."""
        if not self.would_change(host):
            return False
        with Explained(f"cannot write {self.path}", self.where), host.place(self.path, follow=False) as place:
            replace_file(place, b"", 0o644, os.geteuid(), os.getegid())
        return True
