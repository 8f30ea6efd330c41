"""sprig: semantic versions (semver.org 2.0.0) and the constraints they are compared with."""

from __future__ import annotations

from kairos_boot.template.values import Failure, GoObject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Numbers = tuple[int, int, int]

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
_OPERATORS = ("!=", ">=", "=>", "<=", "=<", "~>", "~", "^", "=", ">", "<", "")


class Version(GoObject):
    """A version; `1`, `1.2` and `v1.2.3` are taken, too."""

    __slots__ = ("build", "numbers", "original", "pre")
    type_name = "*semver.Version"

    def __init__(self, text: str) -> None:
        core, _, self.build = text.removeprefix("v").partition("+")
        core, dash, self.pre = core.partition("-")
        parts = core.split(".")
        if len(parts) > 3 or not all(_digits(p) for p in parts) or (dash and not _identifiers(self.pre)):
            raise Failure("Invalid Semantic Version")
        if "+" in text and not _identifiers(self.build):
            raise Failure("Invalid Semantic Version")
        if any(_digits(p) and len(p) > 1 and p[0] == "0" for p in self.pre.split(".")):
            raise Failure("Version segment starts with 0")
        self.original = text
        self.numbers: Numbers = (int(parts[0]), int(parts[1]) if len(parts) > 1 else 0, int(parts[2]) if len(parts) > 2 else 0)

    def __str__(self) -> str:
        return ".".join(map(str, self.numbers)) + ("-" + self.pre if self.pre else "") + ("+" + self.build if self.build else "")

    def methods(self) -> dict[str, tuple[str, Callable[..., object]]]:
        return {
            "Major": ("", lambda: self.numbers[0]), "Minor": ("", lambda: self.numbers[1]), "Patch": ("", lambda: self.numbers[2]),
            "Prerelease": ("", lambda: self.pre), "Metadata": ("", lambda: self.build), "Original": ("", lambda: self.original),
            "String": ("", lambda: str(self)), "Compare": ("a", lambda other: compare(self, _version(other))),
            "Equal": ("a", lambda other: compare(self, _version(other)) == 0),
            "LessThan": ("a", lambda other: compare(self, _version(other)) < 0),
            "GreaterThan": ("a", lambda other: compare(self, _version(other)) > 0),
        }  # fmt: skip


def _version(value: object) -> Version:
    if isinstance(value, Version):
        return value
    raise Failure("wrong type for value; expected *semver.Version", "make it with semver")


def _digits(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) < 20


def _identifiers(text: str) -> bool:
    return all(part and set(part) <= _LETTERS for part in text.split("."))


def compare(one: Version, two: Version) -> int:
    """-1, 0 or 1; a pre-release comes before its release, build metadata do not count."""
    if one.numbers != two.numbers:
        return 1 if one.numbers > two.numbers else -1
    if one.pre == two.pre:
        return 0
    if not one.pre or not two.pre:
        return 1 if not one.pre else -1
    a, b = _order(one.pre), _order(two.pre)
    return (a > b) - (a < b)


def _order(pre: str) -> list[tuple[int, int, str]]:
    return [(0, int(p), "") if _digits(p) else (1, 0, p) for p in pre.split(".")]


def satisfies(constraint: str, text: str) -> bool:
    """True if the version *text* is in the range: alternatives joined by `||`, conditions by commas or spaces, `1.2 - 2.3`."""
    wanted = [[_condition(c) for c in _conditions(part)] for part in constraint.split("||")]
    version = Version(text)
    return any(all(check(version) for check in checks) for checks in wanted)


def _conditions(text: str) -> list[str]:
    """The single conditions of one alternative, ranges with a hyphen spelled out."""
    words = text.replace(",", " ").split()
    out: list[str] = []
    place = 0
    while place < len(words):
        if words[place] in _OPERATORS and place + 1 < len(words):
            out.append(words[place] + words[place + 1])
            place += 2
        elif words[place + 1 : place + 2] == ["-"] and place + 2 < len(words):
            out += (">=" + words[place], "<=" + words[place + 2])
            place += 3
        else:
            out.append(words[place])
            place += 1
    return out or [""]


def _condition(text: str) -> Callable[[Version], bool]:
    operator = next(o for o in _OPERATORS if text.startswith(o))
    body = text[len(operator) :].removeprefix("v")
    core, mark, tail = body.partition("-") if "-" in body else body.partition("+")
    parts = core.split(".")
    known = []
    for part in parts:
        if part in {"x", "X", "*"}:
            break
        known.append(part)
    if len(parts) > 3 or not all(_digits(p) for p in known) or not all(p in {"x", "X", "*"} or _digits(p) for p in parts):
        raise Failure(f"improper constraint: {text}")
    try:
        low = Version(".".join([*known, "0", "0", "0"][:3]) + mark + tail)
    except Failure:
        raise Failure(f"improper constraint: {text}") from None
    return _check({"=>": ">=", "=<": "<=", "~>": "~"}.get(operator, operator), low, len(known))


def _check(operator: str, low: Version, known: int) -> Callable[[Version], bool]:
    """The test of one condition whose first *known* numbers are given; the rest stands for any."""
    a, b, c = low.numbers
    past: Numbers = (a + 1, 0, 0) if known == 1 else (a, b + 1, 0) if known == 2 else (a, b, c + 1)

    def at_least(version: Version) -> bool:
        return compare(version, low) >= 0

    def below(version: Version, limit: Numbers) -> bool:
        return version.numbers < limit

    def caret(version: Version) -> bool:
        limit = (a + 1, 0, 0) if a or known == 1 else (a, b + 1, 0) if b or known == 2 else (a, b, c + 1)
        return at_least(version) and below(version, limit)

    def tilde(version: Version) -> bool:
        return at_least(version) and below(version, (a + 1, 0, 0) if known == 1 else (a, b + 1, 0))

    def inside(version: Version) -> bool:
        return compare(version, low) == 0 if known == 3 else at_least(version) and below(version, past)

    tests: dict[str, Callable[[Version], bool]] = {
        "": inside, "=": inside, "!=": lambda v: not inside(v), ">=": at_least, "<": lambda v: compare(v, low) < 0,
        ">": lambda v: compare(v, low) > 0 if known == 3 else not below(v, past),
        "<=": lambda v: compare(v, low) <= 0 if known == 3 else below(v, past), "~": tilde, "^": caret,
    }  # fmt: skip
    test = tests[operator]

    def check(version: Version) -> bool:
        if version.pre and not low.pre:
            return False
        if not known:
            return operator not in {"<", "<=", "^"}
        return test(version)

    return check


FUNCTIONS = {"semver": ("s", Version), "semverCompare": ("ss", satisfies)}
