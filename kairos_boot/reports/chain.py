"""critical-chain: what the end of the boot waited for, backwards, as a tree like that of systemd-analyze."""

from __future__ import annotations

from kairos_boot.reports.spans import SHORT, Marks, spans
from kairos_boot.reports.text import count, seconds
from kairos_boot.shown import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kairos_boot.reports.history import Boot, StageRun, Step
    from kairos_boot.reports.spans import Span

    Node = tuple[str, list["Node"]]


def critical_chain(boot: Boot, marks: Marks | None = None) -> list[str]:
    """The tree; `@` is when something began, `+` how long it took. *marks* are systemd's, where it is asked."""
    marks = marks or Marks()
    found = spans(boot, marks)
    if not found:
        return ["no stage of a boot has run"]
    lines = [f"the last stage of the boot ended {seconds(found[-1].end)} after the kernel started"]
    said = [f"{what} {seconds(when)}" for what, when in (("the initrd from", marks.initrd), ("the node's own system from", marks.userspace), ("done at", marks.finished)) if when]
    if said:
        lines.append(f"systemd: {', '.join(said)}")
    return [*lines, "@ is when it began, + how long it took", "", *_render(_of_span(found, len(found) - 1, marks))]


def _of_span(found: Sequence[Span], at: int, marks: Marks) -> Node:
    span = found[at]
    below: list[Node] = [_of_run(run) for run in reversed(span.runs) if run.steps or run.duration >= SHORT]
    if span.starting >= SHORT:
        below.append((f"start of the program @{seconds(span.begin)} +{seconds(span.starting)}", []))
    ended = found[at - 1].end if at else 0.0
    before = [_of_span(found, at - 1, marks)] if at else []
    target = marks.target(ended, span.begin)
    if target:
        before = [(f"{target[0]} @{seconds(target[1])}", before)]
    elif span.begin - ended >= SHORT:
        before = [(f"the system, until then +{seconds(span.begin - ended)}", before)]
    return f"{one_line(span.unit)} @{seconds(span.begin)} +{seconds(span.end - span.begin)}", below + before


def _of_run(run: StageRun) -> Node:
    steps = chain(run.steps)
    below: list[Node] = [(f"{one_line(step.name)} @{seconds(step.begin)} +{seconds(step.duration)}{'' if step.result in ('done', 'unchanged') else f' {step.result}'}", [])
                         for step in steps if step.duration >= SHORT]
    short = [step for step in steps if step.duration < SHORT]
    if short:
        below.append((f"{count(len(short), 'shorter step')} +{seconds(sum(step.duration for step in short))}", []))
    return f"{one_line(run.stage)} @{seconds(run.begin)} +{seconds(run.duration)}", below


def chain(steps: Sequence[Step]) -> list[Step]:
    """From the step that ended last back: each time, what ended last before it began."""
    found: list[Step] = []
    limit = float("inf")
    for step in sorted(steps, key=lambda s: -(s.begin + s.duration)):
        if step.begin + step.duration <= limit + 1e-4:
            found.append(step)
            limit = step.begin
    return found


def _render(node: Node, first: str = "", rest: str = "") -> Iterator[str]:
    text, below = node
    yield first + text
    for number, each in enumerate(below, 1):
        last = number == len(below)
        yield from _render(each, rest + ("└─" if last else "├─"), rest + ("  " if last else "│ "))
