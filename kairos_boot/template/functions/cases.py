"""sprig: the case styles of names: snake_case, kebab-case, CamelCase."""

from __future__ import annotations

from kairos_boot.template.functions.strings import SPACE, lower, upper

_ATTACHED = frozenset(("lower", "number"))
_SEPARATE = frozenset(("connector", "mark"))


def _kind(char: str) -> str:
    """What a character counts as."""
    if char in "-_" or char in SPACE:
        return "connector"
    if char.isalpha():
        return "upper" if char.isupper() else "lower"
    if char.isnumeric():
        return "number"
    if char.isascii():
        return "other" if char in "$+<=>^`|~" or char < " " else "mark"
    from unicodedata import category

    return "mark" if category(char).startswith("P") else "other"


def _words(text: str) -> list[tuple[str, str]]:
    """Runs of one kind; a capital belongs to the small letters behind it."""
    runs: list[tuple[str, str]] = []
    for char in text:
        kind = _kind(char)
        last, run = runs[-1] if runs else ("", "")
        if kind == last and not (last == "upper" and run[-1:].islower()):
            runs[-1] = (kind, run + char)
        elif kind == "lower" and last == "upper":
            if len(run) > 1 and run[-1].isupper() and run[-2].isupper():
                runs[-1] = (last, run[:-1])
                runs.append((last, run[-1] + char))
            else:
                runs[-1] = (last, run + char)
        else:
            runs.append((kind, char))
    return runs


def delimited(text: str, mark: str) -> str:
    """Words in lower case with *mark* between.

    A number belongs to the word before it, unless small letters follow: `bld4_floor`, but `http_2xx`.
    """
    words = _words(text)
    out: list[str] = []

    def kind(place: int) -> str:
        return words[place][0] if place < len(words) else "mark"

    def attach(place: int) -> int:
        while kind(place) in _ATTACHED:
            out.append(words[place][1])
            place += 1
        if kind(place) not in _SEPARATE:
            out.append(mark)
        return place

    place = 0
    while place < len(words):
        this, word = words[place]
        out.append(mark * len(word) if this == "connector" else lower(word) if this == "upper" else word)
        place += 1
        if this in _SEPARATE or place >= len(words):
            continue
        if this == "number":
            place = attach(place)
        elif kind(place) != "number":
            if kind(place) not in _SEPARATE:
                out.append(mark)
        elif place + 1 < len(words):
            if kind(place + 1) == "lower":
                out.append(mark)
                place = attach(place)
            else:
                out.append(words[place][1])
                place += 1
                if kind(place) not in _SEPARATE:
                    out.append(mark)
    return "".join(out)


def camelcase(text: str) -> str:
    """`http_server` as `HttpServer`, `ALL` as `All`; connectors at either end stay, of several in a row all but one."""
    runs: list[str] = []
    for char in text:
        if runs and (_kind(runs[-1][0]) == "connector") == (_kind(char) == "connector"):
            runs[-1] += char
        else:
            runs.append(char)
    out = []
    for place, run in enumerate(runs):
        if _kind(run[0]) == "connector":
            out.append(run if place in {0, len(runs) - 1} else run[:-1])
            continue
        capitals = 0
        while capitals < len(run) and run[capitals].isupper():
            capitals += 1
        out.append(upper(run[0]) + lower(run[1:capitals]) + run[max(capitals, 1) :])
    return "".join(out)


FUNCTIONS = {
    "snakecase": ("s", lambda text: delimited(text, "_")),
    "kebabcase": ("s", lambda text: delimited(text, "-")),
    "camelcase": ("s", camelcase),
}
