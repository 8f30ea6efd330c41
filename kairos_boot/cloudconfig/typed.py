"""Nodes to plain data, checked against the annotations of the model (as yip's decoder).

What comes out can be kept by `marshal`: dicts with the fields that the document gives, tuples, scalars. `plain.build`
makes records of it. Every fault of a document is collected; nothing here stops at the first.
"""

from __future__ import annotations

from kairos_boot.cloudconfig import model
from kairos_boot.cloudconfig.model import KEY_NAMES, LOADER_FIELDS
from kairos_boot.cloudconfig.nodes import LOOP, MAPPING, SCALAR, SEQUENCE
from kairos_boot.cloudconfig.problems import Problems
from kairos_boot.cloudconfig.scalars import KINDS, TAG, ScalarError, is_null
from kairos_boot.nearest import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from kairos_boot.cloudconfig.nodes import YamlNode

    Pairs = list[tuple[YamlNode, YamlNode]]

ABSENT: Any = object()
"""What a null becomes: the field keeps its zero value, a list loses the element."""
ALIASES = {"owner_string": "ownerstring"}
"""Keys with a second, published spelling (B2)."""
GUESSES = 20
"""For so many unknown words of a document the one that was meant is looked for."""
FREE_VALUES, FULL_VALUES = 400_000, 4_000_000
"""Up to the first number of values nearly all may come from aliases, from the second on a tenth (as yip's decoder)."""


class NestingError(Exception):
    """Aliases make far more values than the document has."""


class Decoder:
    """Decodes the nodes of one document called *source* and collects what is wrong with it."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.problems = Problems()
        self.broken = False
        self._told: set[tuple[str, str]] = set()
        self._values = 0
        self._aliased = 0
        self._depth = 0
        self._guesses = 0

    def error(self, node: YamlNode, path: str, message: str, hint: str = "") -> None:
        """Note a fault that costs the document."""
        self.broken = True
        self._add("error", node, path, message, hint)

    def warn(self, node: YamlNode, path: str, message: str, hint: str = "") -> None:
        """Note what validate takes for an error and a run does not."""
        self._add("warning", node, path, message, hint)

    def advise(self, node: YamlNode, path: str, message: str, hint: str = "") -> None:
        """Note what is probably not meant."""
        self._add("advice", node, path, message, hint)

    def _add(self, severity: str, node: YamlNode, path: str, message: str, hint: str) -> None:
        place = f"{self.source}:{node.line}:{node.column}"
        if (place, message) in self._told:  # the same value, reached by another alias
            return
        self._told.add((place, message))
        self.problems.add(severity, f"{place}: {path}" if path else place, message, hint)

    def value(self, node: YamlNode, kind: str, path: str, marks: dict[str, tuple[int, int]], mark: str) -> Any:
        """The plain form of *node* for a field of *kind*; ABSENT for null and for what is wrong.

        *path* is shown to people; *marks* gets the place of each value under its path below the step, *mark*.
        """
        self._count(node)
        if node.kind is SCALAR and is_null(node):
            return ABSENT
        marks[mark] = (node.line, node.column)
        kind = kind.removesuffix(" | None")
        if node.alias:
            self._depth += 1
        try:
            return self._of_kind(node, kind, path, marks, mark)
        finally:
            if node.alias:
                self._depth -= 1

    def _of_kind(self, node: YamlNode, kind: str, path: str, marks: dict[str, tuple[int, int]], mark: str) -> Any:
        if node.kind is LOOP:
            self.error(node, path, f"the anchor {node.value!r} contains itself", "name another value, or write it out")
            return ABSENT
        if kind in KINDS:
            return self._scalar(node, kind, path)
        if kind.startswith("tuple["):
            if node.kind is not SEQUENCE:
                return self._misfit(node, path, "a list")
            return self._list(node, kind[6:-6], path, marks, mark)
        if node.kind is not MAPPING:
            return self._misfit(node, path, "a map")
        if kind == "Step":
            return self.step(node, path)
        below = f"{mark}/" if mark else ""
        if kind.startswith("Mapping[str, "):
            return self.map(node, kind[13:-1], path, marks, below)
        return self.record(node, getattr(model, kind), path, marks, below)

    def _scalar(self, node: YamlNode, kind: str, path: str) -> Any:
        read, name = KINDS[kind]
        if node.kind is not SCALAR:
            return self._misfit(node, path, name)
        try:
            return read(node, lambda message, hint: self.advise(node, path, message, hint))
        except ScalarError as wrong:
            self.error(node, path, wrong.message, wrong.hint)
            return ABSENT

    def _misfit(self, node: YamlNode, path: str, wanted: str) -> Any:
        self.error(node, path, f"{wanted} belongs here, not a {node.kind}", _remedy(node, wanted))
        return ABSENT

    def _list(self, node: YamlNode, kind: str, path: str, marks: dict[str, tuple[int, int]], mark: str) -> tuple[Any, ...]:
        items: list[Any] = []
        for item in node.value:
            number = len(items)
            value = self.value(item, kind, f"{path}[{number}]", marks, f"{mark}/{number}")
            if value is not ABSENT:
                items.append(value)
        return tuple(items)

    def map(self, node: YamlNode, kind: str, path: str, marks: dict[str, tuple[int, int]], below: str) -> dict[str, Any]:
        """A map of free names; a null value is the zero value, a null name drops the entry."""
        values = {}
        for key, item in self.pairs(node, path):
            if key.kind is SCALAR and is_null(key):
                self._count(item)
                continue
            value = self.value(item, kind, f"{path}.{key.value}", marks, below + key.value)
            values[key.value] = zero(kind) if value is ABSENT else value
        return values

    def record(self, node: YamlNode, cls: type, path: str, marks: dict[str, tuple[int, int]], below: str = "") -> dict[str, Any]:
        """The fields of *cls* that the map gives."""
        kinds = fields(cls)
        values: dict[str, Any] = {}
        for key, item in self.pairs(node, path):
            name = ALIASES.get(key.value, key.value) if "ownerstring" in kinds else key.value
            field = kinds.get(name)
            if field is None:
                self.unknown(key, f"{path}.{key.value}" if path else str(key.value), tuple(kinds))
                continue
            value = self.value(item, field[1], f"{path}.{key.value}" if path else key.value, marks, below + name)
            if value is not ABSENT:
                values[field[0]] = value
        return values

    def step(self, node: YamlNode, path: str) -> dict[str, Any]:
        """A step with the places of its values and the keys that it gives."""
        marks = {"": (node.line, node.column)}
        values = self.record(node, model.Step, path, marks)
        return {**values, "marks": marks, "keys": keys_of(values)}

    def unknown(self, key: YamlNode, path: str, known: Iterable[str]) -> None:
        """Warn of a key that is none of *known*."""
        pasted = not key.value.isascii() and any(c.isspace() and not c.isascii() for c in key.value)
        hint = "replace the no-break spaces, or the like, by blanks" if pasted else self.meant(key.value, known)
        self.warn(key, path, f"unknown key {key.value!r}", hint or "it has no effect; take it out or look the name up")

    def meant(self, word: str, known: Iterable[str]) -> str:
        """`did you mean X?`, of the first few unknown words only: to look for the names near 200 000 of them takes a minute."""
        return did_you_mean(word, known) if self.guesses() else ""

    def guesses(self) -> bool:
        """Whether one more guess at what was meant is worth its time."""
        self._guesses += 1
        return self._guesses <= GUESSES

    def pairs(self, node: YamlNode, path: str) -> Pairs:
        """Keys and values of a map with its merged maps filled in: own keys win, then the earlier of the merged maps."""
        own: dict[str, tuple[YamlNode, YamlNode]] = {}
        merged: list[YamlNode] = []
        for key, item in node.value:
            if key.kind is not SCALAR:
                self.error(key, path, f"a key must be text, not a {key.kind}", "put a key that begins with a bracket or {{ in quotes")
            elif key.value in own:
                first = own[key.value][0].line
                self.error(key, f"{path}.{key.value}" if path else key.value, f"the key {key.value!r} stands here twice, first at line {first}",
                           "keep one of them")
            else:
                own[key.value] = (key, item)
                if is_merge(key):
                    merged.append(item)
        if not merged:
            return list(own.values())
        del own["<<"]
        for item in merged:
            for part in item.value if item.kind is SEQUENCE else [item]:
                self._depth += item.alias or part.alias
                self._count(part)
                if part.kind is not MAPPING:
                    self.error(part, path, "only a map can be merged by <<", "name an anchor of a map, or a list of such")
                else:
                    for key, value in self.pairs(part, path):
                        self._count(value)
                        own.setdefault(key.value, (key, value))
                self._depth -= item.alias or part.alias
        return list(own.values())

    def _count(self, node: YamlNode) -> None:
        self._values += 1
        if self._depth or node.alias:
            self._aliased += 1
            if self._aliased > 1000 and self._values > 100:
                full = min(max(self._values - FREE_VALUES, 0) / (FULL_VALUES - FREE_VALUES), 1.0)
                if self._aliased > self._values * (0.99 - 0.89 * full):
                    raise NestingError


def keys_of(values: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys of a step with these values; deferred files are work of their own (B8)."""
    deferred = any(file.get("defer") for file in values.get("files", ()))
    return (*values, "deferred_files") if deferred else tuple(values)


