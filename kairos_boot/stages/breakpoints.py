"""Breakpoints and safe boots: a shell before a stage or a step, and steps that are left out, as the kernel command line of this boot says.

Nothing here is imported in a boot whose command line has none of the words.
"""

from __future__ import annotations

import time

from kairos_boot.cloudconfig.model import Problem
from kairos_boot.errors import KairosError
from kairos_boot.nearest import did_you_mean
from kairos_boot.records import record
from kairos_boot.stages.graph import order

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kairos_boot.cloudconfig.model import Document
    from kairos_boot.stages.graph import Graph, Vertex
    from kairos_boot.stages.runner import Log, Records

BREAK, SKIP = "rd.kairos.break", "kairos.skip"
ALLOWED = "/etc/kairos-boot/breakpoints"
"""A file of the image: the words count, though the console is locked (`rd.shell=0`)."""
LAST = "network.after"
"""The last part of a boot's stages."""
SHOWN = 8
"""Names of steps that the message of a breakpoint has room for."""


@record
class Place:
    """What a word names: a part of a stage, or in it, else in any, the steps of a name."""

    word: str
    stage: str
    step: str

    def is_of(self, stage: str, vertex: Vertex) -> bool:
        """Whether it names this step: by its full name, or by its own; `*` and `?` stand for anything."""
        return bool(self.step) and self.stage in ("", stage) and any(_like(self.step, name) for name in (vertex.name, vertex.step.name))


def left_out(places: Iterable[Place], stage: str, vertex: Vertex) -> str:
    """Why the step is left out of this boot, or nothing."""
    return next((f"{SKIP}={place.word} on the kernel command line" for place in places if place.is_of(stage, vertex)), "")


def mistaken(words: Iterable[tuple[str, Sequence[Place]]], stage: str, documents: Sequence[Document], *, last: bool) -> list[Problem]:
    """A warning of each of the *words*, by their key, that names no step of *stage*, or with *last* of any stage at all."""
    found = []
    for key, places in words:
        for place in places:
            if not place.step or not (place.stage == stage or (last and not place.stage)):
                continue
            stages = [place.stage] if place.stage else list(dict.fromkeys(name for document in documents for name in document.stages))
            vertices = [(name, vertex) for name in stages for layer in order(documents, name).layers for vertex in layer]
            if not any(place.is_of(name, vertex) for name, vertex in vertices):
                names = dict.fromkeys(name for _, vertex in vertices for name in (vertex.step.name, vertex.name))
                what = f"stage {stage} has no step {place.step!r}" if place.stage else f"no stage has a step {place.step!r}"
                found.append(Problem("warning", f"{key}={place.word}", what, did_you_mean(place.step, names)))
    return found


class Guide:
    """What the words of this boot's command line ask for. *shell* shows a text at the console and gives a shell there; it returns when that ends."""

    def __init__(self, breaks: Iterable[Place], skips: Iterable[Place], shell: Callable[[str, str], None], mounted: Callable[[], Sequence[str]], log: Log, ledger: Records) -> None:
        self._breaks, self._skips = tuple(breaks), tuple(skips)
        self._shell, self._mounted, self._log, self._ledger = shell, mounted, log, ledger

    def enter(self, stage: str, graph: Graph) -> None:
        """Before the first step of a part of a stage: say which words leave steps out, and stop where one says so."""
        vertices = [vertex for layer in graph.layers for vertex in layer]
        left = [vertex.name for vertex in vertices if self.left_out(stage, vertex)]
        if left:
            self._log(4, f"left out of stage {stage} in this boot ({SKIP}): {', '.join(left)}", kind="warning", stage=stage)
        for place in self._breaks:
            if place.stage == stage and not place.step:
                following = ", ".join(vertex.name for vertex in vertices[:SHOWN]) or "no step"
                more = f", and {len(vertices) - SHOWN} more" if len(vertices) > SHOWN else ""
                self._stop(place, f"stage {stage}", stage, f"{following}{more}")

    def reach(self, stage: str, vertex: Vertex) -> None:
        """Before a step, when its turn has come and before its own time begins: stop where a word says so, unless it is left out."""
        for place in self._breaks:
            if place.stage == stage and place.is_of(stage, vertex) and not self.left_out(stage, vertex):
                self._stop(place, f"step {vertex.name} of stage {stage}", stage, f"{vertex.name} ({vertex.step.where()})", vertex.name)

    def left_out(self, stage: str, vertex: Vertex) -> str:
        """Why the step is left out of this boot, or nothing."""
        return left_out(self._skips, stage, vertex)

    def stops_in(self, stage: str) -> bool:
        """Whether the boot stops at a step of this part of a stage, so that steps must not overlap."""
        return any(place.stage == stage and place.step for place in self._breaks)

    def mistaken(self, stage: str, documents: Sequence[Document]) -> list[Problem]:
        """The words that name no step of this part of a stage; in the last part of a boot also those that no stage has: only then every document is there."""
        return mistaken(((BREAK, self._breaks), (SKIP, self._skips)), stage, documents, last=stage == LAST)

    def _stop(self, place: Place, where: str, stage: str, following: str, step: str = "") -> None:
        mounted = "\n             ".join(self._mounted()) or "nothing"
        text = (f"\n  kairos-boot: stopped before {where} ({BREAK}={place.word})\n\n  Mounted    {mounted}\n  Next       {following}\n"
                "  Go on      exit, or Ctrl-D; `kairos-boot status` tells what was done, `kairos-boot logs` has all of it\n\n")
        self._log(5, f"stopped before {where}, as {BREAK} says; a shell is on the console", kind="break", stage=stage, step=step)
        before = time.monotonic()
        try:
            self._shell(text, stage)
        except (KairosError, OSError) as error:
            self._log(4, f"no shell before {where}: {error}", kind="warning", stage=stage, step=step)
            return
        seconds = time.monotonic() - before
        self._ledger.write("break", stage=stage, step=step, duration=seconds)
        self._log(5, f"going on with {where} after {seconds:.0f} s", kind="break", stage=stage, step=step)


def _like(pattern: str, name: str) -> bool:
    from fnmatch import fnmatchcase

    return pattern == name or fnmatchcase(name, pattern.replace("[", "[[]"))  # brackets are a name's own
