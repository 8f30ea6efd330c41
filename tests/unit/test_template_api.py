"""What the callers of the template language rely on: strictness, facts about errors, added functions, light imports."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.template import TemplateError, check, functions, render

ROOT = __file__.rpartition("/tests/")[0]
PROBE = "import sys; from kairos_boot.template import render; render({text!r}, {{}}); print(*sorted(sys.modules))"


def modules(text: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after rendering *text*."""
    code = f"sys.path.insert(0, {ROOT!r});"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; {code} {PROBE.format(text=text)}"], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def test_text_without_actions_loads_no_engine() -> None:
    """A boot pays nothing for text that has no braces."""
    loaded = modules("echo }} { hello")
    assert "kairos_boot.template" in loaded
    assert {m for m in loaded if m.startswith("kairos_boot.template.")} == {"kairos_boot.template.errors"}


@pytest.mark.parametrize("heavy", ["re", "json", "datetime", "hashlib", "random", "decimal", "typing", "dataclasses", "enum", "functools"])
def test_plain_functions_load_nothing_heavy(heavy: str) -> None:
    """The template of the default configuration stays off the slow imports, and of the families only the one used is loaded."""
    loaded = modules('kairos-{{ trunc 4 "abcdef" }}{{ if eq 1 1 }}{{ printf "%05d" 3 }}{{ end }}')
    assert heavy not in loaded
    assert {m for m in loaded if m.startswith("kairos_boot.template.functions.")} == {"kairos_boot.template.functions." + f for f in ("go", "strings")}


def test_every_listed_function_exists_in_its_family() -> None:
    """The table of names and the families agree, both ways."""
    for family, names in functions.FAMILIES.items():
        for name in names.split():
            signature, code = functions.find(name)
            assert callable(code)
            assert signature.rstrip("*").strip("silufbmta") == ""
        module = sys.modules[f"kairos_boot.template.functions.{family}"]
        assert set(module.FUNCTIONS) - set(names.split()) <= {"mustSlice"}


def test_no_function_is_listed_twice() -> None:
    """A name means one function."""
    names = " ".join(functions.FAMILIES.values()).split()
    assert len(names) == len(set(names))


def test_unknown_function_names_itself_and_the_nearest() -> None:
    """A misspelt function is found before anything is executed, with a suggestion."""
    with pytest.raises(TemplateError) as caught:
        render("a\n{{ if false }}{{ truncc 3 .x }}{{ end }}", {})
    error = caught.value
    assert isinstance(error, KairosError)
    assert error.message == 'template: template:2: function "truncc" not defined'
    assert error.reason == 'function "truncc" not defined'
    assert (error.line, error.function, error.hint) == (2, "truncc", "did you mean 'trunc'?")


@pytest.mark.parametrize(("name", "hint"), [("env", "left out on purpose"), ("genPrivateKey", "where they are kept"), ("genCA", "where they are kept"), ("encryptAES", "put the result"),
                                             ("decryptAES", "put the result"), ("derivePassword", "put the result"), ("htpasswd", "bcrypt PASSWORD"), ("required", "configuration URLs"), ("zzzzzzzzzz", "lists")])
def test_function_that_is_left_out_says_why(name: str, hint: str) -> None:
    """Nothing reads the environment, asks the network or makes keys, and the error says so."""
    with pytest.raises(TemplateError) as caught:
        check("{{ " + name + ' "x" }}')
    assert caught.value.function == name
    assert hint in caught.value.hint


def test_execution_error_has_line_column_and_function() -> None:
    """The place is that of the call inside the text."""
    with pytest.raises(TemplateError) as caught:
        render('é\n é{{ atoi "1" }}{{ fail "no disk" }}', {})
    error = caught.value
    assert (error.line, error.column, error.function) == (2, 20, "fail")
    assert error.reason == "error calling fail: no disk"


def test_strict_top_is_a_struct() -> None:
    """The host name's facts have fixed fields: another one is an error that lists them (docs/reference/templates.md)."""
    facts = {"MachineID": "3f1c0a5d", "Random": "x"}
    assert render("n-{{ trunc 4 .MachineID }}", facts, strict=True) == "n-3f1c"
    with pytest.raises(TemplateError) as caught:
        render("n-{{ trunc 4 .Nope }}", facts, strict=True)
    assert caught.value.reason == "can't evaluate field Nope in type struct"
    assert caught.value.hint == "there are .MachineID, .Random"


