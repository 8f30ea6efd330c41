r"""The plain ones among the regular expressions of conditions, decided without the engine (docs/reference/conditions.md, B11).

What published configurations write (`Ubuntu.*|[Dd]ebian`, `Red.*Hat`, `^edge`, `22\.04`) is decided here, by the rules of `template.regex`, which decides all else.
"""

from __future__ import annotations

SPECIAL = frozenset("\\^$*+?{}[]()|")
ANY = "."
"""An item that is any character; the others are strings of the characters they stand for."""


def search(pattern: str, text: str) -> bool:
    """Whether *pattern* is found anywhere in *text*. KairosError: it is no regular expression of Go."""
    alternatives = None if "\n" in text else _plain(pattern)
    if alternatives is not None:
        return any(_found(*alternative, text) for alternative in alternatives)
    from kairos_boot.template import regex

    return regex.search(pattern, text)


def _plain(pattern: str) -> list[tuple[list[list[str]], bool, bool]] | None:
    """Of each alternative its pieces between `.*`, and whether it is bound to the start and to the end.

    None for a pattern of more than literals, dots, plain classes, `.*` and outer anchors.
    """
    result = []
    for part in pattern.split("|"):
        start, end = part.startswith("^"), part.endswith("$")
        pieces: list[list[str]] = [[]]
        at, stop = int(start), len(part) - end
        while at < stop:
            c = part[at]
            if part.startswith(".*", at):
                pieces.append([])
                at += 2
            elif c == "\\" and at + 1 < stop and not part[at + 1].isalnum() and part[at + 1].isascii():
                pieces[-1].append(part[at + 1] if part[at + 1] != ANY else "..")
                at += 2
            elif c == "[":
                close = part.find("]", at)
                members = _members(part[at + 1:close]) if close > 0 else ""
                if not members:
                    return None
                pieces[-1].append(members)
                at = close + 1
            elif c in SPECIAL:
                return None
            else:
                pieces[-1].append(c)
                at += 1
        result.append((pieces, start, end))
    return result


def _members(text: str) -> str:
    """The characters of the class `[text]`, twice if it is one, so that it is not taken for ANY; empty if it is not a plain one."""
    found = ""
    at = 0
    while at < len(text):
        if text[at + 1:at + 2] == "-" and at + 2 < len(text):
            if not (text[at].isalnum() and text[at + 2].isalnum() and text.isascii()) or text[at] > text[at + 2]:
                return ""
            found += "".join(map(chr, range(ord(text[at]), ord(text[at + 2]) + 1)))
            at += 3
        elif text[at] in "^-[\\&~":
            return ""
        else:
            found += text[at]
            at += 1
    return found * 2 if len(found) == 1 else found


def _found(pieces: list[list[str]], start: bool, end: bool, text: str) -> bool:
    """Whether the pieces are in *text* one behind the other: each as early as possible, the last one at the end if it is bound to it."""
    at = 0
    for number, piece in enumerate(pieces):
        first, last = number == 0, number == len(pieces) - 1
        room = len(text) - len(piece)
        if last and end:
            return room >= at and not (first and start and room) and _fits(piece, text, room)
        places = range(at, min(at, room) + 1) if first and start else range(at, room + 1)
        found = next((place for place in places if _fits(piece, text, place)), -1)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def _fits(piece: list[str], text: str, at: int) -> bool:
    return all(item == ANY or text[at + i] in item for i, item in enumerate(piece))
