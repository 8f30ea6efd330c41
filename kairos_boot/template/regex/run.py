"""Runs compiled expressions in time linear in the text: all ways are followed at once, one character after the other."""

from __future__ import annotations

from kairos_boot.template.limits import work
from kairos_boot.template.regex.classes import Charset
from kairos_boot.template.values import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.template.regex.compile import Program

    Slots = tuple[int, ...]
    Threads = list[tuple[int, Slots]]

_WORK = 2_000_000
_WORD = frozenset("0123456789_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


class Search:
    """One text being searched; the work of all matches counts together."""

    __slots__ = ("counted", "left", "program", "text")

    def __init__(self, program: Program, text: str) -> None:
        self.program = program
        self.text = text
        self.left = _WORK
        self.counted = 0

    def match(self, start: int) -> Slots:
        """The slots (begin and end of each group) of the first match at or behind *start*; empty if there is none."""
        code, text = self.program.code, self.text
        none = (-1,) * (2 * len(self.program.names))
        threads: Threads = []
        best: Slots = ()
        place = start
        while True:
            seen: set[int] = set()
            ready: Threads = []
            for pc, slots in threads:
                self.follow(pc, slots, place, seen, ready)
            if not best:
                self.follow(0, none, place, seen, ready)
            threads = []
            char = text[place : place + 1]
            for pc, slots in ready:
                operation, argument, _ = code[pc]
                if operation == "match":
                    best = slots
                    break
                if char and isinstance(argument, Charset) and argument.holds(char):
                    threads.append((pc + 1, slots))
            if not char or (best and not threads):
                work(_WORK - self.left - self.counted)
                self.counted = _WORK - self.left
                return best
            place += 1

    def follow(self, pc: int, slots: Slots, place: int, seen: set[int], ready: Threads) -> None:
        """Put on *ready* what can be reached from *pc* without reading a character, the preferred way first."""
        stack = [(pc, slots)]
        while stack:
            pc, slots = stack.pop()
            if pc in seen:
                continue
            seen.add(pc)
            self.left -= 1
            if self.left < 0:
                raise Failure("the regular expression takes too long", f"more than {_WORK} steps")
            operation, one, two = self.program.code[pc]
            if operation == "jump" and isinstance(one, int):
                stack.append((one, slots))
            elif operation == "split" and isinstance(one, int) and isinstance(two, int):
                stack += ((two, slots), (one, slots))
            elif operation == "save" and isinstance(one, int):
                stack.append((pc + 1, (*slots[:one], place, *slots[one + 1 :])))
            elif operation == "assert":
                if self.holds(str(one), place):
                    stack.append((pc + 1, slots))
            else:
                ready.append((pc, slots))

    def holds(self, kind: str, place: int) -> bool:
        text = self.text
        if kind == "start":
            return place == 0
        if kind == "end":
            return place == len(text)
        if kind == "linestart":
            return place == 0 or text[place - 1] == "\n"
        if kind == "lineend":
            return place == len(text) or text[place] == "\n"
        before = place > 0 and text[place - 1] in _WORD
        after = place < len(text) and text[place] in _WORD
        return (before != after) == (kind == "word")

    def all(self, most: int = -1) -> list[Slots]:
        """The matches from left to right; an empty one right behind another does not count."""
        found: list[Slots] = []
        place, last = 0, -1
        while place <= len(self.text) and len(found) != most:
            slots = self.match(place)
            if not slots:
                break
            begin, end = slots[0], slots[1]
            if end > begin or begin != last:
                found.append(slots)
            last = end
            place = end if end > begin else end + 1
        return found
