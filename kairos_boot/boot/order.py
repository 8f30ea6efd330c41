"""Which mounts of a layout are done, and in which order (D11).

Mounts go by where their paths lead in the image, parents first, whatever their kind: what lies deeper is seen. So the deepest mount that
holds a path decides alone whether what is written there lasts.
"""

from __future__ import annotations

from kairos_boot.boot.root import LAYER, MEMORY, PERSISTENT, READ_ONLY, VOLUME, holds, parents_first
from kairos_boot.records import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kairos_boot.boot.root import Part


@record
class Plan:
    """*first* leads to the store of the persistent directories, so these can be brought in step after it; then comes the *rest*.

    *notes* tell what is left out and costs nothing, *warnings* what the image cannot have, *problems* what was asked for and cannot be;
    each is a pair of path and text.
    """

    first: tuple[Part, ...]
    rest: tuple[Part, ...]
    notes: tuple[tuple[str, str], ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()
    problems: tuple[tuple[str, str], ...] = ()


def arrange(parts: Iterable[Part], store: str, mounted: Sequence[Part], is_directory: Callable[[str], bool], *, memory: bool) -> Plan:
    """The plan of *parts*. *store* is where the persistent directories lie, *mounted* what is mounted below the root already, and
    *memory* whether the layers are kept there. *is_directory* looks into the image.
    """
    order = _Order(store, mounted, is_directory, memory=memory)
    order.add(order.winners(order.harmless(list(parts))))
    first = tuple(part for part in order.done if holds(part.place, store))
    return Plan(first, tuple(part for part in order.done if part not in first), tuple(order.notes), tuple(order.warnings), tuple(order.problems))


class _Order:
    def __init__(self, store: str, mounted: Sequence[Part], is_directory: Callable[[str], bool], *, memory: bool) -> None:
        self.store, self.mounted, self.is_directory, self.memory = store, mounted, is_directory, memory
        self.done: list[Part] = []
        self.notes: list[tuple[str, str]] = []
        self.warnings: list[tuple[str, str]] = []
        self.problems: list[tuple[str, str]] = []

    def harmless(self, parts: list[Part]) -> list[Part]:
        """Without what would hide the store of the persistent directories, or be part of it."""
        if not self.store:
            return parts
        holders = [part.place for part in (*parts, *self.mounted) if part.kind == VOLUME and holds(part.place, self.store)]
        holder = max(holders, key=len, default="")
        return [part for part in parts if not self._hides(part, holder)]

    def _hides(self, part: Part, holder: str) -> bool:
        inside = part.place != self.store and holds(self.store, part.place)
        if part.kind == PERSISTENT and (inside or holds(part.place, self.store)):
            self.problems.append((part.where, f"{part.where} is not persistent: its store would lie inside it" if not inside else
                                  f"{part.where} is not persistent: it lies inside the store of the persistent directories"))
            return True
        if inside or (holder and part.place != holder and holds(holder, part.place) and holds(part.place, self.store)):
            self.problems.append((part.where, f"{part.where} is left out: it would hide persistent directories in {self.store}"))
            return True
        return False

    def winners(self, parts: list[Part]) -> list[Part]:
        """The most lasting one at each place; of equal ones that of the longest path, whatever the order of the lists."""
        taken = {part.place: part for part in self.mounted}
        for part in sorted(parts, key=lambda part: (part.kind, parents_first(part.where)), reverse=True):
            winner = taken.setdefault(part.place, part)
            if winner is not part:
                at = "" if winner.where == part.where else f" at {part.where}, which leads to the same place,"
                self.notes.append((part.where, f"{_named(part)} is left out: {_named(winner)}{at} is more lasting" if part.kind != winner.kind else
                                   f"{_named(part)} is left out: {_named(winner)} is the same place"))
        return [part for part in parts if taken[part.place] is part]

    def add(self, parts: list[Part]) -> None:
        """Parents first; what its parent makes needless or impossible is left out."""
        for part in sorted(parts, key=lambda part: parents_first(part.place)):
            above = max((p for p in (*self.mounted, *self.done) if holds(p.place, part.place)), key=lambda p: len(p.place), default=None)
            if above is None and not self.is_directory(part.place):
                told = self.problems if part.kind in (READ_ONLY, VOLUME) else self.warnings
                told.append((part.where, f"{part.where} is no directory of the image, which is read-only: it is left out"))
            elif part.kind == LAYER and above is not None and self._ephemeral(above):
                self.notes.append((part.where, f"{_named(part)} is left out: {above.where} is writable with all below it"))
            else:
                self.done.append(self._below(part, above))

    def _ephemeral(self, part: Part) -> bool:
        """Whether a layer inside *part* changes nothing; a disk that holds layers has a store for each."""
        return part.kind == MEMORY or (part.kind == LAYER and self.memory)

    def _below(self, part: Part, above: Part | None) -> Part:
        if above is None or above.kind in (MEMORY, LAYER):
            return part
        behind = ""
        if part.kind == PERSISTENT and above.kind == PERSISTENT:
            behind = f"{self.store}/{above.name}.bind{part.place[len(above.place):]}"
        elif part.kind == PERSISTENT and above.kind == VOLUME:
            behind = part.place
        below: Part = replace(part, fatal=False, behind=behind)  # the root works without what lies in a file system of its own
        return below


def _named(part: Part) -> str:
    kind = {MEMORY: "memory", LAYER: "the layer", READ_ONLY: "the volume", PERSISTENT: "the persistent directory", VOLUME: "the volume"}
    return f"{kind[part.kind]} at {part.where}"
