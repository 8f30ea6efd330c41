"""Emit a stage: each step is decided, planned and applied after its predecessors were, and every outcome is recorded."""

from __future__ import annotations

import time
from _thread import allocate_lock, start_new_thread

from kairos_boot.errors import Ended
from kairos_boot.records import NOTHING, record
from kairos_boot.shown import one_line
from kairos_boot.stages.execution import ERROR, INFO, WARNING, Execution
from kairos_boot.stages.graph import order
from kairos_boot.system.process import STOPPED, Processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Protocol

    from kairos_boot.cloudconfig.model import Document, Problem
    from kairos_boot.facts import Facts
    from kairos_boot.stages.breakpoints import Guide
    from kairos_boot.stages.graph import Graph, Vertex
    from kairos_boot.system.host import Host

    class Records(Protocol):
        """Where records go: the ledger."""

        def write(self, kind: str, **fields: object) -> None:
            """Append one record."""

    class Log(Protocol):
        """Where people read: the journal, a terminal, a file. *priority* is syslog's."""

        def __call__(self, priority: int, message: str, *, kind: str = "", stage: str = "", step: str = "", file: str = "",
                     module: str = "", more: Mapping[str, str] = NOTHING) -> None:
            """One message; *kind* is the event's name, which the journal turns into a MESSAGE_ID; *more* are fields for programs."""

SUBSTAGES = (".before", "", ".after")
LAST_WORDS = 5.0
"""Seconds that steps beside each other have to say how they were ended."""


@record
class Options:
    """How a stage is run: `strict` stops at the first failure; `jobs` is how many steps of a layer may overlap."""

    strict: bool = False
    jobs: int = 1
    only: bool = False


class Outcome:
    """What a run came to."""

    def __init__(self) -> None:
        self.done = self.skipped = self.failed = self.warnings = 0
        self.changed = False
        self.stopped = ""
        """Why later steps were left out, or empty."""
        self._lock = allocate_lock()

    def count(self, what: str, more: int = 1) -> None:
        """Add to `done`, `skipped`, `failed` or `warnings`; steps may run beside each other."""
        with self._lock:
            setattr(self, what, getattr(self, what) + more)

    @property
    def result(self) -> str:
        return "degraded" if self.failed else "done"


