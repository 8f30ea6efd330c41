"""Numbers and characters as templates write them, Go's untyped constants."""

from __future__ import annotations

from kairos_boot.template.text import quote, unquote
from kairos_boot.template.values import Failure


def number(kind: str, source: str) -> int | float:
    """The value of a number or character token: an int, or a float64 if it is written as one."""
    if kind == "char":
        value = unquote(source)
        if source == "''" or value is None:
            raise Failure("invalid syntax")
        if len(value) != 1:
            raise Failure(f"malformed character constant: {source}")
        return ord(value) if not 0xDC80 <= ord(value) <= 0xDCFF else ord(value) - 0xDC00
    body = source.lstrip("+-").lower()
    hexadecimal = body.startswith("0x")
    digits = body[2:] if body[:2] in {"0x", "0o", "0b"} else body
    prefixed = len(digits) != len(body)
    floats = "." in digits or "p" in digits or ("e" in digits and not hexadecimal)
    if "_" in digits and (digits.endswith("_") or "__" in digits or (floats and not hexadecimal)):
        raise Failure(f"illegal number syntax: {quote(source)}")
    try:
        if floats:
            return _float(source.replace("_", ""), hexadecimal=hexadecimal)
        legacy = not prefixed and len(digits) > 1 and digits.startswith("0")
        value_ = int(digits.replace("_", ""), 8 if legacy else {"0x": 16, "0o": 8, "0b": 2}.get(body[:2], 10))
    except ValueError:
        raise Failure(f"illegal number syntax: {quote(source)}") from None
    value_ = -value_ if source.startswith("-") else value_
    if not -(1 << 63) <= value_ < 1 << 63:
        raise Failure(f"integer overflow: {quote(source)}")
    return value_


def _float(source: str, *, hexadecimal: bool) -> float:
    if hexadecimal and "p" not in source.lower():
        raise ValueError(source)
    try:
        value = float.fromhex(source) if hexadecimal else float(source)
    except OverflowError:
        value = float("inf")
    if value in {float("inf"), float("-inf")}:
        raise ValueError(source)
    return value

