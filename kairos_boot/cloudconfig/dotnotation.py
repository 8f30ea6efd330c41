"""Dot notation: `stages.boot[0].commands[0]="echo hi"` words to a Document (yip's, B3, B11).

The words are cut like a shell cuts them. Words of other programs stand on the same line, so only those whose path begins
with a key of ours count; a malformed one of these is a warning. A later word wins over an earlier one.
"""

from __future__ import annotations

from kairos_boot.cloudconfig.model import Document, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kairos_boot.cloudconfig.nodes import YamlNode

    Leaf = tuple[list[str | int], str, tuple[int, int]]
    """Path, value, and line and column of a word."""

ROOTS = ("stages", "stages", "name", "jobs", "reconcile")
OWNED = ("kairos.config", "kairos.config_url", "cos.setup")
"""Words that configure in their own way."""
MAX_INDEX = 10000
MAX_PARTS = 100
"""So many names and indexes a path may have; no key lies deeper than ten."""
LEFT_OUT = "the word was left out: "
"""How the message about a malformed word begins."""
BLANK = " \t\r\n"


def words(text: str) -> list[tuple[str, int]]:
    """The words of *text* and where each begins; quotes are taken off.

    A word that begins with # comments out the rest of its line. A word whose quote is never closed is lost.
    """
    found: list[tuple[str, int]] = []
    at, end = 0, len(text)
    while at < end:
        if text[at] in BLANK:
            at += 1
        elif text[at] == "#":
            line = text.find("\n", at)
            at = end if line < 0 else line
        else:
            start = at
            word, at = _word(text, at)
            if word is not None:
                found.append((word, start))
    return found


def _word(text: str, at: int) -> tuple[str | None, int]:
    """The word that begins at *at* and where it ends; None: its quote or its backslash is open at the end."""
    parts: list[str] = []
    end = len(text)
    while at < end and text[at] not in BLANK:
        letter = text[at]
        if letter == "'":
            close = text.find("'", at + 1)
            if close < 0:
                return None, end
            parts.append(text[at + 1:close])
            at = close + 1
        elif letter == '"':
            at += 1
            while at < end and text[at] != '"':
                at += text[at] == "\\"
                parts.append(text[at:at + 1])
                at += 1
            if at >= end:
                return None, end
            at += 1
        elif letter == "\\":
            if at + 1 >= end:
                return None, end
            parts.append(text[at + 1])
            at += 2
        else:
            parts.append(letter)
            at += 1
    return "".join(parts), at


class MalformedError(Exception):
    """A path is no path of ours."""


def path_of(key: str) -> list[str | int]:
    """`stages.boot[0].name` as names and indexes; a name may stand in `["…"]` or `"…"`. MalformedError: it is none."""
    parts: list[str | int] = []
    at = 0
    while at < len(key):
        if len(parts) == MAX_PARTS:
            raise MalformedError("it is nested too deeply")
        if key[at] == "[":
            close = key.find("]", at)
            inside = key[at + 1:close]
            if close < 0 or not parts:
                raise MalformedError("a bracket is not closed" if close < 0 else "it begins with a bracket")
            if not inside:
                raise MalformedError("the index is missing")
            if inside[:1] == '"' and inside[-1:] == '"' and len(inside) > 2:
                parts.append(inside[1:-1])
            elif not inside.isdecimal():  # a shell took the quotes off
                parts.append(inside)
            elif len(inside) <= 5 and int(inside) <= MAX_INDEX:
                parts.append(int(inside))
            else:
                raise MalformedError(f"the index {inside} is too large")
            at = close + 1
            continue
        if parts:
            if key[at] != ".":
                raise MalformedError(f"a dot is missing before {key[at:]!r}")
            at += 1
        if key[at:at + 1] == '"':
            close = key.find('"', at + 1)
            name, at = key[at + 1:close], close + 1
        else:
            start = at
            while at < len(key) and key[at] not in ".[":
                at += 1
            name = key[start:at]
        if not name:
            raise MalformedError("a name is empty")
        parts.append(name)
    return parts


