"""The reference page of templates is true: each example gives what it says, each function is listed."""

from __future__ import annotations

import pytest
import yaml

from kairos_boot.template import render
from kairos_boot.template.functions import FAMILIES, LEFT_OUT

PAGE = __file__.rpartition("/tests/")[0] + "/docs/reference/templates.md"


def page() -> str:
    """The text of the page."""
    with open(PAGE, encoding="utf-8") as file:
        return file.read()


def examples() -> list[tuple[str, str]]:
    """Template and result, the last two cells of each row that has them."""
    found = []
    for line in page().splitlines():
        cells = [cell.replace("\0", "|").strip() for cell in line.replace("\\|", "\0").split("|")]
        if len(cells) >= 4 and "{{" in cells[-3] and cells[-2].startswith("`"):
            found.append((cells[-3].strip("`"), cells[-2].strip("`")))
    return found


@pytest.mark.parametrize(("text", "printed"), examples())
def test_example_of_the_page(text: str, printed: str) -> None:
    """What a reader copies works."""
    assert render(text, {}) == printed


def test_page_has_its_examples() -> None:
    """One for each construct and each family."""
    assert len(examples()) >= 28


def test_every_function_is_on_the_page() -> None:
    """What can be called is listed, and what is left out is named."""
    text = page()
    names = {name for family in FAMILIES.values() for name in family.split()}
    assert {name for name in names if f"`{name}`" not in text} == set()
    assert {name for name in LEFT_OUT if f"`{name}`" not in text and not name.startswith("gen")} == set()


def test_document_of_the_page_renders() -> None:
    """The first example is a whole document; its values are the templates that a node would render."""
    document = yaml.safe_load(page().partition("```yaml\n")[2].partition("```")[0])
    [step] = document["stages"]["boot"]
    assert render(step["hostname"], {"MachineID": "3f1c0a5d"}, strict=True) == "node-3f1c"
    facts = {"Values": {"node": {"hostname": "lab"}, "network": [{"name": "eth0", "macaddress": "52:54"}, {"name": "eth1", "macaddress": "52:55"}]}}
    assert render(step["files"][0]["content"], facts) == "lab runs an unknown system\n0: eth0 52:54\n1: eth1 52:55\n"
