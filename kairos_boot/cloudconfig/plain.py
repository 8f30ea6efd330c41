"""Plain data (what `marshal` can keep) to records of the model: the way out of the parsed-document cache."""

from __future__ import annotations

from kairos_boot.cloudconfig import model

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_builders: dict[str, Callable[[Any], Any] | None] = {}


def _builder(annotation: str) -> Callable[[Any], Any] | None:
    """What turns the plain form of *annotation* into its typed form, or None where they are the same."""
    if annotation not in _builders:
        _builders[annotation] = _make(annotation.removesuffix(" | None"))
    return _builders[annotation]


def _make(kind: str) -> Callable[[Any], Any] | None:
    if kind.startswith("tuple["):
        item = _builder(kind[6:-6])
        return (lambda items: tuple([item(i) for i in items])) if item else None
    if kind.startswith("Mapping[str, "):
        value = _builder(kind[13:-1])
        return (lambda items: {k: value(v) for k, v in items.items()}) if value else None
    cls = getattr(model, kind, None)
    return (lambda value: build(cls, value)) if isinstance(cls, type) and kind != "Any" else None


def build(cls: type, plain: dict[str, Any]) -> Any:
    """The record *cls* out of the keys that a document gave."""
    kinds = cls.__annotations__
    values = {}
    for name, value in plain.items():
        inner = None if value is None else _builder(kinds[name])
        values[name] = inner(value) if inner else value
    return cls(**values)
