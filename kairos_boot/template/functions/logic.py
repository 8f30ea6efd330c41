"""sprig: defaults, choices, and what type a value has."""

from __future__ import annotations

from kairos_boot.template import limits
from kairos_boot.template.values import Failure, GoObject, kind_of, truth, type_name


def default(fallback: object, *given: object) -> object:
    return given[0] if given and truth(given[0]) else fallback


def coalesce(*values: object) -> object:
    return next((v for v in values if truth(v)), None)


def fail(reason: str) -> str:
    raise Failure(reason)


def deep_equal(one: object, two: object) -> bool:
    """Same type and same content, all the way down."""
    return _equal(one, two, limits.Walk(), 0)


def _equal(one: object, two: object, walk: limits.Walk, depth: int) -> bool:
    walk.enter(depth)
    if type_name(one) != type_name(two):
        return False
    if isinstance(one, (list, tuple)) and isinstance(two, (list, tuple)):
        return len(one) == len(two) and all(_equal(a, b, walk, depth + 1) for a, b in zip(one, two, strict=True))
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(_equal(one[k], two[k], walk, depth + 1) for k in one)
    return one == two


def type_is_like(name: str, value: object) -> bool:
    """The type, or a pointer to it."""
    return name in {type_name(value).removeprefix("*"), type_name(value)}


def _kind(value: object) -> str:
    return "ptr" if isinstance(value, GoObject) and value.type_name.startswith("*") else kind_of(value)


FUNCTIONS = {
    "default": ("aa*", default), "empty": ("a", lambda v: not truth(v)), "coalesce": ("a*", coalesce),
    "all": ("a*", lambda *v: all(map(truth, v))), "any": ("a*", lambda *v: any(map(truth, v))),
    "ternary": ("aab", lambda yes, no, choice: yes if choice else no), "fail": ("s", fail), "typeOf": ("a", type_name),
    "typeIs": ("sa", lambda name, value: name == type_name(value)), "typeIsLike": ("sa", type_is_like), "kindOf": ("a", _kind),
    "kindIs": ("sa", lambda name, value: name == _kind(value)), "deepEqual": ("aa", deep_equal),
}  # fmt: skip