def is_merge(key: YamlNode) -> bool:
    """Whether *key* is YAML's merge key: `<<` without quotes."""
    return bool(key.value == "<<" and (key.plain if key.tag is None else key.tag == TAG + "merge"))


def zero(kind: str) -> Any:
    """The plain form of the zero value of *kind*."""
    if kind == "str":
        return ""
    return () if kind.startswith("tuple[") else {}


_fields: dict[type, dict[str, tuple[str, str]]] = {}


def fields(cls: type) -> Mapping[str, tuple[str, str]]:
    """Key of the document -> (field, kind), for every key of the record *cls*."""
    if cls not in _fields:
        left_out = LOADER_FIELDS if cls is model.Step else ()
        _fields[cls] = {KEY_NAMES.get(n, n): (n, kind) for n, kind in cls.__annotations__.items() if n not in left_out}
    return _fields[cls]


def _remedy(node: YamlNode, wanted: str) -> str:
    """What a value of the wrong kind most often needs."""
    if wanted == "a list":
        return "write it as a list: a line `- …` for each item" if node.kind is SCALAR else "write a line `- …` for each item, without `key:`"
    if node.kind is SCALAR:
        return "write it as `key: value` lines below, indented"
    if node.kind is MAPPING:
        pairs = node.value
        if len(pairs) == 1 and pairs[0][0].kind is MAPPING:
            return "put a value that begins with {{ in quotes"
        if pairs and wanted == "text":
            return "a colon followed by a blank makes a map: put the text in quotes"
    return "put the text in quotes" if wanted == "text" else f"write {wanted}"
