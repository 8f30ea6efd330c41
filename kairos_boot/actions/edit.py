"""Changes of a part of a file: what else is in it stays as it is."""

from __future__ import annotations

from kairos_boot.actions.files import Owner, WriteFile
from kairos_boot.errors import Explained
from kairos_boot.records import record
from kairos_boot.system.atomic import EDITS
from kairos_boot.system.host import Host

KEEP = Owner()


@record
class EditFile:
    """A file whose new content follows from its old one. It keeps mode and owner; a new one is 0644 and root's."""

    path: str
    where: str = ""

    def edit(self, old: bytes | None) -> bytes:
        """The content as wanted, out of the content as it is (None: no such file)."""
        raise NotImplementedError

    @property
    def subject(self) -> str:
        return self.path

    def describe(self) -> str:
        return f"edit {self.path}"

    def _write(self, host: Host) -> WriteFile:
        with Explained(f"cannot read {self.path}", self.where), host.place(self.path) as place:
            old = place.read()
        return WriteFile(self.path, self.edit(old), owner=KEEP, where=self.where)

    def would_change(self, host: Host) -> bool | None:
        return self._write(host).would_change(host)

    def apply(self, host: Host) -> bool:
        with EDITS:
            return self._write(host).apply(host)
