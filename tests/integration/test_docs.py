"""The reference pages are true: their examples pass `validate` and do on a machine what the page shows, their tables list
every key of the model, and their messages are those of the program.

A page's first yaml block is its example; the console blocks after it show what it does. Each command in them is run on the
machine, and prints what stands below it. `WRITTEN | TOLD | RESULT` tables give a step and what a run says of it.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from kairos_boot.cloudconfig import model
from kairos_boot.cloudconfig.native import ROOT
from kairos_boot.cloudconfig.typed import fields
from kairos_boot.modules import ORDER
from tests.integration.docs_nodes import DEBIAN, SETUP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.isolated import Isolated

TOP = Path(__file__).resolve().parents[2]
FOLDER = TOP / "docs" / "reference"
PAGES = {page.stem: page.read_text() for page in sorted(FOLDER.glob("*.md"))}
TYPES = {"str": "text", "int": "number", "Count": "number", "Id": "number", "bool": "boolean", "Mode": "mode", "Size": "MiB", "Seconds": "time", "Frequency": "word", "OnFailure": "word",
         "tuple[str, ...]": "list of texts", "Mapping[str, str]": "map of texts", "Mapping[str, tuple[str, ...]]": "map of lists of texts"}
SHARED = {"conditions": ("if", "node", "only_os", "only_os_version", "only_arch", "only_service_manager", "if_files"), "after": ("name", "after"),
          "extensions": ("timeout", "retries", "frequency", "on_failure"), "environment": ("environment", "environment_file")}
"""Pages that tell of other keys than the one they are named for."""
ALWAYS_RUNS = ("commands", "after", "extensions")
"""Pages whose examples have commands: these run each time."""
WATCHED = ("/etc", "/home", "/oem", "/opt", "/root/.ssh", "/srv", "/usr/local/.kairos", "/usr/lib/systemd", "/run/systemd", "/run/called")


def blocks(text: str, kind: str) -> list[str]:
    """The fenced blocks of a page."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def tables(text: str, *head: str) -> Iterator[list[str]]:
    r"""The rows of every table with these columns, a `|` in a cell being written `\|`."""
    inside = False
    for line in text.splitlines():
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells == list(head):
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and set(line) - set("|- :"):
            yield cells


def code(cell: str) -> str:
    """The text of a cell in backticks, one or two."""
    return re.sub(r"^(`+) ?(.*?) ?\1$", r"\2", cell)


def page_of(key: str) -> str:
    """The page that tells of a key of a step."""
    return next((page for page, keys in SHARED.items() if key in keys), key)


def keys_of(kind: str, path: str) -> Iterator[tuple[str, str]]:
    """Path and type of every value below a value of *kind*."""
    kind = kind.removesuffix(" | None")
    if kind in TYPES:
        yield path, TYPES[kind]
        return
    record = kind.removeprefix("Mapping[str, ").removesuffix("]").removeprefix("tuple[").removesuffix(", ...")
    listed = "[]" if kind.startswith("tuple[") and path else ""
    for key, (_, below) in fields(getattr(model, record)).items():
        yield from keys_of(below, f"{path}{listed}.{key}" if path else key)


def expected() -> dict[str, dict[str, str]]:
    """Of each page the keys that its table must list, and their types."""
    found: dict[str, dict[str, str]] = {"document": {"name": "text", "stages": "map of lists of steps"}, "extensions": {"jobs": "number", "reconcile": "boolean"}}
    for key, (_, kind) in fields(model.Step).items():
        page = page_of(key)
        own = "" if kind not in TYPES and page == key and page != "after" else key
        found.setdefault(page, {}).update(keys_of(kind, own))
    return found


def test_every_key_of_a_step_has_a_page() -> None:
    keys = {key for key, _ in ORDER if key not in ("deferred_files", *model.CLASSIC_WORK)}
    assert keys | set(SHARED) | {"document", "templates"} == set(PAGES)
    assert all(f"]({page}.md)" in (TOP / "docs" / "README.md").read_text().replace("reference/", "") for page in PAGES)


@pytest.mark.parametrize("page", sorted(expected()))
def test_the_tables_list_every_key_of_the_model_with_its_type(page: str) -> None:
    rows = list(tables(PAGES[page], "key", "type", "default", "meaning"))
    assert {code(row[0]): row[1] for row in rows} == expected()[page]
    assert len(rows) == len(expected()[page]), "a key stands in the table twice"
    assert all(row[2] and row[3] for row in rows)


def test_the_root_keys_are_those_of_the_decoder() -> None:
    assert {"name", "stages", "jobs", "reconcile"} == set(ROOT)


@pytest.mark.parametrize("page", ["README.md", "NEWS.md", *(f"docs/{p.relative_to(TOP / 'docs')}" for p in sorted((TOP / "docs").rglob("*.md")))])
def test_links_lead_somewhere(page: str) -> None:
    for target, anchor in re.findall(r"\]\((?!\w+:)([^)#]*)#?([^)]*)\)", (TOP / page).read_text()):
        file = (TOP / page).parent / target if target else TOP / page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings], anchor


@pytest.mark.parametrize("page", [*PAGES, "../README", "../operating", "../compatibility", "../../README"])
def test_every_yaml_block_passes_validate(page: str, tmp_path: Path) -> None:
    text = (FOLDER / f"{page}.md").read_text()
    for number, block in enumerate(blocks(text, "yaml")):
        document = tmp_path / f"{number}.yaml"
        document.write_text(block)
        done = subprocess.run(["/usr/bin/python3", "-m", "kairos_boot", "validate", str(document)], cwd=TOP, text=True, capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), block


