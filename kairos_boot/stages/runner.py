"""Emit a stage: each step is decided, planned and applied after its predecessors were, and every outcome is recorded."""

from __future__ import annotations

import time

from kairos_boot.actions.base import Note
from kairos_boot.errors import Ended, KairosError
from kairos_boot.modules import ORDER
from kairos_boot.records import NOTHING, record
from kairos_boot.stages.conditions import decide
from kairos_boot.stages.graph import order
from kairos_boot.system.process import Processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Protocol

    from kairos_boot.actions.base import Action
    from kairos_boot.cloudconfig.model import Document, Problem, Step
    from kairos_boot.facts import Facts
    from kairos_boot.stages.graph import Graph, Node
    from kairos_boot.system.host import Host

    class Records(Protocol):
        """Where records go: the ledger."""

        def write(self, kind: str, **fields: object) -> None:
            """Append one record."""

    class Log(Protocol):
        """Where people read: the journal, a terminal, a file. *priority* is syslog's."""

        def __call__(self, priority: int, message: str, *, kind: str = "", stage: str = "", step: str = "", file: str = "",
                     module: str = "") -> None:
            """One message; *kind* is the event's name, which the journal turns into a MESSAGE_ID."""

ERROR, WARNING, INFO, DEBUG = 3, 4, 6, 7
SUBSTAGES = (".before", "", ".after")


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

    @property
    def result(self) -> str:
        """`done` or `degraded`."""
        return "degraded" if self.failed else "done"


