"""How far long work has come: a line that is drawn over on a terminal, lines in the journal, JSON lines where a program asks for them."""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE = "KAIROS_AGENT_PROGRESS"
"""Names where JSON lines go: a path, or a number of an open descriptor; `1` and `true` mean standard output."""
DRAW, SAY = 0.2, 10.0
"""Seconds between two drawings on a terminal, and between two lines elsewhere."""


class Progress:
    """Tells how far a piece of work called *title* is. *say* takes a line for the log; *terminal* is a descriptor, or -1 for none."""

    def __init__(self, title: str, say: Callable[[str], None], terminal: int = -1, json: Callable[[str], None] | None = None,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self.title, self._say, self._terminal, self._json, self._clock = title, say, terminal, json, clock
        self._start = self._drawn = self._said = -1.0
        self._from = self._done = 0

    def __call__(self, done: int, total: int) -> None:
        """*done* bytes of *total*."""
        now = self._clock()
        last = done >= total
        if self._start < 0 or done < self._done:  # the work begins, or once more: what passed since it was planned is no part of it
            self._start = self._drawn = self._said = now
            self._from = done
        self._done = done
        if self._json and (last or now - self._drawn >= DRAW):
            from json import dumps

            self._json(dumps({"title": self.title, "done": done, "total": total, **self._speed(done, total, now)}) + "\n")
        if self._terminal >= 0 and (last or now - self._drawn >= DRAW):
            self._draw(f"\r\033[K  {self._line(done, total, now)}" + ("\r\033[K" if last else ""))
        elif self._terminal < 0 and not last and now - self._said >= SAY:
            self._said = now
            self._say(f"{self.title}: {self._line(done, total, now)}")
        if now - self._drawn >= DRAW:
            self._drawn = now

    def _speed(self, done: int, total: int, now: float) -> dict[str, float]:
        seconds = max(now - self._start, 1e-3)
        rate = (done - self._from) / seconds
        return {"bytes_per_second": round(rate), "seconds_left": round((total - done) / rate) if rate else 0}

    def _line(self, done: int, total: int, now: float) -> str:
        speed = self._speed(done, total, now)
        left = int(speed["seconds_left"])
        share = done * 100 // total if total else 100
        return f"{share:3} %  {done >> 20} of {total >> 20} MiB, {speed['bytes_per_second'] / (1 << 20):.0f} MiB/s, {left // 60}:{left % 60:02} left"

    def _draw(self, text: str) -> None:
        try:
            os.write(self._terminal, text.encode())
        except OSError:
            self._terminal = -1


def maker(say: Callable[[str], None]) -> Callable[[str], Progress]:
    """What makes the progress of a piece of work by its title, as this process' surroundings want it told."""
    terminal = 2 if os.isatty(2) and os.environ.get("TERM") != "dumb" else -1
    json = _json(os.environ.get(VARIABLE, ""))
    return lambda title: Progress(title, say, terminal, json)


def _json(where: str) -> Callable[[str], None] | None:
    if not where or where in ("0", "false"):
        return None
    if where in ("1", "true"):
        return lambda line: _quietly(sys.stdout.fileno(), line)
    try:
        fd = int(where) if where.isdecimal() else os.open(where, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None
    return lambda line: _quietly(fd, line)


def _quietly(fd: int, line: str) -> None:
    try:
        os.write(fd, line.encode())
    except OSError:
        return
