"""Numbers and tables for people."""

from __future__ import annotations

from kairos_boot.shown import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def seconds(value: float) -> str:
    """A duration: `312 ms`, `1.24 s`, `2 min 5 s`, `3 h 2 min`."""
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    if value < 59.995:
        return f"{value:.2f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = (), indent: str = "  ") -> list[str]:
    """Lines of aligned columns; those with a number in *right* are aligned at their right end."""
    if not rows:
        return []
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) if i in right else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))]
        lines.append((indent + "  ".join(cells)).rstrip())
    return lines


def place(where: str) -> dict[str, str | int]:
    """File, line and column of `FILE:LINE:COLUMN: …`, as far as it has them, each a field for programs."""
    parts = where.partition(": ")[0].rsplit(":", 2)
    if len(parts) == 3 and all(part.isdecimal() and part.isascii() and len(part) < 10 for part in parts[1:]):
        return {"file": parts[0], "line": int(parts[1]), "column": int(parts[2])}
    return {}


def count(number: int, noun: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


class Style:
    """Colours on a terminal, nothing elsewhere."""

    def __init__(self, *, on: bool) -> None:
        self._on = on

    def __call__(self, text: str, code: str) -> str:
        """*text* in the colour with the number *code*."""
        return f"\033[{code}m{text}\033[0m" if self._on else text
