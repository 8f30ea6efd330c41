"""Scalars of YAML into typed fields (as yip's decoder does, with B11 and C2).

Each function takes a scalar node and returns its value, or raises ScalarError. The tags' short forms are libyaml's full ones.
"""

from __future__ import annotations

from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kairos_boot.cloudconfig.nodes import YamlNode

    Advise = Callable[[str, str], None]

TAG = "tag:yaml.org,2002:"
ANY = "!any"
"""The tag of a word of the kernel command line: text in a text field, a number in a numeric one, never null."""
NULLS = frozenset(("", "~", "null", "Null", "NULL"))
TRUE = frozenset(("true", "True", "TRUE"))
FALSE = frozenset(("false", "False", "FALSE"))
YES = frozenset(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"))
NO = frozenset(("n", "N", "no", "No", "NO", "off", "Off", "OFF"))
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
MODES = frozenset(0o100 * u + 0o10 * g + o for u in (4, 5, 6, 7) for g in (0, 4, 5, 6, 7) for o in (0, 4, 5, 6, 7)
                  if u | g == u and g | o == g)
"""Modes that people really use: a decimal number that is one of them is meant as it stands."""


class ScalarError(KairosError):
    """A scalar does not fit its field."""


def is_null(node: YamlNode) -> bool:
    if node.tag is None:
        return node.plain and node.value in NULLS
    return bool(node.tag == TAG + "null")


def may_be_number(node: YamlNode) -> bool:
    """Whether the scalar may be a number: plain, or tagged as one."""
    return node.plain if node.tag is None else node.tag in (TAG + "int", TAG + "float", ANY)


def text(node: YamlNode, advise: Advise) -> str:
    """The source text, whatever it looks like; a `!!binary` text decoded."""
    if node.tag != TAG + "binary":
        if node.tag and node.tag[0] == "!" and node.tag not in ("!", ANY):  # a password may begin so: its text is not repeated
            advise("a word with an exclamation mark before it is a tag of YAML, no part of the text", "put the text in quotes")
        return str(node.value)
    from binascii import a2b_base64

    letters = "".join(node.value.split())
    if len(letters) % 4 or letters.rstrip("=").strip(BASE64):
        raise ScalarError("not base64", hint="a !!binary text holds A-Z a-z 0-9 + / = only")
    return a2b_base64(letters).decode("utf-8", "surrogateescape")


def number(value: str) -> int | float | None:
    """The number that the plain text *value* is in YAML as Go reads it, or None."""
    if not value or value[0] not in "+-.0123456789":
        return None
    digits = value.replace("_", "") if value[0] != "." else value
    sign, bare = (-1 if digits[0] == "-" else 1), digits.lstrip("+-") if digits[:2] not in ("++", "--", "+-", "-+") else ""
    if not bare.isascii():
        return None
    for prefix, base in (("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)):
        if bare.startswith(prefix):
            return _whole(bare[2:], base, sign)
    if bare.isdigit():
        if bare[0] == "0":
            octal = _whole(bare, 8, sign)
            return octal if octal is not None else float(sign * int(bare))
        return sign * int(bare) if len(bare) < 400 else None
    return _fraction(digits)


def _whole(digits: str, base: int, sign: int) -> int | None:
    if not digits.isalnum() or len(digits) > 400:
        return None
    try:
        return sign * int(digits, base)
    except ValueError:
        return None


def _fraction(digits: str) -> float | None:
    """A number with a point or an exponent."""
    body = digits[1:] if digits[0] in "+-" else digits
    mantissa, mark, exponent = body.partition("e") if "e" in body else body.partition("E")
    whole, _, rest = mantissa.partition(".")
    power = exponent[1:] if exponent[:1] in ("+", "-") else exponent
    if not (whole + rest).isdigit() or (mark and not power.isdigit()) or (rest and not rest.isdigit()) or (whole and not whole.isdigit()):
        return None
    return float(digits)


def whole(node: YamlNode, advise: Advise, low: int = -(1 << 63), high: int = (1 << 63) - 1) -> int:
    """A whole number between *low* and *high*; a fraction is cut off with advice."""
    value = number(node.value) if may_be_number(node) else None
    if value is None:
        raise ScalarError(f"{_shown(node)} is not a number", hint="write it without quotes" if number(node.value) is not None else "write a whole number")
    if isinstance(value, float):
        if value != value or not -1e300 < value < 1e300:  # noqa: PLR0124
            raise ScalarError(f"{_shown(node)} is too large", hint=f"it must be at most {high}")
        advise(f"{_shown(node)} is taken as {int(value)}", "write a whole number")
    if not low <= value <= high:
        raise ScalarError(f"{_shown(node)} is out of range", hint=f"it must be from {low} to {high}")
    return int(value)


def identity(node: YamlNode, advise: Advise) -> int:
    """The number of a user or a group, as chown(2) takes it: -1 is no change."""
    if number(node.value) is None:
        raise ScalarError(f"{_shown(node)} is not a number", hint="write a name as `ownerstring: USER:GROUP`")
    return whole(node, advise, -1, (1 << 32) - 2)


def size(node: YamlNode, advise: Advise) -> int:
    """A number of MiB, not negative."""
    return whole(node, advise, 0, (1 << 64) - 1)


def count(node: YamlNode, advise: Advise) -> int:
    """How many times, never less than none."""
    return whole(node, advise, 0, 1_000_000)


def mode(node: YamlNode, advise: Advise) -> int:
    """Permission bits: a YAML integer, or octal text in quotes (C2)."""
    if not may_be_number(node) and node.tag in (None, TAG + "str"):
        digits = node.value.removeprefix("0o")
        if 0 < len(digits) <= 5 and not digits.strip("01234567"):
            return int(digits, 8)
    if not may_be_number(node) or number(node.value) is None:
        raise ScalarError(f"{_shown(node)} is not a mode", hint='write it like 0644 or "0644"')
    short = node.value.isdigit() and len(node.value) in (3, 4)
    digits = not node.value.strip("01234567")
    value = whole(node, advise if digits or not short else _quiet, 0, (1 << 32) - 1)
    if value > 0o7777:
        advise(f"{_shown(node)} has more than permission bits", "write it in octal, like 0644")
    elif short and not digits and (node.value[0] == "0" or value not in MODES):
        advise(f"{node.value} is taken as decimal, which is the mode {value:04o}: octal digits are 0 to 7", "write the mode in octal, like 0644")
    elif short and digits and node.value[0] != "0" and value not in MODES:
        advise(f"{node.value} is decimal (octal {value:04o}) and is probably meant octal", f"write 0{node.value}")
    return value


def _quiet(_message: str, _hint: str) -> None:
    """Advice that something better is said instead of."""


def boolean(node: YamlNode, _advise: Advise) -> bool:
    """True or false, in the words of YAML 1.1; in quotes, too (B11)."""
    if node.tag in (None, TAG + "bool", TAG + "str", ANY):
        if node.value in TRUE or (node.tag != TAG + "bool" and node.value in YES):
            return True
        if node.value in FALSE or (node.tag != TAG + "bool" and node.value in NO):
            return False
    raise ScalarError(f"{_shown(node)} is neither true nor false", hint="write true or false")


UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(node: YamlNode, _advise: Advise) -> float:
    """A time limit: a number of seconds, or text such as 90s, 5m, 1h30m (B10)."""
    plain = number(node.value) if may_be_number(node) else None
    if plain is None and node.value.isascii() and node.value.replace(".", "", 1).isdecimal():
        plain = float(node.value)
    if plain is not None and 0 <= plain < 1e12:
        return float(plain)
    total, rest = 0.0, node.value.strip()
    while rest:
        digits = rest[:len(rest) - len(rest.lstrip("0123456789."))]
        rest = rest[len(digits):]
        unit = next((u for u in UNITS if rest.startswith(u)), "")
        amount = number(digits)
        if not unit or amount is None:
            raise ScalarError(f"{_shown(node)} is not a time", hint="write seconds, or text such as 90s or 5m")
        total, rest = total + float(digits) * UNITS[unit], rest[len(unit):]
    if not node.value.strip():
        raise ScalarError("an empty text is not a time", hint="write seconds, or text such as 90s or 5m")
    return total


def one_of(*words: str) -> Callable[[YamlNode, Advise], str]:
    """A field that takes one of *words*."""

    def check(node: YamlNode, _advise: Advise) -> str:
        if node.value not in words:
            raise ScalarError(f"{_shown(node)} is not known here", hint=f"it is one of {', '.join(words)}")
        return str(node.value)

    return check


def _shown(node: YamlNode) -> str:
    """The text for a message, never more than a few characters of it."""
    value = node.value if len(node.value) <= 24 else node.value[:20] + "…"
    return repr(value) if node.plain else '"' + repr(value)[1:-1] + '"'


KINDS: dict[str, tuple[Callable[[Any, Advise], Any], str]] = {
    "str": (text, "text"),
    "int": (whole, "a number"),
    "Count": (count, "a number"),
    "Id": (identity, "a number"),
    "bool": (boolean, "true or false"),
    "Mode": (mode, "a mode such as 0644"),
    "Size": (size, "a number of MiB"),
    "Seconds": (seconds, "a time in seconds"),
    "Frequency": (one_of("always", "once", "once-per-image", "on-change"), "text"),
    "OnFailure": (one_of("continue", "stop-step", "stop-stage"), "text"),
}
"""How a scalar of each kind of field is read, and what it is called."""
