"""analyze: where the time of a boot went."""

from __future__ import annotations

from kairos_boot.reports.spans import SHORT, first_runs
from kairos_boot.reports.text import seconds, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.reports.history import Boot

BAR = 50
"""Characters of the widest bar."""


def blame(boot: Boot) -> list[str]:
    """Every step that ran, the longest first; what somebody ran by hand is marked."""
    steps = [(step, run) for run in boot.runs for step in run.steps if step.result != "skipped"]
    steps.sort(key=lambda pair: -pair[0].duration)
    rows = [[seconds(step.duration), step.stage, step.name,
             " ".join(["" if step.result in ("done", "unchanged") else step.result, "by hand" if run.by_hand else ""]).strip()] for step, run in steps]
    return table(rows, right=(0,), indent="") or ["no step has run"]


def timeline(boot: Boot) -> list[str]:
    """Each stage and its longer steps on a common scale, in seconds since the kernel started."""
    runs = first_runs(boot)
    if not runs:
        return ["no stage has run"]
    start, end = min(run.process for run in runs), max(run.begin + run.duration for run in runs)
    scale = BAR / max(end - start, 1e-6)
    rows, started = [], set()
    for run in runs:
        if run.begin - run.process >= SHORT and run.process not in started:
            rows.append([f"+{seconds(run.process)}", _bar(run.process - start, run.begin - run.process, scale, "."), seconds(run.begin - run.process), "  (start of the program)"])
        started.add(run.process)
        rows.append([f"+{seconds(run.begin)}", _bar(run.begin - start, run.duration, scale), seconds(run.duration), run.stage])
        rows += [[f"+{seconds(step.begin)}", _bar(step.begin - start, step.duration, scale, "-"), seconds(step.duration), f"  {step.name}"]
                 for step in run.steps if step.duration >= SHORT]
    return table(rows, right=(0, 2), indent="")


def _bar(begin: float, duration: float, scale: float, mark: str = "#") -> str:
    left = max(0, min(int(begin * scale), BAR - 1))
    width = max(1, min(round(duration * scale), BAR - left))
    return (" " * left + mark * width).ljust(BAR)
