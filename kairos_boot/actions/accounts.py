"""Accounts: made once with everything they need; an existing one keeps all but its password (docs/reference/users.md, C3)."""

from __future__ import annotations

from kairos_boot.actions.homes import Home, taken
from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record
from kairos_boot.system.accounts import Accounts, clear_tables, number, read_table
from kairos_boot.system.keyvalue import lines
from kairos_boot.system.passwords import field, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kairos_boot.system.accounts import Table
    from kairos_boot.system.host import Host

__all__ = ("EnsureUser", "RequireGroup", "is_name", "number", "today")

DEFAULTS = "/etc/default/useradd"
LONGEST = 32
"""Bytes of a name that useradd(8), groupadd(8) and the records of logins take."""


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
    """Empty: a group of the user's name, made if there is none (see *own_group*)."""
    groups: tuple[str, ...] = ()
    """More groups; those that are missing are left out (see RequireGroup) unless *create_groups*."""
    create_groups: bool = False
    create_home: bool = True
    where: str = ""
    plain: bool = False
    """The password is plain text whatever it begins with (B12)."""
    system: bool = False
    """A low number, for a service."""
    own_group: bool = True
    """Else the primary group is that of /etc/default/useradd, or 100."""
    unique: bool = False
    """A *uid* that another account has is an error."""
    expire: int | None = None
    """The day, since the epoch, from which the account is closed."""
    inactive: int | None = None
    """Days after the end of the password's time until the account is closed."""
    homes: tuple[str, ...] = ()
    """Homes of other accounts of the document: whose number one gives is theirs (C8)."""
    reserved: tuple[int, ...] = ()
    """Numbers that other accounts of the document are given."""

    def __repr__(self) -> str:
        """No password."""
        return f"EnsureUser({self.name!r})"

    @property
    def subject(self) -> str:
        return f"user {self.name}"

    def describe(self) -> str:
        """The account and what it is given; no password."""
        words = [f"uid {self.uid}" if self.uid is not None else "", f"group {self.primary_group}" if self.primary_group else "",
                 f"groups {', '.join(self.groups)}" if self.groups else "", "locked" if self.lock else "password set" if self.password else ""]
        known = "; ".join(filter(None, words))
        return f"ensure user {self.name}" + (f" ({known})" if known else "")

    def would_change(self, host: Host) -> bool | None:
        """Whether there is no such account, or it has another password. KairosError: there is half a line of it, or it cannot be made."""
        users = read_table(host, "user")
        line = users.hidden(self.name)
        if line:
            raise KairosError(f"line {line} of {users.path} names it and is no account to the C library", self.where, "mend the line or take it out")
        account = users.fields(self.name)
        if account is None:
            self._look(host, users, set())
            return True
        if not self.password or self.lock:
            return False
        shadow = read_table(host, "shadow").fields(self.name)
        return shadow is None or account[1] != "x" or self._field(shadow[1]) != shadow[1]

    def apply(self, host: Host) -> bool:
        """Make the account or set its password. KairosError: a number or a file is missing or taken; nothing was changed.

        A home that cannot be made does not stop the account: it is there when the error comes.
        """
        try:
            if not self.would_change(host):
                clear_tables(host)
                return False
            with Accounts(host) as accounts:
                line = accounts.table("user").fields(self.name)
                accounts.table("shadow")
                if line is None:
                    return self._make(host, accounts)
                set_password(accounts, self.name, self._field, today(host))
                return accounts.save()
        except KairosError as error:
            raise KairosError(f"user {self.name}: {error.message}", self.where, error.hint) from error

    def _field(self, stored: str) -> str:
        if self.lock or not self.password:
            return "!"
        return plain(self.password, stored) if self.plain else field(self.password, stored)

    def _make(self, host: Host, accounts: Accounts) -> bool:
        """Everything is looked up before the first write (C9); the passwd line comes last."""
        users, defaults = accounts.table("user"), usual(host)
        uids, gids = taken(host, defaults["HOME"], self.homes)
        home, uid = self._look(host, users, uids)
        gid = self._gid(accounts, home, gids, defaults["GROUP"])
        for group in self.groups:
            if self.create_groups or accounts.table("group").fields(group):
                accounts.ensure_group(group, (self.name,), avoid=gids)
        set_password(accounts, self.name, self._field, today(host))
        self._set_days(accounts.table("shadow"))
        users.put([self.name, "x", str(uid), str(gid), self.gecos or "Created by entities", home.path, self.shell or defaults["SHELL"]])
        failure = ""
        if self.create_home:
            try:
                # Before the account: cut here, the next run finds the home and takes its number.
                home.make(uid, gid, users.numbers() - {uid})
            except (OSError, KairosError) as error:
                failure = f"it was made, but its home {home.path} was not: {reason(error) if isinstance(error, OSError) else error.message}"
        accounts.save()
        if failure:
            raise KairosError(failure)
        return True

    def _look(self, host: Host, users: Table, avoid: set[int]) -> tuple[Home, int]:
        """The new account's home and number. KairosError: it cannot have them."""
        home = Home(host, self.home or f"{usual(host)['HOME'].rstrip('/')}/{self.name}", self.uid)
        uid = self._uid(users, home, avoid)
        if self.create_home:
            home.check(uid)
        return home, uid

    def _uid(self, users: Table, home: Home, avoid: set[int]) -> int:
        if self.uid is not None:
            other = users.bearer(self.uid)
            if other and self.unique:
                raise KairosError(f"its number {self.uid} is that of {other}, so it was not made", hint="give another uid, or none")
            return self.uid
        owner = home.owner(users)
        return owner if owner is not None else users.free_number(avoid | set(self.reserved), system=self.system)

    def _gid(self, accounts: Accounts, home: Home, avoid: set[int], default: str) -> int:
        groups = accounts.table("group")
        if self.primary_group:
            if not self.create_groups and not groups.fields(self.primary_group):
                raise KairosError(f"its primary group does not exist: {self.primary_group}", hint="make it first, with ensure_entities in an earlier step")
            return accounts.ensure_group(self.primary_group, (self.name,), avoid=avoid)
        if not self.own_group:
            name = groups.bearer(int(default)) if number(default) is not None else default
            found = groups.fields(name) if name else None
            if found is None or number(found[2]) is None:
                raise KairosError(f"there is no group {default}, which {DEFAULTS} or its default gives to users without a group of their own",
                                  hint="give primary_group")
            return int(found[2])
        if groups.fields(self.name) is None:
            gid = home.group(groups)
            return accounts.ensure_group(self.name, (self.name,), gid if gid is not None else groups.free_number(avoid, system=self.system))
        return accounts.ensure_group(self.name, (self.name,), avoid=avoid)

    def _set_days(self, shadow: Table) -> None:
        line = shadow.fields(self.name)
        assert line is not None
        shadow.put([*line[:6], line[6] if self.inactive is None else str(self.inactive) if self.inactive >= 0 else "",
                    line[7] if self.expire is None else str(self.expire), line[8]])


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


