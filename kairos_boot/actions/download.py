"""Downloads: fetched beside their target, compared by content, put in its place whole (spec/modules.md 3.2, C1, B5)."""

from __future__ import annotations

import os
import stat

from kairos_boot.actions.files import FILE_MODE, ROOT, Owner
from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record
from kairos_boot.system.urls import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host
    from kairos_boot.system.http import Answer

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
        """Only fetching tells, unless the checksum does."""
        target = host.real(self.path)
        if not self.checksum or not os.path.isfile(target) or not self._fits(target):
            return None
        return self._attributes(host, target, mend=False)

    def apply(self, host: Host) -> bool:
        """Fetch and put in place. KairosError: it cannot be fetched, is not what the checksum says, or the disk refuses; the old file stays."""
        try:
            return self._apply(host)
        except OSError as error:
            raise KairosError(f"cannot write {self.path}: {reason(error)}", self.where) from error
        except KairosError as error:
            raise KairosError(error.message, error.where or self.where, error.hint) from error

    def _apply(self, host: Host) -> bool:
        from kairos_boot.actions.replacement import Replacement
        from kairos_boot.system.transfer import download

        target = host.real(self.path)
        if self.checksum and os.path.isfile(target) and self._fits(target):
            return self._attributes(host, target, mend=True)
        self.owner.ids(host)  # an unknown one is told before anything is fetched
        new = Replacement(host, self.path)
        try:
            answer = download(self.url, new, timeout=self.timeout, tries=self.tries)
            same = new.finish()
            if self.checksum and not self._fits(new.target if same else new.name):
                raise KairosError(f"{shown(self.url)} does not have the checksum {self.checksum}", hint="nothing was written")
            if same:
                return self._attributes(host, new.target, mend=True)
            user, group = self.owner.ids(host)
            new.place(FILE_MODE if self.mode is None else self.mode, user or 0, group or 0, _modified(answer), keep_mode=self.mode is None)
        finally:
            new.close()
        return True

    def _attributes(self, host: Host, target: str, *, mend: bool) -> bool:
        """Whether mode or owner are not as wanted; with *mend* they are made so."""
        user, group = self.owner.ids(host)
        now = os.stat(target)
        mode = stat.S_IMODE(now.st_mode) if self.mode is None else self.mode
        wrong_owner = (user or 0, group or 0) != (now.st_uid, now.st_gid)
        wrong = wrong_owner or mode != stat.S_IMODE(now.st_mode)
        if wrong and mend:
            if wrong_owner:
                os.chown(target, user or 0, group or 0)
            os.chmod(target, mode)
        return wrong

    def _fits(self, path: str) -> bool:
        import hashlib

        method, _, digest = self.checksum.partition(":")
        with open(path, "rb") as file:
            return hashlib.file_digest(file, method).hexdigest() == digest.lower()


def _modified(answer: Answer) -> float | None:
    """When the server says that the content was last changed, in seconds since the epoch."""
    from email.utils import parsedate_to_datetime

    text = answer.headers.get("last-modified", "")
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, OverflowError):
        return None
