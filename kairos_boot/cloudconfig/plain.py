"""Plain data (what `marshal` can keep) to records of the model: the way out of the parsed-document cache."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_builders: dict[tuple[str, str], Callable[[Any], Any] | None] = {}


def build(cls: type, plain: dict[str, Any]) -> Any:
    """The record *cls* out of the keys that a document gave; its annotations name records of its own file."""
    kinds, home = cls.__annotations__, cls.__module__
    values = {}
    for name, value in plain.items():
        inner = None if value is None else _builder(kinds[name], home)
        values[name] = inner(value) if inner else value
    return cls(**values)


def _builder(annotation: str, home: str) -> Callable[[Any], Any] | None:
    """What turns the plain form of *annotation* into its typed form, or None where they are the same."""
    key = (annotation, home)
    if key not in _builders:
        _builders[key] = _make(annotation.removesuffix(" | None"), home)
    return _builders[key]


def _make(kind: str, home: str) -> Callable[[Any], Any] | None:
    if kind.startswith("tuple["):
        item = _builder(kind[6:-6], home)
        return (lambda items: tuple([item(i) for i in items])) if item else None
    if kind.startswith("Mapping[str, "):
        value = _builder(kind[13:-1], home)
        return (lambda items: {k: value(v) for k, v in items.items()}) if value else None
    cls = getattr(sys.modules[home], kind, None)
    return (lambda value: build(cls, value)) if isinstance(cls, type) and kind != "Any" else None
