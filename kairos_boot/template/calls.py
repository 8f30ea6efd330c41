"""Arguments of functions: how many, of which type, with Go's words when one is wrong.

A signature has one letter for each parameter: s string, i int, l int64, u uint32, f float64, b bool, m map[string]any,
t a time, a anything; `*` behind the last letter makes that parameter repeatable.
"""

from __future__ import annotations

from kairos_boot.template import nodes as n
from kairos_boot.template.values import MISSING, Failure, GoObject, Int64, NilMap, StringMap, Uint8, type_name

_NAMES = {
    "s": "string", "i": "int", "l": "int64", "u": "uint32", "f": "float64", "b": "bool", "m": "map[string]interface {}", "t": "time.Time",
    "a": "interface {}",
}  # fmt: skip
_WANTED = {"s": "string", "i": "integer", "l": "integer", "u": "unsigned integer", "f": "float", "b": "bool"}


def letter(signature: str, place: int) -> str:
    fixed = signature.rstrip("*")
    return fixed[min(place, len(fixed) - 1)]


def check_count(name: str, signature: str, count: int) -> None:
    if signature.endswith("*"):
        least = len(signature) - 2
        if count < least:
            raise Failure(f"wrong number of args for {name}: want at least {least} got {count}")
    elif count != len(signature):
        raise Failure(f"wrong number of args for {name}: want {len(signature)} got {count}")


def check_type(value: object, code: str) -> object:
    """*value* as an argument of type *code*."""
    if code == "a":
        return None if value is MISSING else value
    if value is MISSING or value is None:
        if code == "m" and value is MISSING:
            return NilMap()
        got = "invalid value; expected " if value is MISSING else "wrong type for value; expected "
        raise Failure(got + _NAMES[code] + ("" if value is MISSING else "; got interface {}"), "give it a value with default")
    if not _fits(value, code):
        raise Failure(f"wrong type for value; expected {_NAMES[code]}; got {type_name(value)}", _remedy(code))
    return value


def _fits(value: object, code: str) -> bool:
    if code == "s":
        return isinstance(value, str)
    if code == "i":
        return isinstance(value, int) and not isinstance(value, (bool, Int64, Uint8))
    if code == "l":
        return isinstance(value, Int64)
    if code == "f":
        return isinstance(value, float)
    if code == "b":
        return isinstance(value, bool)
    if code == "m":
        return isinstance(value, dict) and not isinstance(value, StringMap)
    return isinstance(value, GoObject) and value.type_name == "time.Time" if code == "t" else False


def _remedy(code: str) -> str:
    return {"s": "convert it with toString", "i": "convert it with int", "f": "convert it with float64"}.get(code, "")


def constant(node: n.Literal | n.Nil, code: str) -> object:
    """A literal as an argument of type *code*; a whole number fits every number type."""
    if isinstance(node, n.Nil):
        if code == "a":
            return None
        if code == "m":
            return NilMap()
        raise Failure(f"cannot assign nil to {_NAMES[code]}")
    value = node.value
    if code == "a":
        return value
    if node.kind == "number" and isinstance(value, (int, float)):
        if code == "f":
            return float(value)
        if code in "ilu" and abs(value) <= 1 << 63 and value == int(value) and (code != "u" or value >= 0):
            return Int64(value) if code == "l" else int(value)
    elif _fits(value, code):
        return value
    if code in _WANTED:
        raise Failure(f"expected {_WANTED[code]}; found {node}")
    raise Failure(f"can't handle {node} for arg of type {_NAMES[code]}")
