"""analyze --svg: a boot in time as a picture that reads without a mouse, on paper, on a light and on a dark screen.

The colours are told apart by the colour-blind (Okabe and Ito's), and what went wrong has a mark and a word besides.
"""

from __future__ import annotations

import time

from kairos_boot.reports.spans import SHORT, Marks, spans
from kairos_boot.reports.text import count, seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kairos_boot.reports.history import Boot, StageRun, Step
    from kairos_boot.reports.spans import Span

WIDTH, LEFT, RIGHT, TOP, ROW = 1200, 32, 32, 132, 21
"""Pixels: the picture, its margins, where the chart begins, and a row."""
SLOW = 1.0
"""Seconds from which a condition is what took the time."""
LETTER = 6.6
"""Pixels of a letter at 12 px, rather too many than too few."""
NAME = 64
"""Characters of a name at most."""
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
"""Seconds between two lines of the scale."""
LEGEND = (("start", "start of the program"), ("done", "step done"), ("unchanged", "nothing to change"), ("skipped", "skipped"), ("failed", "failed"), ("cut", "cut off, or at work"))
STYLE = """
svg { background: #fff; font: 12px system-ui, 'DejaVu Sans', sans-serif; }
.paper { fill: #fff } .h { font-size: 20px; font-weight: 600 } .t { fill: #1b1f24 } .m { fill: #57606a } .grid { stroke: #e4e8ec } .mark { stroke: #8c959f; stroke-dasharray: 4 3 }
.band { fill: #f3f5f7 } .unit { fill: #bcc4cd } .stage { fill: #dde2e7 } .start { fill: #a3abb5 } .done { fill: #0072b2 } .unchanged { fill: #56b4e9 } .failed { fill: #d55e00 }
.skipped { fill: #fff; stroke: #6e7781 } .cut { fill: #e69f00 } .bad { fill: #b34700; font-weight: 600 }
@media (prefers-color-scheme: dark) {
svg { background: #14181d } .paper { fill: #14181d } .t { fill: #e6edf3 } .m { fill: #9aa4af } .grid { stroke: #2a3038 } .mark { stroke: #6e7781 }
.band { fill: #1b2027 } .unit { fill: #4a545f } .stage { fill: #333b44 } .start { fill: #6b7480 } .done { fill: #3c9bdc } .unchanged { fill: #8fd0f5 } .failed { fill: #f0803c }
.skipped { fill: #14181d; stroke: #9aa4af } .cut { fill: #f2b632 } .bad { fill: #ff9d66 }
}
"""


def svg(boot: Boot, marks: Marks | None = None) -> str:
    """The picture. *marks* are systemd's, where it is asked."""
    marks = marks or Marks()
    found = spans(boot, marks)
    return "\n".join([*_Picture(boot, found, marks).lines(), "</svg>", ""])


