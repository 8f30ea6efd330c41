"""sprig: dictionaries, which are maps of text to anything. `set`, `unset` and `merge` change the map they are given."""

from __future__ import annotations

from kairos_boot.template import limits
from kairos_boot.template.functions.strings import to_text
from kairos_boot.template.values import Failure, NilMap, StringMap, Strings, truth, type_name

Map = dict[str, object]


def make(*pairs: object) -> Map:
    """Keys and values in turn; a last key without one has an empty string."""
    return {to_text(key): pairs[place + 1] if place + 1 < len(pairs) else "" for place, key in list(enumerate(pairs))[::2]}


def put(target: Map, key: str, value: object) -> Map:
    if isinstance(target, NilMap):
        raise Failure("assignment to entry in nil map", "make the map with dict")
    target[key] = value
    return target


def unset(target: Map, key: str) -> Map:
    target.pop(key, None)
    return target


def pluck(key: str, *maps: Map) -> list[object]:
    return [m[key] for m in maps if key in m]


def keys(*maps: Map) -> Strings:
    """The keys of all maps, in order: Go gives them in a random one."""
    return Strings(key for m in maps for key in sorted(m))


def values(source: Map) -> list[object]:
    return [source[key] for key in sorted(source)]


def pick(source: Map, *names: str) -> Map:
    return {name: source[name] for name in names if name in source}


def omit(source: Map, *names: str) -> Map:
    return {name: value for name, value in source.items() if name not in names}


def merge(target: Map, *sources: Map) -> Map:
    """Fill what is empty in *target* from the *sources*, the first that has it wins; maps are merged at every level."""
    for source in sources:
        _merge(target, source, limits.Walk(), 0, overwrite=False)
    return target


def merge_overwrite(target: Map, *sources: Map) -> Map:
    """The same, but what a later source has wins."""
    for source in sources:
        _merge(target, source, limits.Walk(), 0, overwrite=True)
    return target


def _merge(target: Map, source: Map, walk: limits.Walk, depth: int, *, overwrite: bool) -> None:
    walk.enter(depth)
    if target is source:
        return
    for key, value in source.items():
        old = target.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            _merge(old, value, walk, depth + 1, overwrite=overwrite)
        elif overwrite or (not truth(old) and (value is not None or depth)):
            target[key] = value


def dig(*path: object) -> object:
    """KEY... DEFAULT MAP: the value at the keys, DEFAULT if one is not there."""
    if len(path) < 3:
        raise Failure("dig needs at least three arguments")
    *names, fallback, value = path
    if not isinstance(value, dict):
        raise Failure(f"interface conversion: interface {{}} is {type_name(value)}, not map[string]interface {{}}")
    for place, name in enumerate(names):
        if not isinstance(name, str):
            raise Failure(f"interface conversion: interface {{}} is {type_name(name)}, not string")
        if name not in value:
            return fallback
        item = value[name]
        if place == len(names) - 1:
            return item
        if not isinstance(item, dict):
            raise Failure(f"interface conversion: interface {{}} is {type_name(item)}, not map[string]interface {{}}")
        value = item
    return value


def deep_copy(value: object) -> object:
    if value is None:
        raise Failure("reflect: call of reflect.Value.Type on zero Value")
    return _copy(value, limits.Walk(), 0)


def _copy(value: object, walk: limits.Walk, depth: int) -> object:
    walk.enter(depth)
    if isinstance(value, list):
        return type(value)(_copy(item, walk, depth + 1) for item in value)
    if isinstance(value, dict):
        items = {key: _copy(item, walk, depth + 1) for key, item in value.items()}
        return StringMap(items) if isinstance(value, StringMap) else items
    return value


FUNCTIONS = {
    "dict": ("a*", make), "get": ("ms", lambda m, key: m.get(key, "")), "set": ("msa", put), "unset": ("ms", unset),
    "hasKey": ("ms", lambda m, key: key in m), "pluck": ("sm*", pluck), "keys": ("m*", keys), "values": ("m", values),
    "pick": ("ms*", pick), "omit": ("ms*", omit), "merge": ("mm*", merge), "mustMerge": ("mm*", merge),
    "mergeOverwrite": ("mm*", merge_overwrite), "mustMergeOverwrite": ("mm*", merge_overwrite), "dig": ("a*", dig),
    "deepCopy": ("a", deep_copy), "mustDeepCopy": ("a", deep_copy),
}  # fmt: skip