class Runner:
    """Runs stages on one host. The same runner serves the stages of one process, so that facts are gathered once."""

    def __init__(self, host: Host, facts: Facts, ledger: Records, log: Log, options: Options = Options(),  # noqa: B008
                 origin: Mapping[str, object] = NOTHING, guide: Guide | None = None) -> None:
        """*origin*: who started the run, for the record of each stage; *guide*: what this boot's command line says about stages and steps."""
        self.host, self.facts, self.ledger, self.log, self.options = host, facts, ledger, log, options
        self.origin, self.guide = origin, guide
        self._reported: set[Problem] = set()
        self.running: list[str] = []
        """The steps at work."""
        self.ended = ""
        """Why the run is over, where steps run beside each other."""

    def emit(self, stage: str, load: Callable[[], Sequence[Document]], outcome: Outcome | None = None) -> Outcome:
        """Run STAGE.before, STAGE, STAGE.after (with `only` just STAGE) and return what came of it, added to *outcome* if given.

        Documents are loaded anew for each, since a step may bring one (user data does).
        """
        outcome = outcome or Outcome()
        for name in substages(stage, self.options):
            documents = load()
            self.report([p for d in documents for p in d.problems if p not in self._reported], outcome, name)
            self._reported.update(p for d in documents for p in d.problems)
            if self.guide:
                self.report(self.guide.mistaken(name, documents), outcome, name)
            self.run_graph(name, order(documents, name), outcome, max([self.options.jobs, *(d.jobs for d in documents)]))
        return outcome

    def report(self, problems: Sequence[Problem], outcome: Outcome, stage: str = "") -> None:
        """Record what is wrong with documents or with their order; an error makes the run degraded."""
        for problem in problems:
            error = problem.severity == "error"
            outcome.count("failed" if error else "warnings")
            self.ledger.write("problem", stage=stage, severity=problem.severity, where=problem.where, message=problem.message, hint=problem.hint)
            self.log(ERROR if error else WARNING, str(problem), kind="problem", stage=stage)
            if error and self.options.strict:
                outcome.stopped = outcome.stopped or "stopped at the first failure (--strict)"

    def run_graph(self, stage: str, graph: Graph, outcome: Outcome, jobs: int = 1) -> None:
        """Run the steps of *graph* as those of *stage*, and count them into *outcome*."""
        if isinstance(self.host.processes, Processes):
            self.host.processes.waiting = lambda seconds: self.log(
                INFO, f"Still running after {seconds:.0f} s: {', '.join(self.running)}", kind="step-running", stage=stage)
        started, before = time.monotonic(), (outcome.failed, outcome.skipped, outcome.done)
        self.log(INFO, f"Running stage: {one_line(stage)}", kind="stage-start", stage=stage)
        self.ledger.write("stage", event="start", stage=stage, steps=sum(map(len, graph.layers)), **self.origin)
        self.report(graph.problems, outcome, stage)
        interrupted = True
        try:
            if self.guide:
                self.guide.enter(stage, graph)
                jobs = 1 if self.guide.stops_in(stage) else jobs
            for layer in graph.layers:
                if jobs > 1 and len(layer) > 1:
                    self._together(layer, stage, outcome, jobs)
                else:
                    for vertex in layer:
                        if self.guide and not outcome.stopped:
                            self.guide.reach(stage, vertex)
                        Execution(self, vertex, stage, outcome).run()
            interrupted = False
        finally:  # whatever ends it, the record says that it ended
            failed, skipped, done = (now - then for now, then in zip((outcome.failed, outcome.skipped, outcome.done), before, strict=True))
            seconds = time.monotonic() - started
            result = "interrupted" if interrupted else "degraded" if failed else "done"
            self.ledger.write("stage", event="end", stage=stage, result=result, done=done, skipped=skipped, failed=failed, duration=seconds)
            self.log(WARNING if failed or interrupted else INFO,
                     f"{'Interrupted' if interrupted else 'Done'} with stage {one_line(stage)}: {done} done, {skipped} skipped, {failed} failed ({seconds:.2f} s)",
                     kind="stage-end", stage=stage)

    def _together(self, layer: Sequence[Vertex], stage: str, outcome: Outcome, jobs: int) -> None:
        """Run the steps of a layer beside each other, begun in source order, at most *jobs* at a time.

        What ends the run ends in this thread: then no other step begins, every command that runs is ended, and the others are
        waited for while they say so.
        """
        from _queue import Empty, SimpleQueue

        waiting = list(reversed(layer))
        finished: SimpleQueue[None] = SimpleQueue()

        def work() -> None:
            try:
                while waiting and not self.ended:
                    try:
                        vertex = waiting.pop()
                    except IndexError:  # another one took it
                        break
                    Execution(self, vertex, stage, outcome).run()
            except Ended:
                pass  # the waiting thread knows
            finally:
                finished.put(None)

        working = 0
        try:
            for _ in range(min(jobs, len(layer))):
                try:
                    start_new_thread(work, ())
                except RuntimeError:  # the system gives no more: those that there are do it all, and without any this one does
                    if not working:
                        for node in layer:
                            Execution(self, node, stage, outcome).run()
                    break
                working += 1
            while working:
                finished.get()
                working -= 1
        except BaseException as error:
            self.ended = str(error) or STOPPED
            if isinstance(self.host.processes, Processes):
                self.host.processes.stop()
            until = time.monotonic() + LAST_WORDS
            try:
                for _ in range(working):
                    finished.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                pass
            raise


def substages(stage: str, options: Options) -> list[str]:
    """The (sub)stages that emitting *stage* means, in order."""
    return [stage] if options.only else [stage + suffix for suffix in SUBSTAGES]
