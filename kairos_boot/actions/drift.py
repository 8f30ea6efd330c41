"""What a step declared and the node has otherwise now, in words. Loaded only where something drifted."""

from __future__ import annotations

import os
import stat

from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from kairos_boot.system.host import Host


SHOWN = ("Id", "LoadState", "ActiveState", "SubState", "Result", "Type", "RemainAfterExit", "ConditionResult", "ConditionTimestampMonotonic", "UnitFileState")
"""Properties of a unit that `deviates` reads."""


@record
class Difference:
    """*subject* (a path, a unit, an account …), what is *wanted* of it and what was *found*; without secrets (C5)."""

    subject: str
    wanted: str
    found: str


def difference(action: Any, host: Host) -> Difference:
    """What *action*, which would change something, is about."""
    words = _WORDS.get(type(action).__name__, _plainly)
    try:
        wanted, found = words(action, host)
    except KairosError as error:
        wanted, found = action.describe(), error.message
    except OSError as error:
        wanted, found = action.describe(), reason(error)
    return Difference(action.subject, wanted, found)


def _plainly(action: Any, host: Host) -> tuple[str, str]:
    path = getattr(action, "path", "")
    return action.describe(), "it is not there" if path and not os.path.lexists(host.entry(path)) else "it is otherwise"


def _file(action: Any, host: Host) -> tuple[str, str]:
    user, group = action.owner.ids(host)
    with host.place(action.path, owner=user) as place:
        now = place.status
        if now is None:
            return action.describe(), "there is no such file"
        if not place.is_file:
            return action.describe(), "it is not a regular file"
        wanted, found = _attributes(action, user, group, now)
        if action.append:
            if action.content not in (place.read() or b""):
                wanted, found = [f"{len(action.content)} bytes that are in it", *wanted], ["they are not", *found]
        elif now.st_size not in (len(action.content), 0) or place.read(len(action.content) + 1) != action.content:
            wanted, found = [f"{len(action.content)} bytes", *wanted], [f"{'other ' if now.st_size == len(action.content) else ''}{now.st_size} bytes", *found]
    return ", ".join(wanted), ", ".join(found)


def _directory(action: Any, host: Host) -> tuple[str, str]:
    user, group = action.owner.ids(host)
    with host.place(action.path, owner=user) as place:
        if place.status is None:
            return "a directory", "there is none"
        if not place.is_directory:
            return "a directory", "it is none"
        wanted, found = _attributes(action, user, group, place.status)
    return ", ".join(wanted), ", ".join(found)


def _attributes(action: Any, user: int | None, group: int | None, now: os.stat_result) -> tuple[list[str], list[str]]:
    """Mode and owner, as far as they differ."""
    wanted, found = [], []
    for what, want, have in (("mode", action.mode, stat.S_IMODE(now.st_mode)), ("user", user, now.st_uid), ("group", group, now.st_gid)):
        if want is not None and want != have:
            form = "04o" if what == "mode" else "d"
            wanted.append(f"{what} {want:{form}}")
            found.append(f"{what} {have:{form}}")
    return wanted, found


def _kernel(action: Any, host: Host) -> tuple[str, str]:
    return repr(action.value), repr((host.read(action.path) or b"").decode("utf-8", "replace").strip())


def _user(action: Any, host: Host) -> tuple[str, str]:
    from kairos_boot.system.accounts import read_table

    there = read_table(host, "user").fields(action.name) is not None
    return action.describe(), "it has another password" if there else "there is no such account"


def _keys(action: Any, host: Host) -> tuple[str, str]:  # noqa: ARG001
    return f"{len(action.lines)} ssh key{'s' if len(action.lines) != 1 else ''}", "not all of them are there"


def _unit(action: Any, host: Host) -> tuple[str, str]:
    return action.wanted, "; ".join(f"{name}: {found}" if len(action.words) > 1 else found for name, found in action.deviating(host))


def deviates(verb: str, unit: Mapping[str, str]) -> str:
    """How a *unit* is, if not as `systemctl VERB` made it; nothing where it is so, or where its properties do not tell."""
    file, active = unit.get("UnitFileState", ""), unit.get("ActiveState", "")
    if verb == "mask":
        return "" if unit.get("LoadState", "masked") == "masked" else file or "not masked"
    if verb != "start":
        return file if file and file.startswith(("disabled", "masked") if verb == "enable" else ("enabled",)) else ""
    ended = unit.get("Type") == "oneshot" and unit.get("RemainAfterExit") == "no" and unit.get("Result") == "success"
    # A unit that nobody refers to is forgotten when it stops: then its condition was never asked, and counts as unmet, too.
    unmet = unit.get("ConditionResult") == "no" and unit.get("ConditionTimestampMonotonic", "0") != "0"
    if active in ("", "active", "activating", "reloading") or (active == "inactive" and (ended or unmet)):
        return ""
    why = unit.get("Result", "success")
    return f"{active} ({unit.get('SubState', '')})" + ("" if why == "success" else f", {why}")


_WORDS = {"WriteFile": _file, "MakeDirectory": _directory, "WriteKernel": _kernel, "EnsureUser": _user, "AuthorizedKeys": _keys, "SetUnit": _unit}
