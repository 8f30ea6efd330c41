"""The ledgers of a node, put together to boots, runs of stages, and steps."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError, reason
from kairos_boot.stages.ledger import DIRECTORY, KEPT, NO_BOOT, adopted, boot_id, kept, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from kairos_boot.system.host import Host

    Record = Mapping[str, Any]

MOST = 2.0**38
"""Seconds: a time beyond is none (and NaN is not below it)."""


class Step:
    """A step that was decided: `result` is done, unchanged, skipped or failed. Times are in seconds, `begin` since the kernel started."""

    def __init__(self, record: Record, items: Sequence[Record]) -> None:
        self.stage, self.name, self.file = _text(record, "stage"), _text(record, "step"), _text(record, "file")
        self.result, self.reason = _text(record, "result"), _text(record, "reason")
        self.duration = number(record, "duration")
        self.begin = number(record, "uptime") - self.duration
        self.items = list(items)


class Failure:
    """Something that went wrong, and the stages in which it did (a broken document does in each)."""

    def __init__(self, where: str, message: str, hint: str = "", step: str = "", module: str = "", file: str = "") -> None:
        self.where, self.message, self.hint, self.step, self.module = where, message, hint, step, module
        self.file = file or where.partition(": ")[0].partition(":")[0]
        """The document that it is about, or the path."""
        self.stages: list[str] = []
        self.of_condition = False
        """Whether the step was skipped, since its condition could not be decided."""
        self.known = False
        """Whether the last good boot had it, too (E7)."""

    @property
    def key(self) -> tuple[str, ...]:
        """What two boots call the same failure: lines move, and messages have numbers in them, so a step and its key it is."""
        return (self.file, self.step, self.module) if self.step else (self.file, self.message)


class StageRun:
    """One run of a (sub)stage. `result` is done, degraded, running, or interrupted: begun and never ended."""

    def __init__(self, stage: str, record: Record) -> None:
        self.stage = stage
        self.begin, self.time = number(record, "uptime"), number(record, "time")
        self.process = min(self.begin, number(record, "process") or self.begin)
        """When the process that runs it began."""
        self.duration = 0.0
        self.result = "running"
        self.by, self.unit = _text(record, "by"), _text(record, "unit")
        """Who started it: `unit`, `step` (of another run), `hand`, or nothing in the initrd, which runs its own."""
        sources = record.get("sources")
        self.sources = tuple(map(str, sources)) if isinstance(sources, list) else ()
        """Where its documents came from, if not from the usual places."""
        self.begun: dict[str, float] = {}
        """The steps that began and did not end, and when: of a run that was cut off, what it was at."""
        self.last = self.begin
        """The moment of its last record."""
        self.steps: list[Step] = []
        self.failures: list[Failure] = []
        self.warnings: list[Failure] = []
        self.latest = True
        """Whether no later run of this stage, started in the same way over the same sources, replaces it."""

    @property
    def main(self) -> str:
        """The stage that this is a substage of."""
        return self.stage.removesuffix(".before").removesuffix(".after")

    @property
    def by_hand(self) -> bool:
        """Whether somebody started it, so that it is no part of the boot."""
        return self.by == "hand"

    @property
    def kind(self) -> tuple[str, bool, tuple[str, ...]]:
        """What distinguishes it from runs that it has nothing to do with: the stage, who started it, over what."""
        return self.stage, self.by_hand, self.sources

    def count(self, *results: str) -> int:
        return sum(step.result in results for step in self.steps)


class Boot:
    """What the ledger of one boot tells."""

    def __init__(self, boot_id: str, data: bytes, *, ago: int = 0, alive: bool = False) -> None:
        """Read the ledger *data*. *alive* is whether a run is going on now, so that a run without an end is no wreck."""
        self.boot_id, self.ago = boot_id, ago
        self.records, self.damaged = read(data)
        self.facts: dict[str, Any] = {}
        self.runs: list[StageRun] = []
        self.mounts: list[Record] = []
        self.not_booted: list[Record] = []
        """Entries of the boot menu that were tried before this boot and failed, the first one first (D13)."""
        self.drift: Record | None = None
        """The last comparison of what the boot declared with the node, and in `differences` what it found."""
        self.differences: list[Record] = []
        self._differences: list[Record] = []
        self.failures: list[Failure] = []
        """What is wrong and belongs to no run: parts of the initrd's work, and what happened outside of stages."""
        self.warnings: list[Failure] = []
        self._items: dict[tuple[str, str], list[Record]] = {}
        self._early: dict[str, list[Record]] = {}
        self._open: dict[str, StageRun] = {}
        for record in self.records:
            take = getattr(self, f"_take_{record['kind'].replace('-', '_')}", None)
            run = self._open.get(_text(record, "stage"))
            if run and record.get("event") != "start":
                run.last = number(record, "uptime")
            if take:
                take(record)
        for early in self._early.values():
            for problem in early:
                _file(problem, self.failures, self.warnings)
        last = self.records[-1] if self.records else None
        for run in self._open.values():
            run.duration = max(0.0, (number(last or {}, "uptime") if alive else run.last) - run.begin)
            run.result = "running" if alive else "interrupted"
        seen = set()
        for run in reversed(self.runs):
            run.latest = run.kind not in seen
            seen.add(run.kind)
        self.compared = ""
        """The id of the good boot whose failures are known (`compare`), or nothing."""
        self._known: frozenset[tuple[str, ...]] = frozenset()

    @property
    def started(self) -> float:
        """When the kernel started, in seconds since the epoch, by the node's latest clock; 0 for an empty ledger."""
        return number(self.records[-1], "time") - number(self.records[-1], "uptime") if self.records else 0.0

    @property
    def result(self) -> str:
        """`ok`, `degraded` (something failed, or was interrupted) or `running`."""
        if self.not_booted or self.failed() or self.interrupted() or any(run.result == "degraded" and not run.failures for run in self.runs if run.latest):
            return "degraded"
        return "running" if any(run.result == "running" for run in self.runs) else "ok"

    def failed(self) -> list[Failure]:
        """Each failure that stands, once: those that the last good boot had, too, come last, the rest in the order of the boot.

        It stands until its step was done, or until the stage was run again over the same sources and has no such step any more.
        """
        standing = [(f, [r.stage]) for at, r in enumerate(self.runs) for f in r.failures if self._stands(f, r, self.runs[at + 1:])]
        found = _once([(f, []) for f in self.failures] + standing)
        for failure in found:
            failure.known = failure.key in self._known
        return sorted(found, key=lambda failure: failure.known)

    def _stands(self, failure: Failure, run: StageRun, later: Sequence[StageRun]) -> bool:
        for other in later:
            if other.stage != run.stage:
                continue
            same = [step for step in other.steps if failure.step and (step.name, step.file) == (failure.step, failure.file)]
            if any(step.result != "skipped" or failure.of_condition for step in same):
                return False  # it was done, or failed once more, which stands for itself
            if not same and other.sources == run.sources and other.result in ("done", "degraded"):
                return False
        return True

    def interrupted(self) -> list[StageRun]:
        """The runs that never ended, and were not repeated over the same sources."""
        return [run for at, run in enumerate(self.runs) if run.result == "interrupted"
                and not any((other.stage, other.sources) == (run.stage, run.sources) for other in self.runs[at + 1:])]

    def came_up(self) -> bool:
        """Whether the boot came so far that its failures are those of a node that works."""
        return not self.interrupted() and any(run.main in ("boot", "network") and not run.by_hand and run.result in ("done", "degraded") for run in self.runs)

    def over(self) -> bool:
        """Whether the stages of the boot have come to their end."""
        return any(run.stage == "network.after" and not run.by_hand and run.result != "running" for run in self.runs)

    def compare(self, good: Boot) -> None:
        """Take the failures of the boot *good*, which came up with them, for known."""
        self.compared, self._known = good.boot_id, frozenset(failure.key for failure in good.failed())

    def warned(self) -> list[Failure]:
        return _once([(f, []) for f in self.warnings] + [(f, [r.stage]) for r in self.runs if r.latest for f in r.warnings])

    def _take_boot(self, record: Record) -> None:
        self.facts |= {k: v for k, v in record.items() if k not in ("kind", "time", "uptime")}

    def _take_stage(self, record: Record) -> None:
        stage = _text(record, "stage")
        if record.get("event") == "start":
            if stage in self._open:
                broken = self._open[stage]
                broken.result, broken.duration = "interrupted", max(0.0, broken.last - broken.begin)
            run = self._open[stage] = StageRun(stage, record)
            self.runs.append(run)
            for early in self._early.pop(stage, []):
                _file(early, run.failures, run.warnings)
        elif stage in self._open:
            run = self._open.pop(stage)
            run.result, run.duration = _text(record, "result"), number(record, "duration")

    def _take_begin(self, record: Record) -> None:
        run = self._open.get(_text(record, "stage"))
        if run:
            run.begun[_text(record, "step")] = number(record, "uptime")

    def _take_item(self, record: Record) -> None:
        self._items.setdefault((_text(record, "stage"), _text(record, "step")), []).append(record)

    def _take_step(self, record: Record) -> None:
        stage = _text(record, "stage")
        step = Step(record, self._items.pop((stage, _text(record, "step")), []))
        run = self._open.get(stage)
        if run is None:
            return
        run.steps.append(step)
        run.begun.pop(step.name, None)
        failed = [item for item in step.items if item.get("result") == "failed"]
        for item in failed:
            run.failures.append(Failure(_text(item, "where"), _text(item, "error"), _text(item, "hint"), step.name, _text(item, "module"), step.file))
        for failure in run.failures:
            if failure.step == step.name:
                failure.file = step.file or failure.file
                failure.of_condition = step.result == "skipped"
        if step.result == "failed" and not failed and not any(f.step == step.name for f in run.failures):
            run.failures.append(Failure(step.file, step.reason, "", step.name, file=step.file))

    def _take_problem(self, record: Record) -> None:
        stage = _text(record, "stage")
        run = self._open.get(stage)
        if run is not None:
            _file(record, run.failures, run.warnings)
        else:  # documents are loaded before their stage begins
            self._early.setdefault(stage, []).append(record)

    def _take_mount(self, record: Record) -> None:
        self.mounts.append(record)
        if record.get("result") in ("failed", "missing"):
            what, where = _text(record, "what"), _text(record, "where")
            place = f"{what} on {where}" if what and where else what or where
            self.failures.append(Failure(place, _text(record, "error") or "it is not there", _text(record, "hint")))

    def _take_failed_boot(self, record: Record) -> None:
        self.not_booted.append(record)

    def _take_difference(self, record: Record) -> None:
        self._differences.append(record)

    def _take_drift(self, record: Record) -> None:
        self.drift, self.differences, self._differences = record, self._differences, []

    def _take_kept(self, record: Record) -> None:
        self.warnings.append(Failure(_text(record, "where"), f"the ledger could not be kept: {_text(record, 'error')}"))


