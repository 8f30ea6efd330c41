"""Downloads: fetched beside their target, compared by content, put in its place whole (docs/reference/downloads.md, C1, B5)."""

from __future__ import annotations

import stat

from kairos_boot.actions.files import FILE_MODE, ROOT, Owner
from kairos_boot.errors import Explained, KairosError
from kairos_boot.records import record
from kairos_boot.shown import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host
    from kairos_boot.system.http import Answer
    from kairos_boot.system.place import Place

METHODS = {"sha256": 64, "sha512": 128}
"""Kinds of checksum and their length in hexadecimal digits."""


@record
class Download:
    """A file with the content of *url*. *path* may be an existing directory: the server, else the address, names the file then."""

    url: str
    path: str
    mode: int | None = None
    """None keeps an existing file's, else 0644."""
    owner: Owner = ROOT
    timeout: float | None = None
    """Seconds a try may take, 0 is none; None asks for an answer within 30 s that then keeps coming."""
    tries: int = 3
    checksum: str = ""
    """`sha256:` or `sha512:` and hexadecimal digits; a file that has it already is not fetched."""
    where: str = ""

    def describe(self) -> str:
        """Address, without user and query, and path."""
        return f"download {shown(self.url)} to {self.path}" + ("" if self.mode is None else f" (mode {self.mode:04o})")

    def would_change(self, host: Host) -> bool | None:
        """Only fetching tells, unless the checksum does. KairosError: nothing can be written there."""
        user, group = self.owner.ids(host)
        with Explained(f"cannot write {self.path}", self.where), host.place(self.path, owner=user) as place:
            return self._attributes(place, user, group, mend=False) if self._is_there(place) else None

    def apply(self, host: Host) -> bool:
        """Fetch and put in place. KairosError: it cannot be fetched, is not what the checksum says, or the disk refuses; the old file stays."""
        with Explained(f"cannot write {self.path}", self.where):
            return self._apply(host)

    def _apply(self, host: Host) -> bool:
        from kairos_boot.actions.replacement import Replacement
        from kairos_boot.system.transfer import download

        user, group = self.owner.ids(host)  # what cannot be is told before anything is fetched
        with host.place(self.path, owner=user) as place:
            if self._is_there(place):
                return self._attributes(place, user, group, mend=True)
        new = Replacement(host, self.path, user)
        try:
            answer = download(self.url, new, timeout=self.timeout, tries=self.tries)
            same = new.finish()
            method, _, digest = self.checksum.partition(":")
            if method and new.digest(method) != digest.lower():
                raise KairosError(f"{shown(self.url)} does not have the checksum {self.checksum}", hint="nothing was written")
            if same:
                return self._attributes(new.place, user, group, mend=True)
            new.put(FILE_MODE if self.mode is None else self.mode, user or 0, group or 0, _modified(answer), keep_mode=self.mode is None)
        finally:
            new.close()
        return True

    def _is_there(self, place: Place) -> bool:
        """Whether the file has the checksum already, so that nothing is fetched."""
        if not self.checksum or not place.is_file:
            return False
        import hashlib

        method, _, digest = self.checksum.partition(":")
        with open(place.open(), "rb") as file:
            return hashlib.file_digest(file, method).hexdigest() == digest.lower()

    def _attributes(self, place: Place, user: int | None, group: int | None, *, mend: bool) -> bool:
        """Whether mode or owner are not as wanted; with *mend* they are made so."""
        now = place.status
        assert now is not None
        mode = stat.S_IMODE(now.st_mode) if self.mode is None else self.mode
        wrong = (user or 0, group or 0, mode) != (now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode))
        if wrong and mend:
            place.own(user or 0, group or 0, mode)
        return wrong


def _modified(answer: Answer) -> float | None:
    """When the server says that the content was last changed, in seconds since the epoch."""
    from email.utils import parsedate_to_datetime

    text = answer.headers.get("last-modified", "")
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, OverflowError):
        return None
