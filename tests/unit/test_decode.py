"""Documents of YAML: structure, places, errors (docs/reference/document.md; B1, B2, B11)."""

from __future__ import annotations

import sys

import pytest

from kairos_boot.cloudconfig import model
from kairos_boot.cloudconfig.decode import decode
from kairos_boot.cloudconfig.model import Document
from kairos_boot.cloudconfig.roots import CLASSIC


def load(text: str | bytes) -> Document:
    """*text* as /d.yaml."""
    return decode(text.encode() if isinstance(text, str) else text, "/d.yaml")


def good(text: str | bytes) -> Document:
    """A document that must be read without a word."""
    document = load(text)
    assert not document.problems, [str(p) for p in document.problems]
    assert not document.broken
    return document


def errors(text: str | bytes) -> list[str]:
    """What is wrong with a document that must be dropped: LINE:COLUMN and the rest."""
    document = load(text)
    assert document.broken
    assert not document.stages
    assert document.problems
    assert all(str(p).startswith("/d.yaml:") for p in document.problems)
    return [str(p).removeprefix("/d.yaml:") for p in document.problems if p.severity == "error"]


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "null\n", "~", "stages:\n", "stages: {}\n", "stages: {s: }\n", "stages: {s: []}\n", "---\n...\n", "\ufeff", "%YAML 1.1\n---\n"])
def test_documents_without_content_are_valid(text: str) -> None:
    document = good(text)
    assert document.name == "/d.yaml"
    assert document.steps("s") == ()


def test_every_key_of_every_record_is_decoded() -> None:
    """The model is the one source of truth: a value made for each annotation arrives in its field."""
    def written(kind: str) -> str:
        kind = kind.removesuffix(" | None")
        if kind.startswith("tuple["):
            return f"[{written(kind[6:-6])}]"
        if kind.startswith("Mapping[str, "):
            return f"{{k: {written(kind[13:-1])}}}"
        simple = {"str": "text", "int": "7", "Count": "3", "Id": "5", "bool": "true", "Mode": "0640", "Size": "9", "Seconds": "2", "Frequency": "once", "OnFailure": "stop-step"}
        if kind in simple:
            return simple[kind]
        return "{" + ", ".join(f"{name}: {written(k)}" for name, k in getattr(model, kind).__annotations__.items()) + "}"

    def check(value: object, kind: str) -> None:
        kind = kind.removesuffix(" | None")
        if kind.startswith("tuple["):
            assert isinstance(value, tuple)
            check(value[0], kind[6:-6])
        elif kind.startswith("Mapping[str, "):
            check(value["k"], kind[13:-1])  # type: ignore[index]
        elif isinstance(getattr(model, kind, None), type):
            for name, below in getattr(model, kind).__annotations__.items():
                check(getattr(value, name), below)
        else:
            assert value == {"str": "text", "int": 7, "Count": 3, "Id": 5, "bool": True, "Mode": 0o640, "Size": 9, "Seconds": 2.0, "Frequency": "once", "OnFailure": "stop-step"}[kind]

    fields = {n: k for n, k in model.Step.__annotations__.items() if n not in model.LOADER_FIELDS}
    assert len(fields) == 32 + 4
    for name, kind in fields.items():
        key = model.KEY_NAMES.get(name, name)
        [step] = good(f"stages: {{s: [{{{key}: {written(kind)}}}]}}\n").steps("s")
        check(getattr(step, name), kind)
        assert step.keys[0] == name


def test_root_keys() -> None:
    document = good("name: R\njobs: 4\nstages: {s: [{name: x}]}\n")
    assert (document.name, document.jobs, document.source) == ("R", 4, "/d.yaml")


def test_stage_names_are_the_text_of_any_scalar() -> None:
    document = good("stages: {1: [{name: a}], true: [{name: b}], 1.5: [{name: c}], ~: [{name: d}], 'x.before': [{name: e}]}\n")
    assert {k: [s.name for s in document.steps(k)] for k in document.stages} == {"1": ["a"], "true": ["b"], "1.5": ["c"], "x.before": ["e"]}


