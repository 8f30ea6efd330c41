"""Drift: what the steps of this boot declared, compared with the node as it is now, by the actions that made it so (E1).

Compared is what the ledger says was run in this boot and the documents still say word for word. Of several actions about one
thing the last one counts. What was otherwise already when the boot ended (a command changed it, say) is no drift: its file
has not changed since then.
"""

from __future__ import annotations

import os
import time

from kairos_boot.errors import KairosError, reason
from kairos_boot.stages.execution import INFO, WARNING, placed
from kairos_boot.stages.graph import Graph, order
from kairos_boot.stages.ledger import encode
from kairos_boot.stages.planning import Planned, fingerprint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from kairos_boot.actions.drift import Difference
    from kairos_boot.cloudconfig.model import Document
    from kairos_boot.stages.graph import Vertex
    from kairos_boot.stages.runner import Outcome, Runner

STAGES = tuple(stage + part for stage in ("initramfs", "fs", "boot", "network") for part in (".before", "", ".after"))
"""The stages whose steps are compared; what `rootfs` makes is gone with the initrd."""
AGAIN = "reconcile.drift"
"""The stage in which steps run again."""
SHOWN = 20
"""So many differences of one document are told one by one."""


class Record:
    """What the ledger tells of this boot, read without JSON: the writer's own words are looked for."""

    def __init__(self, data: bytes) -> None:
        self.steps: dict[bytes, bytes] = {}
        """Of each step that ran, what it said when it did."""
        self.failed: set[bytes] = set()
        """The items that failed: those are failures, and never were as they should be."""
        self.ended = 0.0
        """When the boot's own stages had ended, in seconds since the epoch; 0 where none was started by a unit."""
        by_hand: set[bytes] = set()
        for line in data.split(b"\n"):
            if line.startswith(b'{"kind": "step", '):
                found = line[line.find(b'"stage": '):].partition(b', "reason": ')[0]
                name, marked, content = found.partition(b', "content": ')
                if marked:
                    self.steps[name.rpartition(b', "result": ')[0]] = content
            elif line.startswith(b'{"kind": "item", '):
                item, _, result = line[line.find(b'"stage": '):].rpartition(b', "result": ')
                if result.startswith(b'"failed"'):
                    self.failed.add(item)
                elif self.failed:
                    self.failed.discard(item)
            elif line.startswith(b'{"kind": "stage", '):
                stage = line[line.find(b'"stage": "'):].split(b'"')[3:4]
                if b'"event": "start"' in line:
                    (by_hand.update if b'"by": "hand"' in line else by_hand.difference_update)(stage)
                elif stage and stage[0] not in by_hand and stage[0].decode("utf-8", "replace") in STAGES:
                    self.ended = _time(line) or self.ended

    def content(self, stage: str, vertex: Vertex) -> int | None:
        """The fingerprint of the step as it ran; None where it did not."""
        name = f'"stage": {encode(stage)}, "step": {encode(vertex.name)}, "file": {encode(vertex.step.source)}'
        content = self.steps.get(name.encode("utf-8", "backslashreplace"), b"")
        return int(content) if content.isdigit() else None

    def has_failed(self, declared: Declared) -> bool:
        """Whether the action was tried in vain."""
        if not self.failed:
            return False
        about = {"stage": declared.stage, "step": declared.vertex.name, "module": declared.key, "action": declared.action.describe()}
        return encode(about)[1:-1].encode("utf-8", "backslashreplace") in self.failed


def _time(line: bytes) -> float:
    text = line.partition(b'"time": ')[2].partition(b",")[0]
    return float(text) if text.replace(b".", b"", 1).isdigit() else 0.0


class Declared:
    """An action of a step of this boot."""

    def __init__(self, stage: str, vertex: Vertex, key: str, action: Any) -> None:
        self.stage, self.vertex, self.key, self.action = stage, vertex, key, action
        self.adds: bool = getattr(action, "adds", False)


