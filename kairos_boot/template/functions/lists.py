"""sprig: lists. Every function makes a new list; the names with `must` are the same functions."""

from __future__ import annotations

from kairos_boot.template import limits
from kairos_boot.template.functions.logic import deep_equal
from kairos_boot.template.values import Failure, Lists, kind_of, truth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def _items(value: object, action: str) -> list[object]:
    """*value* as a list to do *action* with."""
    if isinstance(value, (list, tuple)):
        return list(value)
    raise Failure(f"Cannot {action} on type {kind_of(value)}" if value is not None else f"Cannot {action} on nil")


def first(value: object) -> object:
    items = _items(value, "find first")
    return items[0] if items else None


def last(value: object) -> object:
    items = _items(value, "find last")
    return items[-1] if items else None


def append(value: object, item: object) -> list[object]:
    return [*_items(value, "push"), item]


def prepend(value: object, item: object) -> list[object]:
    return [item, *_items(value, "prepend")]


def concat(*values: object) -> list[object]:
    limits.list_fits(sum(len(v) for v in values if isinstance(v, (list, tuple))))
    for value in values:
        if not isinstance(value, (list, tuple)):
            raise Failure(f"Cannot concat type {kind_of(value)} as list")
    return [item for value in values if isinstance(value, (list, tuple)) for item in value]


def uniq(value: object) -> list[object]:
    found: list[object] = []
    items = _items(value, "find uniq")
    seen: set[tuple[str, object]] = set()
    for item in items:
        if isinstance(item, (str, int, float)):
            if (type(item).__name__, item) not in seen:
                seen.add((type(item).__name__, item))
                found.append(item)
        elif not _holds(found, item):
            found.append(item)
    return found


def _holds(items: list[object], wanted: object) -> bool:
    if len(items) > 2_000:
        raise Failure(f"the list has {len(items)} items", "at most 2000 can be searched for")
    return any(deep_equal(item, wanted) for item in items)


def without(value: object, *unwanted: object) -> list[object]:
    limits.list_fits(len(unwanted) * 50)
    return [item for item in _items(value, "find without") if not _holds(list(unwanted), item)]


def has(wanted: object, value: object) -> bool:
    if value is None:
        return False
    items = _items(value, "find has")
    if isinstance(wanted, (str, int, float)):
        return any(type(item) is type(wanted) and item == wanted for item in items)
    return _holds(items, wanted)


def compact(value: object) -> list[object]:
    return [item for item in _items(value, "compact") if truth(item)]


def chunk(count: int, value: object) -> Lists:
    items = _items(value, "chunk")
    if count < 1:
        raise Failure(f"cannot make chunks of {count} items")
    return Lists(items[i : i + count] for i in range(0, len(items), count)) if items else Lists()


def _both(name: str, signature: str, code: Callable[..., object]) -> dict[str, tuple[str, Callable[..., object]]]:
    return {name: (signature, code), "must" + name[0].upper() + name[1:]: (signature, code)}


FUNCTIONS = {
    "list": ("a*", lambda *items: list(items)), "tuple": ("a*", lambda *items: list(items)), "concat": ("a*", concat),
    **_both("first", "a", first), **_both("last", "a", last), **_both("rest", "a", lambda v: _items(v, "find rest")[1:]),
    **_both("initial", "a", lambda v: _items(v, "find initial")[:-1]), **_both("append", "aa", append), **_both("push", "aa", append),
    **_both("prepend", "aa", prepend), **_both("reverse", "a", lambda v: _items(v, "find reverse")[::-1]), **_both("uniq", "a", uniq),
    **_both("without", "aa*", without), **_both("has", "aa", has), **_both("compact", "a", compact), **_both("chunk", "ia", chunk),
}  # fmt: skip
