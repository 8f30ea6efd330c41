"""One step: decided, planned and applied, and what came of it recorded. It has its own view of the node's facts, so that steps
that run beside each other never take each other's warnings or output.
"""

from __future__ import annotations

import time

from kairos_boot.actions.base import Note, Told
from kairos_boot.errors import Ended, KairosError
from kairos_boot.shown import masked, one_line
from kairos_boot.stages.conditions import decide
from kairos_boot.stages.planning import Planned, fingerprint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.actions.base import Action, Effect
    from kairos_boot.cloudconfig.model import Step
    from kairos_boot.stages.graph import Vertex
    from kairos_boot.stages.runner import Outcome, Runner

ERROR, WARNING, INFO, DEBUG = 3, 4, 6, 7


class Execution:
    """The execution of *vertex* in *stage* by *runner*; it counts into *outcome*."""

    def __init__(self, runner: Runner, vertex: Vertex, stage: str, outcome: Outcome) -> None:
        self.runner, self.vertex, self.step, self.stage, self.outcome = runner, vertex, vertex.step, stage, outcome
        self.facts = runner.facts.view()
        self.host = runner.host.view(self._heard)
        self.name = one_line(vertex.name)
        """The step's name in texts, where it must not begin a line of its own."""
        self.key = ""
        """The key at work."""

    def run(self) -> None:
        """Run the step; a defect of ours costs this step only, and says so. Ended: the run is over."""
        running = self.runner.running
        running.append(self.vertex.name)
        try:
            self._run()
        except Exception as error:  # noqa: BLE001
            self.key = ""
            self._failed(f"internal error: {type(error).__name__}: {error}", where=self.step.where(), trace=error)
            self._record("failed", f"internal error: {type(error).__name__}", time.time(), 0.0)
        except Ended as end:
            why = self.runner.ended or str(end)
            self._failed(why, where=self.step.where())
            self._record("failed", why, time.time(), 0.0)
            raise
        finally:
            running.remove(self.vertex.name)

    def _run(self) -> None:
        step, start, clock = self.step, time.time(), time.monotonic()
        reason = self._left_out()
        if reason:
            self.outcome.count("skipped")
            self._record("skipped", reason, start, time.monotonic() - clock)
            self._log(INFO, f"Skipped {self.name}: {reason}", "step-skipped")
            return
        self._log(DEBUG, f"Running {self.name}", "step-start")
        if not step.if_:
            self._begin()
        often = step.frequency == "always"
        failures = [] if often else self._note(began=True)
        failed, changed = self._apply()
        failures += failed
        self.key = ""
        if not failures and not often:
            failures = self._note(began=False)
        result = "failed" if failures else "done" if changed else "unchanged"
        self.outcome.count("done", not failures)
        self.outcome.changed = self.outcome.changed or changed
        seconds = time.monotonic() - clock
        self._record(result, failures[0] if failures else "", start, seconds)
        self._log(WARNING if failures else INFO, f"Step {self.name}: {result} ({seconds:.2f} s)", "step-end")

    def _begin(self) -> None:
        """Record that the step is at work, before anything that takes time: a run that is cut off says where it was."""
        self.runner.ledger.write("begin", stage=self.stage, step=self.vertex.name, file=self.step.source)

    def _note(self, *, began: bool) -> list[str]:
        """Note for its frequency that the step begins, or that it was done; the failure's text if that cannot be."""
        from kairos_boot.stages import frequency

        try:
            if began:
                frequency.begin(self.host, frequency.names_of(self.stage, self.vertex), self.step)
            else:
                frequency.remember(self.host, frequency.names_of(self.stage, self.vertex), self.step, self.host.clock())
        except KairosError as error:
            self.key = "frequency"
            self._failed(error.message, where=error.where, hint=error.hint)
            return [str(error)]
        return []

    def _left_out(self) -> str:
        """Why the step does not run now, or nothing."""
        if self.outcome.stopped:
            return self.outcome.stopped
        if self.runner.guide and (reason := self.runner.guide.left_out(self.stage, self.vertex)):
            return reason
        if self.step.frequency != "always":
            from kairos_boot.stages.frequency import names_of, ran_before

            reason = ran_before(self.host, names_of(self.stage, self.vertex), self.step)
            if reason:
                return reason
        if self.step.if_:
            self._begin()
        self.key = "if"
        decision = decide(self.step, self.host, self.facts)
        self._warnings()
        if decision.failed:
            self.key = decision.key
            self._failed(decision.reason, where=self.step.where(decision.key))
        return "" if decision.run else decision.reason

    def _apply(self) -> tuple[list[str], bool]:
        """Plan and apply every module of the step; return the failures' texts and whether something changed."""
        failures: list[str] = []
        changed = False
        plan = Planned(self.step, self.facts)
        for key, action in plan:
            self.key, plan.heard = key, False
            if self.runner.ended:
                raise Ended(self.runner.ended)
            start = time.monotonic()
            try:
                if isinstance(action, KairosError):
                    raise action
                plan.heard = effect = action.apply(self.host)
                changed = changed or bool(effect)
                self._item(action, "changed" if effect else "unchanged", start, effect=effect)
            except KairosError as raised:
                error = placed(raised, self.step, self.key, action)
                failures.append(str(error))
                self._item(action, "failed", start, error)
                self._failed(error.message, where=error.where, hint=error.hint, record=False)
                if self.step.on_failure == "stop-stage":
                    self.outcome.stopped = f"{self.name} failed and says on_failure: stop-stage"
                if self.outcome.stopped or self.step.on_failure == "stop-step":
                    break
            finally:
                self._warnings()
            if isinstance(action, Note):
                self.outcome.count("warnings", not action.quiet)
                self._log(*((INFO, action.describe(), "note") if action.quiet else (WARNING, action.describe(), "warning")))
        return failures, changed

    def _heard(self, text: str) -> None:
        """What a command that succeeded said, for who looks for it."""
        self._log(DEBUG, masked(text), "output")

    def _log(self, priority: int, message: str, kind: str) -> None:
        self.runner.log(priority, message, kind=kind, stage=self.stage, step=self.vertex.name, file=self.step.source, module=self.key)

    def _warnings(self) -> None:
        while self.facts.warnings:
            where, text = self.facts.warnings.pop(0)
            self.outcome.count("warnings")
            self.runner.ledger.write("problem", stage=self.stage, step=self.vertex.name, severity="warning", where=where, message=text)
            self._log(WARNING, f"{where}: {text}", "warning")

    def _item(self, action: Action | KairosError, result: str, start: float, error: KairosError | None = None, effect: Effect = False) -> None:
        shown = "" if isinstance(action, KairosError) else action.describe()
        if isinstance(effect, Told) and effect.note:
            shown += f" ({effect.note})"
        said = {"error": error.message, "where": error.where, "hint": error.hint} if error else {}
        self.runner.ledger.write("item", stage=self.stage, step=self.vertex.name, module=self.key, action=shown, result=result,
                                 duration=time.monotonic() - start, **said)

    def _failed(self, message: str, *, where: str, hint: str = "", record: bool = True, trace: BaseException | None = None) -> None:
        self.outcome.count("failed")
        if self.runner.options.strict:
            self.outcome.stopped = self.outcome.stopped or f"stopped at the first failure, in {self.name} (--strict)"
        if record:
            self.runner.ledger.write("problem", stage=self.stage, step=self.vertex.name, severity="error", where=where, message=message, hint=hint)
        text = f"{one_line(where)}: step {self.name}: {message}{'; ' + hint if hint else ''}"
        if trace is not None:
            import traceback

            text += "\n" + "".join(traceback.format_exception(trace)).rstrip()
        self._log(ERROR, text, "failure")

    def _record(self, result: str, reason: str, start: float, seconds: float) -> None:
        content = {} if result == "skipped" else {"content": fingerprint(self.step)}
        self.runner.ledger.write("step", stage=self.stage, step=self.vertex.name, file=self.step.source, result=result, **content, reason=reason,
                                 start=start, duration=seconds)


def placed(error: KairosError, step: Step, key: str, action: Action | KairosError) -> KairosError:
    """*error* at its place in the document; another place that it names goes into the message."""
    if error.where.startswith(f"{step.source}:"):
        return error
    where = getattr(action, "where", "")
    message = f"{one_line(error.where)}: {error.message}" if error.where else error.message
    return KairosError(message, where if where.startswith(f"{step.source}:") else step.where(key), error.hint)
