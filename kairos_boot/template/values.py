"""Go's values as this package keeps them: which Python object stands for which Go type.

bool, str, float, list and dict are bool, string, float64, []interface {} and map[string]interface {}; a plain int is a Go
int. The other types that templates meet are the small subclasses below. A string that holds bytes which are no UTF-8 (a
`trunc` inside a character, decoded base64) keeps them as lone surrogates, as Python's own `surrogateescape` does.
"""

from __future__ import annotations

from kairos_boot.template.data import Struct
from kairos_boot.template.errors import TemplateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Missing:
    """Go's zero reflect.Value: the result of looking up a key that is not there. There is one, MISSING."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<no value>"


MISSING = Missing()


class Int64(int):
    """An int64: what the arithmetic functions return."""

    __slots__ = ()


class Uint8(int):
    """A byte: what indexing a string gives."""

    __slots__ = ()


class Strings(list[object]):
    """A []string."""

    __slots__ = ()


class Ints(list[object]):
    """A []int."""

    __slots__ = ()


class Lists(list[object]):
    """A [][]interface {}."""

    __slots__ = ()


class StringMap(dict[str, object]):
    """A map[string]string."""

    __slots__ = ()


class NilMap(dict[str, object]):
    """A nil map[string]interface {}: what a missing value is where a map is wanted."""

    __slots__ = ()


class GoObject:
    """A value with methods and of its own type: a time, a version. `methods` maps a name to (signature, function)."""

    __slots__ = ()
    type_name = "struct {}"
    kind_name = "struct"

    def methods(self) -> dict[str, tuple[str, Callable[..., object]]]:
        """The methods a template may call, with signatures as in `calls`."""
        return {}


class Failure(Exception):  # noqa: N818
    """A function's own error; the interpreter adds the place. *hint* goes into the TemplateError."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


def type_name(value: object) -> str:
    """Go's name of the type of *value*; of nil it is `<nil>`."""
    kind = type(value)
    name = _TYPES.get(kind)
    if name is not None:
        return name
    if isinstance(value, GoObject):
        return value.type_name
    for base, text in _TYPES.items():
        if isinstance(value, base):
            return text
    return kind.__name__


_TYPES: dict[type, str] = {
    type(None): "<nil>", Missing: "<nil>", bool: "bool", Int64: "int64", Uint8: "uint8", int: "int", float: "float64", str: "string",
    Strings: "[]string", Ints: "[]int", Lists: "[][]interface {}", list: "[]interface {}", tuple: "[]interface {}",
    StringMap: "map[string]string", Struct: "struct", dict: "map[string]interface {}",
}  # fmt: skip


def kind_of(value: object) -> str:
    """Go's reflect.Kind of *value*."""
    if value is None or value is MISSING:
        return "invalid"
    if isinstance(value, GoObject):
        return value.kind_name
    if isinstance(value, Struct):
        return "struct"
    if isinstance(value, (list, tuple)):
        return "slice"
    if isinstance(value, dict):
        return "map"
    return type_name(value)


def truth(value: object) -> bool:
    """Go's truth: not the zero value, not empty, not nil. A struct is always true."""
    return isinstance(value, (GoObject, Struct)) or (value is not MISSING and bool(value))


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def size(text: str) -> int:
    """Length of *text* in bytes, Go's len."""
    return len(text) if text.isascii() else len(encode(text))


def cut(text: str, start: int, end: int | None = None) -> str:
    """Go's text[start:end], in bytes."""
    return text[start:end] if text.isascii() else decode(encode(text)[start:end])


def finite(number: float) -> bool:
    """False for infinity and for what is no number."""
    return abs(number) < float("inf")


def wrap64(number: int) -> Int64:
    """*number* as an int64, overflowing as Go's arithmetic does."""
    if -(1 << 63) <= number < 1 << 63:
        return Int64(number)
    return Int64((number + (1 << 63)) % (1 << 64) - (1 << 63))


def located(text: str, position: int) -> tuple[int, int]:
    """Line (from 1) and column (bytes, from 0) of the character offset *position*."""
    start = text.rfind("\n", 0, position) + 1
    return text.count("\n", 0, position) + 1, len(encode(text[start:position]))


def syntax_error(line: int, reason: str, *, function: str = "", hint: str = "") -> TemplateError:
    """The error of a text that cannot be parsed."""
    return TemplateError(f"template: template:{line}: {reason}", hint, reason=reason, line=line, function=function, unread=True)
