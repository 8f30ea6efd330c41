"""Documents to one total order: the steps of a (sub)stage in layers (A1-A7, docs/reference/after.md).

How a step is placed, in source order (documents as given, steps as listed):
- A plain step waits for every step before it.
- A step with `after` waits for the steps it names and for everything of the documents before its own.
- A step that names a later step *moves*: it leaves its place in the chain, so nothing waits for it but the steps that name it.
  It is the same when a step that it names, or that one of those names, is later; else it keeps its place, though it names a moved step.
So what did not move waits for earlier steps only, and a cycle is always one of `after` entries.
"""

from __future__ import annotations

from kairos_boot.cloudconfig.model import Problem
from kairos_boot.stages.names import INIT, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kairos_boot.cloudconfig.model import Document, Step



class Vertex:
    """A step and its full, unique name."""

    __slots__ = ("document", "name", "step")

    def __init__(self, name: str, step: Step, document: Document) -> None:
        self.name = name
        self.step = step
        self.document = document

    def __repr__(self) -> str:
        return f"Vertex({self.name!r})"


class Graph:
    """The steps of a (sub)stage, ordered.

    *layers*: each waits for the one before it; inside one, vertices stand in source order. *problems*: `after` entries that
    name nothing or stand in a cycle; each is an error (the stage ends degraded), and its step has its place all the same.
    """

    __slots__ = ("layers", "problems")

    def __init__(self, layers: tuple[tuple[Vertex, ...], ...], problems: tuple[Problem, ...]) -> None:
        self.layers = layers
        self.problems = problems

    def lines(self) -> list[str]:
        """The graph as `run-stage -a` prints it (A7); nothing for a stage without steps."""
        if not self.layers:
            return []
        lines = ["1.", f" <{INIT}> (background: false) (weak: false)"]
        for number, layer in enumerate(self.layers, 2):
            lines.append(f"{number}.")
            lines += [f" <{vertex.name}> (background: false) (weak: true)" for vertex in layer]
        return lines


def order(documents: Sequence[Document], stage: str) -> Graph:
    """Order the steps of *stage* of all *documents*; broken documents count for nothing. Linear in steps and `after` entries."""
    vertices: list[Vertex] = []
    starts: list[int] = []  # of each vertex: where its document begins
    bearers: dict[str, list[int]] = {}  # of each name: who bears it
    taken: dict[str, int] = {}  # name -> the number that an equal one gets next
    named = False
    for document in documents:
        if document.broken or not document.stages.get(stage):
            continue
        start = len(vertices)
        steps = document.steps(stage)
        for step, (name, borne) in zip(steps, names(document.name, [step.name for step in steps]), strict=True):
            unique = name
            while unique in taken:
                taken[name] += 1
                unique = f"{name}.{taken[name]}"
            taken[unique] = 0
            for one in {unique, borne}:
                bearers.setdefault(one, []).append(len(vertices))
            vertices.append(Vertex(unique, step, document))
            starts.append(start)
            named = named or bool(step.after)
    if not named:
        return Graph(tuple((vertex,) for vertex in vertices), ())
    from kairos_boot.stages.after import place

    levels, problems = place(vertices, starts, bearers, stage, documents)
    layers: list[list[Vertex]] = [[] for _ in range(max(levels, default=0))]
    for vertex, level in zip(vertices, levels, strict=True):
        layers[level - 1].append(vertex)
    return Graph(tuple(map(tuple, layers)), problems)
