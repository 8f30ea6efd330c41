"""The functions of Go's text/template itself; `slice` is sprig's on lists and Go's on strings."""

from __future__ import annotations

from kairos_boot.template.data import Struct
from kairos_boot.template.gofmt import sprint, sprint_value, sprintln
from kairos_boot.template.gosprintf import sprintf
from kairos_boot.template.values import (
    Failure,
    GoObject,
    StringMap,
    Uint8,
    cut,
    encode,
    kind_of,
    size,
    truth,
    type_name,
)


def call(function: object, *_: object) -> object:
    """Nothing a template can name is a function value."""
    if function is None:
        raise Failure("call of nil")
    raise Failure(f"non-function of type {type_name(function)}")


def negate(value: object) -> bool:
    return not truth(value)


def length(value: object) -> int:
    if isinstance(value, str):
        return size(value)
    if isinstance(value, (list, tuple, dict)) and not isinstance(value, Struct):
        return len(value)
    raise Failure("len of nil pointer" if value is None else f"len of type {type_name(value)}")


def index(value: object, *keys: object) -> object:
    """The item at *keys*, one level each: positions in lists and strings, keys of maps."""
    for place, key in enumerate(keys):
        if value is None:
            raise Failure("index of nil pointer" if place else "index of untyped nil")
        if isinstance(value, dict) and not isinstance(value, Struct):
            if key is None:
                raise Failure("value is nil; should be of type string")
            if not isinstance(key, str):
                raise Failure(f"value has type {type_name(key)}; should be string")
            value = value.get(key, "" if isinstance(value, StringMap) else None)
        elif isinstance(value, (list, tuple)):
            value = value[position(key, len(value))]
        elif isinstance(value, str):
            data = encode(value)
            value = Uint8(data[position(key, len(data))])
        else:
            raise Failure(f"can't index item of type {type_name(value)}")
    return value


def position(key: object, count: int, *, end: bool = False) -> int:
    """*key* as an index below *count* (or equal to it, for the end of a slice)."""
    if key is None:
        raise Failure("cannot index slice/array with nil")
    if not isinstance(key, int) or isinstance(key, bool):
        raise Failure(f"cannot index slice/array with type {type_name(key)}")
    if not 0 <= key < count + end:
        raise Failure(f"index out of range: {int(key)}")
    return int(key)


def part(value: object, *bounds: object) -> object:
    """A part of a string (in bytes) or of a list; the bounds of a list are converted to int as sprig does."""
    if isinstance(value, str):
        if len(bounds) > 2:
            raise Failure("cannot 3-index slice a string")
        count = size(value)
        numbers = [position(b, count, end=True) for b in bounds]
        start, stop = (*numbers, 0)[0] if numbers else 0, numbers[1] if len(numbers) > 1 else count
        if start > stop:
            raise Failure(f"invalid slice index: {start} > {stop}")
        return cut(value, start, stop)
    if not isinstance(value, (list, tuple)):
        raise Failure(f"list should be type of slice or array but {kind_of(value)}")
    from kairos_boot.template.functions.arithmetic import to_int

    if not value:
        return None
    numbers = [to_int(b) for b in bounds]
    start, stop = numbers[0] if numbers else 0, numbers[1] if len(numbers) > 1 else len(value)
    if not 0 <= start <= stop <= len(value):
        raise Failure(f"slice bounds out of range [{start}:{stop}] of {len(value)} items")
    return value[start:stop]


def _basic(value: object) -> str:
    """The family of types that may be compared with one another."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float"
    return "string" if isinstance(value, str) else ""


def equal(first: object, *others: object) -> bool:
    if not others:
        raise Failure("missing argument for comparison")
    return any(_same(first, other) for other in others)


def _same(one: object, two: object) -> bool:
    kind = _basic(one)
    if kind != _basic(two):
        if one is not None and two is not None:
            raise Failure(f"incompatible types for comparison: {type_name(one)} and {type_name(two)}", "convert one with int, float64 or toString")
        return False
    if not kind and one is not None and two is not None:
        if not isinstance(one, GoObject) or not isinstance(two, GoObject):
            bad = one if not isinstance(one, GoObject) else two
            raise Failure(f"non-comparable type {sprint_value(bad)}: {type_name(bad)}")
        return one == two
    return one == two


def unequal(one: object, two: object) -> bool:
    return not _same(one, two)


def less(one: object, two: object) -> bool:
    kind = _basic(one)
    if not kind or not _basic(two):
        raise Failure("invalid type for comparison")
    if kind != _basic(two):
        raise Failure(f"incompatible types for comparison: {type_name(one)} and {type_name(two)}", "convert one with int, float64 or toString")
    if isinstance(one, str) and isinstance(two, str):
        return encode(one) < encode(two)
    if kind == "bool" or not isinstance(one, (int, float)) or not isinstance(two, (int, float)):
        raise Failure("invalid type for comparison")
    return one < two


def less_or_equal(one: object, two: object) -> bool:
    return less(one, two) or _same(one, two)


def greater(one: object, two: object) -> bool:
    return not less_or_equal(one, two)


def greater_or_equal(one: object, two: object) -> bool:
    return not less(one, two)


def _joined(values: tuple[object, ...]) -> str:
    return sprint(*("<no value>" if value is None else value for value in values))


def html(*values: object) -> str:
    table: dict[str, str | int | None] = {"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"}
    return _joined(values).translate(str.maketrans(table))


def js(*values: object) -> str:
    from kairos_boot.template.text import printable

    table = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}
    out = []
    for char in _joined(values):
        known = table.get(char)
        out.append(known or (char if printable(char) or 0xDC80 <= ord(char) <= 0xDCFF else f"\\u{ord(char):04X}"))
    return "".join(out)


def urlquery(*values: object) -> str:
    """Escape for the query of a URL, a space being `+`."""
    safe = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~")
    return "".join(chr(b) if b in safe else "+" if b == 32 else f"%{b:02X}" for b in encode(_joined(values)))


FUNCTIONS = {
    "call": ("aa*", call), "not": ("a", negate), "len": ("a", length), "index": ("aa*", index), "slice": ("aa*", part),
    "mustSlice": ("aa*", part), "eq": ("aa*", equal), "ne": ("aa", unequal), "lt": ("aa", less), "le": ("aa", less_or_equal),
    "gt": ("aa", greater), "ge": ("aa", greater_or_equal), "print": ("a*", sprint), "println": ("a*", sprintln),
    "printf": ("sa*", sprintf), "html": ("a*", html), "js": ("a*", js), "urlquery": ("a*", urlquery),
}  # fmt: skip
