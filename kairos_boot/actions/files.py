"""Files and directories, written so that a power cut leaves the old or the new one (C1, C2)."""

from __future__ import annotations

import os
import stat

from kairos_boot.errors import Explained, KairosError
from kairos_boot.records import record
from kairos_boot.system.atomic import EDITS, clear, replace_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host
    from kairos_boot.system.place import Place

FILE_MODE, DIRECTORY_MODE = 0o644, 0o755


def is_private(mode: int | None) -> bool:
    """Whether content of a file with this mode is secret: nobody but its owner can read it (C5)."""
    return mode is not None and not mode & 0o077


@record
class Owner:
    """Who owns a file: numbers or names; None keeps what an existing file has, else 0. A *user* alone given by name
    brings its primary group (docs/reference/files.md).
    """

    user: int | str | None = None
    group: int | str | None = None
    given: bool = True
    """Whether the document says so. What is made below a user's directory without that is the user's (C12)."""

    @staticmethod
    def asked(names: str, user: int | None, group: int | None) -> Owner:
        """The owner that an item asks for: *names* (`USER` or `USER:GROUP`) win over numbers, and numbers default to 0."""
        if names:
            name, _, of_group = names.partition(":")
            return Owner(name, of_group or None)
        return Owner(user or 0, group or 0, given=user is not None or group is not None)

    def ids(self, host: Host) -> tuple[int | None, int | None]:
        """Numeric user and group. KairosError: no such user or group in the node's own files."""
        user, group = self.user, self.group
        if isinstance(user, str) or isinstance(group, str):
            from kairos_boot.system.accounts import lookup_group, lookup_user

            if isinstance(user, str):
                user, primary = lookup_user(host, user)
                group = primary if group is None else group
            if isinstance(group, str):
                group = lookup_group(host, group)
        return user, group


ROOT = Owner(0, 0, given=False)


