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

REMEDY = "change RW_PATHS, VOLUMES or PERSISTENT_STATE_PATHS of /run/cos/cos-layout.env in a step of stage rootfs"


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


def arrange(parts: Iterable[Part], store: str, mounted: Sequence[Part], is_directory: Callable[[str], bool], *, memory: bool, told: bool = False) -> Plan:
    """The plan of *parts*. *store* is where the persistent directories lie, *mounted* what is mounted below the root already, and
    *memory* whether the layers are kept there. *is_directory* looks into the image. *told* is whether it is known already that a volume
    for the store is missing.
    """
    order = _Order(store, mounted, is_directory, memory=memory)
    order.add(order.winners(order.harmless(list(parts), told=told)))
    first = tuple(part for part in order.done if holds(part.place, store))
    return Plan(first, tuple(part for part in order.done if part not in first), tuple(order.notes), tuple(order.warnings), tuple(order.problems))


class _Order:
    def __init__(self, store: str, mounted: Sequence[Part], is_directory: Callable[[str], bool], *, memory: bool) -> None:
        self.store, self.mounted, self.is_directory, self.memory = store, mounted, is_directory, memory
        self.kept = True
        """Whether the store outlives the boot."""
        self.done: list[Part] = []
        self.stacked: set[str] = set()
        """Places of layers that lie on a layer: the kernel stacks no third one."""
        self.notes: list[tuple[str, str]] = []
        self.warnings: list[tuple[str, str]] = []
        self.problems: list[tuple[str, str]] = []

    def harmless(self, parts: list[Part], *, told: bool) -> list[Part]:
        """Without what would hide the store of the persistent directories, or be part of it. If it cannot be written, there is memory."""
        if not self.store:
            return parts
        others = [part for part in parts if part.kind != PERSISTENT]
        trial = _Order("", self.mounted, self.is_directory, memory=self.memory)
        trial.add(trial.winners(others))
        volumes = [part for part in (*self.mounted, *trial.done) if part.kind == VOLUME and holds(part.place, self.store)]
        holder = max(volumes, key=lambda part: len(part.place), default=None) or trial.above(self.store)
        if holder is None or holder.kind == READ_ONLY:
            self.problems.append((self.store, f"nothing is persistent: {self.store}, where it would be kept, is read-only"))
            return [*others, *(part.instead for part in parts if part.kind == PERSISTENT and part.instead)]
        self.kept = holder.kind == VOLUME or (holder.kind == LAYER and not self.memory)
        if not self.kept and not told:
            self.problems.append((self.store, f"nothing is persistent: no volume holds {self.store}, so what is written there is kept in memory"))
        return [part for part in parts if not self._hides(part, holder.place if holder.kind == VOLUME else "")]

    def above(self, place: str) -> Part | None:
        """The deepest mount that holds *place*."""
        found = (part for part in (*self.mounted, *self.done) if holds(part.place, place) and not part.needless)
        return max(found, key=lambda part: len(part.place), default=None)

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
        """Parents first; of what its parent makes needless only the directory is made, what it makes impossible is left out."""
        for part in sorted(parts, key=lambda part: parents_first(part.place)):
            above = self.above(part.place)
            if above is None and not self.is_directory(part.place):
                told = self.problems if part.kind in (READ_ONLY, VOLUME) else self.warnings
                told.append((part.where, f"{part.where} is no directory of the image, which is read-only: it is left out"))
            elif part.kind == LAYER and above is not None and self._ephemeral(above):
                self.done.append(replace(part, needless=f"{_named(part)} is left out: {above.where} is writable with all below it"))
            elif part.kind == PERSISTENT and above is not None and above.kind == VOLUME and not self.kept:
                self.done.append(replace(part, needless=f"{_named(part)} is left out: {_named(above)} is more lasting"))
            else:
                self.done.append(self._below(part, above))

    def _ephemeral(self, part: Part) -> bool:
        """Whether a layer inside *part* changes nothing; a disk that holds layers has a store for each."""
        return (self.memory and part.kind in (MEMORY, LAYER)) or part.place in self.stacked

    def _below(self, part: Part, above: Part | None) -> Part:
        if above is None:
            return part
        if part.kind == PERSISTENT and above.kind != READ_ONLY:
            part = replace(part, instead=None)  # it can be written without
        if part.kind == above.kind == LAYER:
            self.stacked.add(part.place)
        behind = ""
        if part.kind == PERSISTENT and above.kind == PERSISTENT:
            behind = f"{self.store}/{above.name}.bind{part.place[len(above.place):]}"
        elif part.kind == PERSISTENT and above.kind == VOLUME:
            behind = part.place
        below: Part = replace(part, fatal=False, behind=behind)  # what lies in another mount is not the image's, and the root works without it
        return below


def _named(part: Part) -> str:
    kind = {MEMORY: "memory", LAYER: "the layer", READ_ONLY: "the volume", PERSISTENT: "the persistent directory", VOLUME: "the volume"}
    return f"{kind[part.kind]} at {part.where}"
