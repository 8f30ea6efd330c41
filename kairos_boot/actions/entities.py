"""Entities: single lines of passwd, shadow, group and gshadow, made so or taken out (docs/reference/ensure_entities.md, C3)."""

from __future__ import annotations

from kairos_boot.actions.accounts import today, usual
from kairos_boot.actions.homes import taken
from kairos_boot.errors import KairosError
from kairos_boot.records import NOTHING, record
from kairos_boot.system.accounts import FILES, Accounts, clear_tables, lookup_group, number
from kairos_boot.system.passwords import field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kairos_boot.system.host import Host

COLUMNS = {
    "user": ("username", "password", "uid", "gid", "info", "homedir", "shell"),
    "shadow": ("username", "password", "last_changed", "minimum_changed", "maximum_changed", "warn", "inactive", "expire", "reserved"),
    "group": ("group_name", "password", "gid", "users"),
    "gshadow": ("name", "password", "administrators", "members"),
}
"""Keys of each kind in the order of the file's fields; a user may name its `group` instead of its `gid`."""
MARKS = frozenset(("", "x", "*", "!", "!!"))
"""What passwd and group, which everybody reads, may hold in place of a password."""


@record
class Entity:
    """What both actions know: the kind, its keys as given (numbers as decimal text), and another file than the kind's own."""

    kind: str
    values: Mapping[str, str] = NOTHING
    path: str = ""
    where: str = ""
    homes: tuple[str, ...] = ()
    """Homes of the step's users: no new number is one that owns them (C8)."""

    def __repr__(self) -> str:
        """No password."""
        return f"{type(self).__name__}({self.kind!r}, {self.name!r})"

    @property
    def name(self) -> str:
        return self.values.get(COLUMNS[self.kind][0], "")

    @property
    def subject(self) -> str:
        return f"{self.kind} {self.name} in {self.file}"

    @property
    def file(self) -> str:
        return self.path or FILES[self.kind][0]

    @property
    def own_file(self) -> bool:
        """Whether that is the file of the node's accounts, so that its neighbours follow."""
        return self.file == FILES[self.kind][0]

    def would_change(self, host: Host) -> bool | None:
        accounts = Accounts(host)
        self._edit(accounts, host)
        return accounts.check()

    def apply(self, host: Host) -> bool:
        """Edit the file. KairosError: it is missing, or the entry needs something that is."""
        try:
            if not self.would_change(host):
                clear_tables(host)
                return False  # no lock, so that nothing is written where nothing changes
            with Accounts(host) as accounts:
                self._edit(accounts, host)
                return accounts.save(removing=isinstance(self, DeleteEntity))
        except KairosError as error:
            raise KairosError(f"{self.kind} {self.name}: {error.message}", self.where, error.hint) from error

    def _edit(self, accounts: Accounts, host: Host) -> None:
        raise NotImplementedError


