"""A template can neither hang a boot nor fill its memory, whatever it says."""

from __future__ import annotations

import random
from typing import Any

import pytest

from kairos_boot.template import TemplateError, check, limits, render

GROW = "{{ $x := `0123456789` }}" + "{{ $x = printf `%s%s` $x $x }}" * 40
NEST = "{{ $d := dict `a` 1 }}" + "{{ $d = dict `a` $d `b` $d }}" * 40
BOMBS = [
    "{{ define `r` }}{{ template `r` }}{{ end }}{{ template `r` }}",
    "{{ define `a` }}{{ template `b` }}{{ template `b` }}{{ end }}{{ define `b` }}{{ template `a` }}{{ end }}{{ template `a` }}",
    "{{ range until 90000 }}{{ range until 90000 }}x{{ end }}{{ end }}",
    "{{ range 1000000000 }}{{ end }}",
    "{{ until 1000000000 }}",
    "{{ untilStep 0 -2000000000 -1 }}",
    "{{ seq 1000000000 }}",
    "{{ repeat 2000000000 `ab` }}",
    "{{ repeat 9000000 `a` | repeat 9000000 }}",
    "{{ indent 1000000000 `a` }}",
    "{{ $x := repeat 4000 `a` }}{{ replace `a` $x $x | replace `a` $x }}",
    "{{ $x := repeat 4000 `a` }}{{ regexReplaceAll `a` $x $x | len }}{{ regexReplaceAll `a` (repeat 4000 $x) $x }}",
    "{{ $x := repeat 1000000 `a` }}{{ join $x (until 90000) }}",
    "{{ printf `%999999d` 1 | repeat 100 }}",
    "{{ $x := until 90000 }}{{ range $x }}{{ $x = concat $x $x }}{{ end }}",
    "{{ $l := list }}{{ range until 90000 }}{{ $l = append $l (until 90000) }}{{ end }}",
    "{{ $d := dict }}{{ $_ := set $d `self` $d }}{{ $d }}",
    "{{ $d := dict }}{{ $_ := set $d `self` $d }}{{ toJson $d }}",
    "{{ $d := dict }}{{ $_ := set $d `self` $d }}{{ deepCopy $d }}",
    "{{ $d := dict }}{{ $_ := set $d `self` $d }}{{ $e := dict }}{{ $_ := set $e `self` $e }}{{ deepEqual $d $e }}",
    "{{ $d := dict }}{{ $_ := set $d `self` $d }}{{ printf `%#v` $d }}",
    "{{ $d := dict }}{{ $_ := set $d `self` $d }}{{ $e := dict }}{{ $_ := set $e `self` $e }}{{ merge $d $e }}",
    GROW + "{{ $x }}",
    NEST + "{{ $d }}",
    NEST + "{{ toJson $d }}",
    NEST + "{{ deepCopy $d }}",
    NEST + "{{ quote $d }}",
    "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
    "{{ if 1 }}" * 500 + "{{ end }}" * 500,
    "{{ if 0 }}" + "{{ else if 0 }}" * 5000 + "{{ end }}",
    "{{ regexMatch `" + "(" * 500 + "a" + ")" * 500 + "` `a` | ternary (fail `x`) (fail `y`) }}",
    "{{ mustRegexMatch `((a{100}){100}){100}` `a` }}",
    "{{ mustRegexMatch `(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)[^a]$` (repeat 1000000 `a`) }}",
    "{{ wrapWith 1 (repeat 1000000 `x`) (repeat 1000000 `a`) }}",
    "{{ randAlphaNum 2000000000 }}",
    "{{ splitList `` (repeat 9000000 `a`) }}",
    "{{ toDate `2006` `2020` | dateModify `9000000000000h` | date `2006` | fail }}",
    "{{ range until 90000 }}{{ regexMatch `^(.*)x(.*)$` (repeat 2000 `a`) }}{{ end }}",
    "{{ $l := until 50000 }}{{ range $l }}{{ $x := toJson $l | len }}{{ end }}",
    "{{ range until 90000 }}{{ bcrypt `x` }}{{ end }}",
    "{{ fromJson (repeat 100000 `[`) | empty | ternary (fail `nil`) 1 }}",
]


@pytest.mark.parametrize("text", BOMBS, ids=range(len(BOMBS)))
@pytest.mark.slow
def test_bomb_ends_in_an_error(text: str) -> None:
    """Endless recursion, huge loops, lists, texts and widths, values that contain themselves: each is an ordinary failure."""
    with pytest.raises(TemplateError):
        render(text, {"Values": {}})


@pytest.mark.parametrize("text", ["{{ regexMatch `(a+)+$` (print (repeat 5000 `a`) `b`) }}", "{{ regexMatch `(a|aa)*c` (repeat 5000 `a`) }}"])
def test_expressions_that_blow_up_elsewhere_are_linear(text: str) -> None:
    """Regular expressions never backtrack."""
    assert render(text, {}) == "false"


