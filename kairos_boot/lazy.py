"""A dict whose values are found out when they are asked for, since finding them out may cost."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _collections_abc import dict_items, dict_keys, dict_values
    from collections.abc import Iterator


class LazyDict(dict[str, object]):
    """A subclass puts the value of a key in its place in `_find`, and all of them in `_find_all`."""

    __slots__ = ()

    def _find(self, key: object) -> None:
        raise NotImplementedError

    def _find_all(self) -> None:
        raise NotImplementedError

    def __contains__(self, key: object) -> bool:
        self._find(key)
        return super().__contains__(key)

    def __getitem__(self, key: str) -> object:
        self._find(key)
        return super().__getitem__(key)

    def get(self, key: str, default: object = None) -> object:
        self._find(key)
        return super().get(key, default)

    def pop(self, key: str, default: object = None) -> object:
        self._find_all()
        return super().pop(key, default)

    def __iter__(self) -> Iterator[str]:
        self._find_all()
        return super().__iter__()

    def __len__(self) -> int:
        self._find_all()
        return super().__len__()

    def __eq__(self, other: object) -> bool:
        self._find_all()
        return super().__eq__(other)

    __hash__ = None

    def __repr__(self) -> str:
        self._find_all()
        return super().__repr__()

    def keys(self) -> dict_keys[str, object]:
        self._find_all()
        return super().keys()

    def values(self) -> dict_values[str, object]:
        self._find_all()
        return super().values()

    def items(self) -> dict_items[str, object]:
        self._find_all()
        return super().items()