def prepare(machine: Isolated, page: str) -> None:
    """Make the machine one on which the page's example finds what it needs."""
    machine.put("/usr/bin/kairos-boot", '#!/bin/sh\ncd /run/code && PYTHONPATH=/run/code:/run/lib exec /usr/bin/python3 -m kairos_boot "$@"\n', 0o755)
    machine.put("/usr/lib/os-release", DEBIAN)
    if page in SETUP:
        SETUP[page](machine)


def lines(text: str) -> list[list[str]]:
    """The words of each line: the width of columns is not what a page shows."""
    return [line.split() for line in text.rstrip().splitlines()]


def state(machine: Isolated) -> str:
    """Every file that may change, by inode and time of change; every directory by mode and owner."""
    return machine.run("find", *WATCHED, "-xdev", "-name", "__pycache__", "-prune", "-o", "-type", "d", "-printf", "%p %m %U %G\n",
                       "-o", "-printf", "%p %m %U %G %i %s %C@ %l\n")[1]


def run_stages(machine: Isolated, stages: list[str]) -> bool:
    """Emit each; whether something changed."""
    changed = False
    for stage in stages:
        status, said = machine.run("sh", "-c", f"kairos-boot run-stage --json {stage} 2>/run/said || {{ cat /run/said; exit 1; }}")
        assert status == 0, said
        changed = json.loads(said)["changed"] or changed
    return changed


@pytest.mark.root
@pytest.mark.parametrize("page", [page for page in PAGES if page != "templates"])
def test_the_example_does_what_the_page_shows_and_a_second_run_nothing(page: str, machine: Isolated) -> None:
    example, shown = blocks(PAGES[page], "yaml")[0], blocks(PAGES[page], "console")
    assert shown, "the page must show what its example did"
    prepare(machine, page)
    machine.put("/oem/90_custom.yaml", example)
    stages = list(dict.fromkeys(stage.removesuffix(".before").removesuffix(".after") for stage in yaml.safe_load(example)["stages"]))
    assert run_stages(machine, stages) or page == "modules"  # a test's kernel may have no list of modules that could change
    for block in shown:
        for command, wanted in re.findall(r"^# (.*)\n((?:(?!# ).*\n)*)", block, re.MULTILINE):
            assert lines(machine.run("sh", "-c", command)[1]) == lines(wanted), command
    before = state(machine)
    changed = run_stages(machine, stages)
    assert state(machine) == before
    assert changed == (page in ALWAYS_RUNS)


WRONG = [(page, *row) for page, text in PAGES.items() for row in tables(text, "written", "told", "result")]


@pytest.mark.root
@pytest.mark.parametrize("page", sorted({row[0] for row in WRONG}))
def test_what_is_wrong_is_told_in_the_words_of_the_page(page: str, machine: Isolated) -> None:
    prepare(machine, page)
    for _, written, told, result in (row for row in WRONG if row[0] == page):
        machine.put("/srv/wrong.yaml", f"stages:\n  test:\n  - {code(written)}\n")
        status, said = machine.run("kairos-boot", "run-stage", "test", "/srv/wrong.yaml")
        assert result in {0: ("warns", "skips"), 1: ("fails",)}[status], f"{written}\n{said}"
        pattern = ".*".join(map(re.escape, code(told).split("…")))
        assert re.search(pattern, said, re.DOTALL), f"{written}\n{said}"


@pytest.mark.root
def test_the_commands_of_the_operators_page_print_what_it_shows(machine: Isolated) -> None:
    """A `…` stands for what differs each time: times, identifiers."""
    text = (TOP / "docs" / "operating.md").read_text()
    prepare(machine, "operating")
    machine.put("/oem/90_custom.yaml", blocks(text, "yaml")[0])
    assert machine.run("kairos-boot", "run-stage", "boot")[0] == 1
    for block in blocks(text, "console"):
        for command, wanted in re.findall(r"^# (.*)\n((?:(?!# ).*\n)*)", block, re.MULTILINE):
            pattern = ".*".join(re.escape(part) for part in " ".join(wanted.split()).split("…"))
            said = machine.run("sh", "-c", command)[1]
            assert re.fullmatch(pattern, " ".join(said.split())), f"{command}\n{said}"


@pytest.mark.root
@pytest.mark.parametrize("words", [("plan", "boot"), ("run-stage", "-a", "boot"), ("validate", "/oem")])
def test_what_is_probably_not_meant_is_called_a_warning_everywhere(machine: Isolated, words: tuple[str, ...]) -> None:
    machine.put("/oem/90_custom.yaml", "stages: {boot: [{files: [{path: /srv/a, permissions: 644}]}]}\n")
    code, said = machine.kairos(*words)
    assert code == 0
    assert "/oem/90_custom.yaml:1:54: warning: stages.boot[0].files[0].permissions: 644 is decimal" in said


def test_every_page_says_what_goes_wrong_and_where_it_works() -> None:
    keys = {key for key, _ in ORDER if key not in ("deferred_files", *model.CLASSIC_WORK)}
    for page in keys:
        assert any(row[0] == page for row in WRONG), page
        for heading in ("## Example", "## What goes wrong", "## Again, and in the initrd"):
            assert heading in PAGES[page], (page, heading)
