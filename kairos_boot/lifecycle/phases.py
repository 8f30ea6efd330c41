"""An action is a list of phases, and a phase is data: what it does, what it needs, what a repeated run after a cut does.

The list that a plan prints is the list that runs. Everything is checked before the first phase; a phase that fails ends the action, unless it is
an extra one. Which phases are done stands in the marker, so that the boot after a cut goes on where the cut came.
"""

from __future__ import annotations

import os
import time

from kairos_boot.errors import Explained, KairosError
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    from kairos_boot.actions.base import Action
    from kairos_boot.stages.runner import Log, Records
    from kairos_boot.system.host import Host

    class Marker(Protocol):
        """Where the boot after a cut finds what was begun and how far it came."""

        @property
        def done(self) -> Sequence[str]:
            """The names of the phases that are done."""

        @property
        def started(self) -> str:
            """The name of the phase that a cut ended, or nothing."""

        def begin(self, phase: str) -> None:
            """Note that *phase* starts; durable for the boot loader when it returns."""

        @property
        def failed_before(self) -> Sequence[str]:
            """What failed of the phases that are done, in the runs that a cut ended."""

        def end(self, phase: str, failure: str = "") -> None:
            """Note that *phase* is done, or is an extra one that failed."""

ERROR, WARNING, NOTICE, INFO = 3, 4, 5, 6
AGAIN_WHOLE = "done again from its start"
RESUMED = "KAIROS_RESUMED"
"""Tells a hook, as 1, that the phase which runs it was cut short before."""


@record
class Phase:
    """A part of an action. *checks* raise a KairosError where the action must not begin; *extra* is a phase whose failure stops nothing."""

    name: str
    title: str
    actions: tuple[Action, ...] = ()
    checks: tuple[Callable[[Host], None], ...] = ()
    again: str = AGAIN_WHOLE
    extra: bool = False
    standing: tuple[Action, ...] = ()
    """What holds from this phase on, such as mounts: done behind its actions, and set up again after a cut."""
    notes: tuple[str, ...] = ()
    """What a plan says besides."""

    def describe(self) -> list[str]:
        """A line for each thing it does, and what it does again after a cut."""
        return [*(action.describe() for action in (*self.actions, *self.standing)), *self.notes]


class Refused(KairosError):  # noqa: N818
    """The action cannot begin; nothing was changed. *faults* are all reasons."""

    def __init__(self, faults: Sequence[KairosError]) -> None:
        first = faults[0]
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        super().__init__(first.message + more, first.where, first.hint)
        self.faults = tuple(faults)


class Broken(KairosError):  # noqa: N818
    """A phase failed: *phase* is its name. What was done before stays done."""

    def __init__(self, phase: str, error: KairosError) -> None:
        super().__init__(error.message, error.where, error.hint)
        self.phase = phase


class Fatal(KairosError):  # noqa: N818
    """What an action cannot go on without is lost: it ends also in an extra phase."""


