"""users: accounts with password, groups, home and keys (docs/reference/users.md, B12, C3)."""

from __future__ import annotations

from kairos_boot.actions.accounts import EnsureUser, RequireGroup, is_name, number
from kairos_boot.actions.authorized_keys import from_items
from kairos_boot.actions.base import Invalid, Note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.cloudconfig.model import Step, User
    from kairos_boot.facts import Facts
    from kairos_boot.modules import Plan

KEY = "users"
UNUSED = ("system", "no_user_group")
"""Keys of cloud-init that Kairos reads and does not act on; in the classic half of a document they count (B12)."""


def plan(step: Step, facts: Facts) -> Plan:
    """Yield each account in the order of the names, so that numbers do not depend on the order of the document."""
    homes = tuple(user.homedir for user in step.users.values() if user.homedir.startswith("/"))
    given = tuple(value for user in step.users.values() if (value := number(user.uid)) is not None)
    for name in sorted(step.users):
        user = step.users[name]
        wrong = _wrong(step, name, user)
        if wrong:
            yield wrong
            continue
        classic, uid = step.classic, number(user.uid)
        for key in UNUSED:
            if getattr(user, key) and not classic:
                yield Note(step.where(KEY, name, key), f"{key} has no effect", "give uid, primary_group or no_create_home instead")
        other = "" if classic or uid is None else _bearer(facts, uid)
        if other not in ("", name):
            yield Note(step.where(KEY, name, "uid"), f"user {name}: the number {uid} is that of {other}, too", "each can open the other's files; give another uid unless that is meant")
        yield EnsureUser(
            name, user.plain_text_passwd or user.passwd, user.lock_passwd, uid, user.gecos, user.homedir, user.shell,
            user.primary_group, user.groups, user.create_groups, not (user.no_create_home or (classic and user.system)), step.where(KEY, name),
            bool(user.plain_text_passwd), classic and user.system, not (classic and user.no_user_group), classic, day(user.expiredate), _integer(user.inactive), homes, given)
        if not user.create_groups:
            for index, group in enumerate(user.groups):
                yield RequireGroup(name, group, step.where(KEY, name, "groups", index))
        keys = [(item, step.where(KEY, name, "ssh_authorized_keys", i)) for i, item in enumerate(user.ssh_authorized_keys)]
        yield from from_items(name, keys, step.timeout, step.retries)


def _bearer(facts: Facts, uid: int) -> str:
    """Who has the number *uid* now."""
    for line in (facts.read("/etc/passwd") or b"").decode("utf-8", "surrogateescape").split("\n"):
        fields = line.split(":")
        if len(fields) > 3 and fields[2] == str(uid):
            return fields[0]
    return ""


def day(text: str) -> int | None:
    """The day since the epoch that *text* (YYYY-MM-DD) names, None where there is none. ValueError: it is no date."""
    if not text:
        return None
    year, month, of_month = (int(part) if part.isascii() and part.isdecimal() and len(part) == width else 0
                             for part, width in zip((text.split("-") + [""] * 3)[:3], (4, 2, 2), strict=True))
    leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0
    months = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    if len(text) != 10 or year < 1970 or not 1 <= month <= 12 or not 1 <= of_month <= months[month - 1]:
        raise ValueError(text)
    before = year - 1
    return before * 365 + before // 4 - before // 100 + before // 400 - 719162 + sum(months[:month - 1]) + of_month - 1


def _integer(text: str) -> int | None:
    return int(text) if text else None


def _wrong(step: Step, name: str, user: User) -> Invalid | None:
    """The first value that no account file can hold."""
    def invalid(key: str, message: str, hint: str = "") -> Invalid:
        return Invalid(step.where(KEY, name, key) if key else step.where(KEY, name), message, hint)

    if not is_name(name):
        return invalid("", f"not a user name: {name!r}")
    if user.uid and number(user.uid) is None:
        return invalid("uid", f"user {name}: not a user number: {user.uid[:40]!r}", "write it like 1500")
    try:
        day(user.expiredate)
    except ValueError:
        return invalid("expiredate", f"user {name}: not a date: {user.expiredate[:40]!r}", "write it like 2032-09-01")
    days = user.inactive.removeprefix("-")
    if user.inactive and not (days.isascii() and days.isdecimal() and len(days) < 7):
        return invalid("inactive", f"user {name}: not a number of days: {user.inactive[:40]!r}", "write it like 30; -1 is never")
    for key, value in (("gecos", user.gecos), ("homedir", user.homedir), ("shell", user.shell)):
        if any(c in value for c in ":\n\0"):
            return invalid(key, f"user {name}: {key} must be one line without a colon")
        if key != "gecos" and value and not value.startswith("/"):
            return invalid(key, f"user {name}: not an absolute path: {value!r}", "begin it with /")
    if any(c in user.passwd for c in "\n\0") or (":" in user.passwd and user.passwd[:1] in ("$", "!")):
        return invalid("passwd", f"user {name}: the password holds a character that no account file can hold")
    if any(c in user.plain_text_passwd for c in "\n\0"):
        return invalid("plain_text_passwd", f"user {name}: the password holds a character that nobody can type")
    for key, group in (("primary_group", user.primary_group or name), *(("groups", group) for group in user.groups)):
        if not is_name(group):
            return invalid(key, f"user {name}: not a group name: {group!r}")
    return None
