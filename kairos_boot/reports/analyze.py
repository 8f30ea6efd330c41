"""analyze: where the time of a boot went."""

from __future__ import annotations

from kairos_boot.cloudconfig.catalog import BOOT_STAGES
from kairos_boot.reports.text import count, seconds, table
from kairos_boot.shown import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kairos_boot.reports.history import Boot, StageRun, Step

SHORT = 0.01
"""Steps of less than so many seconds are summed up in chains and charts."""
BAR = 50
"""Characters of the widest bar."""


def runs_of_boot(boot: Boot) -> list[StageRun]:
    """The runs of the boot itself that had something to do, in time."""
    runs = [run for run in _first(boot) if run.main in BOOT_STAGES and run.main != "reconcile" and (run.steps or run.duration >= SHORT)]
    return sorted(runs, key=lambda run: run.begin)


def _first(boot: Boot) -> list[StageRun]:
    """The first run of each stage that nobody started by hand: later ones say nothing of the boot's time."""
    first: dict[str, StageRun] = {}
    for run in boot.runs:
        if not run.by_hand:
            first.setdefault(run.stage, run)
    return list(first.values())


def blame(boot: Boot) -> list[str]:
    """Every step that ran, the longest first; what somebody ran by hand is marked."""
    steps = [(step, run) for run in boot.runs for step in run.steps if step.result != "skipped"]
    steps.sort(key=lambda pair: -pair[0].duration)
    rows = [[seconds(step.duration), step.stage, step.name,
             " ".join(["" if step.result in ("done", "unchanged") else step.result, "by hand" if run.by_hand else ""]).strip()] for step, run in steps]
    return table(rows, right=(0,), indent="") or ["no step has run"]


def timeline(boot: Boot) -> list[str]:
    """Each stage and its longer steps on a common scale, in seconds since the kernel started."""
    runs = _first(boot)
    if not runs:
        return ["no stage has run"]
    start, end = min(run.begin for run in runs), max(run.begin + run.duration for run in runs)
    scale = BAR / max(end - start, 1e-6)
    rows = []
    for run in runs:
        rows.append([f"+{seconds(run.begin)}", _bar(run.begin - start, run.duration, scale), seconds(run.duration), run.stage])
        rows += [[f"+{seconds(step.begin)}", _bar(step.begin - start, step.duration, scale, "-"), seconds(step.duration), f"  {step.name}"]
                 for step in run.steps if step.duration >= SHORT]
    return table(rows, right=(0, 2), indent="")


def _bar(begin: float, duration: float, scale: float, mark: str = "#") -> str:
    left = max(0, min(int(begin * scale), BAR - 1))
    width = max(1, min(round(duration * scale), BAR - left))
    return (" " * left + mark * width).ljust(BAR)


def critical_chain(boot: Boot) -> list[str]:
    """What the end of the boot's last stage waited for, backwards; `@` is when it began, `+` how long it took."""
    runs = runs_of_boot(boot)
    if not runs:
        return ["no stage of a boot has run"]
    lines = [f"the last stage of the boot ended {seconds(runs[-1].begin + runs[-1].duration)} after the kernel started"]
    for run, before in zip(reversed(runs), [*reversed(runs[:-1]), None], strict=True):
        lines.append(f"{one_line(run.stage)} @{seconds(run.begin)} +{seconds(run.duration)}")
        chain = _chain(run.steps)
        lines += [f"  {one_line(step.name)} @{seconds(step.begin)} +{seconds(step.duration)}" for step in chain if step.duration >= SHORT]
        short = [step for step in chain if step.duration < SHORT]
        if short:
            lines.append(f"  {count(len(short), 'shorter step')} +{seconds(sum(step.duration for step in short))}")
        gap = run.begin - (before.begin + before.duration) if before else run.begin
        if gap >= SHORT:
            lines.append(f"  (the system, until then +{seconds(gap)})")
    return lines


def _chain(steps: Sequence[Step]) -> list[Step]:
    """From the step that ended last back: each time, what ended last before it began."""
    chain: list[Step] = []
    limit = float("inf")
    for step in sorted(steps, key=lambda s: -(s.begin + s.duration)):
        if step.begin + step.duration <= limit + 1e-4:
            chain.append(step)
            limit = step.begin
    return chain


def svg(boot: Boot) -> str:
    """The timeline as a picture: one row a stage, one box a step."""
    runs = _first(boot)
    start = min((run.begin for run in runs), default=0.0)
    end = max((run.begin + run.duration for run in runs), default=1.0)
    left, width, row = 170, 1000, 22
    scale = width / max(end - start, 1e-6)
    height = row * (len(runs) + 2) + 20
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 20}" height="{height}" font-family="sans-serif" font-size="11">',
           f"<title>boot {_xml(boot.boot_id)}</title>", '<rect width="100%" height="100%" fill="#fff"/>']
    for mark in range(11):
        x = left + mark * width / 10
        out += [f'<line x1="{x:.1f}" y1="{row}" x2="{x:.1f}" y2="{height - 10}" stroke="#ddd"/>',
                f'<text x="{x:.1f}" y="{row - 6}" text-anchor="middle" fill="#666">{_xml(seconds(start + mark * (end - start) / 10))}</text>']
    colours = {"done": "#3a7", "unchanged": "#9cb", "skipped": "#ccc", "failed": "#c33"}
    for number, run in enumerate(runs, 1):
        y = number * row + 6
        out += [f'<text x="{left - 8}" y="{y + 12}" text-anchor="end">{_xml(run.stage)}</text>',
                _box(left + (run.begin - start) * scale, y, run.duration * scale, row - 4, "#eee", f"{run.stage}: {run.result}, {seconds(run.duration)}")]
        out += [_box(left + (s.begin - start) * scale, y + 3, s.duration * scale, row - 10, colours.get(s.result, "#999"),
                     f"{s.name}: {s.result}, {seconds(s.duration)}") for s in run.steps]
    return "\n".join([*out, "</svg>", ""])


def _box(x: float, y: float, width: float, height: float, colour: str, title: str) -> str:
    return (f'<rect x="{x:.2f}" y="{y}" width="{max(width, 0.5):.2f}" height="{height}" fill="{colour}" stroke="#fff" stroke-width="0.3">'
            f"<title>{_xml(title)}</title></rect>")


def _xml(text: str) -> str:
    plain = "".join(c if c >= " " and not "\ud800" <= c <= "\udfff" and c not in "\ufffe\uffff" else "\ufffd" for c in text)
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
