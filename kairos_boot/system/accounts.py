"""passwd, shadow, group and gshadow: read and edited line by line, under the system's lock, each file old or new (C3)."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from _thread import allocate_lock  # `threading` costs more, and a run without jobs never needs it

from kairos_boot.errors import Explained, KairosError, reason
from kairos_boot.records import record
from kairos_boot.shown import one_line
from kairos_boot.system.atomic import clear, replace_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from kairos_boot.system.host import Host
    from kairos_boot.system.place import Place

FILES = {"user": ("/etc/passwd", 7), "shadow": ("/etc/shadow", 9), "group": ("/etc/group", 4), "gshadow": ("/etc/gshadow", 4)}
"""Kind of entry: its file and its number of fields; the name is the first."""
LOCK, LOCK_LIMIT = "/etc/.pwd.lock", 15.0
"""The lock of lckpwdf(3), and the seconds it waits."""
FIRST_ID, LAST_ID = 1000, 60000
"""Numbers that new accounts and groups get (yip's ranges)."""
FIRST_SYSTEM_ID, LAST_SYSTEM_ID = 101, 999
"""Those of accounts of services, given from the highest down as useradd(8) does."""
WRITE_ORDER = ("gshadow", "group", "shadow", "user")
"""An account comes to be with its passwd line, when everything that belongs to it is there; it goes in reverse order."""

_threads = allocate_lock()


@record
class Account:
    """A line of passwd."""

    name: str
    uid: int
    gid: int
    home: str


def lookup_user(host: Host, name: str) -> tuple[int, int]:
    """Number and primary group of a user of the node. KairosError: there is none of that name."""
    found = find_account(host, name)
    return found.uid, found.gid


def find_account(host: Host, name: str) -> Account:
    """The account *name* of the node's own passwd. KairosError: there is none, or its numbers are none."""
    fields = read_table(host, "user").fields(name)
    if fields is None:
        raise KairosError(f"unknown user: {one_line(name)}")
    uid, gid = number(fields[2]), number(fields[3])
    if uid is None or gid is None:
        raise KairosError(f"user {name} has no valid numbers in {FILES['user'][0]}")
    return Account(name, uid, gid, fields[5])


def lookup_group(host: Host, name: str) -> int:
    """Number of a group of the node. KairosError: there is none of that name."""
    fields = read_table(host, "group").fields(name)
    if fields is None:
        raise KairosError(f"unknown group: {one_line(name)}")
    gid = number(fields[2])
    if gid is None:
        raise KairosError(f"group {name} has no valid number in {FILES['group'][0]}")
    return gid


def number(text: str) -> int | None:
    """The user or group number that *text* is, or None."""
    value = int(text) if text.isascii() and text.isdecimal() and len(text) < 11 else -1
    return value if 0 <= value < 0xFFFFFFFF else None


class Table:
    """The lines of one file. What is no entry (comments, blank and NIS lines) stays as it is and is in nobody's way."""

    def __init__(self, kind: str, path: str, content: bytes | None) -> None:
        self.kind, self.path, self.width = kind, path, FILES[kind][1]
        self.missing = content is None
        self.lines = (content or b"").decode("utf-8", "surrogateescape").split("\n")
        self.ended = self.lines[-1] == ""
        if self.ended:
            self.lines.pop()
        self.changed = False

    def entries(self) -> Iterator[tuple[int, list[str]]]:
        """Line number from 0 and fields of each entry; a line with too few fields is filled up."""
        for index, line in enumerate(self.lines):
            if ":" not in line or line[0] in "#+-:":
                continue
            fields = line.split(":")
            if len(fields) <= self.width:
                yield index, fields + [""] * (self.width - len(fields))

    def fields(self, name: str) -> list[str] | None:
        """The fields of the first entry *name*, which is the one that counts."""
        return next((fields for _, fields in self.entries() if fields[0] == name), None)

    def put(self, fields: list[str]) -> None:
        """Make *fields* the entry of their name: in its place, or as a new last line."""
        line = ":".join(fields)
        for index, old in self.entries():
            if old[0] == fields[0]:
                if old != fields:
                    self.lines[index], self.changed = line, True
                return
        self.lines.append(line)
        self.ended = self.changed = True

    def remove(self, name: str, wanted: Mapping[int, str] | None = None) -> bool:
        """Take every entry *name* out that has the *wanted* fields (by their column from 0); True if there was one."""
        gone = [index for index, fields in self.entries() if fields[0] == name and all(fields[c] == v for c, v in (wanted or {}).items())]
        for index in reversed(gone):
            del self.lines[index]
            self.changed = True
        return bool(gone)

    def numbers(self) -> set[int]:
        return {value for _, fields in self.entries() if (value := number(fields[2])) is not None}

    def free_number(self, avoid: Collection[int] = (), *, system: bool = False) -> int:
        """The lowest number from 1000 on (of a *system* entry the highest up to 999) that is neither taken nor in *avoid*. KairosError: none is."""
        taken = self.numbers()
        numbers = range(LAST_SYSTEM_ID, FIRST_SYSTEM_ID - 1, -1) if system else range(FIRST_ID, LAST_ID + 1)
        for value in numbers:
            if value not in taken and value not in avoid:
                return value
        raise KairosError(f"no number between {min(numbers)} and {max(numbers)} is free in {self.path}")

    def bearer(self, value: int) -> str:
        """The name of the first entry with the number *value*, or nothing."""
        return next((fields[0] for _, fields in self.entries() if number(fields[2]) == value), "")

    def hidden(self, name: str) -> int:
        """The number (from 1) of a line of *name* that the C library does not take for an entry as it stands; 0 where there is none."""
        whole = {index for index, fields in self.entries() if fields[0] == name and (self.kind != "user" or (number(fields[2]) is not None and number(fields[3]) is not None))}
        return next((index + 1 for index, line in enumerate(self.lines) if index not in whole and ":" in line and line.split(":", 1)[0].strip() == name), 0)

    def content(self) -> bytes:
        text = "\n".join(self.lines) + ("\n" if self.ended and self.lines else "")
        return text.encode("utf-8", "surrogateescape")


def clear_tables(host: Host) -> None:
    """Remove what a cut run left beside the account files; for an edit that finds nothing to do."""
    for path, _ in FILES.values():
        with host.place(path) as place:
            clear(place)


def read_table(host: Host, kind: str, path: str = "") -> Table:
    """The file of *kind* as it is now. KairosError: it is there and cannot be read."""
    path = path or FILES[kind][0]
    with Explained(f"cannot read {path}"):
        return Table(kind, path, host.read(path))


class Accounts:
    """One edit of the account files: locked from `with` to its end, kept in memory until `save`."""

    def __init__(self, host: Host, limit: float = LOCK_LIMIT) -> None:
        self.host = host
        self._limit = limit
        self._tables: dict[tuple[str, str], Table] = {}
        self._fd = -1

    def __enter__(self) -> Accounts:
        """Take the lock that passwd(1), useradd(8) and systemd-sysusers take, too. KairosError: it stays taken."""
        _threads.acquire()  # the lock file's lock belongs to the process, so threads need one of their own
        try:
            self._fd = os.open(self.host.real(LOCK), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            end = time.monotonic() + self._limit
            while True:
                try:
                    fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as error:
                    if error.errno not in (errno.EACCES, errno.EAGAIN):
                        raise
                    if time.monotonic() >= end:
                        raise KairosError(f"another program has locked the account files for {self._limit:g} s", LOCK,
                                          f"see which one: fuser {LOCK}") from error
                    time.sleep(0.05)  # the kernel's own waiting has no time limit
                else:
                    return self
        except BaseException as error:
            self.__exit__()
            if isinstance(error, OSError):
                raise KairosError(f"cannot lock the account files: {reason(error)}", LOCK) from error
            raise

    def __exit__(self, *_: object) -> None:
        """Give the lock back; what was not saved is forgotten."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        _threads.release()

    def table(self, kind: str, path: str = "", *, optional: bool = False) -> Table:
        """The file of *kind* in this edit. KairosError: it cannot be read, or is missing (gshadow and an *optional* one may be)."""
        path = path or FILES[kind][0]
        if (kind, path) not in self._tables:
            self._tables[kind, path] = read_table(self.host, kind, path)
        table = self._tables[kind, path]
        if table.missing and kind != "gshadow" and not optional:
            raise KairosError(f"{path}: no such file")
        return table

    @property
    def changed(self) -> bool:
        return any(table.changed for table in self._tables.values())

    def check(self) -> bool:
        """Whether something has changed. KairosError: an unprivileged user has a hand in where that would be written (C12)."""
        for (_, path), table in self._tables.items():
            if table.changed:
                try:
                    self.host.place(path).close()
                except OSError as error:
                    raise KairosError(f"cannot write {path}: {reason(error)}") from error
        return self.changed

    def ensure_group(self, name: str, members: Iterable[str] = (), gid: int | None = None, password: str = "", path: str = "",
                     avoid: Collection[int] = ()) -> int:
        """Make the group, or add *members* to it, and return its number; an existing one keeps it unless *gid* is given.

        A new number is none of *avoid*.
        """
        table = self.table("group", path)
        fields = table.fields(name) or [name, "x", "", ""]
        if gid is None:
            gid = number(fields[2])
        fields[1:4] = [password or fields[1], str(table.free_number(avoid) if gid is None else gid), merged(fields[3], members)]
        table.put(fields)
        if table.path == FILES["group"][0] and fields[1] == "x":
            self._follow_group(fields)
        return int(fields[2])

    def _follow_group(self, group: list[str]) -> None:
        """Keep gshadow, where there is one, in step with a line of group; a new one is locked (C3)."""
        table = self.table("gshadow")
        if not table.missing:
            fields = table.fields(group[0]) or [group[0], "!", "", ""]
            fields[3] = merged(fields[3], filter(None, group[3].split(",")))
            table.put(fields)

    def remove_member(self, name: str) -> None:
        """Take a user that goes out of every group."""
        for kind in ("group", "gshadow"):
            table = self.table(kind)
            for _, fields in list(table.entries()):
                kept = [[n for n in f.split(",") if n != name] if name in f.split(",") else None for f in fields[2:]]
                if any(part is not None for part in kept):
                    table.put([*fields[:2], *(f if part is None else ",".join(part) for f, part in zip(fields[2:], kept, strict=True))])

    def save(self, *, removing: bool = False) -> bool:
        """Write what has changed, each file at once; True if something had. KairosError: a file cannot be written."""
        todo = [(path, table) for (_, path), table in
                sorted(self._tables.items(), key=lambda item: WRITE_ORDER.index(item[0][0]), reverse=removing) if table.changed]
        places: list[Place] = []
        try:
            for path, _ in todo:
                places.append(self.host.place(path))  # all of them are there before the first one is written
            for place, (path, table) in zip(places, todo, strict=True):  # noqa: B007 - the error below names it
                self._write(table, place)
                table.changed = False
        except OSError as error:
            raise KairosError(f"cannot write {path}: {reason(error)}") from error
        finally:
            for place in places:
                place.close()
        return bool(todo)

    @staticmethod
    def _write(table: Table, place: Place) -> None:
        now = place.status
        if now is None:
            replace_file(place, table.content(), 0o400, os.geteuid(), os.getegid())
        else:
            replace_file(place, table.content(), stat.S_IMODE(now.st_mode), now.st_uid, now.st_gid)


def merged(members: str, more: Iterable[str]) -> str:
    """A list of members with *more* of them at its end, each once; the order and spelling of the old ones stay."""
    old = [name for name in members.split(",") if name]
    new = [name for name in dict.fromkeys(more) if name not in old]
    return members if not new else ",".join(dict.fromkeys([*old, *new]))
