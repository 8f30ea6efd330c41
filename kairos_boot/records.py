"""Frozen records that type checkers read as frozen dataclasses and that cost no start-up time.

`dataclasses` imports `inspect` and compiles source for every class, which a boot would pay for at each of its starts;
this decorator gives a class six methods and nothing else (slots would mean to make it twice). Fields are the annotations
of the class, in order, those of a base record first; a field with a value in the class body has that default: a record that
was not given one has only the class's. Defaults are shared, so they are immutable.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeVar, dataclass_transform

    T = TypeVar("T", bound=type)
else:
    def dataclass_transform(**_: object):  # noqa: ANN201
        return lambda function: function

NOTHING: Mapping[str, Any] = type(type.__dict__)({})
"""The empty, immutable mapping: the default of a field that is a mapping."""


def _init(self: Any, *values: Any, **named: Any) -> None:
    cls = type(self)
    fields, put = cls.__match_args__, object.__setattr__
    if len(values) > len(fields):
        raise TypeError(f"{cls.__name__} takes {len(fields)} values, {len(values)} given")
    for name, value in zip(fields, values, strict=False):
        put(self, name, value)
    for name in fields[len(values):]:
        if name in named:
            put(self, name, named.pop(name))
        elif not hasattr(cls, name):
            raise TypeError(f"{cls.__name__} needs {name!r}")
    if named:
        raise TypeError(f"{cls.__name__} has no field {min(named)!r}")


def _refuse(self: Any, name: str, value: Any = None) -> None:  # noqa: ARG001
    raise AttributeError(f"{type(self).__name__} is frozen: {name!r} cannot be set")


def _values(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, name) for name in self.__match_args__)


def _eq(self: Any, other: object) -> bool:
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash((type(self).__name__, _values(self)))


def _repr(self: Any) -> str:
    return f"{type(self).__name__}({', '.join(f'{n}={getattr(self, n)!r}' for n in self.__match_args__)})"


METHODS = (("__init__", _init), ("__setattr__", _refuse), ("__delattr__", _refuse), ("__eq__", _eq), ("__hash__", _hash), ("__repr__", _repr))


@dataclass_transform(frozen_default=True, eq_default=True)
def record(cls: T) -> T:
    """Make *cls* a frozen record with equality, a hash and a readable form."""
    own = tuple(cls.__dict__.get("__annotations__", ()))  # noqa: RUF063
    base = getattr(cls, "__match_args__", None)
    cls.__match_args__ = own if base is None else (*[name for name in base if name not in own], *own)  # type: ignore[attr-defined, misc]
    for name in own:
        if hasattr(cls.__dict__.get(name), "__get__"):  # a function, which the class would make a method of
            setattr(cls, name, staticmethod(cls.__dict__[name]))
    for name, method in METHODS if base is None else ():
        if name not in cls.__dict__:
            setattr(cls, name, method)
    return cls


def replace(item: Any, **changes: Any) -> Any:
    return type(item)(**{name: changes.get(name, getattr(item, name)) for name in item.__match_args__})