class Memory:
    """The marker of an action that nobody goes on with: it begins again."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.failed_before: list[str] = []
        self.started = ""

    def begin(self, phase: str) -> None:
        """A phase starts; nobody has to know."""

    def end(self, phase: str, failure: str = "") -> None:  # noqa: ARG002
        """A phase is done."""
        self.done.append(phase)


class Engine:
    """Runs the phases of one action called *action* on *host*."""

    def __init__(self, action: str, host: Host, ledger: Records, log: Log) -> None:
        self.action, self.host, self.ledger, self.log = action, host, ledger, log

    def check(self, phases: Sequence[Phase]) -> None:
        """Ask every check of every phase. Refused: some do not hold."""
        faults = unmet(self.host, phases)
        if faults:
            for fault in faults:
                self.ledger.write("problem", stage=self.action, severity="error", where=fault.where, message=fault.message, hint=fault.hint)
                self.log(ERROR, f"{self.action} is refused: {fault}", kind="failure", stage=self.action)
            raise Refused(faults)

    def run(self, phases: Sequence[Phase], marker: Marker, *, before: int = 0, more: int = 0) -> list[str]:
        """Do the phases that are not done yet, in order; the failures of extra ones. Broken: another one failed.

        Where they are a part of the action, *before* are done already and *more* follow: for those who count.
        """
        failures = list(marker.failed_before)
        for number, phase in enumerate(phases, before + 1):
            head = f"{self.action} {number}/{before + len(phases) + more}: {phase.title}"
            if phase.name in marker.done:
                self.log(INFO, f"{head}: done before", kind="phase", stage=self.action, step=phase.name)
                try:
                    self._apply(phase.standing)
                except KairosError as error:
                    failures += self._failed(phase, head, error)
                continue
            resumed = marker.started == phase.name
            self._note(phase, head, marker.begin)
            self.log(NOTICE, head + (" (again: it was cut short)" if resumed else ""), kind="phase", stage=self.action, step=phase.name)
            self._record(phase, "start", resumed=resumed)
            if resumed:
                os.environ[RESUMED] = "1"
            start, failed = time.monotonic(), ""
            try:
                changed = self._apply((*phase.actions, *phase.standing))
            except KairosError as error:
                self._record(phase, "end", result="failed", error=error.message, where=error.where, hint=error.hint, duration=time.monotonic() - start)
                [failed] = self._failed(phase, head, error)
                failures.append(failed)
            else:
                self._record(phase, "end", result="done" if changed else "unchanged", duration=time.monotonic() - start)
            finally:
                os.environ.pop(RESUMED, None)
            self._note(phase, head, lambda name, failed=failed: marker.end(name, failed))  # type: ignore[misc]
        return failures

    def give_up(self, phase: str, why: str, hint: str) -> None:
        """Record that nobody tries the phase of that name any more."""
        self.ledger.write("phase", action=self.action, phase=phase, title=phase, event="end", result="failed", error=why.removeprefix(f"{phase}: "), where="", hint=hint, duration=0.0)

    def _apply(self, actions: Sequence[Action]) -> bool:
        changed = False
        for action in actions:
            with Explained(f"it was not possible to {action.describe()}"):
                changed = bool(action.apply(self.host)) or changed
        return changed

    def _note(self, phase: Phase, head: str, note: Callable[[str], None]) -> None:
        """Begin or end *phase* in the marker. Broken: it cannot be noted, and so a cut could not be resumed, whatever the phase is."""
        try:
            with Explained("the marker of the action cannot be written"):
                note(phase.name)
        except KairosError as error:
            self.log(ERROR, f"{head}: {error}", kind="failure", stage=self.action, step=phase.name)
            raise Broken(phase.name, error) from error

    def _failed(self, phase: Phase, head: str, error: KairosError) -> list[str]:
        """Tell it; what an extra phase leaves for the end. Broken: it is another one."""
        goes_on = phase.extra and not isinstance(error, Fatal)
        self.log(WARNING if goes_on else ERROR, f"{head}: {error}", kind="failure", stage=self.action, step=phase.name)
        if not goes_on:
            raise Broken(phase.name, error) from error
        return [f"{phase.title}: {error}"]

    def _record(self, phase: Phase, event: str, **fields: Any) -> None:
        self.ledger.write("phase", action=self.action, phase=phase.name, title=phase.title, event=event, **fields)


def must_be_met(host: Host, phases: Sequence[Phase]) -> None:
    """Ask every check for a plan, without a record: nothing was begun. Refused: some do not hold, so that the run would be refused."""
    faults = unmet(host, phases)
    if faults:
        raise Refused(faults)


def unmet(host: Host, phases: Sequence[Phase]) -> list[KairosError]:
    """What does not hold of all that the phases need."""
    faults = []
    for phase in phases:
        own = [action.check for action in (*phase.actions, *phase.standing) if hasattr(action, "check")]  # what the action itself knows to be in its way
        for check in (*phase.checks, *own):
            try:
                with Explained(f"it cannot be found out whether this can be done: {phase.title}"):
                    check(host)
            except KairosError as error:
                faults.append(error)
    return faults


def plan(action: str, phases: Sequence[Phase], done: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The phases as plain data, for people and programs; *done* are those that a cut run did already."""
    return [{"action": action, "number": number, "phase": phase.name, "title": phase.title, "does": phase.describe(), "again": phase.again,
             "done": phase.name in done} for number, phase in enumerate(phases, 1)]
