"""Accounts: made once with everything they need; an existing one keeps all but its password (spec/modules.md 3.10, C3)."""

from __future__ import annotations

import os
import stat

from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record
from kairos_boot.system.accounts import Accounts, number, read_table
from kairos_boot.system.passwords import field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.accounts import Table
    from kairos_boot.system.host import Host

__all__ = ("EnsureUser", "RequireGroup", "is_name", "make_home", "number", "today")

DEFAULTS = "/etc/default/useradd"
HOME_MODE = 0o755
SYSTEM = frozenset(("/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/oem", "/opt", "/proc", "/root",
                    "/run", "/sbin", "/srv", "/sys", "/system", "/tmp", "/usr", "/usr/local", "/var", "/var/lib"))
SYSTEM_TREES = ("/bin/", "/boot/", "/dev/", "/etc/", "/lib/", "/lib64/", "/proc/", "/sbin/", "/sys/", "/usr/bin/", "/usr/lib/", "/usr/sbin/")
"""Directories that stay the system's own, also as the home of an account."""


@record
class EnsureUser:
    """An account: made if there is none of that name; of an existing one only the password is set, if one is given."""

    name: str
    password: str = ""
    """A hash, a mark (`!`, `*`) or plain text, which is hashed. Never shown."""
    lock: bool = False
    uid: int | None = None
    """None takes that of an earlier owner of the home, else the lowest free one from 1000 on."""
    gecos: str = ""
    home: str = ""
    shell: str = ""
    primary_group: str = ""
    """Empty: a group of the user's name, made if there is none."""
    groups: tuple[str, ...] = ()
    """More groups; those that are missing are left out (see RequireGroup) unless *create_groups*."""
    create_groups: bool = False
    create_home: bool = True
    where: str = ""

    def __repr__(self) -> str:
        """No password."""
        return f"EnsureUser({self.name!r})"

    def describe(self) -> str:
        """The account and what it is given; no password."""
        words = [f"uid {self.uid}" if self.uid is not None else "", f"group {self.primary_group}" if self.primary_group else "",
                 f"groups {', '.join(self.groups)}" if self.groups else "", "locked" if self.lock else "password set" if self.password else ""]
        known = "; ".join(filter(None, words))
        return f"ensure user {self.name}" + (f" ({known})" if known else "")

    def would_change(self, host: Host) -> bool | None:
        """Whether there is no such account, or it has another password."""
        account = read_table(host, "user").fields(self.name)
        if account is None:
            return True
        if not self.password or self.lock:
            return False
        line = read_table(host, "shadow").fields(self.name)
        return line is None or account[1] != "x" or self._field(line[1]) != line[1]

    def apply(self, host: Host) -> bool:
        """Make the account or set its password. KairosError: a number or a file is missing; nothing was changed.

        A home that cannot be made does not stop the account: it is there when the error comes.
        """
        try:
            if not self.would_change(host):
                return False
            with Accounts(host) as accounts:
                line = accounts.table("user").fields(self.name)
                accounts.table("shadow")
                if line is None:
                    return self._make(host, accounts)
                if not self.password or self.lock:
                    return False
                if line[1] != "x":
                    accounts.table("user").put([self.name, "x", *line[2:]])
                self._set_password(host, accounts.table("shadow"))
                return accounts.save()
        except KairosError as error:
            raise KairosError(f"user {self.name}: {error.message}", self.where, error.hint) from error

    def _field(self, stored: str) -> str:
        return "!" if self.lock or not self.password else field(self.password, stored)

    def _set_password(self, host: Host, table: Table) -> None:
        line = table.fields(self.name) or [self.name, *[""] * 8]
        password = self._field(line[1])
        if password != line[1]:
            table.put([self.name, password, today(host), *line[3:]])

    def _make(self, host: Host, accounts: Accounts) -> bool:
        users, defaults = accounts.table("user"), self._useradd(host)
        home = self.home or f"{defaults['HOME'].rstrip('/')}/{self.name}"
        gid = self._primary(accounts)
        uid = self.uid if self.uid is not None else _owner(host, home, users)
        if uid is None:
            uid = users.free_number()
        for group in self.groups:
            if self.create_groups or accounts.table("group").fields(group):
                accounts.ensure_group(group, (self.name,))
        self._set_password(host, accounts.table("shadow"))
        users.put([self.name, "x", str(uid), str(gid), self.gecos or "Created by entities", home, self.shell or defaults["SHELL"]])
        failure = ""
        if self.create_home:
            try:
                # Before the account: cut here, the next run finds the home and takes its number.
                make_home(host, home, uid, gid, users.numbers() - {uid})
            except (OSError, KairosError) as error:
                failure = f"it was made, but its home {home} was not: {reason(error) if isinstance(error, OSError) else error}"
        accounts.save()
        if failure:
            raise KairosError(failure)
        return True

    def _primary(self, accounts: Accounts) -> int:
        if self.primary_group and not self.create_groups and not accounts.table("group").fields(self.primary_group):
            raise KairosError(f"its primary group does not exist: {self.primary_group}", hint="make it first, with ensure_entities in an earlier step")
        return accounts.ensure_group(self.primary_group or self.name, (self.name,))

    @staticmethod
    def _useradd(host: Host) -> dict[str, str]:
        found = {"HOME": "/home", "SHELL": "/bin/sh"}
        for line in (host.read(DEFAULTS) or b"").decode("utf-8", "replace").splitlines():
            name, _, value = line.strip().removeprefix("export ").partition("=")
            value = value.strip().strip("\"'")
            if name in found and value.startswith("/") and ":" not in value:
                found[name] = value
        return found


