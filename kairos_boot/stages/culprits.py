"""What a run's failures come to in one line: the first culprit, and how many more (E7)."""

from __future__ import annotations

from kairos_boot.shown import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kairos_boot.stages.runner import Records

LINE = 240
"""Characters of a culprit: three lines of a screen."""


class Culprits:
    """Records, handed on to the ledger; the first thing that failed is remembered for the console's line on a stage (E7)."""

    def __init__(self, ledger: Records) -> None:
        self._ledger = ledger
        self._failed = 0
        self._first = ""

    def write(self, kind: str, **fields: Any) -> None:
        """One record. A step that failed by its items is not counted beside them."""
        self._ledger.write(kind, **fields)
        if kind == "problem" and fields.get("severity") == "error":
            self._note(fields.get("where", ""), fields.get("message", ""))
        elif kind == "item" and fields.get("result") == "failed":
            self._note(fields.get("where", ""), fields.get("error", ""))
        elif kind == "step" and fields.get("result") == "failed" and not self._failed:
            self._note(fields.get("file", ""), fields.get("reason", ""))

    def _note(self, where: str, message: str) -> None:
        self._failed += 1
        self._first = self._first or f"{where}: {message}".removeprefix(": ")

    def first(self, failed: int) -> str:
        """The first of *failed* failures and how many more there are, to be put behind their number."""
        if not self._first:
            return ""
        more = f" (and {failed - 1} more)" if failed > 1 else ""
        line = first_line(self._first)
        return f": {line if len(line) <= LINE else line[:LINE] + '…'}{more}"


def first_line(text: str) -> str:
    """The first line of foreign text, harmless to a terminal (E6)."""
    return one_line(text.strip().split("\n", 1)[0])
