"""Scalars of YAML in typed fields: the table of yip's decoder, with B11, C2 and H."""

from __future__ import annotations

import pytest

from kairos_boot.cloudconfig.decode import decode
from kairos_boot.cloudconfig.model import Document


def document(field: str, written: str, key: str = "") -> Document:
    """A step whose *field* is *written*; a field of a file with `files.`, of a download with `downloads.`."""
    listed, _, below = field.partition(".")
    text = f"{listed}: [{{path: /f, {below}: {written}}}]" if below else f"{key or field}: {written}"
    return decode(f"stages:\n  s:\n  - {text}\n".encode(), "/d.yaml")


def value(field: str, written: str) -> object:
    """The typed value, which must have been read without an error."""
    loaded = document(field, written)
    assert not loaded.broken, [str(p) for p in loaded.problems]
    [step] = loaded.steps("s")
    key, _, below = field.partition(".")
    return getattr(getattr(step, key)[0], below) if below else getattr(step, key)


@pytest.mark.parametrize("written", [
    "0123", "0x10", "1.0", "1e3", "1_000", "true", "yes", "2001-01-01", "12:30:45", ".inf", "=", "<<", "+5", "0o17", "y", "TRUE", "null5", "~x",
    "-x", "x",
])
def test_a_text_field_keeps_the_source_text(written: str) -> None:
    assert value("hostname", written) == written


@pytest.mark.parametrize(("written", "text"), [
    ("!!int 5", "5"), ("!foo bar", "bar"), ("!!str ~", "~"), ("'~'", "~"), ('""', ""), ('"a\\tb"', "a\tb"), ("'it''s'", "it's"),
    ("!!binary aGk=", "hi"), ("!!binary 'aG k='", "hi"), ("!foo ~", "~"), ("!!binary /w==", "\udcff"), ("foo {{.x}}", "foo {{.x}}"),
])
def test_tags_and_quotes_of_text(written: str, text: str) -> None:
    assert value("hostname", written) == text


@pytest.mark.parametrize(("written", "number"), [
    ("0644", 0o644), ("0o644", 0o644), ("0O644", 0o644), ("0x1a4", 0o644), ("0b110100100", 0o644), ("0_644", 0o644), ("420", 420), ("+420", 420),
    ("1_000", 1000), ("1.5", 1), (".5", 0), ("1e2", 100), ("0888", 888), ("08", 8), ("0", 0), ("!!int '0644'", 0o644), ("!!int 0644", 0o644),
    ("4294967295", 4294967295), ("0755", 0o755), ("1.", 1),
])
def test_numbers_are_read_as_yaml_1_1_and_1_2_write_them(written: str, number: int) -> None:
    assert value("files.permissions", written) == number


@pytest.mark.parametrize(("written", "number"), [("-1", -1), ("-0x10", -16), ("9223372036854775807", (1 << 63) - 1), ("-1.9", -1), ("0", 0)])
def test_signed_numbers(written: str, number: int) -> None:
    assert value("downloads.timeout", written) == number


@pytest.mark.parametrize("written", ["-1", "4294967296", "yes", "1:30", "2001-01-01", "0o", "0x", "rwx", "'rw'", "'0888'", "''", "!foo 0644", "true", ".inf", ".nan", "1e400",
                                     "++1", "1.2.3", "[0644]", "{a: 1}", "'-1'", "'0x1ff'", "1__e", "٣", "0b2"])
def test_what_is_no_mode_costs_the_document(written: str) -> None:
    loaded = document("files.permissions", written)
    assert loaded.broken
    assert [p.severity for p in loaded.problems] == ["error"]
    assert ":3:" in loaded.problems[0].where
    assert "stages.s[0].files[0].permissions" in loaded.problems[0].where
    assert loaded.problems[0].hint


@pytest.mark.parametrize("written", ["'5'", "9223372036854775808", "abc", "~x"])
def test_what_is_no_number_costs_the_document(written: str) -> None:
    assert document("files.owner", written).broken


@pytest.mark.parametrize(("written", "mode"), [('"0644"', 0o644), ("'644'", 0o644), ("'0o600'", 0o600), ("'1777'", 0o1777), ("!!str 0600", 0o600), ("|-\n        0644", 0o644)])
def test_a_mode_in_quotes_is_octal(written: str, mode: int) -> None:
    """C2: the form of the published examples."""
    loaded = decode(f"stages:\n  s:\n  - directories:\n    - path: /d\n      permissions: {written}\n".encode(), "/d.yaml")
    assert [s.directories[0].permissions for s in loaded.steps("s")] == [mode]
    assert not loaded.problems


@pytest.mark.parametrize(("written", "doubted"), [("644", True), ("755", True), ("600", True), ("400", True), ("1777", True), ("777", True), ("0644", False), ("420", False),
                                                  ("416", False), ("493", False), ("0x1a4", False), ("7", False), ("0", False), ('"644"', False)])
