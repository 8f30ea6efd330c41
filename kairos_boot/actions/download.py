"""Downloads: fetched beside their target, compared by content, put in its place whole (spec/modules.md 3.2, C1, B5)."""

from __future__ import annotations

import os
import stat

from kairos_boot.actions.files import DIRECTORY_MODE, FILE_MODE, ROOT, Owner
from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record
from kairos_boot.system.atomic import create_file, finish_file, keep_attributes, make_directories, sync_directory
from kairos_boot.system.urls import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host
    from kairos_boot.system.http import Answer

BLOCK = 1024 * 1024
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

    def differs(self, host: Host) -> bool | None:
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
        from kairos_boot.system.http import download

        target = host.real(self.path)
        if self.checksum and os.path.isfile(target) and self._fits(target):
            return self._attributes(host, target, mend=True)
        self.owner.ids(host)  # an unknown one is told before anything is fetched
        part = _Part(host, self.path)
        try:
            answer = download(self.url, part.open, timeout=self.timeout, tries=self.tries)
            if self.checksum and not self._fits(part.name):
                raise KairosError(f"{shown(self.url)} does not have the checksum {self.checksum}", hint="nothing was written")
            if os.path.isfile(part.target) and _same(part.name, part.target):
                return self._attributes(host, part.target, mend=True)
            return self._place(host, part, answer)
        finally:
            part.close()

    def _place(self, host: Host, part: _Part, answer: Answer) -> bool:
        user, group = self.owner.ids(host)
        now = os.stat(part.target) if os.path.exists(part.target) else None
        mode = self.mode if self.mode is not None else stat.S_IMODE(now.st_mode) if now else FILE_MODE
        seconds = _modified(answer.headers.get("last-modified", ""))
        if seconds is not None:
            os.utime(part.fd, (seconds, seconds))
        keep_attributes(part.target, part.fd)
        finish_file(part.fd, mode, user or 0, group or 0)
        if not part.ours():
            raise KairosError(f"{self.path} is written by another download at the same time")
        os.rename(part.name, part.target)
        sync_directory(os.path.dirname(part.target))
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


class _Part:
    """The unfinished file beside the target, of one fixed name: what a power cut leaves is taken over by the next try."""

    def __init__(self, host: Host, path: str) -> None:
        self._host, self._path = host, path
        self.fd = -1
        self.name = self.target = ""

    def open(self, answer: Answer) -> int:
        """Find the target, make its missing parents, open the file. KairosError: there is no place for it."""
        try:
            target = self._host.real(self._path)
            if os.path.isdir(target):
                target = self._host.real(f"{self._path}/{_name(answer)}")
            if os.path.exists(target) and not os.path.isfile(target):
                raise KairosError(f"cannot write {self._path}: {os.path.basename(target)} is there and is not a regular file")
            directory, base = os.path.split(target)
            make_directories(directory, DIRECTORY_MODE, os.geteuid(), os.getegid())
            self.target, self.name = target, f"{directory}/.{base[:200]}.kairos-part"
            self.fd = create_file(self.name)
        except OSError as error:
            raise KairosError(f"cannot write {self._path}: {reason(error)}") from error
        return self.fd

    def ours(self) -> bool:
        """Whether the name still is the open file's, and not another download's of the same target."""
        return os.path.lexists(self.name) and os.path.samestat(os.lstat(self.name), os.fstat(self.fd))

    def close(self) -> None:
        """Remove what did not come into its place."""
        if self.fd >= 0:
            there = self.ours()
            os.close(self.fd)
            self.fd = -1
            if there:
                os.unlink(self.name)


def _name(answer: Answer) -> str:
    """The file's name in a directory: what the server calls it, else the address's last part; never a path."""
    from email.message import Message
    from urllib.parse import unquote, urlsplit

    message = Message()
    message["Content-Disposition"] = answer.headers.get("content-disposition", "")
    for name in (message.get_filename() or "", unquote(urlsplit(answer.url).path)):
        base = name.rstrip("/").rpartition("/")[2]
        if base not in ("", ".", "..") and base.isprintable():
            return base
    raise KairosError(f"{shown(answer.url)} does not name a file", hint="give a path that is not a directory")


def _modified(text: str) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, OverflowError):
        return None


def _same(one: str, other: str) -> bool:
    with open(one, "rb") as new, open(other, "rb") as old:
        if os.fstat(new.fileno()).st_size != os.fstat(old.fileno()).st_size:
            return False
        while data := new.read(BLOCK):
            if data != old.read(BLOCK):
                return False
    return True
