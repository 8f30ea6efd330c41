"""The data of a rendering: the caller's maps and lists, copied no further than the template looks."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _collections_abc import dict_items, dict_keys, dict_values
    from collections.abc import Iterator, Mapping


class DataMap(dict[str, object]):
    """A map of the data. A value is fetched when it is asked for, since finding it out may cost; `set` changes the copy only."""

    __slots__ = ("_source",)

    def __init__(self, source: Mapping[str, object]) -> None:
        super().__init__()
        self._source: Mapping[str, object] | None = source

    def _fetch(self, key: object) -> None:
        if self._source is not None and isinstance(key, str) and not super().__contains__(key) and key in self._source:
            super().__setitem__(key, own(self._source[key]))

    def _fetch_all(self) -> None:
        if self._source is not None:
            for key in list(self._source):
                self._fetch(key)
            self._source = None

    def __contains__(self, key: object) -> bool:
        self._fetch(key)
        return super().__contains__(key)

    def __getitem__(self, key: str) -> object:
        self._fetch(key)
        return super().__getitem__(key)

    def get(self, key: str, default: object = None) -> object:
        self._fetch(key)
        return super().get(key, default)

    def pop(self, key: str, default: object = None) -> object:
        self._fetch_all()
        return super().pop(key, default)

    def __iter__(self) -> Iterator[str]:
        self._fetch_all()
        return super().__iter__()

    def __len__(self) -> int:
        self._fetch_all()
        return super().__len__()

    def __eq__(self, other: object) -> bool:
        self._fetch_all()
        return super().__eq__(other)

    __hash__ = None

    def keys(self) -> dict_keys[str, object]:
        self._fetch_all()
        return super().keys()

    def values(self) -> dict_values[str, object]:
        self._fetch_all()
        return super().values()

    def items(self) -> dict_items[str, object]:
        self._fetch_all()
        return super().items()


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