class Runner:
    """Runs stages on one host. The same runner serves the stages of one process, so that facts are gathered once."""

    def __init__(self, host: Host, facts: Facts, ledger: Records, log: Log, options: Options = Options(),  # noqa: B008
                 origin: Mapping[str, object] = NOTHING) -> None:
        """*origin*: who started the run, for the record of each stage."""
        self.host, self.facts, self.ledger, self.log, self.options = host, facts, ledger, log, options
        self.origin = origin
        self._reported: set[Problem] = set()
        self._running: list[str] = []

    def emit(self, stage: str, load: Callable[[], Sequence[Document]]) -> Outcome:
        """Run STAGE.before, STAGE, STAGE.after (with `only` just STAGE) and return what came of it.

        Documents are loaded anew for each, since a step may bring one (user data does).
        """
        outcome = Outcome()
        for name in substages(stage, self.options):
            documents = load()
            self.report([p for d in documents for p in d.problems if p not in self._reported], outcome, name)
            self._reported.update(p for d in documents for p in d.problems)
            self._substage(name, order(documents, name), outcome, max([self.options.jobs, *(d.jobs for d in documents)]))
        return outcome

    def report(self, problems: Sequence[Problem], outcome: Outcome, stage: str = "") -> None:
        """Record what is wrong with documents or with their order; an error makes the run degraded."""
        for problem in problems:
            error = problem.severity == "error"
            outcome.failed += error
            outcome.warnings += not error
            self.ledger.write("problem", stage=stage, severity=problem.severity, where=problem.where, message=problem.message, hint=problem.hint)
            self.log(ERROR if error else WARNING, str(problem), kind="problem", stage=stage)
            if error and self.options.strict:
                outcome.stopped = outcome.stopped or "stopped at the first failure (--strict)"

    def _substage(self, stage: str, graph: Graph, outcome: Outcome, jobs: int) -> None:
        if isinstance(self.host.processes, Processes):
            self.host.processes.waiting = lambda seconds: self.log(
                INFO, f"Still running after {seconds:.0f} s: {', '.join(self._running)}", kind="step-running", stage=stage)
        started, before = time.monotonic(), (outcome.failed, outcome.skipped, outcome.done)
        self.log(INFO, f"Running stage: {stage}", kind="stage-start", stage=stage)
        self.ledger.write("stage", event="start", stage=stage, steps=sum(map(len, graph.layers)), **self.origin)
        self.report(graph.problems, outcome, stage)
        for layer in graph.layers:
            if jobs > 1 and len(layer) > 1:
                self._together(layer, stage, outcome, jobs)
            else:
                for node in layer:
                    self._guarded(node, stage, outcome)
        failed, skipped, done = (now - then for now, then in zip((outcome.failed, outcome.skipped, outcome.done), before, strict=True))
        seconds = time.monotonic() - started
        result = "degraded" if failed else "done"
        self.ledger.write("stage", event="end", stage=stage, result=result, done=done, skipped=skipped, failed=failed, duration=seconds)
        self.log(WARNING if failed else INFO, f"Done with stage {stage}: {done} done, {skipped} skipped, {failed} failed ({seconds:.2f} s)",
                 kind="stage-end", stage=stage)

    def _together(self, layer: Sequence[Node], stage: str, outcome: Outcome, jobs: int) -> None:
        """Run the steps of a layer beside each other, started in source order, at most *jobs* at a time."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(jobs) as pool:
            for future in [pool.submit(self._guarded, node, stage, outcome) for node in layer]:
                future.result()

    def _guarded(self, node: Node, stage: str, outcome: Outcome) -> None:
        """Run a step; a defect of ours costs this step only, and says so."""
        self._running.append(node.name)
        try:
            self._step(node, stage, outcome)
        except Exception as error:  # noqa: BLE001
            self._failed(node, stage, outcome, "", f"internal error: {type(error).__name__}: {error}", where=node.step.where(), trace=error)
            self._record(node, stage, "failed", f"internal error: {type(error).__name__}", time.time(), 0.0)
        except Ended as end:
            self._failed(node, stage, outcome, "", str(end), where=node.step.where())
            self._record(node, stage, "failed", str(end), time.time(), 0.0)
            raise
        finally:
            self._running.remove(node.name)

    def _step(self, node: Node, stage: str, outcome: Outcome) -> None:
        step, start, clock = node.step, time.time(), time.monotonic()
        reason = self._left_out(node, stage, outcome)
        if reason:
            outcome.skipped += 1
            self._record(node, stage, "skipped", reason, start, time.monotonic() - clock)
            self.log(INFO, f"Skipped {node.name}: {reason}", kind="step-skipped", stage=stage, step=node.name, file=step.source)
            return
        self.log(DEBUG, f"Running {node.name}", kind="step-start", stage=stage, step=node.name, file=step.source)
        failures, changed = self._apply(node, stage, outcome)
        if not failures and step.frequency != "always":
            failures = self._remember(node, stage, outcome)
        result = "failed" if failures else "done" if changed else "unchanged"
        outcome.done += not failures
        outcome.changed = outcome.changed or changed
        seconds = time.monotonic() - clock
        self._record(node, stage, result, failures[0] if failures else "", start, seconds)
        self.log(WARNING if failures else INFO, f"Step {node.name}: {result} ({seconds:.2f} s)", kind="step-end", stage=stage, step=node.name, file=step.source)

    def _remember(self, node: Node, stage: str, outcome: Outcome) -> list[str]:
        """Record that the step was done, for its frequency; the failure's text if that cannot be."""
        from kairos_boot.stages.frequency import remember

        try:
            remember(self.host, node.name, node.step, self.host.clock())
        except KairosError as error:
            self._failed(node, stage, outcome, "frequency", error.message, where=error.where, hint=error.hint)
            return [str(error)]
        return []

    def _left_out(self, node: Node, stage: str, outcome: Outcome) -> str:
        """Why the step does not run now, or nothing."""
        if outcome.stopped:
            return outcome.stopped
        if node.step.frequency != "always":
            from kairos_boot.stages.frequency import ran_before

            reason = ran_before(self.host, node.name, node.step)
            if reason:
                return reason
        decision = decide(node.step, self.host, self.facts)
        self._warnings(node, stage, outcome, "if")
        if decision.failed:
            self._failed(node, stage, outcome, decision.key, decision.reason, where=node.step.where(decision.key))
        return "" if decision.run else decision.reason

    def _apply(self, node: Node, stage: str, outcome: Outcome) -> tuple[list[str], bool]:
        """Plan and apply every module of the step; return the failures' texts and whether something changed."""
        failures: list[str] = []
        changed = False
        for key, action in planned(node.step, self.facts):
            start = time.monotonic()
            try:
                if isinstance(action, KairosError):
                    raise action
                effect = action.apply(self.host)
                changed = changed or effect
                self._item(node, stage, key, action, "changed" if effect else "unchanged", start)
            except KairosError as raised:
                error = placed(raised, node.step, key, action)
                failures.append(str(error))
                self._item(node, stage, key, action, "failed", start, error)
                self._failed(node, stage, outcome, key, error.message, where=error.where, hint=error.hint, record=False)
                if node.step.on_failure == "stop-stage":
                    outcome.stopped = f"{node.name} failed and says on_failure: stop-stage"
                if outcome.stopped or node.step.on_failure == "stop-step":
                    break
            finally:
                self._warnings(node, stage, outcome, key)
            if isinstance(action, Note):
                outcome.warnings += not action.quiet
                level, kind = (INFO, "note") if action.quiet else (WARNING, "warning")
                self.log(level, action.describe(), kind=kind, stage=stage, step=node.name, file=node.step.source, module=key)
        return failures, changed

    def _warnings(self, node: Node, stage: str, outcome: Outcome, key: str) -> None:
        while self.facts.warnings:
            where, text = self.facts.warnings.pop(0)
            outcome.warnings += 1
            self.ledger.write("problem", stage=stage, step=node.name, severity="warning", where=where, message=text)
            self.log(WARNING, f"{where}: {text}", kind="warning", stage=stage, step=node.name, file=node.step.source, module=key)

    def _item(self, node: Node, stage: str, key: str, action: Action | KairosError, result: str, start: float, error: KairosError | None = None) -> None:
        shown = "" if isinstance(action, KairosError) else action.describe()
        said = {"error": error.message, "where": error.where, "hint": error.hint} if error else {}
        self.ledger.write("item", stage=stage, step=node.name, module=key, action=shown, result=result, duration=time.monotonic() - start, **said)

    def _failed(self, node: Node, stage: str, outcome: Outcome, key: str, message: str, *, where: str, hint: str = "", record: bool = True,
                trace: BaseException | None = None) -> None:
        outcome.failed += 1
        if self.options.strict:
            outcome.stopped = outcome.stopped or f"stopped at the first failure, in {node.name} (--strict)"
        if record:
            self.ledger.write("problem", stage=stage, step=node.name, severity="error", where=where, message=message, hint=hint)
        text = f"{where}: step {node.name}: {message}{'; ' + hint if hint else ''}"
        if trace is not None:
            import traceback

            text += "\n" + "".join(traceback.format_exception(trace)).rstrip()
        self.log(ERROR, text, kind="failure", stage=stage, step=node.name, file=node.step.source, module=key)

    def _record(self, node: Node, stage: str, result: str, reason: str, start: float, seconds: float) -> None:
        self.ledger.write("step", stage=stage, step=node.name, file=node.step.source, result=result, reason=reason, start=start, duration=seconds)


