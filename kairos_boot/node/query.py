"""Questions to settings and to the state: plain paths by ourselves, anything else by the jq program where it is installed.

A path is what jq and the published documentation write: `install.device`, `.users[0].name`, `"k3s-agent".enabled`, `["k3s-agent"]`, `users[].name`.
A name with a dash needs no quotes here.
"""

from __future__ import annotations

from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kairos_boot.system.process import ProcessRunner

NAME = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
LIMIT = 30.0
"""Seconds for the jq program."""
EVERY: Any = object()
"""The part `[]` of a path: each element."""


def path_of(query: str) -> list[Any] | None:
    """The names, indexes and EVERY of a plain path; None where it is more than that."""
    text = query.strip()
    parts: list[Any] = []
    at = 1 if text.startswith(".") else 0
    while at < len(text):
        if text[at] == "[":
            close = text.find("]", at)
            inside = text[at + 1:close].strip()
            if close < 0:
                return None
            if not inside:
                parts.append(EVERY)
            elif inside.isdecimal():
                parts.append(int(inside))
            elif len(inside) > 1 and inside[0] == inside[-1] == '"' and '"' not in inside[1:-1]:
                parts.append(inside[1:-1])
            else:
                return None
            at = close + 1
        elif text[at] == '"':
            close = text.find('"', at + 1)
            if close < 0:
                return None
            parts.append(text[at + 1:close])
            at = close + 1
        else:
            end = at
            while end < len(text) and text[end] in NAME:
                end += 1
            if end == at:
                return None
            parts.append(text[at:end])
            at = end
        if at < len(text) and text[at] == ".":
            at += 1
            if at == len(text):
                return None
        elif at < len(text) and text[at] != "[":
            return None
    return parts


def follow(root: Any, parts: list[Any], inside: Callable[[Any], Any]) -> list[Any]:
    """What is at the path: nothing, one value, or with EVERY any number. *inside* gives the dict or list of a value.

    KairosError: a name of something that is no map, an index of something that is no list.
    """
    found = [root]
    for part in parts:
        following: list[Any] = []
        for value in found:
            content = inside(value)
            if part is EVERY:
                if not isinstance(content, (dict, list)):
                    raise KairosError("cannot go through what is no list and no map", hint="leave the [] out")
                following += content.values() if isinstance(content, dict) else content
            elif isinstance(part, int) and isinstance(content, list):
                following += content[part:part + 1]
            elif isinstance(part, str) and isinstance(content, dict):
                if part in content:
                    following.append(content[part])
            elif content is not None:
                kind = "a map" if isinstance(content, dict) else "a list" if isinstance(content, list) else "a single value"
                raise KairosError(f"{kind} has no {'element' if isinstance(part, int) else 'key'} {part!r}")
        found = following
    return found


def by_jq(query: str, data: Any, processes: ProcessRunner) -> list[Any]:
    """The results of the jq program on *data*, null left out. KairosError: no jq, or it refuses.

    *processes* run this system's own jq, whatever tree *data* came from: nothing of another root is executed.
    """
    import json

    from kairos_boot.system.process import ANSWER

    try:
        result = processes.run(("jq", "-c", f".{query.strip().removeprefix('.')}"), timeout=LIMIT, stdin=json.dumps(data).encode(), whole=ANSWER)
    except KairosError as error:
        raise KairosError(f"more than a plain path needs the program jq: {error.message}", hint="install jq, or ask for a path such as install.device") from error
    if result.code:
        raise KairosError(f"jq: {result.said.strip() or result.explain(LIMIT)}")
    try:
        found = [json.loads(line) for line in result.output.split("\n") if line.strip()]
    except (ValueError, RecursionError) as error:
        raise KairosError("the answer is too long", hint="ask for less of it") from error
    return [item for item in found if item is not None]