def decode(text: str, source: str, *, name: str = "") -> Document:
    """The document that the words of *text* make; *name* is the root name of its steps unless a word gives one."""
    leaves: list[Leaf] = []
    problems: list[Problem] = []
    for word, start in words(text):
        key, equals, value = word.partition("=")
        key = key.strip('"')
        if key in OWNED or not key.startswith(ROOTS):
            continue
        place = (text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start))
        try:
            path = stage_path(path_of(key))
            if path[0] in ROOTS:
                leaves.append((path, value.strip('"') if equals else "true", place))
        except MalformedError as error:
            if key == "stages" or key.startswith(("stages.", "stages[")):
                problems.append(Problem("warning", f"{source}:{place[0]}:{place[1]}: {key}", LEFT_OUT + str(error),
                                        "write it like stages.boot[0].commands[0]='echo hi'"))
    document = Document(source, source)
    if leaves:
        document = _typed(leaves, source, problems)
    return Document(source, name if name and document.name == source else document.name, document.stages, (*problems, *document.problems), document.jobs, reconcile=document.reconcile)


def stage_path(path: list[str | int]) -> list[str | int]:
    """*path* with the name of its stage in one piece: `stages.rootfs.before[0]` means the stage rootfs.before.

    MalformedError: it leads to no key of a step.
    """
    if path[0] != "stages":
        return path
    end = next((at for at, part in enumerate(path) if isinstance(part, int)), len(path))
    if end < 2 or end + 1 >= len(path):
        raise MalformedError("a stage is a list of steps, and a step has keys")
    return ["stages", ".".join(map(str, path[1:end])), *path[end:]]


def _typed(leaves: list[Leaf], source: str, problems: list[Problem]) -> Document:
    """Check the words like a document of YAML; a word that does not fit is left out with a warning, and the rest counts."""
    from kairos_boot.cloudconfig.native import decode_root

    while True:
        document = decode_root(_node(_tree(leaves), (1, 1)), source)
        if not document.broken:
            return document
        faults = [p for p in document.problems if p.severity == "error"]
        places = {p.where.removeprefix(source + ":").split(": ", 1)[0] for p in faults}
        problems += [Problem("warning", p.where, LEFT_OUT + p.message, p.hint) for p in faults if ": stages" in p.where]
        left = [leaf for leaf in leaves if f"{leaf[2][0]}:{leaf[2][1]}" not in places]
        leaves = left if len(left) < len(leaves) else []


def _tree(leaves: list[Leaf]) -> dict[Any, Any]:
    """The words as nested dicts, lists being dicts by index; what cannot hold a later word is replaced by it."""
    tree: dict[Any, Any] = {}
    for path, value, place in leaves:
        here = tree
        for at, part in enumerate(path[:-1]):
            below = here.get(part)
            if not isinstance(below, dict) or (below and isinstance(next(iter(below)), int) != isinstance(path[at + 1], int)):
                here[part] = below = {}
            here = below
        here[path[-1]] = (value, place)
    return tree


def _node(value: Any, place: tuple[int, int]) -> YamlNode:
    """The nodes of the tree; a word's value is text that may be a number or a boolean, too."""
    from kairos_boot.cloudconfig.nodes import MAPPING, SCALAR, SEQUENCE, YamlNode
    from kairos_boot.cloudconfig.scalars import ANY

    if isinstance(value, tuple):
        return YamlNode(SCALAR, value[0], *value[1], tag=ANY)
    where = _first(value) or place
    if value and isinstance(next(iter(value)), int):
        return YamlNode(SEQUENCE, [_node(value[index], where) for index in sorted(value)], *where)
    return YamlNode(MAPPING, [(YamlNode(SCALAR, key, *(_first(item) or where), plain=False), _node(item, where)) for key, item in value.items()], *where)


def _first(value: Any) -> tuple[int, int] | None:
    """The place of the first word below *value*."""
    while isinstance(value, dict):
        value = next(iter(value.values()), None)
    return value[1] if value else None
