"""Settings of a node: values out of many documents, each with its text as written and the place that it came from (F1, F2).

The rules of the merge are Kairos': maps by key, a list whose first element is a map grows by all of the newer one, any other list by what it
lacks, a null empties what is there, everything else is replaced. What Kairos cannot merge is an error that names both places.
"""

from __future__ import annotations

from kairos_boot.cloudconfig.nodes import MAPPING, SCALAR, SEQUENCE
from kairos_boot.cloudconfig.scalars import FALSE, TAG, TRUE, is_null, number
from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kairos_boot.cloudconfig.nodes import YamlNode
    from kairos_boot.cloudconfig.typed import Decoder

MAX_VALUES = 200_000
NULL, BOOL, INT, FLOAT, TEXT = "null", "a boolean", "a whole number", "a number", "text"


class Setting:
    """A value: a dict or a list of settings, or a scalar's text. `plain` is whether the text stands without quotes, `place` where its key is."""

    __slots__ = ("kind", "place", "plain", "value", "where")

    def __init__(self, kind: str, value: Any, where: str, *, plain: bool = True, place: str = "") -> None:
        self.kind = kind
        self.value = value
        self.where = where
        self.place = place or where
        self.plain = plain

    @property
    def data(self) -> Any:
        """What programs get: dicts, lists, text, numbers, booleans, None."""
        if self.kind is MAPPING:
            return {key: item.data for key, item in self.value.items()}
        if self.kind is SEQUENCE:
            return [item.data for item in self.value]
        scalar = self.scalar
        if scalar is NULL:
            return None
        if scalar is BOOL:
            return self.value in TRUE
        return number(self.value) if scalar in (INT, FLOAT) else self.value

    @property
    def scalar(self) -> str:
        """What kind of scalar it is, as YAML reads its text where no field says more."""
        if not self.plain:
            return TEXT
        if self.value in ("", "~", "null", "Null", "NULL"):
            return NULL
        if self.value in TRUE or self.value in FALSE:
            return BOOL
        read = number(self.value)
        return TEXT if read is None else INT if isinstance(read, int) else FLOAT


def mapping(value: object) -> dict[str, Any]:
    """*value* where it is a map, else an empty one: what a document has at a key may be anything."""
    return value if isinstance(value, dict) else {}


def listing(value: object) -> list[Any]:
    """*value* where it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def empty() -> Setting:
    return Setting(MAPPING, {}, "")


def from_data(data: Any, where: str = "") -> Setting:
    """Settings out of what programs have."""
    if isinstance(data, dict):
        return Setting(MAPPING, {str(key): from_data(item, where) for key, item in data.items()}, where)
    if isinstance(data, (list, tuple)):
        return Setting(SEQUENCE, [from_data(item, where) for item in data], where)
    if data is None or isinstance(data, bool):
        return Setting(SCALAR, {None: "null", True: "true", False: "false"}[data], where)
    return Setting(SCALAR, str(data), where, plain=not isinstance(data, str))


def word(text: str, where: str) -> Setting:
    """A word of the kernel command line: `true` and `false` are booleans, anything else is text (B11)."""
    return Setting(SCALAR, text, where, plain=text in ("true", "false"))


class Reader:
    """Turns the nodes of one document into settings; what is wrong with it is in the decoder's problems."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self._left = MAX_VALUES

    def read(self, node: YamlNode, path: str = "") -> Setting:
        """The settings below *node*. KairosError: aliases make far more values than a configuration has."""
        self._left -= 1
        where = f"{self.decoder.source}:{node.line}:{node.column}"
        if self._left < 0:
            raise KairosError("aliases make far more values than the document has", where, "write the values out")
        if node.kind is MAPPING:
            values = {}
            for key, item in self.decoder.pairs(node, path):
                values[key.value] = self.read(item, f"{path}.{key.value}" if path else key.value)
                values[key.value].place = f"{self.decoder.source}:{key.line}:{key.column}"
            return Setting(MAPPING, values, where)
        if node.kind is SEQUENCE:
            return Setting(SEQUENCE, [self.read(item, f"{path}[{at}]") for at, item in enumerate(node.value)], where)
        if node.kind is not SCALAR:
            raise KairosError(f"the alias *{node.value} stands inside the value that it names", where, "write the value out")
        if is_null(node):
            return Setting(SCALAR, "null", where)
        text = node.tag in (TAG + "str", TAG + "binary") if node.tag else False
        return Setting(SCALAR, node.value, where, plain=node.plain and not text)


def merge(old: Setting, new: Setting, path: str = "") -> Setting:
    """*new* laid over *old*. KairosError: they are of kinds that cannot be merged; both places are named."""
    if _is_null(old):
        return new
    if _is_null(new):
        return _zero(old, new.where)
    if old.kind is not new.kind:
        raise KairosError(f"cannot merge {_kind(new)} with {_kind(old)} of {old.where}", f"{new.where}: {path}" if path else new.where,
                          "give both the same form, or take one of them out")
    if old.kind is MAPPING:
        merged = dict(old.value)
        for key, item in new.value.items():
            below = f"{path}.{key}" if path else key
            merged[key] = merge(merged[key], item, below) if key in merged else item
        return Setting(MAPPING, merged, new.where, place=new.place)
    if old.kind is SEQUENCE:
        return Setting(SEQUENCE, _lists(old.value, new.value), new.where, place=new.place)
    return new


def _lists(old: list[Setting], new: list[Setting]) -> list[Setting]:
    if not old:
        return new
    if old[0].kind is MAPPING:
        return [*old, *new]
    known = [item.data for item in old]
    return [*old, *(item for item in new if item.data not in known)]


def _is_null(item: Setting) -> bool:
    return item.kind is SCALAR and item.scalar is NULL


def _zero(old: Setting, where: str) -> Setting:
    """What a null makes of a value: nothing of the same kind."""
    if old.kind is not SCALAR:
        return Setting(old.kind, {} if old.kind is MAPPING else [], where)
    scalar = old.scalar
    text = {BOOL: "false", INT: "0", FLOAT: "0", NULL: "null"}.get(scalar, "")
    return Setting(SCALAR, text, where, plain=scalar is not TEXT)


def _kind(item: Setting) -> str:
    return "a map" if item.kind is MAPPING else "a list" if item.kind is SEQUENCE else item.scalar
