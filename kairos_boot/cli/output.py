"""What verbs print: foreign text in it does nothing to a terminal (E6)."""

from __future__ import annotations

import sys

from kairos_boot.shown import one_line, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kairos_boot.cloudconfig.model import Problem


FORMAT = 1
"""Version of what `--json` prints: it grows when a key goes or changes its meaning, and stays when one is added."""


def say(text: str) -> None:
    """Print a result, lines that end with a line break."""
    sys.stdout.write(plain(text))


def complain(text: str) -> None:
    sys.stderr.write(plain(text))


def say_data(data: object) -> None:
    """Print *data* as JSON, a map with the version of its form; what a terminal might obey is written as JSON's own escapes."""
    import json

    if isinstance(data, dict):
        data = {"format": FORMAT, **data}
    text = json.dumps(data, indent=1, ensure_ascii=False)
    if not text.replace("\n", "").isprintable():
        text = "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)
    sys.stdout.write(text + "\n")


def as_line(problem: Problem) -> str:
    """What is wrong, in the form that editors and build machines read: `FILE:LINE:COLUMN: error: what; what to do`."""
    from kairos_boot.reports.text import place

    severity = "error" if problem.severity == "error" else "warning"
    if not place(problem.where):  # a directory, a stage: nothing that an editor could open
        return f"{severity}: {problem}\n"
    head, _, rest = one_line(problem.where).partition(": ")
    return f"{head}: {severity}: {rest + ': ' if rest else ''}{problem.message}{'; ' + problem.hint if problem.hint else ''}\n"


def as_data(problem: Problem) -> dict[str, Any]:
    """What is wrong, for programs: the place as it is written, and its parts."""
    from kairos_boot.reports.text import place

    return {"severity": problem.severity, "where": problem.where, **place(problem.where), "message": problem.message, "hint": problem.hint}
