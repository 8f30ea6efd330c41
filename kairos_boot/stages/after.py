"""`after`: where the steps that have it, and those around them, stand (A3-A6)."""

from __future__ import annotations

from kairos_boot.cloudconfig.model import Problem
from kairos_boot.cloudconfig.problems import summed
from kairos_boot.nearest import nearest
from kairos_boot.stages.names import INIT, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kairos_boot.cloudconfig.model import Document
    from kairos_boot.stages.graph import Vertex

SUGGESTED = 20
"""For so many missing names of a stage the nearest known ones are looked up; a thousand typing errors need no thousand searches."""


class _Target:
    """Steps that one `after` entry waits for: all that bear a name. Shared by all that give the name, so that work stays linear."""

    __slots__ = ("_level", "steps")

    def __init__(self, steps: Sequence[int]) -> None:
        self.steps = steps
        self._level = -1

    def level(self, levels: list[int]) -> int:
        """The latest layer of them; asked for only when they all have theirs."""
        if self._level < 0:
            self._level = max((levels[i] for i in self.steps), default=0)
        return self._level


def place(vertices: Sequence[Vertex], starts: Sequence[int], bearers: dict[str, list[int]], stage: str,
          documents: Sequence[Document]) -> tuple[list[int], tuple[Problem, ...]]:
    """The layer of each vertex (from 1), and what is wrong with `after` entries. *starts*: of each vertex, the first of its document."""
    problems: list[Problem] = []
    targets = {name: _Target(steps) for name, steps in bearers.items()}
    targets[INIT] = _Target(())
    waits: dict[int, dict[int, _Target]] = {}  # vertex -> index of its entry -> whom it waits for
    for index, vertex in enumerate(vertices):
        known = {}
        for number, entry in enumerate(vertex.step.after):
            if entry.name in targets:
                known[number] = targets[entry.name]
            else:
                problems.append(_missing(vertex, number, entry.name, bearers, stage, documents, search=len(problems) < SUGGESTED))
        if known:
            waits[index] = known
    sequence: list[int] = []
    if any(i >= index for index, known in waits.items() for target in set(known.values()) for i in target.steps[-1:]):
        sequence = _untangle(vertices, waits, problems)
    return _levels(vertices, starts, waits, _reach(waits, sequence), sequence), summed(problems)


def _levels(vertices: Sequence[Vertex], starts: Sequence[int], waits: dict[int, dict[int, _Target]], reach: dict[int, int],
            sequence: list[int]) -> list[int]:
    """A step that reaches a later one is moved: it gets its layer when the last step that it reaches has its own."""
    levels = [0] * len(vertices)
    moved: dict[int, list[int]] = {}  # the last step that they reach -> who moved behind it, targets first
    for index in sequence:
        if reach.get(index, -1) > index:
            moved.setdefault(reach[index], []).append(index)
    floors: dict[int, int] = {}  # of moved vertices: the latest layer of the documents before
    latest = before = 0
    start = -1
    for index in range(len(vertices)):
        if starts[index] != start:
            start, before = starts[index], latest
        if reach.get(index, -1) > index:
            floors[index] = before
            continue
        known = waits.get(index)
        level = 1 + (latest if known is None else max(before, *(t.level(levels) for t in known.values())))
        levels[index] = level
        latest = max(latest, level)
        for other in moved.get(index, ()):
            levels[other] = 1 + max(floors[other], *(t.level(levels) for t in waits[other].values()))
    return levels


def _reach(waits: dict[int, dict[int, _Target]], sequence: list[int]) -> dict[int, int]:
    """Of each step with entries, in a *sequence* in which targets come first: the last step that it names, directly or through those."""
    reach: dict[int, int] = {}
    known: dict[int, int] = {}  # id of a target -> the last step of it and of what it reaches
    for index in sequence:
        for target in waits.get(index, {}).values():
            if id(target) not in known:
                known[id(target)] = max((max(step, reach.get(step, -1)) for step in target.steps), default=-1)
            reach[index] = max(reach.get(index, -1), known[id(target)])
    return reach


def _untangle(vertices: Sequence[Vertex], waits: dict[int, dict[int, _Target]], problems: list[Problem]) -> list[int]:
    """Drop the entries that stand in a cycle, with a problem for each cycle; the vertices, each behind those that it waits for."""
    sequence: list[int] = []
    for group, inside in _components(waits):
        sequence += group
        if not inside:
            continue
        if len(group) == 1:
            # A step that gives the name it bears itself means the others of that name.
            [index] = group
            for number, target in list(waits[index].items()):
                others = [i for i in target.steps if i != index]
                if len(others) == len(target.steps):
                    continue
                if others:
                    waits[index][number] = _Target(others)
                else:
                    del waits[index][number]
                    name = vertices[index].name
                    problems.append(Problem("error", vertices[index].step.where("after", number), f"a cycle: {name} -> {name}",
                                            "the entry is ignored; a step cannot wait for itself"))
        else:
            problems.append(_cycle(vertices, waits, group, inside))
            for index in group:
                for number, target in list(waits[index].items()):
                    if id(target) in inside:
                        del waits[index][number]
        for index in group:
            if not waits[index]:
                del waits[index]
    return sequence