def _file(record: Record, failures: list[Failure], warnings: list[Failure]) -> None:
    failure = Failure(_text(record, "where"), _text(record, "message"), _text(record, "hint"), _text(record, "step"))
    (failures if record.get("severity") == "error" else warnings).append(failure)


def _once(found: Sequence[tuple[Failure, list[str]]]) -> list[Failure]:
    known: dict[tuple[str, str, str], Failure] = {}
    for failure, stages in found:
        key = (failure.where, failure.message, failure.step)
        same = known.setdefault(key, Failure(failure.where, failure.message, failure.hint, failure.step, failure.module, failure.file))
        same.stages += [stage for stage in stages if stage not in same.stages]
    return list(known.values())


def failures_of(runs: Sequence[StageRun]) -> list[Failure]:
    """What failed in *runs*, each once."""
    return _once([(failure, [run.stage]) for run in runs for failure in run.failures])


def _text(record: Record, name: str) -> str:
    value = record.get(name, "")
    return value if isinstance(value, str) else str(value)


def number(record: Record, name: str) -> float:
    """A number of seconds; nothing where a damaged record has another thing, or one that no clock gives."""
    value = record.get(name, 0)
    return float(value) if isinstance(value, int | float) and abs(value) < MOST else 0.0


def load(host: Host, ago: str = "0", *, running: bool = False) -> Boot:
    """The boot *ago* boots before this one (0 is this one), or the one whose id begins so. KairosError: there is no ledger of it.

    *running* is whether a run goes on at this moment, so that a stage without an end is no wreck.
    """
    boots = _boots(host)
    number = ago.lstrip("-")
    if number.isdecimal() and len(number) < 8:
        back = int(number)
        if back >= len(boots):
            raise KairosError(f"no ledger of {back} boots ago", hint=f"there are {len(boots)}: --boot 0 to {len(boots) - 1}" if len(boots) > 1 else "there is one: --boot 0")
    else:
        found = [i for i, (boot, _) in enumerate(boots) if boot.startswith(ago)]
        if len(found) != 1:
            raise KairosError(f"{'no' if not found else 'more than one'} boot has an id that begins with {ago!r}",
                              hint="give --boot a number of boots to go back, or the id of one")
        back = len(boots) - 1 - found[0]
    boot, path = boots[-1 - back]
    try:
        data = host.read(path)
    except OSError as error:
        hint = "run it with sudo" if os.geteuid() else ""
        raise KairosError(f"cannot be read: {reason(error)}", path, hint) from error
    if data is None:
        if os.geteuid() and not os.access(host.path(DIRECTORY), os.R_OK | os.X_OK) and host.exists(DIRECTORY):
            raise KairosError("cannot be read", path, "run it with sudo")
        before = "; --boot 1 is the boot before" if len(boots) > 1 else ""
        raise KairosError("nothing was recorded in this tree" if boot == NO_BOOT else "nothing was recorded in this boot yet", path, f"run-stage records what it does{before}")
    made = Boot(boot, data, ago=back, alive=not back and running)
    if not made.records:  # a full /run: nothing is known of the boot, which is not good news
        raise KairosError("nothing that can be read was recorded in this boot", path, "is there room? df /run; journalctl -b -t kairos-boot has what was said")
    _compare(made, host, boots[:len(boots) - 1 - back])
    return made


def _boots(host: Host) -> list[tuple[str, str]]:
    """Id and ledger of each boot, the oldest first."""
    current = boot_id(host)
    known = kept(host.path(KEPT))
    older = [(boot, f"{KEPT}/{name}") for _, boot, name in known if boot != current]
    here = f"{DIRECTORY}/{current}.jsonl"
    copies = [f"{KEPT}/{name}" for _, boot, name in known if boot == current]
    if current != NO_BOOT:  # of boots that died in the initrd, before they are kept
        older += [(boot, f"{DIRECTORY}/{boot}.jsonl") for boot in adopted(host.path(DIRECTORY), current) if boot not in dict(older)]
    if current == NO_BOOT and older and not host.exists(here) and not copies:
        return older  # a tree that is in no boot, and nothing ran in it from outside
    return [*older, (current, here if host.exists(here) or not copies else copies[0])]


def _compare(boot: Boot, host: Host, older: Sequence[tuple[str, str]]) -> None:
    """Tell *boot* what the last good one of *older* could not do either."""
    if not boot.failed():
        return
    for name, path in reversed(older):
        try:
            good = Boot(name, host.read(path) or b"")
        except OSError:
            continue
        if good.came_up():
            boot.compare(good)
            return