def test_a_step_knows_where_everything_stands() -> None:
    """B1: line and column of each value, counted from 1."""
    [_, step] = good("stages:\n  boot:\n  - name: zero\n  - name: one\n    if: 'true'\n    sysctl:\n      vm.swappiness: 10\n    files:\n    - {path: /a,\n       content: x}\n").steps("boot")
    assert step.where("sysctl", "vm.swappiness") == "/d.yaml:7:22: stages.boot[1].sysctl.vm.swappiness"
    assert step.where("files", 0, "content") == "/d.yaml:10:17: stages.boot[1].files[0].content"
    assert step.where("files", 0, "nothing") == "/d.yaml:9:7: stages.boot[1].files[0].nothing"
    assert step.where("if") == "/d.yaml:5:9: stages.boot[1].if"
    assert step.where() == "/d.yaml:4:5: stages.boot[1]"


def test_null_steps_are_dropped_before_they_are_counted() -> None:
    [step] = good("stages: {s: [~, {name: x, commands: [~, ok, '']}, null]}\n").steps("s")
    assert step.place == "stages.s[0]"
    assert step.commands == ("ok", "")


def test_the_published_spelling_of_the_owner() -> None:
    """B2: owner_string is ownerstring, without a warning, and never an unknown key's suggestion elsewhere."""
    [step] = good("stages: {s: [{files: [{path: /a, owner_string: u}], downloads: [{owner_string: 'v:g'}]}]}\n").steps("s")
    assert (step.files[0].ownerstring, step.downloads[0].ownerstring) == ("u", "v:g")
    assert step.where("files", 0, "ownerstring").startswith("/d.yaml:1:48:")


@pytest.mark.parametrize(("text", "place", "word"), [
    ("stages:\n  s:\n  - name: x\n    commands: echo\n", "4:15: stages.s[0].commands", "a list"),
    ("stages:\n  s:\n  - commands:\n    - echo fine\n    - echo note: this\n", "5:7: stages.s[0].commands[1]", "quotes"),
    ("stages: {s: [{hostname: {{ .Values.x }}}]}\n", "1:25: stages.s[0].hostname", "{{"),
    ("stages: [a]\n", "1:9: stages", "map"),
    ("stages: {s: {name: x}}\n", "1:13: stages.s", "a list"),
    ("stages: {s: [x]}\n", "1:14: stages.s[0]", "a map"),
    ("- a\n", "1:1", "a map"),
    ("text\n", "1:1", "a map"),
    ("stages: {s: [{users: {ada: {groups: wheel}}}]}\n", "1:37: stages.s[0].users.ada.groups", "a list"),
    ("stages: {s: [{after: [x]}]}\n", "1:23: stages.s[0].after[0]", "a map"),
    ("stages: {s: [{ensure_entities: [{entity: {kind: user}}]}]}\n", "1:42: stages.s[0].ensure_entities[0].entity", "text"),
    ("name: [x]\n", "1:7: name", "text"),
    ("jobs: two\n", "1:7: jobs", "number"),
    ("jobs: 0\n", "1:7: jobs", "1 or more"),
    ("stages: {s: [{? [a] : b}]}\n", "1:17: stages.s[0]", "key"),
])
def test_a_value_of_the_wrong_kind_is_named_at_its_place(text: str, place: str, word: str) -> None:
    [error] = errors(text)
    assert error.startswith(place + ": ")
    assert word in error


def test_all_wrong_values_are_told_at_once() -> None:
    found = errors("stages:\n  a:\n  - hostname: [x]\n    commands: y\n  b:\n  - files: [{permissions: z}]\n")
    assert [e.split(": ")[0] for e in found] == ["3:15", "4:15", "6:27"]


@pytest.mark.parametrize(("text", "place"), [
    ("name: A\nstages:\n  s: []\n  t: []\n  s: []\n", "5:3"),
    ('stages: {s: [{name: x, "name": y}]}\n', "1:24"),
    ("name: A\nname: B\n", "2:1"),
    ("stages: {s: [{sysctl: {a: 1, b: 2, a: 3}}]}\n", "1:36"),
    ("a: &a {x: 1}\nb: &b {y: 1}\nstages: {s: [{sysctl: {<<: *a, <<: *b}}]}\n", "3:32"),
    ("x: &x {path: a, path: b}\nstages: {s: [{files: [{<<: *x}]}]}\n", "1:17"),
])
def test_a_key_twice_is_an_error_at_the_second(text: str, place: str) -> None:
    [error] = errors(text)
    assert error.startswith(place + ": ")
    assert "twice" in error