def test_a_decimal_mode_is_taken_as_it_is_with_a_doubt(written: str, doubted: bool) -> None:
    """C2: 644 without quotes is decimal and probably meant octal; 420 is not."""
    loaded = document("files.permissions", written)
    assert [p.severity for p in loaded.problems] == (["advice"] if doubted else [])
    if doubted:
        assert "octal" in loaded.problems[0].message
        assert "0" + written in loaded.problems[0].hint


@pytest.mark.parametrize(("written", "mode"), [("888", "1570"), ("0999", "1747"), ("0888", "1570"), ("689", "1261"), ("098", "0142")])
def test_a_mode_with_a_digit_that_is_not_octal_is_told_with_the_mode_that_comes_of_it(written: str, mode: str) -> None:
    """C2: it is taken as Kairos takes it, and the one message says why and what it makes."""
    [problem] = document("files.permissions", written).problems
    assert problem.severity == "advice"
    assert f"the mode {mode}" in problem.message
    assert "octal digits" in problem.message
    assert f"{value('files.permissions', written):04o}" == mode


@pytest.mark.parametrize("written", ["1.5", "0888", "1e2"])
def test_a_number_that_is_cut_is_told(written: str) -> None:
    assert [p.severity for p in document("files.owner", written).problems] == ["advice"]


TRUE = ["true", "True", "TRUE", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "'yes'", '"on"', "'y'", "'true'", '"TRUE"', "!!bool true"]
FALSE = ["false", "False", "FALSE", "n", "N", "no", "No", "NO", "off", "Off", "OFF", "'no'", '"off"', "'n'", "'false'", '"False"', "!!bool false"]


@pytest.mark.parametrize(("written", "truth"), [*((w, True) for w in TRUE), *((w, False) for w in FALSE)])
def test_words_for_booleans(written: str, truth: bool) -> None:
    """Also in quotes: the words of YAML 1.1 as upstream, true and false by B11."""
    assert value("files.append", written) is truth


@pytest.mark.parametrize("written", ["tRuE", "yEs", "0", "1", "'1'", "''", "!!bool yes", "!!int 1", "[true]", "{}", "oui"])
def test_what_is_no_boolean_costs_the_document(written: str) -> None:
    assert document("files.append", written).broken


@pytest.mark.parametrize(("written", "seconds"), [("90", 90.0), ("90s", 90.0), ("5m", 300.0), ("'5m'", 300.0), ("1h30m", 5400.0), ("0", 0.0), ("1.5", 1.5), ("500ms", 0.5), ("2m30s", 150.0)])
def test_time_limits(written: str, seconds: float) -> None:
    """B10."""
    assert value("timeout", written) == seconds


@pytest.mark.parametrize("written", ["-1", "soon", "5x", "m", "''", "5m3", ".inf", ".nan", "[5]"])
def test_what_is_no_time_costs_the_document(written: str) -> None:
    assert document("timeout", written).broken


@pytest.mark.parametrize(("field", "word"), [("frequency", "once-per-image"), ("frequency", "on-change"), ("on_failure", "stop-stage"), ("on_failure", "continue")])
def test_words_of_the_extensions(field: str, word: str) -> None:
    assert value(field, word) == word


def test_a_misspelt_word_of_an_extension_gets_a_suggestion() -> None:
    [problem] = document("frequency", "once_per_image").problems
    assert problem.severity == "error"
    assert "once-per-image" in problem.hint
    [problem] = document("on_failure", "explode").problems
    assert "stop-step" in problem.hint


@pytest.mark.parametrize("null", ["", "~", "null", "Null", "NULL", "!!null ''"])
def test_null_is_the_zero_value(null: str) -> None:
    """As yip's decoder: fields keep their zero value, list elements vanish, map values are empty."""
    loaded = decode(f"""
name: {null}
stages:
  s:
  - name: {null}
    commands: {null}
    timeout: {null}
    files: [{{path: /f, permissions: {null}, content: {null}, append: {null}}}]
    users: {{bob: {null}}}
    sysctl: {{a: {null}, {null or '~'}: b}}
    if_files: {{any: {null}}}
    layout: {{device: {null}, expand_partition: {{}}}}
    dns: {null}
""".encode(), "/d.yaml")
    assert not loaded.problems
    [step] = loaded.steps("s")
    file = step.files[0]
    assert (loaded.name, step.name, step.commands, step.timeout) == ("/d.yaml", "", (), None)
    assert (file.permissions, file.content, file.append) == (None, "", False)
    assert (dict(step.sysctl), dict(step.if_files), list(step.users)) == ({"a": ""}, {"any": ()}, ["bob"])
    assert step.users["bob"].passwd == ""
    assert step.layout.device is None
    assert step.layout.expand_partition is not None
    assert step.keys == ("files", "users", "sysctl", "if_files", "layout")


def test_binary_text_that_is_none_is_an_error() -> None:
    assert document("hostname", "!!binary '???'").broken


def test_messages_never_show_text_that_may_be_secret() -> None:
    """C5: a password of the wrong kind is not repeated."""
    loaded = decode(b"stages: {s: [{users: {ada: {passwd: [tangerine]}}, commands: {tangerine: tangerine}}]}\n", "/d.yaml")
    assert loaded.broken
    assert "tangerine" not in " ".join(str(p) for p in loaded.problems)
