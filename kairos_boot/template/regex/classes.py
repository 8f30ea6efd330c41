"""Sets of characters in regular expressions: ranges, the classes of Perl, POSIX and Unicode."""

from __future__ import annotations

ESCAPES = {"a": "\a", "f": "\f", "t": "\t", "n": "\n", "r": "\r", "v": "\v"}
CATEGORIES = frozenset(
    "C Cc Cf Co Cs L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs".split()
)
_POSIX = {
    "alnum": "09AZaz", "alpha": "AZaz", "ascii": "\x00\x7f", "blank": "\t\t  ", "cntrl": "\x00\x1f\x7f\x7f", "digit": "09", "graph": "!~",
    "lower": "az", "print": " ~", "punct": "!/:@[`{~", "space": "\t\r  ", "upper": "AZ", "word": "09AZaz__", "xdigit": "09AFaf",
}  # fmt: skip


class Charset:
    """Which characters match: in one of the ranges or parts, or in none if negated; `category` is a Unicode one."""

    __slots__ = ("category", "fold", "negated", "parts", "ranges")

    def __init__(self, ranges: list[tuple[str, str]], *, negated: bool = False, fold: bool = False, category: str = "") -> None:
        self.ranges = ranges
        self.negated = negated
        self.fold = fold
        self.category = category
        self.parts: list[Charset] = []

    def holds(self, char: str) -> bool:
        found = self._inside(char)
        if not found and self.fold:
            found = self._inside(char.lower()[:1]) or self._inside(char.upper()[:1])
        return found != self.negated

    def _inside(self, char: str) -> bool:
        if self.category:
            from unicodedata import category

            return self.category == "Any" or category(char).startswith(self.category)
        return any(low <= char <= high for low, high in self.ranges) or any(part.holds(char) for part in self.parts)


def _pairs(text: str) -> list[tuple[str, str]]:
    return [(text[i], text[i + 1]) for i in range(0, len(text), 2)]


PERL = {
    "d": Charset([("0", "9")]), "D": Charset([("0", "9")], negated=True), "s": Charset(_pairs("\t\n\f\r  ")),
    "S": Charset(_pairs("\t\n\f\r  "), negated=True), "w": Charset(_pairs("09AZaz__")), "W": Charset(_pairs("09AZaz__"), negated=True),
}  # fmt: skip


def named(name: str) -> Charset | None:
    """The class `[:name:]`, `^` before the name negating it; None if there is none."""
    ranges = _POSIX.get(name.removeprefix("^"))
    return Charset(_pairs(ranges), negated=name.startswith("^")) if ranges else None


def unicode_class(name: str, *, negated: bool) -> Charset | None:
    """A Unicode general category; scripts are not known."""
    return Charset([], category=name, negated=negated) if name in CATEGORIES or name == "Any" else None
