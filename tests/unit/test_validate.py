"""What `validate` says of documents, without a node: what would fail at every boot is an error with its place (B11, B15, X4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kairos_boot.cli.validate import problems
from kairos_boot.cloudconfig.decode import decode

MARK = "CANARY"

if TYPE_CHECKING:
    from pathlib import Path


def errors(text: str) -> list[str]:
    """The errors of a document, each as one line."""
    return [str(p) for p in problems([decode(text.encode(), "/d.yaml")]) if p.severity == "error"]


def in_step(keys: str) -> list[str]:
    """The errors of a step with these keys, which begin in line 3, column 5."""
    return errors(f"stages:\n  s:\n  - {keys}\n")


@pytest.mark.parametrize(("keys", "place"), [
    ("commands: ['{{ CANARY']", "3:16: stages.s[0].commands[0]"), ("if: '{{ truncc 4 .x }}'", "3:9: stages.s[0].if"), ("hostname: '{{ trunc 4 .MachineID'", "3:15: stages.s[0].hostname"),
    ("environment: {A: '{{ if }}'}", "3:22: stages.s[0].environment.A"), ("packages: {install: ['{{ nosuch }}']}", "3:26: stages.s[0].packages.install[0]"),
    ("package_pins: {nginx: '{{ end }}'}", "3:27: stages.s[0].package_pins.nginx"),
    ("ensure_entities: [{entity: 'kind: user\n\n    username: {{ CANARY'}]", "3:32: stages.s[0].ensure_entities[0].entity"),
    ("files: [{path: /a, permissions: 0600, content: '{{ CANARY }}'}]", "3:52: stages.s[0].files[0].content"),
    ("files: [{path: /a, content: '{{ \"CANARY }}', defer: true}]", "3:33: stages.s[0].files[0].content"),
])
def test_a_template_that_is_none_is_an_error_with_its_place(keys: str, place: str) -> None:
    [error] = in_step(keys)
    assert error.startswith(f"/d.yaml:{place}")
    assert MARK not in error or keys.startswith("commands"), "a text that may be secret is not quoted (C5)"


@pytest.mark.parametrize("keys", [
    "commands: ['{{ trunc 4 .Values.product.uuid }} {{ .Values.x }} {{ fail \"no\" }}']", "hostname: 'n-{{ trunc 4 .MachineID }}{{ .ProtectedID }}'",
    "ensure_entities: [{entity: 'kind: user\n\n    username: u{{ .Values.node.hostname }}'}]", "packages: {install: ['linux-{{ .Values.os.architecture | upper }}']}",
    "package_pins: {nginx: '{{ .Values.x }}'}", "ensure_entities: [{entity: 'kind: user\n\n    username: {{ trunc 2 .Values.node.hostname }}'}]",
])
def test_what_only_a_node_knows_is_no_error(keys: str) -> None:
    assert in_step(keys) == []


FORGED = '"k(\\nDone with stage s"'
"""A name with a second line that looks like one of ours."""


@pytest.mark.parametrize("keys", [
    "users: {NAME: {}}", "users: {a: {NAME: 1}}", "sysctl: {NAME: '1'}", "environment: {NAME: b}", "authorized_keys: {NAME: [x]}", "timesyncd: {NAME: b}", "package_pins: {NAME: b}",
    "NAME: 1", "only_os: NAME", "if_files: {NAME: [x]}", "layout: {NAME: 1}",
])
def test_no_name_begins_a_line_of_its_own_in_a_message(keys: str) -> None:
    """E6: what a document calls things cannot look like a message of the program."""
    text = f"stages:\n  s:\n  - {keys.replace('NAME', FORGED)}\n"
    found = [str(p) for p in problems([decode(text.encode(), "/d.yaml")])]
    assert found
    assert [line for line in found if "\n" in line] == []


@pytest.mark.parametrize("call", ['regexMatch "(" .x', 'regexFind "[a" .x', '.x | mustRegexMatch "*"', 'if false }}{{ regexReplaceAll "(?=a)" .x "b" }}{{ end', 'print (regexSplit "a)" .x -1)'])
def test_an_expression_in_a_template_is_compiled(call: str) -> None:
    """Wherever it stands, whether a rendering comes to it or not."""
    [error] = in_step(f"commands: ['{{{{ {call} }}}}']")
    assert error.startswith("/d.yaml:3:16: stages.s[0].commands[0]: ")
    assert "error parsing regexp" in error
    [error] = in_step(f"hostname: '{{{{ {call.replace('.x', '.UUID')} }}}}'")
    assert "error parsing regexp" in error
    assert in_step("""commands: ['{{ regexFind "[a-z]+" .Values.x }}{{ regexMatch .Values.y "(" }}{{ regexQuoteMeta "(" }}']""") == []


def test_a_stage_that_nothing_emits_is_an_error() -> None:
    [error] = errors("stages:\n  initramsf:\n  - commands: [a]\n")
    assert error == "/d.yaml:2:3: stages.initramsf: no stage is called 'initramsf': its steps would never run; did you mean 'initramfs'?"


def test_an_expression_that_is_none_is_an_error() -> None:
    [error] = in_step("only_os: '('")
    assert error.startswith("/d.yaml:3:14: stages.s[0].only_os: no regular expression: missing closing )")


def test_findings_of_a_file_come_by_line_whoever_found_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Keys, values, templates, settings and orders are looked at by different eyes; files stay in the order of the call."""
    from kairos_boot.cli import validate

    texts = {"c.yaml": "stages: {boot: [{name: a, after: [{name: none}]}]}\n", "b.yaml": "stages:\n  boot:\n    - foo: 1\n      if: '{{ nope }}'\n      after: [{name: none}]\n    - {bar: 1, sysctl: {a b: 1}}\n",
             "a.yaml": "#cloud-config\ninstall: {nothing: 1}\nstages:\n  boot:\n    - foo: 1\nreset: {nothing: 1}\nqux: 1\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    assert validate.run([str(tmp_path / name) for name in texts]) == 1
    places = [line.removeprefix(f"{tmp_path}/").split(":")[:3] for line in capsys.readouterr().out.splitlines()]
    assert list(dict.fromkeys(name for name, *_ in places)) == list(texts)
    for name in ("b.yaml", "a.yaml"):
        found = [(int(at), int(column)) for file, at, column in places if file == name]
        assert found == sorted(found)
        assert len(found) > 2


def test_a_finding_has_the_form_that_editors_read_and_for_programs_a_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """X12: FILE:LINE:COLUMN: error: …; and with --json file, line and column as fields."""
    import json

    from kairos_boot.cli import validate

    (tmp_path / "a.yaml").write_text("stages:\n  boot:\n    - foo: 1\n")
    (tmp_path / "empty").mkdir()
    assert validate.run([str(tmp_path / "a.yaml"), str(tmp_path / "empty")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"{tmp_path}/a.yaml:3:7: error: stages.boot[0].foo: unknown key 'foo'; " in lines[-1]
    assert lines[0].startswith(f"warning: {tmp_path}/empty: there is no document")
    assert validate.run(["--json", str(tmp_path / "a.yaml")]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["format"] == 1
    assert [(p["severity"], p["file"], p["line"], p["column"]) for p in told["problems"]] == [("error", f"{tmp_path}/a.yaml", 3, 7)]
