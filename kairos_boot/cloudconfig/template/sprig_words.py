"""sprig: strings into words and lists, and back: case styles, wrapping, splitting, joining."""

from __future__ import annotations

from kairos_boot.cloudconfig.template import limits
from kairos_boot.cloudconfig.template.sprig_strings import lower, to_text, upper
from kairos_boot.cloudconfig.template.values import StringMap, Strings, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.cloudconfig.template.functions import Function


def _delimited(text: str, mark: str) -> str:
    """Words in lower case with *mark* between: a word begins at a separator, a capital, and where letters and digits meet."""
    out: list[str] = []
    for place, char in enumerate(text):
        before = text[place - 1] if place else ""
        after = text[place + 1 : place + 2]
        if char in " _-.":
            if out and out[-1] != mark:
                out.append(mark)
            continue
        boundary = (
            (char.isupper() and (before.islower() or before.isdecimal() or (before.isupper() and after.islower())))
            or (char.isdecimal() and before.isalpha())
            or (char.isalpha() and before.isdecimal())
        )
        if boundary and out and out[-1] != mark:
            out.append(mark)
        out.append(lower(char))
    return "".join(out)


def camelcase(text: str) -> str:
    """`http_server` as `HttpServer`; separators at either end stay."""
    out: list[str] = []
    rise = True
    for char in text:
        if char in " _-.":
            rise = True
        elif rise:
            out.append(upper(char))
            rise = False
        else:
            out.append(char)
    return "".join(out)


def wrap_with(width: int, line_end: str, text: str) -> str:
    """Lines of at most *width* characters, broken at spaces; a longer word is broken where the line ends."""
    width = max(width, 1)
    limits.text_fits(len(text) + len(text) * len(line_end))
    line_end = line_end or "\n"
    out = []
    start = 0
    while len(text) - start > width:
        if text[start] == " ":
            start += 1
            continue
        space = text.rfind(" ", start, start + width + 1)
        if space > start:
            out += (text[start:space], line_end)
            start = space + 1
        else:
            out += (text[start : start + width], line_end)
            start += width
    return "".join(out) + text[start:]


def _split(text: str, separator: str, count: int = -1) -> list[object]:
    limits.list_fits(text.count(separator) if separator else len(text))
    if separator:
        return list(text.split(separator, count - 1 if count > 0 else -1))
    pieces: list[object] = list(text)
    return pieces if count < 0 or len(pieces) <= count else [*pieces[: count - 1], text[count - 1 :]]


def split_list(separator: str, text: str) -> Strings:
    return Strings(_split(text, separator))


def split(separator: str, text: str) -> StringMap:
    """A map with the keys _0, _1 and so on."""
    return StringMap({f"_{place}": piece for place, piece in enumerate(_split(text, separator))})


def splitn(separator: str, count: int, text: str) -> StringMap:
    """The same with at most *count* pieces, the last taking the rest."""
    return StringMap({f"_{place}": piece for place, piece in enumerate(_split(text, separator, count) if count else [])})


def to_strings(value: object) -> Strings:
    """Every item as text, nil left out; anything but a list is a list of one."""
    if isinstance(value, (list, tuple)):
        return Strings(to_text(v) for v in value if v is not None)
    return Strings() if value is None else Strings([to_text(value)])


def join(separator: str, value: object) -> str:
    pieces = [str(p) for p in to_strings(value)]
    limits.text_fits(sum(map(len, pieces)) + len(separator) * len(pieces))
    return separator.join(pieces)


def sort_alpha(value: object) -> Strings:
    return Strings(sorted((str(p) for p in to_strings(value)), key=encode)) if isinstance(value, (list, tuple)) else to_strings(value)


def _chars(width: int, text: str) -> str:
    return wrap_with(width, "", text)


FUNCTIONS: dict[str, Function] = {
    "snakecase": ("s", lambda text: _delimited(text, "_")), "kebabcase": ("s", lambda text: _delimited(text, "-")),
    "camelcase": ("s", camelcase), "wrap": ("is", _chars), "wrapWith": ("iss", wrap_with), "split": ("ss", split),
    "splitn": ("sis", splitn), "splitList": ("ss", split_list), "toStrings": ("a", to_strings), "join": ("sa", join),
    "sortAlpha": ("a", sort_alpha),
}  # fmt: skip
