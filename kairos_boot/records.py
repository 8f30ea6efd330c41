"""Frozen, slotted records that type checkers read as frozen dataclasses and that cost no start-up time.

`dataclasses` imports `inspect` and compiles source for every class, which a boot would pay for at each of its starts;
this decorator makes one class object and nothing else. Fields are the annotations of the class, in order, those of a
base record first; a field with a value in the class body has that default. Defaults are shared, so they are immutable.
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
    fields, defaults, put = cls.__match_args__, cls._defaults, object.__setattr__
    if len(values) > len(fields):
        raise TypeError(f"{cls.__name__} takes {len(fields)} values, {len(values)} given")
    for name, value in zip(fields, values, strict=False):
        put(self, name, value)
    for name in fields[len(values):]:
        if name in named:
            put(self, name, named.pop(name))
        elif name in defaults:
            put(self, name, defaults[name])
        else:
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


@dataclass_transform(frozen_default=True, eq_default=True)
def record(cls: T) -> T:
    """Make *cls* a frozen record with slots, equality, a hash and a readable form."""
    own = tuple(cls.__dict__.get("__annotations__", ()))  # noqa: RUF063
    inherited = tuple(n for n in getattr(cls, "__match_args__", ()) if n not in own)
    body = {k: v for k, v in cls.__dict__.items() if k not in own and k not in ("__dict__", "__weakref__")}
    body["__slots__"] = tuple(n for n in own if n not in getattr(cls, "__match_args__", ()))
    body["__match_args__"] = (*inherited, *own)
    body["_defaults"] = {**getattr(cls, "_defaults", {}), **{n: cls.__dict__[n] for n in own if n in cls.__dict__}}
    for name, method in (("__init__", _init), ("__setattr__", _refuse), ("__delattr__", _refuse), ("__eq__", _eq),
                         ("__hash__", _hash), ("__repr__", _repr)):
        body.setdefault(name, method)
    return type(cls)(cls.__name__, cls.__bases__, body)


def replace(item: Any, **changes: Any) -> Any:
    return type(item)(**{name: changes.get(name, getattr(item, name)) for name in item.__match_args__})