def placed(error: KairosError, step: Step, key: str, action: Action | KairosError) -> KairosError:
    """*error* at its place in the document; another place that it names goes into the message."""
    if error.where.startswith(f"{step.source}:"):
        return error
    where = getattr(action, "where", "")
    message = f"{error.where}: {error.message}" if error.where else error.message
    return KairosError(message, where if where.startswith(f"{step.source}:") else step.where(key), error.hint)


def planned(step: Step, facts: Facts, modules: Sequence[tuple[str, str]] = ORDER) -> Iterator[tuple[str, Action | KairosError]]:
    """The actions of the step's keys in the fixed order, each planned when its predecessors were applied."""
    keys = [pair for pair in modules if pair[0] in step.keys]
    if step.classic:
        keys.sort(key=lambda pair: pair[0] == "commands")  # cloud-init's runcmd comes last (B12)
    for key, name in keys:
        plan = _module(key, name)
        if plan is None:
            yield key, KairosError(f"the key {key} cannot be executed by this version", step.where(key), "leave it out or upgrade")
            continue
        items = plan(step, facts)
        while True:
            try:
                action = next(items)
            except StopIteration:
                break
            except KairosError as error:
                yield key, error
                break
            yield key, action


def substages(stage: str, options: Options) -> list[str]:
    """The (sub)stages that emitting *stage* means, in order."""
    return [stage] if options.only else [stage + suffix for suffix in SUBSTAGES]


def _module(key: str, name: str) -> Callable[[Step, Facts], Iterator[Action]] | None:
    """The plan function of *key*, imported now; None where there is no such module."""
    path = f"kairos_boot.modules.{name}"
    try:
        module = __import__(path, fromlist=("plan",))
    except ModuleNotFoundError as error:
        if error.name != path:
            raise
        return None
    plan: Callable[[Step, Facts], Iterator[Action]] = getattr(module, f"plan_{key}", None) or module.plan
    return plan


def modules_of(documents: Sequence[Document], stage: str) -> None:
    """Import every module that the documents' steps of *stage* name, for a process that is about to lose sight of its files."""
    names = dict(ORDER)
    for document in documents:
        for suffix in SUBSTAGES:
            for step in document.stages.get(stage + suffix, ()):
                for key in step.get("keys", ()):
                    if key in names:
                        _module(key, names[key])
