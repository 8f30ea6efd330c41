"""The ledgers of a node, put together to boots, runs of stages, and steps."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError, reason
from kairos_boot.stages.ledger import DIRECTORY, KEPT, kept, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from kairos_boot.system.host import Host

    Record = Mapping[str, Any]

BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Step:
    """A step that was decided: `result` is done, unchanged, skipped or failed. Times are in seconds, `begin` since the kernel started."""

    def __init__(self, record: Record, items: Sequence[Record]) -> None:
        self.stage, self.name, self.file = _text(record, "stage"), _text(record, "step"), _text(record, "file")
        self.result, self.reason = _text(record, "result"), _text(record, "reason")
        self.duration = _number(record, "duration")
        self.begin = _number(record, "uptime") - self.duration
        self.items = list(items)


class Failure:
    """Something that went wrong, and the stages in which it did (a broken document does in each)."""

    def __init__(self, where: str, message: str, hint: str = "", step: str = "", module: str = "") -> None:
        self.where, self.message, self.hint, self.step, self.module = where, message, hint, step, module
        self.stages: list[str] = []


class Run:
    """One run of a (sub)stage. `result` is done, degraded, running, or interrupted: begun and never ended."""

    def __init__(self, stage: str, record: Record) -> None:
        self.stage = stage
        self.begin, self.time = _number(record, "uptime"), _number(record, "time")
        self.duration = 0.0
        self.result = "running"
        self.steps: list[Step] = []
        self.failures: list[Failure] = []
        self.warnings: list[Failure] = []
        self.latest = True
        """Whether no later run of this stage replaces it."""

    @property
    def main(self) -> str:
        """The stage that this is a substage of."""
        return self.stage.removesuffix(".before").removesuffix(".after")

    def count(self, *results: str) -> int:
        """How many steps came to one of *results*."""
        return sum(step.result in results for step in self.steps)


class Boot:
    """What the ledger of one boot tells."""

    def __init__(self, boot_id: str, data: bytes, *, ago: int = 0, alive: bool = False) -> None:
        """Read the ledger *data*. *alive* is whether a run is going on now, so that a run without an end is no wreck."""
        self.boot_id, self.ago = boot_id, ago
        self.records, self.damaged = read(data)
        self.facts: dict[str, Any] = {}
        self.runs: list[Run] = []
        self.mounts: list[Record] = []
        self.not_booted: list[Record] = []
        """Entries of the boot menu that were tried before this boot and failed, the first one first (D13)."""
        self.failures: list[Failure] = []
        """What is wrong and belongs to no run: parts of the initrd's work, and what happened outside of stages."""
        self.warnings: list[Failure] = []
        self._items: dict[tuple[str, str], list[Record]] = {}
        self._early: dict[str, list[Record]] = {}
        self._open: dict[str, Run] = {}
        for record in self.records:
            take = getattr(self, f"_take_{record['kind'].replace('-', '_')}", None)
            if take:
                take(record)
        for early in self._early.values():
            for problem in early:
                _file(problem, self.failures, self.warnings)
        last = self.records[-1] if self.records else None
        for run in self._open.values():
            run.duration = max(0.0, _number(last or {}, "uptime") - run.begin)
            run.result = "running" if alive else "interrupted"
        seen = set()
        for run in reversed(self.runs):
            run.latest = run.stage not in seen
            seen.add(run.stage)

    @property
    def started(self) -> float:
        """When the kernel started, in seconds since the epoch, by the node's latest clock; 0 for an empty ledger."""
        return _number(self.records[-1], "time") - _number(self.records[-1], "uptime") if self.records else 0.0

    @property
    def result(self) -> str:
        """`ok`, `degraded` (something failed, or was interrupted) or `running`."""
        if self.not_booted or self.failed() or any(run.latest and run.result in ("degraded", "interrupted") for run in self.runs):
            return "degraded"
        return "running" if any(run.result == "running" for run in self.runs) else "ok"

    def failed(self) -> list[Failure]:
        """Each failure that still counts once, in the order of the boot; those of runs that were repeated do not count any more."""
        return _once([(f, []) for f in self.failures] + [(f, [r.stage]) for r in self.runs if r.latest for f in r.failures])

    def warned(self) -> list[Failure]:
        """Each warning once."""
        return _once([(f, []) for f in self.warnings] + [(f, [r.stage]) for r in self.runs if r.latest for f in r.warnings])

    def _take_boot(self, record: Record) -> None:
        self.facts |= {k: v for k, v in record.items() if k not in ("kind", "time", "uptime")}

    def _take_stage(self, record: Record) -> None:
        stage = _text(record, "stage")
        if record.get("event") == "start":
            if stage in self._open:
                self._open[stage].result = "interrupted"
            run = self._open[stage] = Run(stage, record)
            self.runs.append(run)
            for early in self._early.pop(stage, []):
                _file(early, run.failures, run.warnings)
        elif stage in self._open:
            run = self._open.pop(stage)
            run.result, run.duration = _text(record, "result"), _number(record, "duration")

    def _take_item(self, record: Record) -> None:
        self._items.setdefault((_text(record, "stage"), _text(record, "step")), []).append(record)

    def _take_step(self, record: Record) -> None:
        stage = _text(record, "stage")
        step = Step(record, self._items.pop((stage, _text(record, "step")), []))
        run = self._open.get(stage)
        if run is None:
            return
        run.steps.append(step)
        failed = [item for item in step.items if item.get("result") == "failed"]
        for item in failed:
            run.failures.append(Failure(_text(item, "where"), _text(item, "error"), _text(item, "hint"), step.name, _text(item, "module")))
        if step.result == "failed" and not failed and not any(f.step == step.name for f in run.failures):
            run.failures.append(Failure(step.file, step.reason, "", step.name))

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

    def _take_kept(self, record: Record) -> None:
        self.warnings.append(Failure(_text(record, "where"), f"the ledger could not be kept: {_text(record, 'error')}"))