class _Picture:
    """Rows from top to bottom; `y` is where the next one begins."""

    def __init__(self, boot: Boot, found: Sequence[Span], marks: Marks) -> None:
        self.boot, self.found, self.marks = boot, found, marks
        self.end = max([span.end for span in found] + [marks.finished], default=1.0) or 1.0
        self.scale = (WIDTH - LEFT - RIGHT) / (self.end * 1.02)
        self.y = TOP
        self.bands: list[str] = []

    def lines(self) -> list[str]:
        rows = [line for number, span in enumerate(self.found) for line in self._span(span, number)]
        if not rows:
            rows = [_words(LEFT, self.y + 15, "no stage of a boot has run", "t")]
            self.y += ROW
        bottom = self.y + 8
        return [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{bottom + 24}" viewBox="0 0 {WIDTH} {bottom + 24}" role="img">',
                f"<title>Boot {_xml(self.boot.boot_id)}</title><style>{STYLE}</style>", f'<rect class="paper" width="{WIDTH}" height="{bottom + 24}"/>',
                *self.bands, *self._head(), *self._grid(bottom), *rows]

    def _head(self) -> Iterator[str]:
        boot = self.boot
        failed = boot.failed()
        mode = f"{boot.facts['mode']} system" if boot.facts.get("mode") else "a system"
        started = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(boot.started)) if boot.started > 0 else "unknown"
        yield _words(LEFT, 34, f"Boot of the {mode}: {seconds(self.end)}" if self.found else "Boot", "t h")
        result = f"{boot.result}, {count(len(failed), 'failure')}" if failed else boot.result
        yield _words(LEFT, 54, f"{result}; kernel started {started}; id {boot.boot_id}", "bad" if failed else "m")
        x = float(LEFT)
        for kind, text in LEGEND:
            yield f'<rect class="{kind}" x="{x:.0f}" y="68" width="12" height="12" rx="2"/>{_words(x + 18, 79, text, "m")}'
            x += 18 + len(text) * LETTER + 18
        yield _words(WIDTH - RIGHT, 79, "seconds since the kernel started", "m", "end")

    def _grid(self, bottom: int) -> Iterator[str]:
        step = next((tick for tick in TICKS if self.end / tick <= 14), TICKS[-1])
        number = 0
        while number * step <= self.end * 1.02:
            x = self._x(number * step)
            yield f'<line class="grid" x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{bottom}"/>'
            yield _words(x, TOP - 14, f"{number * step:g}", "m", "start" if not number else "middle")
            number += 1
        for name, moment in (("initrd", self.marks.initrd), ("switch to the node's system", self.marks.userspace), ("systemd is done", self.marks.finished)):
            if moment:
                x = self._x(moment)
                right = x > WIDTH / 2
                yield f'<line class="mark" x1="{x:.1f}" y1="{TOP - 40}" x2="{x:.1f}" y2="{bottom}"/>'
                yield _words(x + (-5 if right else 5), TOP - 32, name, "m", "end" if right else "start")

    def _x(self, moment: float) -> float:
        return LEFT + moment * self.scale

    def _span(self, span: Span, number: int) -> Iterator[str]:
        top = self.y
        lines = [*self._bar("unit", span.begin, span.end - span.begin, _row(span.unit, span.end - span.begin), strong=True)]
        if span.starting >= SHORT:
            lines += self._bar("start", span.begin, span.starting, _row("start of the program", span.starting))
        for run in span.runs:
            lines += self._run(run)
        self.y += 6
        if number % 2 == 0:
            self.bands.append(f'<rect class="band" x="0" y="{top - 3}" width="{WIDTH}" height="{self.y - top}"/>')
        yield from lines

    def _run(self, run: StageRun) -> Iterator[str]:
        if not run.steps and run.duration < SHORT and not run.begun:
            return
        cut = "" if run.result in ("done", "degraded") else run.result
        yield from self._bar("cut" if cut else "stage", run.begin, run.duration, _row(run.stage, run.duration, cut), strong=True, bad=bool(cut))
        shown = [step for step in run.steps if step.duration >= max(SHORT, self.end / 500) or step.result == "failed"]
        for step in sorted(shown, key=lambda step: step.begin):
            yield from self._bar(_kind(step), step.begin, step.duration, _about(step), bad=step.result == "failed")
        rest = [step for step in run.steps if step not in shown]
        skipped = sum(step.result == "skipped" for step in rest)
        if rest:
            said = ", ".join(filter(None, (count(len(rest) - skipped, "shorter step") if len(rest) > skipped else "", f"{skipped} skipped" if skipped else "")))
            yield _words(self._x(run.begin) + 4, self.y + 14, f"{said} · {seconds(sum(step.duration for step in rest))}", "m")
            self.y += ROW
        for name, begin in run.begun.items():
            yield from self._bar("cut", begin, max(0.0, run.begin + run.duration - begin), f"✗ {_short(name)} · never ended", bad=True)

    def _bar(self, kind: str, begin: float, duration: float, text: str, *, strong: bool = False, bad: bool = False) -> Iterator[str]:
        """A row: its box, and its words where they are read best: in it, behind it, or before it."""
        x, width = self._x(begin), max(duration * self.scale, 2.0)
        high = 16 if strong else 12
        y = self.y + (ROW - high) / 2
        yield (f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{high}" rx="2"><title>{_xml(text)}</title></rect>')
        style = "bad" if bad else "t" if strong else "m"
        room, base = len(text) * LETTER, self.y + 15
        if strong and room + 12 < width:
            yield _words(x + 6, base, text, style)
        elif x + width + 6 + room < WIDTH - 4:
            yield _words(x + width + 6, base, text, style)
        else:
            yield _words(x - 6, base, text, style, "end")
        self.y += ROW


def _kind(step: Step) -> str:
    return step.result if step.result in ("done", "unchanged", "skipped", "failed") else "cut"


def _about(step: Step) -> str:
    word = step.result if step.result in ("failed", "skipped") else ""
    return ("✗ " if word == "failed" else "") + _row(step.name, step.duration, f"{word}: its condition took so long" if word == "skipped" and step.duration >= SLOW else word)


def _row(name: str, duration: float, word: str = "") -> str:
    return " · ".join(filter(None, (_short(name), seconds(duration), word)))


def _short(name: str) -> str:
    return name if len(name) <= NAME else f"{name[:NAME // 2 - 1]}…{name[-NAME // 2:]}"


def _words(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    at = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}"{at}>{_xml(text)}</text>'


def _xml(text: str) -> str:
    plain = "".join(c if c >= " " and not "\ud800" <= c <= "\udfff" and c not in "\ufffe\uffff" else "\ufffd" for c in text)
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
