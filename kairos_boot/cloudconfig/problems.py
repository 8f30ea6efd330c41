"""Problems of documents, collected: of one kind in one file the first few, and a count of the others (E6)."""

from __future__ import annotations

from kairos_boot.cloudconfig.model import Problem
from kairos_boot.records import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

FIRST = 20
"""So many of a kind are told one by one."""


class Problems(list[Problem]):
    """A list of problems that no flood fills. Of one kind are those whose messages differ in what they quote only."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, str, str], int] = {}
        self._summaries: dict[tuple[str, str, str], int] = {}

    def add(self, severity: str, where: str, message: str, hint: str = "") -> None:
        file = _file(where)
        kind = (severity, file, "".join(message.split("'")[::2]))
        number = self._seen[kind] = self._seen.get(kind, 0) + 1
        if number <= FIRST:
            self.append(Problem(severity, where, message, hint))
        elif number == FIRST + 1:
            self._summaries[kind] = len(self)
            self.append(Problem(severity, where, message))
        else:
            at = self._summaries[kind]
            self[at] = replace(self[at], message=f"{number - FIRST} more of the kind, this is the first: {self[at].message}" if number == FIRST + 2 else
                               f"{number - FIRST}{self[at].message[self[at].message.index(' '):]}")


def summed(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """*problems*, those of a flood summed up."""
    found = Problems()
    for problem in problems:
        found.add(problem.severity, problem.where, problem.message, problem.hint)
    return tuple(found)


def _file(where: str) -> str:
    """The file of `FILE:LINE:COLUMN: path`."""
    file, _, place = where.partition(": ")[0].rpartition(":")
    before, _, line = file.rpartition(":")
    return before if before and line.isdigit() and place.isdigit() else where
