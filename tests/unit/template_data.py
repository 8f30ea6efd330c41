"""The facts that the template tests render with, and their tables."""

from __future__ import annotations

import pytest

from kairos_boot.template import TemplateError, render

DATA = {"Values": {"node": {"hostname": "labhost", "n": 3.0},
            "f": 131072.0,
            "m": 1000000.0,
            "b": 2097152.0,
            "z": 0.0,
            "q": 1.5,
            "network": [{"name": "eth0", "macaddress": "52:54"}, {"name": "eth1"}],
            "t": True,
            "e": "",
            "l": ["a", "b"],
            "el": [],
            "em": {},
            "nil": None,
            "u": "hé→x"}}


def results(table: dict[str, list[tuple[str, str]]]) -> list[object]:
    """The rows of *table* as parameters of a test, each with the name of its family."""
    return [pytest.param(*row, id=f"{family}-{place}") for family, rows in table.items() for place, row in enumerate(rows)]


def refused(text: str) -> str:
    """The message with which *text* is refused."""
    with pytest.raises(TemplateError) as caught:
        render(text, DATA)
    return caught.value.message
