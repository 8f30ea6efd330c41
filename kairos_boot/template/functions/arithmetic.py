"""sprig: conversion to numbers, integer (int64) and floating arithmetic, sequences."""

from __future__ import annotations

from kairos_boot.template import limits
from kairos_boot.template.values import Failure, Int64, Ints, finite, wrap64

_BASES = {"0x": 16, "0X": 16, "0o": 8, "0O": 8, "0b": 2, "0B": 2}


def parse_int(text: str) -> int | None:
    """Go's ParseInt with base 0: prefixes, a leading 0 for octal; None if *text* is no int64."""
    body = text[1:] if text[:1] in {"+", "-"} else text
    base = _BASES.get(body[:2], 8 if len(body) > 1 and body[0] == "0" else 10)
    digits = body[2:] if body[:2] in _BASES else body
    if not digits.isascii() or not digits[:1].isalnum() or digits.endswith("_"):
        return None
    try:
        value = int(digits, base)
    except ValueError:
        return None
    value = -value if text[:1] == "-" else value
    return value if -(1 << 63) <= value < 1 << 63 else None


def to_int(value: object) -> int:
    """Any value as an integer, 0 if it is none; fractions are cut off."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _cut(value)
    if isinstance(value, str):
        text = value
        whole, _, fraction = text.partition(".")
        if fraction and not fraction.strip("0") and not text.startswith("."):
            text = whole
        return parse_int(text) or 0
    return 0


def _cut(value: float) -> int:
    return int(value) if abs(value) < 9.3e18 else -(1 << 63)


def to_float(value: object) -> float:
    """Any value as a float64, 0 if it is none."""
    if isinstance(value, (bool, int, float)):
        return float(value)
    if isinstance(value, str):
        text = value.strip()
        if text != value or "_" in text or not text.isascii():
            return 0.0
        try:
            return float.fromhex(text) if text[:3].lower().lstrip("+-").startswith("0x") else float(text)
        except (ValueError, OverflowError):
            return 0.0
    return 0.0


def atoi(text: str) -> int:
    """A decimal number, 0 if *text* is none."""
    body = text[1:] if text[:1] in {"+", "-"} else text
    if not (body.isascii() and body.isdecimal()) or len(body) > 30:
        return 0
    return max(-(1 << 63), min((1 << 63) - 1, int(text)))


def to_decimal(value: object) -> Int64:
    """An octal number as the decimal one: a file mode."""
    from kairos_boot.template.gofmt import sprint_value

    text = sprint_value(value)
    try:
        return wrap64(int(text, 8)) if text.strip() == text and "_" not in text and "o" not in text.lower() else Int64(0)
    except ValueError:
        return Int64(0)


def _total(*values: object) -> Int64:
    return wrap64(sum(map(to_int, values)))


def _product(*values: object) -> Int64:
    result = 1
    for value in values:
        result = wrap64(result * to_int(value))
    return wrap64(result)


def _operands(one: object, two: object) -> tuple[int, int]:
    """Both as integers; a divisor is not 0."""
    a, b = to_int(one), to_int(two)
    if not b:
        raise Failure("runtime error: integer divide by zero")
    return a, b


def _divide(one: object, two: object) -> Int64:
    a, b = _operands(one, two)
    return wrap64(abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1))


def _remainder(one: object, two: object) -> Int64:
    a, b = _operands(one, two)
    return wrap64(abs(a) % abs(b) * (-1 if a < 0 else 1))


def _decimal_number(value: object) -> object:
    """The exact decimal that *value* prints as, so that 0.1 and 0.2 make 0.3."""
    from decimal import Decimal

    number = to_float(value)
    if not finite(number):
        raise Failure(f"Cannot create a Decimal from {number}")
    return Decimal(repr(number))


def _decimals(operation: str, *values: object) -> float:
    from decimal import Context, Decimal

    context = Context(prec=800 if operation != "/" else 40, Emin=-99999, Emax=99999)
    items = [v for v in map(_decimal_number, values) if isinstance(v, Decimal)]
    result = Decimal(0) if operation == "+" else items[0]
    for item in items if operation == "+" else items[1:]:
        if operation == "/":
            if not item:
                raise Failure("decimal division by 0")
            result = context.divide(result, item).quantize(Decimal(1).scaleb(-16), rounding="ROUND_HALF_UP", context=Context(prec=400))
        else:
            result = {"+": context.add, "-": context.subtract, "*": context.multiply}[operation](result, item)
    return float(result)


def _round(value: object, places: int, *half: float) -> float:
    """*value* with *places* decimals; *half* (0.5) is where rounding up begins."""
    from math import floor, modf

    number = to_float(value)
    if abs(places) > 300:
        raise Failure(f"cannot round to {places} places")
    power = 10.0**places
    scaled = power * number
    if not finite(scaled):
        return number
    fraction = modf(scaled)[0]
    if fraction >= (half[0] if half else 0.5):
        return float(-floor(-scaled)) / power
    return float(floor(scaled)) / power


def _ceil(value: object) -> float:
    number = to_float(value)
    return float(-(-number // 1))


def sequence(*bounds: int) -> str:
    """As seq(1) prints it, in one line: END, or BEGIN END, or BEGIN STEP END."""
    if not bounds or len(bounds) > 3:
        return ""
    start, end = (1, bounds[0]) if len(bounds) == 1 else (bounds[0], bounds[-1])
    step = bounds[1] if len(bounds) == 3 else (1 if end >= start else -1)
    if len(bounds) == 3 and step <= 0 < end - start:
        return ""
    return " ".join(map(str, until_step(start, end + (1 if step > 0 else -1), step)))


def until_step(start: int, stop: int, step: int) -> Ints:
    if step == 0:
        return Ints()
    numbers = range(start, stop, step)
    limits.list_fits(max(0, (stop - start + step - (1 if step > 0 else -1)) // step))
    return Ints(numbers)


def until(count: int) -> Ints:
    return until_step(0, count, 1 if count >= 0 else -1)


FUNCTIONS = {
    "atoi": ("s", atoi), "int": ("a", to_int), "int64": ("a", lambda v: wrap64(to_int(v))), "float64": ("a", to_float),
    "toDecimal": ("a", to_decimal), "add1": ("a", lambda v: _total(v, 1)), "add": ("a*", _total),
    "sub": ("aa", lambda a, b: wrap64(to_int(a) - to_int(b))), "div": ("aa", _divide), "mod": ("aa", _remainder), "mul": ("aa*", _product),
    "add1f": ("a", lambda v: _decimals("+", v, 1)), "addf": ("a*", lambda *v: _decimals("+", *v)),
    "subf": ("aa*", lambda *v: _decimals("-", *v)), "divf": ("aa*", lambda *v: _decimals("/", *v)),
    "mulf": ("aa*", lambda *v: _decimals("*", *v)), "max": ("aa*", lambda *v: Int64(max(map(to_int, v)))),
    "min": ("aa*", lambda *v: Int64(min(map(to_int, v)))), "biggest": ("aa*", lambda *v: Int64(max(map(to_int, v)))),
    "maxf": ("aa*", lambda *v: max(map(to_float, v))), "minf": ("aa*", lambda *v: min(map(to_float, v))),
    "ceil": ("a", _ceil), "floor": ("a", lambda v: float(to_float(v) // 1)), "round": ("aif*", _round), "seq": ("i*", sequence),
    "until": ("i", until), "untilStep": ("iii", until_step),
}  # fmt: skip