def test_strict_holds_at_every_depth() -> None:
    """The template of a configuration URL must not have holes."""
    data: dict[str, object] = {"Values": {"node": {}}}
    assert render("{{ .Values.node.x }}", data) == "<no value>"
    with pytest.raises(TemplateError, match='map has no entry for key "x"'):
        render("{{ .Values.node.x }}", data, strict=True)


def test_added_functions_take_any_arguments() -> None:
    """A caller may add functions, such as `required` of configuration URLs, and their errors are reported as any other's."""
    seen: list[object] = []

    def required(message: object, value: object) -> object:
        seen.append((message, value))
        return value

    assert render('{{ required "uuid?" .Values.u }}{{ .Values.no | required "x" }}', {"Values": {"u": "1"}}, functions={"required": required}) == "1<no value>"
    assert seen == [("uuid?", "1"), ("x", None)]


def test_data_is_not_changed_by_a_template() -> None:
    """`set` on a fact would change the next template, so a rendering works on its own top level only when it makes maps."""
    data: dict[str, object] = {"Values": {"a": "1"}}
    assert render('{{ $d := deepCopy .Values }}{{ $_ := set $d "a" "2" }}{{ $d.a }}{{ .Values.a }}', data) == "21"
    assert data == {"Values": {"a": "1"}}


@pytest.mark.parametrize("text", ['{{ set .Values "a" "2" }}', '{{ set (index .Values.network 0) "name" "x" }}', '{{ unset .Values "a" }}', '{{ merge .Values (dict "b" 1) }}', '{{ set . "Values" 1 }}'])
def test_facts_survive_functions_that_change_maps(text: str) -> None:
    """The facts are collected once and shared by all renderings of a boot."""
    data: dict[str, object] = {"Values": {"a": "1", "network": [{"name": "eth0"}]}}
    render(text, data)
    assert data == {"Values": {"a": "1", "network": [{"name": "eth0"}]}}


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("{{ deepCopy .Values }}", "map[a:map[b:1] l:[map[c:2]]]"),
        ("{{ toJson .Values }}", '{"a":{"b":"1"},"l":[{"c":"2"}]}'),
        ("{{ pick .Values `a` }}{{ omit .Values `a` }}{{ keys .Values }}{{ values .Values.a }}", "map[a:map[b:1]]map[l:[map[c:2]]][a l][1]"),
        ("{{ merge (dict) .Values }}{{ unset .Values `l` }}{{ .Values }}", "map[a:map[b:1] l:[map[c:2]]]map[a:map[b:1]]map[a:map[b:1]]"),
        ("{{ len .Values }}{{ hasKey .Values `l` }}{{ dig `a` `b` `no` .Values }}{{ get .Values `x` }}{{ index .Values `a` `b` }}", "2true11"),
        ("{{ printf `%v` . }}{{ deepEqual .Values.a (dict `b` `1`) }}{{ kindOf .Values }}", "map[Values:map[a:map[b:1] l:[map[c:2]]]]truemap"),
        ("{{ with .Values }}{{ range $k, $v := . }}{{ $k }}{{ end }}{{ end }}{{ if .Values.none }}x{{ end }}", "al"),
    ],
)
def test_facts_are_maps_to_every_function(text: str, printed: str) -> None:
    """That they are fetched late shows nowhere."""
    assert render(text, {"Values": {"a": {"b": "1"}, "l": [{"c": "2"}]}}) == printed


def test_binary_content_survives_its_decoding() -> None:
    """Bytes that are no UTF-8 stay what they are, and halves of a character join again."""
    assert render('{{ b64dec "/w==" }}', {}).encode("utf-8", "surrogateescape") == b"\xff"
    assert render('{{ trunc 1 "é" }}{{ trunc -1 "é" }}', {}) == "é"


