"""What the functions of templates print, and how they refuse: tables by family, with what Go and sprig say."""

from __future__ import annotations

import pytest

from kairos_boot.template import render
from tests.unit import template_values, test_template_special, test_template_text
from tests.unit.template_data import DATA, refused, results

TABLES = (test_template_text, template_values, test_template_special)


@pytest.mark.parametrize(("text", "printed"), [row for table in TABLES for row in results(table.PRINTS)])
def test_function_gives_what_sprig_gives(text: str, printed: str) -> None:
    assert render(text, DATA) == printed


@pytest.mark.parametrize(("text", "message"), [row for table in TABLES for row in results(table.FAILS)])
def test_function_refuses_as_sprig_does(text: str, message: str) -> None:
    assert refused(text) == message