class Drift:
    """One comparison for *runner*; *documents* are those of the usual sources, *data* is the boot's ledger."""

    def __init__(self, runner: Runner, documents: Sequence[Document], data: bytes) -> None:
        self.runner, self.documents, self.record = runner, documents, Record(data)
        self.facts = runner.facts.view()
        self.steps = self.things = 0
        self.changed: dict[str, None] = {}
        """Documents of which a step that ran says something else now."""
        self.found: list[tuple[Declared, Difference]] = []

    def compare(self) -> None:
        """Look, and tell what is found: to the ledger, and to people."""
        began = time.monotonic()
        self.found = [(declared, difference) for declared in self._standing() if (difference := self._difference(declared))]
        self._tell(time.monotonic() - began)

    def repair(self, outcome: Outcome) -> None:
        """Run the drifted steps again of whose documents the root says so."""
        again = self.again()
        if not again:
            return
        names = ", ".join(vertex.name for vertex in again)
        self.runner.log(WARNING, f"Run again, since the node has drifted away from {'it' if len(again) == 1 else 'them'}: {names}", kind="drift-repaired", stage=AGAIN)
        self.runner.run_graph(AGAIN, Graph(tuple((vertex,) for vertex in again), ()), outcome)

    def again(self) -> list[Vertex]:
        """The steps that run again, in their order."""
        return [vertex for vertex in self._wanted() if not self._left_out(vertex)]

    def _wanted(self) -> list[Vertex]:
        """The drifted steps of whose documents the root says that they run again."""
        return list({id(d.vertex): d.vertex for d, _ in self.found if d.vertex.document.reconcile}.values())

    def _left_out(self, vertex: Vertex) -> str:
        """Why the step's frequency lets it run no more, or nothing."""
        from kairos_boot.stages.frequency import names_of, ran_before

        return ran_before(self.runner.host, names_of(AGAIN, vertex), vertex.step) if vertex.step.frequency != "always" else ""

    def _standing(self) -> list[Declared]:
        """The actions that no later one about the same thing replaces, in their order."""
        last: dict[str, bool] = {}  # subject -> whether a later action replaces what it finds
        standing = []
        for declared in reversed(list(self._declared())):
            subject = self._thing(declared.action)
            replaced = last.get(subject)
            if replaced is None or (declared.adds and not replaced):
                standing.append(declared)
            last[subject] = replaced or not declared.adds
        standing.reverse()
        self.things = len(standing)
        return standing

    def _thing(self, action: Any) -> str:
        """What tells that two actions are about one thing: of a file, where links lead to."""
        path = getattr(action, "path", "")
        try:
            return self.runner.host.real(path) if path else str(action.subject)
        except KairosError:
            return str(action.subject)

    def _declared(self) -> Iterator[Declared]:
        for stage in STAGES:
            if not any(stage in document.stages for document in self.documents):
                continue
            for layer in order(self.documents, stage).layers:
                for vertex in layer:
                    content = self.record.content(stage, vertex)
                    if content is None:
                        continue
                    if content != fingerprint(vertex.step):
                        self.changed[vertex.step.source] = None
                        continue
                    self.steps += 1
                    for key, action in Planned(vertex.step, self.facts):
                        if hasattr(action, "subject"):
                            yield Declared(stage, vertex, key, action)
                    self.facts.warnings.clear()

    def _difference(self, declared: Declared) -> Difference | None:
        action, host = declared.action, self.runner.host
        try:
            differs = getattr(action, "drifted", action.would_change)(host)
        except KairosError as error:
            return self._cannot(declared, error)
        except OSError as error:
            return self._cannot(declared, KairosError(reason(error)))
        if not differs or self._settled(declared) or self.record.has_failed(declared):
            return None
        from kairos_boot.actions.drift import difference

        return difference(action, host)

    def _cannot(self, declared: Declared, error: KairosError) -> Difference | None:
        from kairos_boot.actions.drift import Difference

        if self._settled(declared) or self.record.has_failed(declared):
            return None
        return Difference(declared.action.subject, declared.action.describe(), placed(error, declared.vertex.step, declared.key, declared.action).message)

    def _settled(self, declared: Declared) -> bool:
        """Whether the file is as the boot left it; of one that is not there, the directory tells."""
        path = getattr(declared.action, "path", "")
        if not path or not self.record.ended or path.startswith(("/proc/", "/sys/")):
            return False
        entry = self.runner.host.entry(path)
        try:
            return os.lstat(entry).st_ctime < self.record.ended
        except OSError:
            try:
                return os.stat(os.path.dirname(entry)).st_ctime < self.record.ended
            except OSError:
                return False

    def _tell(self, seconds: float) -> None:
        ledger, log = self.runner.ledger, self.runner.log
        told: dict[str, int] = {}
        for declared, found in self.found:
            step = declared.vertex.step
            told[step.source] = told.get(step.source, 0) + 1
            if told[step.source] > SHOWN:
                continue
            about = {"stage": declared.stage, "step": declared.vertex.name, "file": step.source, "module": declared.key}
            where = getattr(declared.action, "where", "") or step.where(declared.key)
            ledger.write("difference", **about, path=found.subject, wanted=found.wanted, found=found.found, where=where)
            log(WARNING, f"{where}: {found.subject} has drifted: wanted {found.wanted}, found {found.found}", kind="drift", **about,
                more={"PATH": found.subject, "WANTED": found.wanted, "FOUND": found.found})
        for source, number in told.items():
            if number > SHOWN:
                log(WARNING, f"{source}: {number - SHOWN} more differences", kind="warning", stage="reconcile", file=source)
        again, left = self.again(), [(vertex, why) for vertex in self._wanted() if (why := self._left_out(vertex))]
        for vertex, why in left:
            log(WARNING, f"Not run again, though the node has drifted away from it: {vertex.name}: {why}", kind="warning", stage=AGAIN, step=vertex.name)
        ledger.write("drift", steps=self.steps, things=self.things, differences=len(self.found), again=[vertex.name for vertex in again],
                     left=[vertex.name for vertex, _ in left], changed=list(self.changed), duration=seconds)
        log(INFO, f"Compared {self.things} things that this boot declared with the node: {len(self.found) or 'none'} drifted"
            + (f"; not those of {', '.join(self.changed)}, which changed since" if self.changed else ""), kind="drift-compared", stage="reconcile")


def reconcile(runner: Runner, documents: Sequence[Document], path: str, outcome: Outcome) -> None:
    """Compare, and run again what is to run again. *path*: the ledger. A defect of ours costs the comparison only, and says so."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return  # nothing ran in this boot
    drift = Drift(runner, documents, data)
    try:
        drift.compare()
    except Exception as error:  # noqa: BLE001
        runner.log(WARNING, f"what this boot declared was not compared: internal error: {type(error).__name__}: {error}", kind="warning", stage="reconcile")
        return
    drift.repair(outcome)
