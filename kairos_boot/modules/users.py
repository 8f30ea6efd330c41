"""users: accounts with password, groups, home and keys (spec/modules.md 3.10, decisions B12 and C3)."""

from __future__ import annotations

from kairos_boot.actions.accounts import EnsureUser, RequireGroup, is_name, number
from kairos_boot.actions.authorized_keys import from_items
from kairos_boot.actions.base import Invalid, Note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kairos_boot.actions.base import Action
    from kairos_boot.cloudconfig.model import Step, User
    from kairos_boot.facts import Facts

KEY = "users"
UNUSED = ("system", "no_user_group")
"""Keys of cloud-init that Kairos reads and does not act on."""


def plan(step: Step, facts: Facts) -> Iterator[Action]:  # noqa: ARG001
    """Yield each account in the order of the names, so that numbers do not depend on the order of the document."""
    for name in sorted(step.users):
        user = step.users[name]
        wrong = _wrong(step, name, user)
        if wrong:
            yield wrong
            continue
        for key in UNUSED:
            if getattr(user, key):
                yield Note(step.where(KEY, name, key), f"{key} has no effect", "give uid, primary_group or no_create_home instead")
        yield EnsureUser(
            name, user.passwd, user.lock_passwd, number(user.uid), user.gecos, user.homedir, user.shell,
            user.primary_group, user.groups, user.create_groups, not user.no_create_home, step.where(KEY, name))
        if not user.create_groups:
            for index, group in enumerate(user.groups):
                yield RequireGroup(name, group, step.where(KEY, name, "groups", index))
        keys = [(item, step.where(KEY, name, "ssh_authorized_keys", i)) for i, item in enumerate(user.ssh_authorized_keys)]
        yield from from_items(name, keys, step.timeout, step.retries)


def _wrong(step: Step, name: str, user: User) -> Invalid | None:
    """The first value that no account file can hold."""
    def invalid(key: str, message: str, hint: str = "") -> Invalid:
        return Invalid(step.where(KEY, name, key) if key else step.where(KEY, name), message, hint)

    if not is_name(name):
        return invalid("", f"not a user name: {name!r}")
    if user.uid and number(user.uid) is None:
        return invalid("uid", f"user {name}: not a user number: {user.uid[:40]!r}", "write it like 1500")
    for key, value in (("gecos", user.gecos), ("homedir", user.homedir), ("shell", user.shell)):
        if any(c in value for c in ":\n\0"):
            return invalid(key, f"user {name}: {key} must be one line without a colon")
        if key != "gecos" and value and not value.startswith("/"):
            return invalid(key, f"user {name}: not an absolute path: {value!r}", "begin it with /")
    if any(c in user.passwd for c in "\n\0") or (":" in user.passwd and user.passwd[:1] in ("$", "!")):
        return invalid("passwd", f"user {name}: the password holds a character that no account file can hold")
    for key, group in (("primary_group", user.primary_group or name), *(("groups", group) for group in user.groups)):
        if not is_name(group):
            return invalid(key, f"user {name}: not a group name: {group!r}")
    return None
