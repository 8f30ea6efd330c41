"""sprig: trimming, case, parts and tests of strings."""

from __future__ import annotations

from kairos_boot.template import limits
from kairos_boot.template.gofmt import sprint_value
from kairos_boot.template.text import quote
from kairos_boot.template.values import Failure, cut, size

SPACE = " \t\n\v\f\r\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
"""What Go takes for white space; Python's own set has four control characters more."""


def to_text(value: object) -> str:
    """What sprig takes a value for where it wants text."""
    return value if isinstance(value, str) else sprint_value(value)


def upper(text: str) -> str:
    return "".join(c.upper() if len(c.upper()) == 1 else c for c in text)


def lower(text: str) -> str:
    return "".join(c.lower()[:1] for c in text)


def title(text: str) -> str:
    """The first letter of each word in upper case, the others as they are."""
    def begins(before: str) -> bool:
        return before in SPACE or not (before.isalnum() or before == "_" or ord(before) >= 0x80)

    return "".join(c.title() if begins(before) and len(c.title()) == 1 else c for before, c in zip(" " + text, text, strict=False))


def untitle(text: str) -> str:
    """The first letter of each word, after white space, in lower case."""
    return "".join(lower(c) if before in SPACE else c for before, c in zip(" " + text, text, strict=False))


def swapcase(text: str) -> str:
    """Upper case where it is lower; a lower-case letter after white space becomes title case."""
    return "".join(lower(c) if c.isupper() or c.istitle() else upper(c) if c.islower() else c for c in text)


def repeat(count: int, text: str) -> str:
    if count < 0:
        raise Failure("strings: negative Repeat count")
    limits.text_fits(count * len(text))
    return text * count


def substr(start: int, end: int, text: str) -> str:
    """From *start* to *end*, in bytes; a negative start is the beginning, a negative or too large end the end."""
    length = size(text)
    if start < 0:
        return cut(text, 0, _bound(end, length))
    if end < 0 or end > length:
        if start > length:
            raise Failure(f"runtime error: slice bounds out of range [{start}:{length}]")
        return cut(text, start)
    if start > end:
        raise Failure(f"runtime error: slice bounds out of range [{start}:{end}]")
    return cut(text, start, end)


def _bound(number: int, length: int) -> int:
    if not 0 <= number <= length:
        raise Failure(f"runtime error: slice bounds out of range [:{number}] with length {length}")
    return number


def trunc(count: int, text: str) -> str:
    """The first *count* bytes, or the last ones if it is negative."""
    length = size(text)
    if count < 0 and length + count > 0:
        return cut(text, length + count)
    return cut(text, 0, count) if 0 <= count < length else text


def abbrev(width: int, text: str) -> str:
    """At most *width* bytes, `...` being the end of what is longer; widths below 4 change nothing."""
    return text if width < 4 else _abbreviate(text, 0, width)


def abbrevboth(left: int, right: int, text: str) -> str:
    """At most *right* bytes from offset *left* on, `...` marking what is left out at either end."""
    return text if right < 4 or (left > 0 and right < 7) else _abbreviate(text, left, right)


def _abbreviate(text: str, offset: int, width: int) -> str:
    length = size(text)
    if length <= width:
        return text
    offset = min(offset, length)
    if length - offset < width - 3:
        offset = length - (width - 3)
    if offset <= 4:
        return cut(text, 0, width - 3) + "..."
    if width < 7:
        raise Failure("minimum abbreviation width with offset is 7")
    if offset + width - 3 < length:
        return "..." + _abbreviate(cut(text, offset), 0, width - 3)
    return "..." + cut(text, length - (width - 3))


def nospace(text: str) -> str:
    return "".join(c for c in text if c not in SPACE)


def initials(text: str) -> str:
    return "".join(word[0] for word in "".join(" " if c in SPACE else c for c in text).split(" ") if word)


def quoted(*values: object) -> str:
    return " ".join(quote(to_text(v)) for v in values if v is not None)


def single_quoted(*values: object) -> str:
    return " ".join(f"'{sprint_value(v)}'" for v in values if v is not None)


def cat(*values: object) -> str:
    return " ".join(sprint_value(v) for v in values if v is not None)


def indent(count: int, text: str) -> str:
    """Each line moved *count* spaces to the right."""
    if count < 0:
        raise Failure("strings: negative Repeat count")
    limits.text_fits(len(text) + count * (text.count("\n") + 1))
    pad = " " * count
    return pad + text.replace("\n", "\n" + pad)


def nindent(count: int, text: str) -> str:
    return "\n" + indent(count, text)


def replace(old: str, new: str, text: str) -> str:
    limits.text_fits(len(text) + (text.count(old) if old else len(text) + 1) * max(len(new) - len(old), 0))
    return text.replace(old, new)


def plural(one: str, many: str, count: int) -> str:
    return one if count == 1 else many


FUNCTIONS = {
    "trim": ("s", lambda text: text.strip(SPACE)),
    "trimAll": ("ss", lambda cutset, text: text.strip(cutset) if cutset else text),
    "trimall": ("ss", lambda cutset, text: text.strip(cutset) if cutset else text),
    "trimPrefix": ("ss", lambda prefix, text: text.removeprefix(prefix)),
    "trimSuffix": ("ss", lambda suffix, text: text.removesuffix(suffix)),
    "upper": ("s", upper), "lower": ("s", lower), "title": ("s", title), "untitle": ("s", untitle), "repeat": ("is", repeat),
    "substr": ("iis", substr), "trunc": ("is", trunc), "abbrev": ("is", abbrev), "abbrevboth": ("iis", abbrevboth),
    "nospace": ("s", nospace), "initials": ("s", initials), "swapcase": ("s", swapcase),
    "contains": ("ss", lambda part, text: part in text),
    "hasPrefix": ("ss", lambda prefix, text: text.startswith(prefix)),
    "hasSuffix": ("ss", lambda suffix, text: text.endswith(suffix)),
    "quote": ("a*", quoted), "squote": ("a*", single_quoted), "cat": ("a*", cat), "indent": ("is", indent), "nindent": ("is", nindent),
    "replace": ("sss", replace), "plural": ("ssi", plural), "toString": ("a", to_text), "hello": ("", lambda: "Hello!"),
}  # fmt: skip