@record
class WriteFile:
    """A file with exactly this content. *mode* None keeps an existing file's, else 0644."""

    path: str
    content: bytes
    mode: int | None = None
    owner: Owner = ROOT
    parent_mode: int | None = None
    """The mode of parents that are missing; None derives it from *mode* (docs/reference/files.md)."""
    secret: bool = False
    where: str = ""
    append: bool = False
    """Add the content unless the file already contains it (B12)."""
    make_parents: bool = True
    """Whether a missing directory is made, else it is an error."""
    own_parents: bool = False
    """Whether missing directories belong to an owner that is given by name, too (B12)."""

    @property
    def subject(self) -> str:
        return os.path.normpath(self.path)

    @property
    def adds(self) -> bool:
        """Whether others may add to the same file, too."""
        return self.append

    def describe(self) -> str:
        """The path, size and mode; never the content."""
        mode = "" if self.mode is None else f", mode {self.mode:04o}"
        return f"{'append to' if self.append else 'write'} {self.path} ({len(self.content)} bytes{mode})"

    def is_secret(self, host: Host) -> bool:
        """Whether nobody may see old or new content: the document says so, or the file that is there (C5)."""
        if self.secret or is_private(self.mode):
            return True
        with host.place(self.path) as place:
            return place.is_file and place.status is not None and is_private(stat.S_IMODE(place.status.st_mode))

    def would_change(self, host: Host) -> bool | None:
        """Whether content, mode or owner are not as wanted. KairosError: no file can be written there."""
        user, group = self.owner.ids(host)
        with Explained(f"cannot write {self.path}", self.where), host.place(self.path, owner=user) as place:
            now = self._file(place)
            if now is None:
                self._need_parents(place)
                return True
            return self._mends(now, user, group) or self._new(place, now) is not None

    def _file(self, place: Place) -> os.stat_result | None:
        """The status of the file that is there. KairosError: it is something else."""
        if place.status is not None and not place.is_file:
            raise KairosError(f"cannot write {self.path}: it is not a regular file", self.where)
        return place.status

    def _need_parents(self, place: Place) -> None:
        if place.missing and not self.make_parents:
            raise KairosError(f"cannot write {self.path}: no such directory", self.where)

    def _mends(self, now: os.stat_result, user: int | None, group: int | None) -> bool:
        have = (stat.S_IMODE(now.st_mode), now.st_uid, now.st_gid)
        return any(want is not None and want != is_ for want, is_ in zip((self.mode, user, group), have, strict=True))

    def _new(self, place: Place, now: os.stat_result | None) -> bytes | None:
        """The content that is to be written; None: the file has it."""
        if now is None:
            return self.content
        if self.append:
            old = place.read() or b""
            return None if self.content in old else old + self.content
        if now.st_size not in (len(self.content), 0):  # the kernel's own files have no size
            return self.content
        return None if place.read(len(self.content) + 1) == self.content else self.content

    def apply(self, host: Host) -> bool:
        """Write a temporary file beside the target, complete it, and rename it over the target."""
        with EDITS, Explained(f"cannot write {self.path}", self.where):
            user, group = self.owner.ids(host)
            with host.place(self.path, owner=user) as place:
                return self._apply(place, user, group)

    def _apply(self, place: Place, user: int | None, group: int | None) -> bool:
        now = self._file(place)
        content = self._new(place, now)
        if now and content is None:
            clear(place)
            if not self._mends(now, user, group):
                return False
            place.own(user, group, self.mode)
            return True
        self._need_parents(place)
        self._make_parents(place, user, group)
        mode = self.mode if self.mode is not None else stat.S_IMODE(now.st_mode) if now else FILE_MODE
        user = user if user is not None else now.st_uid if now else 0
        group = group if group is not None else now.st_gid if now else 0
        replace_file(place, self.content if content is None else content, mode, user, group)
        return True

    def _make_parents(self, place: Place, user: int | None, group: int | None) -> None:
        mode = self.parent_mode
        if mode is None:
            mode = DIRECTORY_MODE if self.mode is None else self.mode | 0o100  # a directory that its owner cannot enter is of no use
        theirs = self.owner.given and (self.own_parents or not isinstance(self.owner.user, str))
        place.make_parents(mode, *((user, group) if theirs else (None, None)))


@record
class MakeDirectory:
    """A directory; *mode* None keeps an existing one's, else 0755. Missing parents get the same mode and owner."""

    path: str
    mode: int | None = None
    owner: Owner = Owner()
    """What is not given stays as it is, or is the heir's, see `Place.heir`."""
    where: str = ""

    @property
    def subject(self) -> str:
        return os.path.normpath(self.path)

    def describe(self) -> str:
        return f"make directory {self.path}" + ("" if self.mode is None else f" (mode {self.mode:04o})")

    def would_change(self, host: Host) -> bool | None:
        """Whether it is missing, or mode or owner are not as wanted. KairosError: it cannot be made."""
        return self._make(host, write=False)

    def apply(self, host: Host) -> bool:
        return self._make(host, write=True)

    def _make(self, host: Host, *, write: bool) -> bool:
        with Explained(f"cannot make directory {self.path}", self.where):
            user, group = self.owner.ids(host)
            with host.place(self.path, owner=user) as place:
                return self._at(place, user, group, write=write)

    def _at(self, place: Place, user: int | None, group: int | None, *, write: bool) -> bool:
        now = place.status
        if now is None:
            if write:
                place.make_directory(DIRECTORY_MODE if self.mode is None else self.mode, user, group)
            return True
        if not place.is_directory:
            raise KairosError(f"{self.path} exists and is not a directory", self.where)
        have = (stat.S_IMODE(now.st_mode), now.st_uid, now.st_gid)
        differs = any(want is not None and want != is_ for want, is_ in zip((self.mode, user, group), have, strict=True))
        if differs and write:
            place.own(user, group, self.mode)
        return differs
