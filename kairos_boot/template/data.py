"""The data of a rendering: the caller's maps and lists, copied no further than the template looks."""

from __future__ import annotations

from kairos_boot.lazy import LazyDict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class DataMap(LazyDict):
    """A map of the data. A value is fetched when it is asked for, since finding it out may cost; `set` changes the copy only."""

    __slots__ = ("_source",)

    def __init__(self, source: Mapping[str, object]) -> None:
        super().__init__()
        self._source: Mapping[str, object] | None = source

    def _find(self, key: object) -> None:
        if self._source is not None and isinstance(key, str) and not dict.__contains__(self, key) and key in self._source:
            super().__setitem__(key, own(self._source[key]))

    def _find_all(self) -> None:
        if self._source is not None:
            for key in list(self._source):
                self._find(key)
            self._source = None


class Struct(DataMap):
    """The top of the data when its fields are fixed: an unknown one is an error."""

    __slots__ = ()


def own(value: object) -> object:
    """*value* as the template's own: maps as DataMap, lists as lists."""
    if isinstance(value, (str, int, float)) or value is None:
        return value
    if isinstance(value, (list, tuple)):
        return [own(item) for item in value]
    return DataMap(value) if isinstance(value, dict) or hasattr(value, "keys") else value  # type: ignore[arg-type]