def test_below_unknown_keys_nothing_is_checked() -> None:
    """Other readers own what stands there: doubled keys and wrong kinds pass."""
    assert not load("k3s: {a: 1, a: 2}\ninstall: [what, {ever: 1}]\nstages: {s: [{name: x}]}\n").problems


def test_unknown_keys_are_warned_of_at_every_level() -> None:
    """B2: at the key, with what was probably meant; the document counts."""
    document = load("nmae: A\nstages:\n  s:\n  - comands: [x]\n    files:\n    - {path: /f, contnet: x}\n    users: {ada: {no-create-home: true}}\n    zzzz: 1\n    Name: x\n")
    assert not document.broken
    assert [(p.severity, p.where, p.hint.split("'")[1] if "mean" in p.hint else "") for p in document.problems] == [
        ("warning", "/d.yaml:1:1: nmae", "name"),
        ("warning", "/d.yaml:4:5: stages.s[0].comands", "commands"),
        ("warning", "/d.yaml:6:18: stages.s[0].files[0].contnet", "content"),
        ("warning", "/d.yaml:7:19: stages.s[0].users.ada.no-create-home", "no_create_home"),
        ("warning", "/d.yaml:8:5: stages.s[0].zzzz", ""),
        ("warning", "/d.yaml:9:5: stages.s[0].Name", "name"),
    ]


@pytest.mark.parametrize("key", ["install", "reset", "upgrade", "k3s", "k3s-agent", "k0s", "p2p", "kcrypt", "bundles", "config_url", "x-mine", "cloud-init-paths"])
def test_sections_of_other_readers_are_no_unknown_keys(key: str) -> None:
    """B11."""
    good(f"{key}: {{a: [1]}}\nstages: {{}}\n")


@pytest.mark.parametrize("key", sorted(CLASSIC))
def test_classic_keys_without_the_header_are_told(key: str) -> None:
    """Every one of them, also `users`, which the collector reads as a setting: nothing would be done, and nobody would know."""
    [problem] = load(f"{key}: [x]\n").problems
    assert problem.severity == "warning"
    assert "#cloud-config" in problem.message


def test_an_unknown_key_behind_an_anchor_is_told_once() -> None:
    assert len(load("stages: {s: [&a {nope: 1}, *a, *a], t: [{<<: *a}]}\n").problems) == 1


def test_merged_maps() -> None:
    """Own keys win wherever the merge stands, then the earlier map; maps merge one level deep; marks stay where values are written."""
    document = good("""x-a: &a {path: /a, content: A, permissions: 0600}
x-b: &b {path: /b, owner: 7}
x-c: &c
  <<: *a
  content: C
stages:
  s:
  - files:
    - {<<: *a, path: /own}
    - path: /own
      <<: [*b, *a]
    - <<: *c
    - <<: {path: /inline}
    sysctl: {<<: [{a: 1, b: 1}, {b: 2, c: 2}], c: own}
  - &s {name: base, commands: [x], sysctl: {k: v}}
  - <<: *s
    sysctl: {l: w}
""")
    [step, _, third] = document.steps("s")
    assert [(f.path, f.content, f.permissions, f.owner) for f in step.files] == [
        ("/own", "A", 0o600, None), ("/own", "A", 0o600, 7), ("/a", "C", 0o600, None), ("/inline", "", None, None)]
    assert dict(step.sysctl) == {"a": "1", "b": "1", "c": "own"}
    assert dict(third.sysctl) == {"l": "w"}
    assert (third.name, third.commands) == ("base", ("x",))
    assert step.where("files", 0, "content").startswith("/d.yaml:1:29:")
    assert step.where("files", 2, "content").startswith("/d.yaml:5:12:")