@record
class EnsureEntity(Entity):
    """The line with these values: an existing one is replaced in its place, of a group the members are added."""

    __repr__ = Entity.__repr__

    def describe(self) -> str:
        """Kind, name and file; no value."""
        return f"ensure {self.kind} {self.name} in {self.file}"

    def _edit(self, accounts: Accounts, host: Host) -> None:
        if self.kind == "group":
            self._group(accounts, host)
            return
        table = accounts.table(self.kind, self.path)
        old = table.fields(self.name)
        line = [self.values.get(column, "") for column in COLUMNS[self.kind]]
        secret = ""
        if self.kind == "user":
            secret = self._user(accounts, host, line, old)
        elif self.kind == "shadow":
            self._shadow(host, line, old)
        elif line[1] not in ("", "x"):
            line[1] = field(line[1], old[1] if old else "")
        table.put(line)
        if self.kind == "user" and self.own_file and line[1] == "x":
            self._follow_user(accounts, host, secret)

    def _group(self, accounts: Accounts, host: Host) -> None:
        homes = taken(host, usual(host)["HOME"], self.homes)[1] if self.own_file else set()
        gid, password = number(self.values.get("gid", "")), self.values.get("password", "")
        members = [n.strip() for n in self.values.get("users", "").split(",") if n.strip()]
        secret, shadow = "" if password in MARKS else password, accounts.table("gshadow")
        if secret and self.own_file and not shadow.missing:
            accounts.ensure_group(self.name, members, gid, "x", self.path, homes)
            line = shadow.fields(self.name) or [self.name, "!", "", ""]
            shadow.put([line[0], field(secret, line[1]), *line[2:]])
            return
        old = accounts.table("group", self.path).fields(self.name)
        accounts.ensure_group(self.name, members, gid, field(secret, old[1] if old else "") if secret else password, self.path, homes)

    def _user(self, accounts: Accounts, host: Host, line: list[str], old: list[str] | None) -> str:
        """Numbers are never taken by accident: what is not given stays, or is the lowest free one (C3).

        A password, since everybody reads passwd, is given back for shadow where there is one, and else stands there as its hash.
        """
        secret = "" if line[1] in MARKS else line[1]
        if secret and self.own_file and not accounts.table("shadow", optional=True).missing:
            line[1] = "x"
        elif secret:
            line[1] = field(secret, old[1] if old else "")
        line[1] = line[1] or (old[1] if old else "") or "x"
        if number(line[2]) is None:
            line[2] = old[2] if old else str(accounts.table("user", self.path).free_number(taken(host, usual(host)["HOME"], self.homes)[0]))
        if self.values.get("group"):
            line[3] = str(lookup_group(host, self.values["group"]))
        elif number(line[3]) is None:
            own = accounts.table("group", optional=True).fields(self.name)
            if not old and not own:
                raise KairosError("neither its gid nor its group is given", hint="add gid: or group:")
            line[3] = old[3] if old else (own or [])[2]
        line[4] = line[4] or "Created by entities"
        return secret

    def _shadow(self, host: Host, line: list[str], old: list[str] | None) -> None:
        stored = old[1] if old else ""
        line[1] = field(line[1], stored) if line[1] else stored or "!"
        if line[2] == "now":
            line[2] = old[2] if old and old[2] and line[1] == stored else today(host)
        line[3:] = [new or (old[column] if old else "") for column, new in enumerate(line[3:], 3)]

    def _follow_user(self, accounts: Accounts, host: Host, secret: str) -> None:
        """A new account has a line in shadow, where there is one: locked, unless there is a password."""
        table = accounts.table("shadow", optional=True)
        if table.missing:
            return
        line = table.fields(self.name)
        if line is None:
            table.put([self.name, field(secret, "") if secret else "!", today(host), *[""] * 6])
        elif secret:
            password = field(secret, line[1])
            if password != line[1]:
                table.put([self.name, password, today(host), *line[3:]])


@record
class DeleteEntity(Entity):
    """The line of that name goes if it has the values that are given; a group goes whatever they are."""

    __repr__ = Entity.__repr__

    def describe(self) -> str:
        return f"delete {self.kind} {self.name} from {self.file}"

    def _edit(self, accounts: Accounts, host: Host) -> None:
        wanted: dict[int, str] = {}
        if self.kind != "group":
            wanted = {column: self.values[key] for column, key in enumerate(COLUMNS[self.kind]) if self.values.get(key)}
            if self.kind == "user" and self.values.get("password", "") not in MARKS:
                del wanted[1]  # a password stands in shadow, and as its hash
            if self.kind == "user" and self.values.get("group"):
                wanted[3] = str(lookup_group(host, self.values["group"]))
        gone = accounts.table(self.kind, self.path, optional=True).remove(self.name, wanted)
        if not self.own_file:
            return
        if self.kind == "user" and gone:
            accounts.table("shadow", optional=True).remove(self.name)
            accounts.remove_member(self.name)
        elif self.kind == "group":
            accounts.table("gshadow").remove(self.name)
