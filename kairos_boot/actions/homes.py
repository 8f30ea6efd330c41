"""Home directories: whose number one gives, and making one without giving away what belongs to somebody else (C8, C12)."""

from __future__ import annotations

import os
import stat

from kairos_boot.errors import KairosError, reason
from kairos_boot.system.accounts import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from kairos_boot.system.accounts import Table
    from kairos_boot.system.host import Host

MODE = 0o755
SYSTEM = frozenset(("/", "/bin", "/boot", "/dev", "/efi", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/oem", "/opt", "/proc", "/root", "/run", "/sbin", "/srv",
                    "/sys", "/system", "/tmp", "/usr", "/usr/local", "/var", "/var/cache", "/var/home", "/var/lib", "/var/log", "/var/spool", "/var/tmp"))
SYSTEM_TREES = ("/bin/", "/boot/", "/dev/", "/efi/", "/etc/", "/lib/", "/lib64/", "/proc/", "/sbin/", "/sys/", "/usr/bin/", "/usr/lib/", "/usr/sbin/", "/usr/share/")
"""Directories that stay the system's own, also as the home of an account."""


class Home:
    """A home as it is now. *uid* is the account's number where it is known."""

    def __init__(self, host: Host, path: str, uid: int | None = None) -> None:
        self.host, self.path = host, path
        self.now: os.stat_result | None = None
        self.fault: KairosError | None = None
        self.link = 0
        """Whose link stands in its place; 0: root's, or none does."""
        real = path
        try:
            with host.place(path, owner=uid) as place:
                self.now, real = place.status, place.path
                if _link_owner(host, path) not in place.trusted:
                    self.link = _link_owner(host, path)
        except KairosError as error:
            self.fault = error
        except OSError as error:
            self.fault = KairosError(f"{path}: {reason(error)}")
        self.is_system = is_system(real.removeprefix(host.root.rstrip("/")))

    @property
    def is_there(self) -> bool:
        """Whether it is a directory that may become, or is, an account's."""
        return self.now is not None and stat.S_ISDIR(self.now.st_mode) and not self.is_system

    def owner(self, users: Table) -> int | None:
        """The number that owns it, if it is nobody's now: so files of an earlier installation stay their owner's."""
        return _unused(self.now.st_uid, users) if self.is_there and self.now else None

    def group(self, groups: Table) -> int | None:
        """The same of its group."""
        return _unused(self.now.st_gid, groups) if self.is_there and self.now else None

    def check(self, uid: int) -> None:
        """Before anything is written: KairosError if it cannot be that user's, since another one decides where it leads (C12)."""
        if self.fault:
            raise KairosError(f"its home cannot be made: {self.fault.message}", hint=self.fault.hint)
        if self.link not in (0, uid):
            raise KairosError(f"its home cannot be made: {self.path} is a link of user {self.link}", hint="remove the link, or give another homedir")

    def make(self, uid: int, gid: int, others: Collection[int]) -> bool:
        """Make the directory, or give an existing one to the account; the system's and those of *others* stay theirs.

        True if something changed. KairosError, OSError: it cannot be made.
        """
        if self.is_system:
            return False
        with self.host.place(self.path, owner=uid) as place:
            now = place.status
            if now is None:
                place.make_parents(MODE, None, None)
                place.make_directory(MODE, uid, gid)
                return True
            if not place.is_directory or (now.st_uid, now.st_gid) == (uid, gid) or (now.st_uid != 0 and now.st_uid in others):
                return False  # /dev/null and the like, or somebody else's
            place.own(uid, gid, None)
        return True


def taken(host: Host, base: str, homes: Iterable[str] = ()) -> tuple[set[int], set[int]]:
    """The users and groups that own a home: a directory in *base* or /home, or one of *homes*. No new account gets such a number (C8)."""
    users, groups = set(), set()
    found = list(homes)
    for directory in dict.fromkeys((base, "/home")):
        try:
            found += [f"{directory}/{name}" for name in os.listdir(host.real(directory))]
        except OSError:
            continue
    for path in found:
        real = host.real(path)
        try:
            now = os.lstat(real)
        except OSError:
            continue
        if stat.S_ISDIR(now.st_mode) and not is_system(real.removeprefix(host.root.rstrip("/"))):
            users.add(now.st_uid)
            groups.add(now.st_gid)
    return users, groups


def _link_owner(host: Host, path: str) -> int:
    """Who owns the link that *path* is; 0 where it is none."""
    path = os.path.normpath(path)
    try:
        now = os.lstat(f"{host.real(os.path.dirname(path))}/{os.path.basename(path)}")
    except OSError:
        return 0
    return now.st_uid if stat.S_ISLNK(now.st_mode) else 0


def _unused(value: int, table: Table) -> int | None:
    return None if value == 0 or number(str(value)) is None or value in table.numbers() else value


def is_system(path: str) -> bool:
    """Whether *path*, without links in it, is a directory of the system."""
    return (path or "/") in SYSTEM or f"{path}/".startswith(SYSTEM_TREES)