def _file(record: Record, failures: list[Failure], warnings: list[Failure]) -> None:
    failure = Failure(_text(record, "where"), _text(record, "message"), _text(record, "hint"), _text(record, "step"))
    (failures if record.get("severity") == "error" else warnings).append(failure)


def _once(found: Sequence[tuple[Failure, list[str]]]) -> list[Failure]:
    known: dict[tuple[str, str, str], Failure] = {}
    for failure, stages in found:
        key = (failure.where, failure.message, failure.step)
        same = known.setdefault(key, Failure(failure.where, failure.message, failure.hint, failure.step, failure.module))
        same.stages += [stage for stage in stages if stage not in same.stages]
    return list(known.values())


def _text(record: Record, name: str) -> str:
    value = record.get(name, "")
    return value if isinstance(value, str) else str(value)


def _number(record: Record, name: str) -> float:
    value = record.get(name, 0)
    return float(value) if isinstance(value, int | float) else 0.0


def load(host: Host, ago: str = "0", *, running: bool = False) -> Boot:
    """The boot *ago* boots before this one (0 is this one), or the one whose id begins so. KairosError: there is no ledger of it.

    *running* is whether a run goes on at this moment, so that a stage without an end is no wreck.
    """
    current = (host.read(BOOT_ID) or b"").decode("ascii", "replace").strip()
    folder = host.path(KEPT)
    older = [(boot, f"{KEPT}/{name}") for _, boot, name in kept(folder) if boot != current]
    here = f"{DIRECTORY}/{current}.jsonl"
    copies = [f"{KEPT}/{name}" for _, boot, name in kept(folder) if boot == current]
    boots = [*older, (current, here if host.exists(here) or not copies else copies[0])]
    number = ago.lstrip("-")
    if number.isdecimal() and len(number) < 8:
        back = int(number)
        if back >= len(boots):
            raise KairosError(f"no ledger of {back} boots ago", hint=f"there are {len(boots)}: --boot 0 to {len(boots) - 1}")
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
        raise KairosError("nothing was recorded in this boot yet", path, "run-stage records what it does; --boot 1 is the boot before")
    return Boot(boot, data, ago=back, alive=not back and running)
