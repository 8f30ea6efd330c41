"""Regular expressions of conditions: RE2's syntax as Go programs read it, and look-around (spec/modules.md 2, decisions B11).

What published configurations write (`Ubuntu.*|Debian.*`, `^edge`, `22.04`) is decided here; importing `re` would take a boot longer.
"""

from __future__ import annotations

from kairos_boot.errors import KairosError

SPECIAL = frozenset("\\^$*+?{}[]()|")
POSIX = {"alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": "\\x00-\\x7F", "blank": "\\t ", "cntrl": "\\x00-\\x1F\\x7F", "digit": "0-9",
         "graph": "!-~", "lower": "a-z", "print": " -~", "punct": "!-/:-@\\[-`{-~", "space": "\\t\\n\\v\\f\\r ", "upper": "A-Z",
         "word": "0-9A-Za-z_", "xdigit": "0-9A-Fa-f"}


def search(pattern: str, text: str) -> bool:
    """Whether *pattern* is found anywhere in *text*. KairosError: it is no regular expression."""
    alternatives = None if "\n" in text else _plain(pattern)
    if alternatives is not None:
        return any(_found(*alternative, text) for alternative in alternatives)
    import re
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.search(_translated(pattern), text, re.ASCII) is not None
    except (re.error, OverflowError, RecursionError) as error:
        raise KairosError(str(error)) from error


def _plain(pattern: str) -> list[tuple[str, bool, bool]] | None:
    """The alternatives of a pattern of literals, single dots, outer `.*` and anchors: text, bound to the start, to the end."""
    result = []
    for part in pattern.split("|"):
        start, end = part.startswith("^"), part.endswith("$")
        literal = part[start:len(part) - end]
        if literal.startswith(".*"):
            literal, start = literal[2:], False
        if literal.endswith(".*"):
            literal, end = literal[:-2], False
        if not SPECIAL.isdisjoint(literal):
            return None
        result.append((literal, start, end))
    return result


def _found(literal: str, start: bool, end: bool, text: str) -> bool:
    if "." not in literal:
        if start and end:
            return text == literal
        return text.startswith(literal) if start else text.endswith(literal) if end else literal in text
    room = len(text) - len(literal)
    places = [room] if end else [0] if start else range(room + 1)
    if room < 0 or (start and end and room):
        return False
    return any(all(p in (".", c) for p, c in zip(literal, text[at:at + len(literal)], strict=True)) for at in places)


def _translated(pattern: str) -> str:
    r"""RE2's own forms in Python's: `[[:alpha:]]`, `\z`, `\Q…\E`, `(?<name>…)`; `$` is the end of the text only."""
    out = []
    at = 0
    inside = False
    while at < len(pattern):
        c = pattern[at]
        two = pattern[at:at + 2]
        if two == "\\Q" and not inside:
            end = pattern.find("\\E", at)
            literal = pattern[at + 2:] if end < 0 else pattern[at + 2:end]
            out += [f"\\{x}" if x in SPECIAL or x in ".-&~#" else x for x in literal]
            at = len(pattern) if end < 0 else end + 2
            continue
        if c == "\\":
            out.append("\\Z" if two == "\\z" and not inside else two)
            at += 2
            continue
        if inside and pattern.startswith("[:", at):
            end = pattern.find(":]", at)
            name = pattern[at + 2:end] if end > 0 else ""
            if name in POSIX:
                out.append(POSIX[name])
                at = end + 2
                continue
        if not inside and c == "[":
            inside = True
            skip = 2 if pattern.startswith("[^]", at) else 1 if pattern.startswith("[]", at) else 0
            out.append(pattern[at:at + skip] + "\\]" if skip else c)
            at += skip + 1 if skip else 1
            continue
        if inside and c == "]":
            inside = False
        if not inside and c == "$" and "(?" not in pattern:
            c = "\\Z"  # with flags it may mean the end of a line
        if not inside and pattern.startswith("(?<", at) and pattern[at + 3:at + 4] not in ("=", "!"):
            c = "(?P<"
            at += 2
        out.append(c)
        at += 1
    return "".join(out)
