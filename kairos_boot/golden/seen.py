"""What came out, in the words of what was expected: two lists of lines for each section, which are equal or are shown as a difference."""

from __future__ import annotations

import os
import stat

from kairos_boot.golden.tree import owner, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from kairos_boot.system.host import Host

    Lines = list[str]

UNITS = {"enable": "enabled", "disable": "disabled", "mask": "masked", "unmask": "unmasked", "start": "started", "stop": "stopped", "restart": "restarted"}
RAN = ("done", "unchanged")


def steps(wanted: Sequence[str], records: Sequence[dict[str, Any]]) -> tuple[Lines, Lines]:
    """The steps in their order. A name alone is a step that ran; `NAME: skipped` without a reason is one for any reason.

    The name need not have the document's before it.
    """
    got: Lines = []
    for record in records:
        if record["kind"] == "step":
            name, result, reason = record["step"], record["result"], record["reason"]
            tails = [f": {result}: {reason}"] if result == "skipped" else []
            tails += [f": {result}", *([""] if result in RAN else [])]
            want = wanted[len(got)] if len(got) < len(wanted) else ""
            fits = any(want.endswith(tail) and f".{name}".endswith(f".{want.removesuffix(tail)}") for tail in tails)
            got.append(want if fits else name if result in RAN else name + tails[0])
    return list(wanted), got


def contained(wanted: Sequence[str], told: Sequence[str]) -> tuple[Lines, Lines]:
    """What was told, each with a wanted text in it."""
    left, got = list(wanted), []
    for text in told:
        fits = next((want for want in left if want in text), None)
        got.append(text if fits is None else fits)
        if fits is not None:
            left.remove(fits)
    return sorted(wanted), sorted(got)


def commands(wanted: Sequence[str], ran: Sequence[tuple[str, ...]]) -> tuple[Lines, Lines]:
    return [line for want in wanted for line in want.strip().splitlines()], [line for argv in ran for line in shown(argv).splitlines()]


def units(wanted: dict[str, Any], ran: Sequence[tuple[str, ...]]) -> tuple[Lines, Lines]:
    """What systemctl was told of each unit."""
    told: dict[str, list[str]] = {}
    for argv in ran:
        if argv[0].rpartition("/")[2] == "systemctl":
            words = [word for word in argv[1:] if not word.startswith("-")]
            for unit in words[1:] if words and words[0] in UNITS else []:
                told.setdefault(unit, []).append(UNITS[words[0]])
                if "--now" in argv:
                    told[unit].append("stopped" if words[0] in ("disable", "mask") else "started")
    want = {unit: states if isinstance(states, list) else [states] for unit, states in wanted.items()}
    return [f"{unit}: {', '.join(states)}" for unit, states in want.items()], [f"{unit}: {', '.join(told.get(unit, ['nothing was asked for']))}" for unit in want]


def links(wanted: dict[str, Any], host: Host) -> tuple[Lines, Lines]:
    def target(path: str) -> str:
        try:
            return os.readlink(host.entry(path))
        except OSError:
            return "(no link)"

    return [f"{path} -> {target}" for path, target in wanted.items()], [f"{path} -> {target(path)}" for path in wanted]


def paths(wanted: dict[str, dict[str, Any]], host: Host, kind: Callable[[int], bool], noun: str) -> tuple[Lines, Lines]:
    """Files, or directories."""
    want: Lines = []
    got: Lines = []
    for path, keys in wanted.items():
        try:
            now: os.stat_result | None = os.stat(host.path(path))
        except OSError:
            now = None
        if now is None or not kind(now.st_mode) or keys.get("absent") == "true":
            state = "absent" if now is None else f"there, {'' if kind(now.st_mode) else 'no '}{noun}"
            want += [f"{path}: absent"] if keys.get("absent") == "true" else _keys(path, keys)
            got.append(f"{path}: {state}")
            continue
        want += _keys(path, keys)
        got += _keys(path, {key: _seen(key, value, now, host, path) for key, value in keys.items()})
    return want, got


def _seen(key: str, value: Any, now: os.stat_result, host: Host, path: str) -> Any:
    if key == "absent":
        return value
    if key == "mode":
        return f"{stat.S_IMODE(now.st_mode):04o}"
    if key in ("owner", "group"):
        number = owner(now)[key == "group"]
        table = entries(host, "/etc/passwd" if key == "owner" else "/etc/group")
        names = [name for name, fields in table.items() if fields[2:3] == [str(number)]]
        return value if value in (*names, str(number)) else (*names, str(number))[0]
    content = (host.read(path) or b"").decode("utf-8", "backslashreplace")
    return value if key == "contains" and value in content else content


def _keys(name: str, keys: dict[str, Any]) -> Lines:
    lines = [name]
    for key, value in keys.items():
        if key in ("content", "contains"):
            lines += [f"  {key}:", *(f"    |{line}" for line in value.split("\n"))]
        else:
            lines.append(f"  {key}: {', '.join(value) if isinstance(value, list) else value}")
    return lines


def entries(host: Host, path: str) -> dict[str, list[str]]:
    """The lines of a file such as /etc/passwd by their names."""
    lines = (host.read(path) or b"").decode("utf-8", "replace").splitlines()
    return {line.split(":")[0]: line.split(":") for line in lines if ":" in line}


def accounts(wanted: dict[str, dict[str, Any]], host: Host, kind: str) -> tuple[Lines, Lines]:
    """Users, or groups."""
    known = entries(host, "/etc/passwd" if kind == "users" else "/etc/group")
    groups = entries(host, "/etc/group")
    want: Lines = []
    got: Lines = []
    for name, keys in wanted.items():
        fields = known.get(name)
        gone = keys.get("absent") == "true"
        want += [f"{name}: absent"] if gone else _keys(name, {key: sorted(value) if isinstance(value, list) else value for key, value in keys.items()})
        if fields is None or gone:
            got.append(f"{name}: absent" if fields is None else f"{name}: there")
            continue
        has: dict[str, Any] = {"absent": "false"}
        if kind == "users":
            has |= dict(zip(("uid", "gid", "home", "shell"), (*fields[2:4], *fields[5:7]), strict=False))
            has["groups"] = sorted(group for group, each in groups.items() if name in each[-1].split(",") or each[2:3] == fields[3:4])
        else:
            has |= {"gid": fields[2], "members": sorted(filter(None, fields[-1].split(",")))}
        got += _keys(name, {key: has.get(key, "") for key in keys})
    return want, got