@pytest.mark.parametrize("value", ["5", "[1]", "*t", "[[*m]]", "~"])
def test_only_maps_are_merged(value: str) -> None:
    assert "merged" in errors(f"x-t: &t text\nx-m: &m {{}}\nstages: {{s: [{{<<: {value}}}]}}\n")[0]


def test_a_quoted_merge_key_is_a_plain_one() -> None:
    [step] = good("stages: {s: [{sysctl: {'<<': x}}]}\n").steps("s")
    assert dict(step.sysctl) == {"<<": "x"}


def test_anchors_are_the_latest_before_the_alias() -> None:
    """Also when defined twice, and below keys that nobody reads; an alias stands at its own place."""
    document = good("k3s: [&c first]\nstages:\n  s:\n  - commands: [*c, &c second, *c]\n    hostname: *c\n")
    [step] = document.steps("s")
    assert step.commands == ("first", "second", "second")
    assert step.where("hostname").startswith("/d.yaml:5:15:")


def test_an_alias_without_an_anchor() -> None:
    [error] = errors("stages:\n  s: [*nope]\n")
    assert error.startswith("2:7: ")
    assert "nope" not in error  # it may be a password without quotes (C5)


def test_a_value_that_contains_itself() -> None:
    """Only where it is read: below a foreign key it costs nothing."""
    assert "contains itself" in errors("stages: {s: &s [{name: x}, *s]}\n")[0]
    good("k3s: &k [*k]\nstages: {}\n")


def test_aliases_that_multiply_are_stopped() -> None:
    lines = ["x0: &x0 {content: a, path: b}"]
    lines += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 100)}]" for n in (1,)]
    text = "\n".join(lines) + "\nx2: &x2 {files: *x1}\nstages:\n" + "".join(f"  s{n}: &s{n} [{', '.join(['*x2'] * 100)}]\n" for n in range(100))
    assert "aliases" in errors(text)[0]


def test_merges_that_multiply_are_stopped() -> None:
    text = "m0: &m0 {a: b}\n" + "".join(f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 30)}]}}\n" for n in range(1, 12)) + "stages: {s: [{sysctl: {<<: *m11}}]}\n"
    assert "aliases" in errors(text)[0]


def test_deep_nesting_neither_crashes_nor_hangs() -> None:
    assert load("k3s: " + "[" * 5000 + "]" * 5000 + "\n").source == "/d.yaml"
    assert load("stages: {s: [{sysctl: " + "{<<: " * 600 + "{a: b}" + "}" * 600 + "}]}\n").source == "/d.yaml"


@pytest.mark.parametrize("rest", ["---\nstages: {t: []}\n", "---\n{[broken\n", "...\ngarbage: [\n"])
def test_only_the_first_document_counts(rest: str) -> None:
    assert list(load("---\nstages: {s: [{name: x}]}\n" + rest).stages) == ["s"]


@pytest.mark.parametrize(("text", "line"), [
    ("stages:\n  s:\n  - name: x\n    commands: ['a'\n  - name: y\n", 5),
    ("a: [\n", 2),
    ("stages:\n\ts:\n", 2),
    ("{\n", 2),
    ("a: 'open\n", 2),
    ("%YAML 1.2\n---\na: 1\n", 1),
    ("%FOO x\n---\na: 1\n", 1),
    ("hostname: {{.Values.x}} b\n", 1),
    ("a: b: c\n", 1),
    ('a: 1\nb: "\\q"\n', 2),
])
def test_what_is_no_yaml_is_told_with_its_line(text: str, line: int) -> None:
    [error] = errors(text)
    assert error.startswith(f"{line}:")


@pytest.mark.parametrize(("data", "place"), [
    (b"a: 1\nb: x\xff\xfe\n", "2:5"), (b"a: 1\nb: \x07\n", "2:4"), (b"a: \x7f\n", "1:4"), (b"\xc3\xa4: \xe2\x82\n", "1:4"), (b"a: \x00\n", "1:4"),
])
def test_characters_that_yaml_does_not_allow(data: bytes, place: str) -> None:
    [error] = errors(data)
    assert error.startswith(place + ": ")


