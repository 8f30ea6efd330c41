"""How Go prints values: fmt's %v, %+v, %#v and %q of whole values, Print and Println. The verbs are in `gosprintf`."""

from __future__ import annotations

from kairos_boot.template import limits
from kairos_boot.template.data import Struct
from kairos_boot.template.text import quote
from kairos_boot.template.values import MISSING, GoObject, StringMap, Strings, encode, finite, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def show(value: object) -> str:
    """What an action prints for *value*."""
    if isinstance(value, str):
        return value
    if value is None or value is MISSING:
        return "<no value>"
    return sprint_value(value)


def sprint_value(value: object) -> str:
    """%v of *value*."""
    simple = scalar(value)
    if simple is not None:
        return simple
    return nested(value, lambda item: scalar(item) or "")


def scalar(value: object) -> str | None:
    """%v of anything but lists and maps, None for those."""
    if isinstance(value, str):
        return value
    if value is None or value is MISSING:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return float_text(value, "g", -1)
    if isinstance(value, GoObject):
        return str(value)
    return None


def nested(value: object, leaf: Callable[[object], str]) -> str:
    """Lists as `[a b]` and maps as `map[k:v]` in the order of the keys, scalars by *leaf*."""
    parts: list[str] = []
    _nested(value, leaf, parts, limits.Walk(), 0)
    text = "".join(parts)
    limits.text_fits(len(text))
    return text


def _nested(value: object, leaf: Callable[[object], str], parts: list[str], walk: limits.Walk, depth: int) -> None:
    walk.enter(depth)
    if isinstance(value, (list, tuple)):
        parts.append("[")
        for place, item in enumerate(value):
            if place:
                parts.append(" ")
            _nested(item, leaf, parts, walk, depth + 1)
        parts.append("]")
    elif isinstance(value, dict):
        parts.append("{" if isinstance(value, Struct) else "map[")
        for place, key in enumerate(value if isinstance(value, Struct) else sorted(value)):
            if place:
                parts.append(" ")
            if not isinstance(value, Struct):
                parts += (leaf(key), ":")
            _nested(value[key], leaf, parts, walk, depth + 1)
        parts.append("}" if isinstance(value, Struct) else "]")
    else:
        text = leaf(value)
        walk.left -= len(text) >> 6
        parts.append(text)


def syntax(value: object, depth: int = 0, walk: limits.Walk | None = None) -> str:
    """%#v of *value*."""
    walk = walk or limits.Walk()
    walk.enter(depth)
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, float):
        return float_text(value, "g", -1, threshold=21)
    if isinstance(value, (list, tuple)):
        return type_name(value) + "{" + ", ".join(_inner(v, value, depth, walk) for v in value) + "}"
    if isinstance(value, dict):
        return type_name(value) + "{" + ", ".join(f"{quote(k)}:{_inner(value[k], value, depth, walk)}" for k in sorted(value)) + "}"
    return scalar(value) or ""


def _inner(value: object, container: object, depth: int, walk: limits.Walk) -> str:
    if value is None and not isinstance(container, (Strings, StringMap)):
        return "interface {}(nil)"
    return syntax(value, depth + 1, walk)


def float_text(value: float, verb: str, precision: int, *, threshold: int = 6) -> str:
    """strconv.FormatFloat for e, f, g and their upper-case forms; precision -1 is the shortest exact form."""
    if not finite(value):
        return "+Inf" if value > 0 else "-Inf" if value < 0 else "NaN"
    lower = verb.lower()
    if precision >= 0 and lower != "g":
        text = f"{value:.{precision}{lower}}"
    elif precision >= 0:
        text = _general(value, precision)
    else:
        sign, digits, point = _shortest(value)
        if lower == "e" or (lower == "g" and not -4 <= point - 1 < threshold):
            mantissa = digits[0] + ("." + digits[1:] if digits[1:] else "")
            exponent = point - 1 if digits != "0" else 0
            text = f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
        elif point <= 0:
            text = f"{sign}0." + "0" * -point + digits if digits != "0" else sign + "0"
        else:
            whole = digits[:point].ljust(point, "0")
            text = sign + whole + ("." + digits[point:] if digits[point:] else "")
    return text.upper() if verb.isupper() else text


def _general(value: float, precision: int) -> str:
    """%g with a precision: significant digits without trailing zeros."""
    text = f"{value:.{precision or 1}g}"
    mantissa, mark, exponent = text.partition("e")
    return mantissa + mark + exponent


def _shortest(value: float) -> tuple[str, str, int]:
    """Sign, digits without trailing zeros, and the place of the decimal point in them."""
    text = repr(value)
    sign = "-" if text.startswith("-") else ""
    mantissa, _, exponent = text.lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + fraction
    point = len(whole) + int(exponent or 0)
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    stripped = stripped.rstrip("0")
    return (sign, stripped, point) if stripped else (sign, "0", 1)


def sprint(*values: object) -> str:
    """Go's Sprint: a space between two values that are both no strings."""
    parts: list[str] = []
    for place, value in enumerate(values):
        if place and not isinstance(value, str) and not isinstance(values[place - 1], str):
            parts.append(" ")
        parts.append(sprint_value(value))
    return _joined(parts, "")


def sprintln(*values: object) -> str:
    """Go's Sprintln: a space between all values and a line's end."""
    return _joined([sprint_value(v) for v in values], " ") + "\n"


def _joined(parts: list[str], separator: str) -> str:
    limits.text_fits(sum(map(len, parts)))
    return separator.join(parts)


def hex_text(text: str, *, upper: bool = False) -> str:
    """%x of a string."""
    digits = encode(text).hex()
    return digits.upper() if upper else digits
