"""Bounds that keep a template from hanging or filling the memory, each far above what a configuration needs.

Every failure here is an ordinary TemplateError, so the text is used unrendered like any other that fails.
"""

from __future__ import annotations

from _thread import _local

from kairos_boot.template.values import Failure

OUTPUT = 16 << 20
"""Characters of one rendered text, and of any one string on the way to it."""

ITEMS = 100_000
"""Items of one list that a function makes (until, untilStep, seq, splitList)."""

STEPS = 1_000_000
"""Parts read, and then nodes executed and work done in functions (1 for each 16 items or 32 characters handed over, and 1 for 4 units of `work`)."""

VOLUME = 64 << 20
"""Characters and items (8 for each) that functions make in the course of one rendering."""

VARIABLES = 1000
"""Variables that there are at a time."""

DEPTH = 80
"""Templates, parentheses and control structures inside one another."""

NESTING = 100
"""Lists and maps inside one another, when a value is printed, compared or copied."""


def text_fits(length: int) -> None:
    """Refuse a string of *length* characters that is too large to be made."""
    if length > OUTPUT:
        raise Failure(f"the text would be {length} characters long", f"a rendered text has at most {OUTPUT}")


def list_fits(length: int) -> None:
    """Refuse a list of *length* items that is too large to be made."""
    if length > ITEMS:
        raise Failure(f"the list would have {length} items", f"a list has at most {ITEMS}")


class Meter:
    """What one rendering has used so far."""

    __slots__ = ("steps", "volume")

    def __init__(self) -> None:
        self.steps = 0
        self.volume = 0

    def step(self, count: int = 1) -> None:
        self.steps += count
        if self.steps > STEPS:
            raise Failure("the template does not come to an end", f"it took more than {STEPS} steps")

    def arguments(self, values: list[object]) -> None:
        """Count the work that a function has with *values*."""
        for value in values:
            if isinstance(value, str):
                self.step(len(value) >> 5)
            elif isinstance(value, (list, dict)):
                self.step(len(value) >> 4)

    def result(self, value: object) -> None:
        """Count what a function made."""
        if isinstance(value, (list, dict)):
            self.volume += 8 * len(value)
        elif isinstance(value, str):
            text_fits(len(value))
            self.volume += len(value)
        if self.volume > VOLUME:
            raise Failure("the template makes too much text", f"all functions together may make {VOLUME} characters")


class _Work(_local):
    """Units of work that the functions of this thread have done since the last look."""

    units = 0


_done = _Work()


def work(units: int) -> None:
    """Report work that the size of the arguments does not show, in units of about a microsecond."""
    _done.units += units


def worked() -> int:
    """The work since the last look, in steps."""
    units, _done.units = _done.units, 0
    return units >> 2


class Walk:
    """Bounds for walking one value: a map may contain itself, or one list many times."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = 2 * ITEMS

    def enter(self, depth: int) -> None:
        """Count one item *depth* levels down."""
        self.left -= 1
        _done.units += 1
        if depth > NESTING or self.left < 0:
            raise Failure("the value is nested too deeply or contains itself", f"at most {NESTING} levels")