def test_what_a_configuration_needs_is_far_below_the_limits() -> None:
    """A file of 200 kB with 5000 rendered lines is no bomb."""
    text = "{{ range $i := until 5000 }}{{ printf `host-%04d.%s` $i (upper `example`) | quote }} {{ repeat 20 `x` }}\n{{ end }}"
    assert len(render(text, {}).splitlines()) == 5000
    assert render("{{ .Values.x }}" + "a" * 1_000_000, {"Values": {"x": "y"}}) == "y" + "a" * 1_000_000


def test_output_beyond_the_limit_is_refused() -> None:
    """Text between actions counts, too."""
    with pytest.raises(TemplateError, match="characters long"):
        render("{{ 1 }}" + "a" * (limits.OUTPUT + 1), {})


class Scanned(str):
    """A text that counts the characters which its own searches look at: a measure that no busy machine disturbs."""

    __slots__ = ()
    looked_at = 0

    def _look(self, first: int, last: int) -> None:
        Scanned.looked_at += max(last - first, 0)

    def count(self, part: str, start: Any = 0, end: Any = None, /) -> int:
        self._look(start, len(self) if end is None else end)
        return super().count(part, start, end)

    def find(self, part: str, start: Any = 0, end: Any = None, /) -> int:
        found = super().find(part, start, end)
        self._look(start, found if found >= 0 else len(self))
        return found

    def rfind(self, part: str, start: Any = 0, end: Any = None, /) -> int:
        found = super().rfind(part, start, end)
        self._look(max(found, 0), len(self) if end is None else end)
        return found


@pytest.mark.parametrize("unit", ["{{ 1 }}\n", "{{ if 1 }}a\n{{ end }}", "{{- /* c */ -}}\n", "{{ print (list 1 2) | quote }}\n", "{{ `raw` }}\n", "\n\n{{ .Values.a.b }}",
                                  '{{ range list }}{{ break }}{{ else }}{{ end }}{{ define "a" }}\n{{ end }}{{ with 1 }}{{ template "a" }}{{ end }}{{ block "b" 1 }}{{ end }}'])
def test_a_text_of_many_actions_is_read_in_linear_time(unit: str) -> None:
    """Lines are counted when an error needs one: counting them at each action took minutes for 100 000 of them."""
    text = Scanned(unit * 500)
    Scanned.looked_at = 0
    check(text)
    assert Scanned.looked_at < 4 * len(text)


def test_thirty_thousand_actions_are_rendered() -> None:
    assert render("{{ 1 }}" + "\n" * 60 + "{{ 1 }}\n" * 30_000, {}).count("1") == 30_001


@pytest.mark.slow
def test_parsing_has_an_end() -> None:
    """The step limit holds for reading a template, too: a text at its largest is refused before it fills the memory."""
    with pytest.raises(TemplateError, match="too many parts"):
        check("{{ 1 }}" * (limits.OUTPUT // 16))
    with pytest.raises(TemplateError, match="too many variables"):
        check("".join(f"{{{{ $v{i} := 1 }}}}" for i in range(limits.VARIABLES + 1)))


WORDS = [
    "{{", "}}", "{{-", " -}}", "{{ ", " }}", " ", "if", "else", "end", "range", "with", "define", "template", "block", "break", "continue", "$x",
    "$", ":=", "=", "|", "(", ")", ",", ".", "..", ".Values", ".Values.l", ".a", "nil", "true", "1", "-3", "0x", "1.5", "1e9", "'a'", "'", '"s"',
    '"', "`r`", "`", "print", "printf", '"%[2]*.[1]*d%q%"', "len", "index", "eq", "lt", "and", "or", "not", "slice", "/*", "*/", "\n", "é", "\0",
    "text", "{", "}", "#", "\\", "now", "regexFind", '"[a-"', '"(a*)*"', "semverCompare", '"^1.x"', "urlParse", '"http://[::1"', "toDate", "b32dec",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(30))
def test_no_text_raises_anything_but_a_template_error(seed: int) -> None:
    """Random tokens, and every function with random arguments: a result or a TemplateError, and nothing else."""
    from kairos_boot.template import functions

    chance = random.Random(seed)
    names = " ".join(functions.FAMILIES.values()).split()
    data = {"Values": {"l": ["a", 1.5, None], "m": {"k": "v"}, "f": 2e6, "s": "é b"}}
    values = ["nil", "0", "-1", "3", "1.5", '""', '"a"', '"1.2.3"', "`(x`", ".Values.l", ".Values.m", ".Values.f", ".Values.s", ".Values.no",
              "(list 1 `a`)", "(dict `a` 1)", "true", "now", "(semver `1.2.3`)", "(until 3)", "(splitList `,` `a,b`)", "`2006-01-02`", "`%d%s`"]  # fmt: skip
    faults: list[TemplateError] = []
    for _ in range(100):
        text = "".join(chance.choice(WORDS) + chance.choice(["", " "]) for _ in range(chance.randint(1, 14)))
        if chance.random() < 0.6:
            text = "{{ " + chance.choice(names) + " " + " ".join(chance.choice(values) for _ in range(chance.randint(0, 4))) + " }}"
        for act in (lambda t: render(t, data), lambda t: render(t, data, strict=True), check):
            try:
                act("{{ 1 }}" + text)
            except TemplateError as error:
                faults.append(error)
    assert all(error.message.startswith("template: template") and error.line > 0 for error in faults)
    assert 50 < len(faults) < 300
