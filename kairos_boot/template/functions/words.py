"""sprig: strings into lines and lists, and back: wrapping, splitting, joining, sorting."""

from __future__ import annotations

from kairos_boot.template import limits
from kairos_boot.template.functions.strings import to_text
from kairos_boot.template.values import StringMap, Strings, decode, encode


def wrap(width: int, line_end: str, text: str, *, long_words: bool) -> str:
    """Lines of at most *width* bytes, broken at spaces; a longer word stays whole unless *long_words* says to break it."""
    width = max(width, 1)
    line_end = line_end or "\n"
    limits.text_fits(len(text) + len(text) * len(line_end))
    data = encode(text)
    out: list[str] = []
    start = 0
    while len(data) - start > width:
        if data[start] == 32:
            start += 1
            continue
        end = data.rfind(b" ", start, start + width + 1)
        if end < 0:
            end = start + width if long_words else data.find(b" ", start + width)
            if end < 0:
                break
        out += (decode(data[start:end]), line_end)
        start = end + (data[end] == 32)
    return "".join(out) + decode(data[start:])


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
    pieces: list[str] = sorted((str(p) for p in to_strings(value)), key=encode)
    return Strings(pieces)


FUNCTIONS = {
    "wrap": ("is", lambda width, text: wrap(width, "", text, long_words=False)),
    "wrapWith": ("iss", lambda width, line_end, text: wrap(width, line_end, text, long_words=True)), "split": ("ss", split),
    "splitn": ("sis", splitn), "splitList": ("ss", split_list), "toStrings": ("a", to_strings), "join": ("sa", join),
    "sortAlpha": ("a", sort_alpha),
}  # fmt: skip