@pytest.mark.parametrize("data", [
    "stages: {s: [{name: ünï}]}\n".encode(), "\ufeffstages: {s: [{name: ünï}]}\n".encode(), "\ufeffstages: {s: [{name: ünï}]}\n".encode("utf-16-le"),
    "\ufeffstages: {s: [{name: ünï}]}\n".encode("utf-16-be"), "stages:\r\n  s:\r\n  - name: ünï\r\n".encode(), "stages:\t{s: [\t{name:\tünï\t}\t]}\t# note\n".encode(),
])
def test_encodings_and_line_ends(data: bytes) -> None:
    assert [s.name for s in good(data).steps("s")] == ["ünï"]


def test_plain_data_survives_marshal() -> None:
    """What the cache keeps is what was decoded."""
    import marshal

    document = good("stages: {s: [{name: x, files: [{path: /a, permissions: 0600}], users: {ada: {groups: [a]}}, layout: {device: {label: L}}}]}\n")
    again = Document(document.source, document.name, marshal.loads(marshal.dumps(dict(document.stages))))
    assert again.steps("s") == document.steps("s")


@pytest.mark.parametrize("key", ["owner", "group"])
def test_a_number_that_no_user_can_have_is_an_error_of_the_document(key: str) -> None:
    """Else it would be one of the program, which costs the rest of the step."""
    for item in ("files", "directories", "downloads"):
        for number, valid in ((-1, True), (0, True), (4294967294, True), (4294967295, False), (4294967296, False), (-2, False)):
            problems = [p for p in load(f"stages: {{s: [{{{item}: [{{path: /a, {key}: {number}}}]}}]}}\n").problems if p.severity == "error"]
            assert [(p.message.partition("' ")[2], p.hint) for p in problems] == ([] if valid else [("is out of range", "it must be from -1 to 4294967294")]), number


def test_an_owner_by_name_is_told_of_its_own_key() -> None:
    for key in ("owner", "group"):
        [error] = errors(f"stages: {{s: [{{files: [{{path: /a, {key}: root}}]}}]}}")
        assert f"{key}: 'root' is not a number; write a name as `ownerstring: USER:GROUP`" in error


@pytest.mark.parametrize("blank", ["\xa0", "\u2003", "\u202f"])
def test_blanks_of_a_web_page_are_named(blank: str) -> None:
    problems = load(f"stages:\n{blank}{blank}s:\n{blank}{blank}- commands: [a]\n").problems
    assert problems
    assert all("no-break spaces" in p.hint for p in problems)


def test_the_header_may_stand_behind_a_byte_order_mark() -> None:
    document = load(b"\xef\xbb\xbf#cloud-config\nhostname: lab\n")
    assert not document.problems
    assert "initramfs" in document.stages


def test_a_tag_that_may_be_meant_as_text_is_told_without_its_words() -> None:
    """`passwd: !secret` is an empty text with a tag to YAML: the password would be gone without a word (C5)."""
    [problem] = load("stages: {s: [{users: {ada: {passwd: !CANARY, gecos: !!str x, shell: ! y}}}]}").problems
    assert (problem.severity, "tag of YAML" in problem.message) == ("advice", True)
    assert "CANARY" not in str(problem)


@pytest.mark.parametrize("value", ["*CANARY", "!CANARY", "%CANARY", "@CANARY", "`CANARY`", "{CANARY", "[CANARY", "&x *CANARY", '"CANARY', "'CANARY", "{CANARY: 1}", "[CANARY]", "| CANARY",
                                   "a: CANARY", "!!int CANARY", "!!binary CANARY", "CANARY\tx: y", "? CANARY", "- CANARY", '"\\CANARY"', "!<CANARY> x", "!e!CANARY x"])
@pytest.mark.parametrize("key", ["users: {ada: {passwd: ", "git: {auth: {password: ", "git: {auth: {private_key: ", "files: [{permissions: 0600, content: ", "environment: {TOKEN: "])
def test_the_value_of_a_secret_key_is_never_quoted(key: str, value: str) -> None:
    """Whatever YAML makes of it (C5): only place and kind are told."""
    for text in (f"stages:\n  s:\n  - {key}{value}{']' * key.count('[')}{'}' * key.count('{')}\n",
                 f"#cloud-config\nusers:\n- name: ada\n  passwd: {value}\n- {{name: bob, plain_text_passwd: {value}}}\n"):
        assert not [str(p) for p in load(text).problems if "CANARY" in str(p)]