@pytest.mark.parametrize("text", [
    "{{ CANARY }}", '{{ fail "CANARY" }}', "a\n{{ .CANARY.a.b }}{{ CANARY", "{{ if CANARY }}", '{{ "CANARY" | int64 | trunc "CANARY" }}', "{{ $CANARY }}", "{{ 1CANARY }}",
    '{{ template "CANARY" }}', '{{ index (list 1) "CANARY" }}', '{{ semver "CANARY" }}', '{{ mustRegexMatch "(CANARY" "a" }}', "{{ `CANARY }}", '{{ "CANARY\\q" }}',
    '{{ mustToDate "2006" "CANARY" }}', '{{ mustFromJson "CANARY" }}', '{{ define "CANARY" }}a{{ end }}{{ define "CANARY" }}b{{ end }}', "{{ (1).CANARY }}", "{{ CANARY := 1 }}",
])
def test_an_error_has_a_form_without_content(text: str) -> None:
    """What is wrong in a secret text is told by place and kind alone (C5)."""
    with pytest.raises(TemplateError) as caught:
        render("\n" + text, {})
    assert "CANARY" not in caught.value.discreet()
    assert f"line {caught.value.line}" in caught.value.discreet()


@pytest.mark.parametrize(("text", "names"), [
    ("{{ .Values.a }}", [(".Values.a", 1)]), ("\n{{ .Values.a.b.c }}{{ .Values.x }}", [(".Values.a.b.c", 2)]), ("{{ .Values.no | quote }}", [(".Values.no", 1)]),
    ('{{ printf "%s" .Values.no }}', [(".Values.no", 1)]), ("{{ cat .Values.no .Values.x }}", [(".Values.no", 1)]), ("{{ toString (index .Values `no`) }}", [("index .Values `no`", 1)]),
    ("{{ $v := .Values.no }}{{ $v }}", [("$v", 1)]), ("{{ range list 1 2 }}{{ $.Values.no }}{{ end }}", [("$.Values.no", 1)]), ("{{ with dict }}{{ .a }}{{ end }}", []),
    ('{{ .Values.no | default "d" }}{{ if .Values.no }}x{{ end }}{{ with .Values.no }}x{{ end }}{{ range .Values.no }}x{{ end }}', []),
    ('{{ coalesce .Values.no "d" }}{{ ternary "a" "b" (empty .Values.no) }}{{ hasKey .Values.no "a" }}{{ or .Values.no "d" }}{{ not .Values.no }}', []),
])
def test_what_is_printed_though_it_is_not_there_is_told(text: str, names: list[tuple[str, int]]) -> None:
    """Asking for a value is fine, printing one that is not there is not silent (B15)."""
    missing: list[tuple[str, int]] = []
    render(text, {"Values": {"x": "1"}}, missing=missing)
    assert missing == names


@pytest.mark.parametrize(("written", "meant"), [("turnc", "trunc"), ("Upper", "upper"), ("hasprefix", "hasPrefix"), ("dfault", "default"), ("zzzz", ""), ("ragne", ""), ("repace", "replace")])
def test_suggestion_is_the_nearest_name(written: str, meant: str) -> None:
    """Letters swapped, left out or in the wrong case are recognised; what is near nothing gets no wrong advice."""
    hint = functions.suggestion(written)
    assert hint == (f"did you mean {meant!r}?" if meant else "docs/reference/templates.md lists the functions")


@pytest.mark.parametrize("text", ["{{ if true }}{{ break }}{{ end }}", "{{ range until 2 }}{{ end }}{{ with 1 }}{{ break }}{{ end }}"])
def test_break_needs_a_loop_around_it(text: str) -> None:
    """Only range is a loop, and only up to its end."""
    with pytest.raises(TemplateError) as caught:
        check(text)
    assert caught.value.reason == "{{break}} outside {{range}}"


def test_facts_are_found_out_only_when_asked_for() -> None:
    """Reading the hardware costs time, so a rendering touches no fact that its template does not name."""
    asked: list[str] = []

    class Lazy(dict[str, object]):
        def __getitem__(self, key: str) -> object:
            asked.append(key)
            return super().__getitem__(key)

    facts = Lazy(node={"hostname": "lab"}, product={"uuid": "0"}, MachineID="3f1c")
    assert render("{{ .Values.node.hostname }}{{ .Values.nope }}", {"Values": facts}) == "lab<no value>"
    assert render("{{ .MachineID }}", facts, strict=True) == "3f1c"
    assert set(asked) == {"node", "MachineID"}
    assert render("{{ range $k, $v := .Values }}{{ $k }} {{ end }}", {"Values": facts}) == "MachineID node product "