def _components(waits: dict[int, dict[int, _Target]]) -> list[tuple[list[int], set[int]]]:
    """Strongly connected steps, in source order, with the ids of the targets between them; what is waited for comes first.

    Tarjan's algorithm over steps and targets (numbered below zero), without recursion.
    """
    ids: dict[int, int] = {}
    everyone: list[_Target] = []

    def edges(point: int) -> Sequence[int]:
        if point < 0:
            return everyone[-point - 1].steps
        found = []
        for target in waits.get(point, {}).values():
            number = ids.get(id(target))
            if number is None:
                everyone.append(target)
                number = ids[id(target)] = -len(everyone)
            found.append(number)
        return found

    seen: dict[int, int] = {}
    low: dict[int, int] = {}
    path: list[int] = []
    open_: set[int] = set()
    result = []
    for root in waits:
        if root in seen:
            continue
        work = [(root, iter(edges(root)))]
        seen[root] = low[root] = len(seen)
        path.append(root)
        open_.add(root)
        while work:
            point, rest = work[-1]
            for other in rest:
                if other not in seen:
                    seen[other] = low[other] = len(seen)
                    path.append(other)
                    open_.add(other)
                    work.append((other, iter(edges(other))))
                    break
                if other in open_:
                    low[point] = min(low[point], seen[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[point])
                if low[point] == seen[point]:
                    at = len(path) - 1
                    while path[at] != point:
                        at -= 1
                    members = path[at:]
                    del path[at:]
                    open_.difference_update(members)
                    inside = {id(everyone[-m - 1]) for m in members if m < 0} if len(members) > 1 else set()
                    result.append((sorted(m for m in members if m >= 0), inside))
    return result


def _cycle(vertices: Sequence[Vertex], waits: dict[int, dict[int, _Target]], group: Sequence[int], inside: set[int]) -> Problem:
    """One shortest way around, from the first of *group* back to it."""
    members = set(group)
    first = group[0]
    came: dict[int, int] = {}
    seen: dict[int, int] = {}  # id of a target -> who came by it first, and could not mean itself
    queue = [first]
    for index in queue:
        for target in waits.get(index, {}).values():
            if id(target) not in inside:
                continue
            for other in (seen[id(target)],) if id(target) in seen else target.steps:
                if other in members and other != index and other not in came:
                    came[other] = index
                    queue.append(other)
            seen.setdefault(id(target), index)
        if first in came:
            break
    way = [first]
    while len(way) == 1 or way[-1] != first:
        way.append(came[way[-1]])
    shown = [vertices[index].name for index in reversed(way)]
    if len(shown) > SUGGESTED:
        shown[SUGGESTED // 2:-SUGGESTED // 2] = ["…"]
    others = f" (with {len(group)} steps in all)" if len(group) > len(way) - 1 else ""
    number = next(n for n, target in waits[first].items() if id(target) in inside)
    return Problem("error", vertices[first].step.where("after", number), f"a cycle: {' -> '.join(shown)}{others}",
                   "its entries are ignored and the steps run at their plain places; take one of the entries away")


def _missing(vertex: Vertex, number: int, name: str, bearers: dict[str, list[int]], stage: str, documents: Sequence[Document], *,
             search: bool) -> Problem:
    where = vertex.step.where("after", number)
    if not name:
        return Problem("error", where, "an entry of after names nothing", "write it like - name: FULL NAME OF A STEP")
    message = f"after names a step that is not there: {name!r}"
    if not search:
        return Problem("error", where, message, f"run-stage -a {stage} prints the names")
    elsewhere = _elsewhere(name, stage, documents)
    if elsewhere:
        return Problem("error", where, message, f"it is a step of stage {elsewhere}, not of {stage}")
    close = nearest(name, list(bearers))
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"run-stage -a {stage} prints the names"
    return Problem("error", where, message, hint)


def _elsewhere(name: str, stage: str, documents: Sequence[Document]) -> str:
    for document in documents:
        if document.broken or not name.startswith(f"{document.name}."):
            continue
        for other, steps in document.stages.items():
            given = [str(step.get("name", "")) for step in steps]
            if other != stage and any(name in pair for pair in names(document.name, given)):
                return str(other)
    return ""