@pytest.mark.parametrize("text", ["{key}{n}: v\n", "stages:\n  s:\n  - name: a\n|    {key}{n}: v\n", "#cloud-config\n|{key}{n}: v\n", "stages:\n|  bot{n}: []\n", "stages:\n  s:\n|  - frequency: alwys{n}\n",
                                  "#cloud-config\nusers:\n|- {{name: u{n}, pasword: x}}\n"])
def test_a_flood_of_mistakes_is_read_in_time_linear_in_it(text: str) -> None:
    """What was meant is looked for in the first cases only; the lines that Python executes are counted, no clock."""

    def lines(count: int) -> int:
        head, _, line = text.rpartition("|")
        document = head + "".join(line.format(key="nam", n=n) for n in range(count))
        executed = 0

        def trace(frame: object, event: str, argument: object) -> object:
            nonlocal executed
            executed += event == "line"
            return trace

        sys.settrace(trace)  # type: ignore[arg-type]
        try:
            load(document)
        finally:
            sys.settrace(None)
        return executed

    few, many = lines(100), lines(400)
    assert many < 4.2 * few


@pytest.mark.parametrize(("rest", "place"), [
    ("---\nstages: {s: [{name: b}]}\n", "2:1"), ("...\n---\n{[broken", "3:1"), ("---\n---\n# c\n--- a\n", "5:1"), ("---\n# nothing\n", ""), ("...\n", ""), ("---\n...\n---\n", ""), ("...\n@\n", "3:1"),
])
@pytest.mark.parametrize("header", ["", "#cloud-config\n"])
def test_a_second_document_of_a_file_is_not_dropped_in_silence(header: str, rest: str, place: str) -> None:
    """Only the first is read, as Kairos does, with a warning at the second one; an empty one is none."""
    document = load(f"{header}stages: {{s: [{{name: a}}]}}\n{rest}")
    assert [step.name for step in document.steps("s")] == ["a"]
    found = [p.where.partition(":")[2] for p in document.problems if "only the first YAML document" in p.message and p.severity == "warning"]
    line = int(place.partition(":")[0] or 0) + bool(header)
    assert found == ([f"{line}:1"] if place else [])


@pytest.mark.parametrize("text", ["retries: -1", "retries: -9223372036854775808", "retries: 1000000000000"])
@pytest.mark.parametrize("header", ["", "#cloud-config\n"])
def test_a_number_of_tries_is_not_less_than_none(header: str, text: str) -> None:
    [error] = [p for p in load(f"{header}stages: {{s: [{{{text}}}]}}\n").problems if p.severity == "error"]
    assert "is out of range" in error.message
    assert error.where.endswith(": stages.s[0].retries")


@pytest.mark.parametrize("number", ["-5", "0"])
@pytest.mark.parametrize("header", ["", "#cloud-config\n"])
def test_jobs_are_one_or_more_in_every_kind_of_document(header: str, number: str) -> None:
    document = load(f"{header}jobs: {number}\nstages: {{s: [{{name: x}}]}}\n")
    assert document.broken
    assert document.problems[0].where == f"/d.yaml:{2 if header else 1}:7: jobs"
    assert load(f"{header}jobs: 3\n").jobs == 3


@pytest.mark.parametrize("header", ["", "#cloud-config\n"])
def test_a_flood_of_one_kind_is_summed_up(header: str) -> None:
    """Tens of thousands of unknown keys are not as many lines."""
    problems = load(header + "".join(f"k{i}: v\n" for i in range(50_000)) + "stages: {s: [{timeout: x}]}\n").problems
    assert [p.message for p in problems[:20]] == [f"unknown key 'k{i}'" for i in range(20)]
    assert problems[20].message == "49980 more of the kind, this is the first: unknown key 'k20'"
    assert [p.severity for p in problems[21:]] == ["error"]