def usual(host: Host) -> dict[str, str]:
    """The defaults of useradd(8) for an account that is not told more: base of homes, shell, and the group of those without their own."""
    found = {"HOME": "/home", "SHELL": "/bin/sh", "GROUP": "100"}
    for name, value, _, _ in lines((host.read(DEFAULTS) or b"").decode("utf-8", "replace")):
        if name in found and value and ":" not in value and (name == "GROUP" or value.startswith("/")):
            found[name] = value
    return found


def is_name(text: str) -> bool:
    """Whether *text* can be the name of a user or group: one word that no account file and no tool takes for something else."""
    return is_entry(text) and not text.isdecimal() and len(text.encode("utf-8", "surrogateescape")) <= LONGEST


def is_entry(text: str) -> bool:
    """Whether *text* can stand as a name in an account file, also one that nobody should bear."""
    odd = any(c in ":,/\\\"'" or c.isspace() or not c.isprintable() for c in text)
    return bool(text) and not odd and text[0] not in "-+~#" and text not in (".", "..")


def today(host: Host) -> str:
    """The day of a password's change: days since the epoch, never 0, which would ask for a new password at once."""
    return str(int(host.clock() // 86400) or 1)


def set_password(accounts: Accounts, name: str, new: Callable[[str], str], day: str) -> None:
    """Give *name* the field of shadow that *new* makes of its present one, changed on *day*; what stands in passwd leads there then."""
    account = accounts.table("user").fields(name)
    if account and account[1] != "x":
        accounts.table("user").put([name, "x", *account[2:]])
    shadow = accounts.table("shadow")
    line = shadow.fields(name) or [name, *[""] * 8]
    password = new(line[1])
    if password != line[1]:
        shadow.put([name, password, day, *line[3:]])
