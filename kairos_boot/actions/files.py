"""Files and directories, written so that a power cut leaves the old or the new one (C1, C2)."""

from __future__ import annotations

import os
import stat

from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record
from kairos_boot.system.atomic import make_directories, replace_file, sync_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host

__all__ = ("MakeDirectory", "Owner", "WriteFile", "make_directories", "replace_file", "sync_directory")

FILE_MODE, DIRECTORY_MODE = 0o644, 0o755
PRIVATE = 0o600
"""Content of files with this mode or less is secret (C5)."""


@record
class Owner:
    """Who owns a file: numbers or names; None keeps what an existing file has, else 0. A *user* alone given by name
    brings its primary group (spec/modules.md 1.8).
    """

    user: int | str | None = None
    group: int | str | None = None

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


ROOT = Owner(0, 0)


@record
class WriteFile:
    """A file with exactly this content. *mode* None keeps an existing file's, else 0644."""

    path: str
    content: bytes
    mode: int | None = None
    owner: Owner = ROOT
    parent_mode: int | None = None
    """The mode of parents that are missing; None derives it from *mode* (spec/modules.md 1.7)."""
    secret: bool = False
    where: str = ""
    append: bool = False
    """Add the content unless the file already contains it (B12)."""
    make_parents: bool = True
    """Whether a missing directory is made, else it is an error."""

    def describe(self) -> str:
        """The path, size and mode; never the content."""
        mode = "" if self.mode is None else f", mode {self.mode:04o}"
        return f"{'append to' if self.append else 'write'} {self.path} ({len(self.content)} bytes{mode})"

    def _wanted(self, old: bytes | None) -> bytes:
        if not self.append or old is None:
            return self.content
        return old if self.content in old else old + self.content

    def would_change(self, host: Host) -> bool | None:
        """Whether content, mode or owner are not as wanted."""
        target = host.real(self.path)
        try:
            now = os.stat(target)
        except OSError:
            return True
        return not stat.S_ISREG(now.st_mode) or bool(self._difference(host, now)) or self._content_differs(target)

    def _content_differs(self, target: str) -> bool:
        old = _read(target)
        return self._wanted(old) != old

    def _difference(self, host: Host, now: os.stat_result) -> list[str]:
        user, group = self.owner.ids(host)
        mode = stat.S_IMODE(now.st_mode)
        return [name for name, want, have in (("mode", self.mode, mode), ("user", user, now.st_uid), ("group", group, now.st_gid))
                if want is not None and want != have]

    def apply(self, host: Host) -> bool:
        """Write a temporary file beside the target, complete it, and rename it over the target."""
        try:
            return self._apply(host)
        except KairosError as error:
            raise KairosError(error.message, error.where or self.where, error.hint) from error
        except OSError as error:
            raise KairosError(f"cannot write {self.path}: {reason(error)}", self.where) from error

    def _apply(self, host: Host) -> bool:
        user, group = self.owner.ids(host)
        target = host.real(self.path)
        now = _stat(target)
        if now and not stat.S_ISREG(now.st_mode):
            raise KairosError(f"cannot write {self.path}: it is not a regular file", self.where)
        old = _read(target) if now else None
        content = self._wanted(old)
        if now and content == old:
            if not self._difference(host, now):
                return False
            _own(target, user, group)
            os.chmod(target, stat.S_IMODE(now.st_mode) if self.mode is None else self.mode)
            return True
        if self.make_parents:
            self._make_parents(target, user, group)
        mode = self.mode if self.mode is not None else stat.S_IMODE(now.st_mode) if now else FILE_MODE
        user = user if user is not None else now.st_uid if now else 0
        group = group if group is not None else now.st_gid if now else 0
        replace_file(target, content, mode, user, group)
        return True

    def _make_parents(self, target: str, user: int | None, group: int | None) -> None:
        mode = self.parent_mode
        if mode is None:
            mode = FILE_MODE if self.mode is None else self.mode
            mode |= 0o100  # a directory that its owner cannot enter is of no use
            mode = DIRECTORY_MODE if self.mode is None else mode
        numeric = (user, group) if not isinstance(self.owner.user, str) else (0, 0)
        make_directories(os.path.dirname(target), mode, *numeric)


@record
class MakeDirectory:
    """A directory; *mode* None keeps an existing one's, else 0755. Missing parents get the same mode and owner."""

    path: str
    mode: int | None = None
    owner: Owner = ROOT
    where: str = ""

    def describe(self) -> str:
        """Path and mode."""
        return f"make directory {self.path}" + ("" if self.mode is None else f" (mode {self.mode:04o})")

    def would_change(self, host: Host) -> bool | None:
        """Whether it is missing, or mode or owner are not as wanted."""
        now = _stat(host.real(self.path))
        if not now:
            return True
        user, group = self.owner.ids(host)
        return any(want is not None and want != have for want, have in (
            (self.mode, stat.S_IMODE(now.st_mode)), (user, now.st_uid), (group, now.st_gid)))

    def apply(self, host: Host) -> bool:
        """Make it, or give an existing one the mode and owner that were asked for."""
        target = host.real(self.path)
        try:
            now = _stat(target)
            if now and not stat.S_ISDIR(now.st_mode):
                raise KairosError(f"{self.path} exists and is not a directory", self.where)
            if not self.would_change(host):
                return False
            user, group = self.owner.ids(host)
            if not now:
                make_directories(target, DIRECTORY_MODE if self.mode is None else self.mode, user, group)
            else:
                _own(target, user, group)
                os.chmod(target, stat.S_IMODE(now.st_mode) if self.mode is None else self.mode)
        except OSError as error:
            raise KairosError(f"cannot make directory {self.path}: {reason(error)}", self.where) from error
        return True


def _own(path: str, user: int | None, group: int | None) -> None:
    os.chown(path, -1 if user is None else user, -1 if group is None else group)


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()