@record
class RequireGroup:
    """A group that a user is listed in must be there: a missing one is an error, never passed over (C3)."""

    user: str
    group: str
    where: str = ""

    def describe(self) -> str:
        """The group and who needs it."""
        return f"check that the group {self.group} of user {self.user} exists"

    def would_change(self, host: Host) -> bool | None:
        """It changes nothing; None where the group is missing, since an earlier step of a plan may make it."""
        return None if read_table(host, "group").fields(self.group) is None else False

    def apply(self, host: Host) -> bool:
        """Look. KairosError: no such group."""
        if read_table(host, "group").fields(self.group) is None:
            raise KairosError(f"user {self.user} is listed in a group that does not exist: {self.group}", self.where,
                              "make it first, with ensure_entities in an earlier step")
        return False


def is_name(text: str) -> bool:
    """Whether *text* can be the name of a user or group: one word that no account file and no tool takes for something else."""
    odd = any(c in ":,/\\\"'" or c.isspace() or not c.isprintable() for c in text)
    return bool(text) and not odd and text[0] not in "-+~#" and text not in (".", "..")


def today(host: Host) -> str:
    """The day of a password's change: days since the epoch, never 0, which would ask for a new password at once."""
    return str(int(host.clock() // 86400) or 1)


def _owner(host: Host, home: str, users: Table) -> int | None:
    """The number that owns an existing home, if it is nobody's now: so files of an earlier installation stay their owner's."""
    try:
        now = os.stat(host.real(home))
    except OSError:
        return None
    taken = now.st_uid in users.numbers() or number(str(now.st_uid)) is None
    return None if now.st_uid == 0 or taken or not stat.S_ISDIR(now.st_mode) or _is_system(home) else now.st_uid


def _is_system(path: str) -> bool:
    path = os.path.normpath(f"/{path.lstrip('/')}")  # normpath keeps two slashes at the start
    return path in SYSTEM or f"{path}/".startswith(SYSTEM_TREES)


def make_home(host: Host, home: str, uid: int, gid: int, others: set[int]) -> bool:
    """Make the directory, or give an existing one to the account; the system's and those of *others* stay theirs.

    True if something changed. OSError: it cannot be made. KairosError: a user leads it elsewhere (C12).
    """
    if _is_system(home):
        return False
    with host.place(home, owner=uid) as place:
        if _is_system(place.path.removeprefix("" if host.root == "/" else host.root)):
            return False
        now = place.status
        if now is None:
            place.make_parents(HOME_MODE, None, None)
            place.make_directory(HOME_MODE, uid, gid)
            return True
        if not place.is_directory or (now.st_uid, now.st_gid) == (uid, gid) or (now.st_uid != 0 and now.st_uid in others):
            return False  # /dev/null and the like, or somebody else's
        place.own(uid, gid, None)
    return True
