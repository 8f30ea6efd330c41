"""Who belongs to a command: everything that it started, however far it went (B4).

Each command gets a variable that all its descendants inherit, nested runs and daemons with a session of their own included; what
took the variable away is still found as a child of a child. Looked for when a command is ended before its time, never otherwise.
"""

from __future__ import annotations

import os
import time

from kairos_boot.system.lock import COMMAND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 20
"""So often the processes are looked through while new ones appear."""

_started = f"{time.time_ns():x}"
_count = 0


def depth() -> int:
    """In how many commands of other runs this process stands."""
    marks = os.environ.get(COMMAND, "")
    return marks.count(":") + 1 if marks else 0


class Family:
    """A command and its descendants: `mark` is for the command's environment, the value of COMMAND."""

    def __init__(self) -> None:
        global _count
        _count += 1
        outer = os.environ.get(COMMAND, "")
        self.mark = f"{outer}{':' if outer else ''}{os.getpid()}-{_started}-{_count}"
        self._known: set[int] = set()

    def end(self, leader: int, number: int) -> None:
        """Send the signal *number* to the group of *leader*, the command's process, and to all others of the family.

        Who was found once is told again, although the parent that he was found by has gone.
        """
        told: set[int] = set()
        for _ in range(ROUNDS):
            self._known |= _members(self.mark, leader)
            found = self._known - told
            _tell(os.killpg, leader, number)
            for pid in found:
                _tell(os.kill, pid, number)
            if not found:
                return
            told |= found


def _tell(how: Callable[[int, int], None], pid: int, number: int) -> None:
    try:
        how(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def _members(marked: str, leader: int) -> set[int]:
    wanted = f"{COMMAND}={marked}".encode()
    parents: dict[int, int] = {}
    members = {leader}
    try:
        names = os.listdir("/proc")
    except OSError:
        return set()
    for name in names:
        if not name.isdecimal():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                parents[int(name)] = int(file.read().rsplit(b")", 1)[1].split()[1])
            with open(f"/proc/{name}/environ", "rb") as file:
                variables = file.read().split(b"\0")
        except (OSError, IndexError, ValueError):  # it has just ended
            continue
        if any(v == wanted or v.startswith(wanted + b":") for v in variables):
            members.add(int(name))
    more = members
    while more:
        more = {pid for pid, parent in parents.items() if parent in more} - members
        members |= more
    return members - {leader, os.getpid()}
