"""What is wrong is said in Go's words: the line, and while executing the column, the template and the node."""

from __future__ import annotations

import pytest

from kairos_boot.template import TemplateError, render
from tests.unit.template_data import DATA

PRINTS = [
    ("a }} b", "a }} b"),
]

FAILS = [
    ("{{ break }}", "template: template:1: {{break}} outside {{range}}"),
    ("{{ range until 3 }}{{ break 1 }}{{ end }}", 'template: template:1: unexpected "1" in {{break}}'),
    ("{{ $x }}", 'template: template:1: undefined variable "$x"'),
    ('{{ "a" | "b" }}', "template: template:1: non executable command in pipeline stage 2"),
    ("{{ nope 1 }}", 'template: template:1: function "nope" not defined'),
    ("{{ unclosed", 'template: template:1: function "unclosed" not defined'),
    ("{{ 1", "template: template:1: unclosed action"),
    ('{{ "abc', "template: template:1: unterminated quoted string"),
    ("{{ `abc", "template: template:1: unterminated raw quoted string"),
    ("{{ /* c */ }}", 'template: template:1: unexpected "/" in command'),
    ("{{/* c }}", "template: template:1: unclosed comment"),
    ("{{/* c */ }}", "template: template:1: comment ends before closing delimiter"),
    ("{{/* c *//}}", "template: template:1: comment ends before closing delimiter"),
    ("{{ if }}x{{ end }}", "template: template:1: missing value for if"),
    ("{{ if 1 }}x", "template: template:1: unexpected EOF"),
    ("{{ end }}", "template: template:1: unexpected {{end}}"),
    ("{{ else }}", "template: template:1: unexpected {{else}}"),
    ("{{ if 1 }}{{ else }}{{ else }}{{ end }}", "template: template:1: expected end; found {{else}}"),
    ("{{ if 1 }}{{ else 1 }}{{ end }}", 'template: template:1: unexpected "1" in else'),
    ("{{ range 1 }}{{ else if 1 }}{{ end }}", "template: template:1: unexpected <if> in input"),
    ("{{ if 1 }}{{ else with 1 }}{{ end }}", "template: template:1: unexpected <with> in input"),
    ("{{ }}", "template: template:1: missing value for command"),
    ("{{}}", "template: template:1: missing value for command"),
    ("{{ ( }}", "template: template:1: unclosed left paren"),
    ("{{ ) }}", "template: template:1: unexpected right paren"),
    ("{{ (1 }}", "template: template:1: unclosed left paren"),
    ("{{ 1) }}", "template: template:1: unexpected right paren"),
    ("{{ () }}", "template: template:1: missing value for parenthesized pipeline"),
    ("{{ | 1 }}", 'template: template:1: unexpected "|" in command'),
    ("{{ $x := }}", "template: template:1: missing value for command"),
    ("{{ $x, $y := 1 }}", "template: template:1: too many declarations in command"),
    ("{{ range $a, $b, $c := 1 }}{{ end }}", "template: template:1: too many declarations in range"),
    ("{{ range $a, 1 }}{{ end }}", "template: template:1: range can only initialize variables"),
    ('{{ .Values.t"x" }}', "template: template:1: bad character U+0022 '\"'"),
    ("{{ 3x }}", 'template: template:1: bad number syntax: "3x"'),
    ("{{ 1..2 }}", 'template: template:1: unexpected ".2" in operand'),
    ("{{ 'ab' }}", "template: template:1: malformed character constant: 'ab'"),
    ("{{ '' }}", "template: template:1: invalid syntax"),
    ('{{ "\\q" }}', "template: template:1: invalid syntax"),
    ('{{ "\\u12" }}', "template: template:1: invalid syntax"),
    ("{{ .a.b.1 }}", 'template: template:1: unexpected ".1" in operand'),
    ("{{ true.x }}", 'template: template:1: unexpected . after term "true"'),
    ("{{ nil.x }}", 'template: template:1: unexpected . after term "nil"'),
    ('{{ "x".y }}', 'template: template:1: unexpected . after term "\\"x\\""'),
    ("{{ 1.x }}", 'template: template:1: bad number syntax: "1.x"'),
    ("{{ ..a }}", 'template: template:1: unexpected . after term "."'),
    ("{{ @ }}", 'template: template:1: unexpected "@" in command'),
    ("{{ # }}", 'template: template:1: unexpected "#" in command'),
    ("{{ é }}", 'template: template:1: function "é" not defined'),
    ("{{ ☃ }}", "template: template:1: unrecognized character in action: U+2603 '☃'"),
    ("{{{ 1 }}}", 'template: template:1: unexpected "{" in command'),
    ('{{ define "x" }}a{{ end }}{{ define "x" }}b{{ end }}', 'template: template:1: template: multiple definition of template "x"'),
    ('{{ if true }}{{ define "x" }}a{{ end }}{{ end }}', "template: template:1: unexpected <define> in command"),
    ("{{ define x }}{{ end }}", 'template: template:1: unexpected "x" in define clause'),
    ('{{ define "x" }}{{ else }}{{ end }}', "template: template:1: unexpected {{else}} in define clause"),
    ("{{ template x }}", 'template: template:1: unexpected "x" in template clause'),
    ('{{ block "x" }}{{ end }}', "template: template:1: missing value for block clause"),
    ("{{ end 1 }}", 'template: template:1: unexpected "1" in end'),
    ("{{ 1e400 }}", 'template: template:1: illegal number syntax: "1e400"'),
    ("{{ 0x }}", 'template: template:1: illegal number syntax: "0x"'),
    ("{{ 1_ }}", 'template: template:1: illegal number syntax: "1_"'),
    ('{{ "multi', "template: template:1: unterminated quoted string"),
    ('{{ "a" |', "template: template:1: unclosed action"),
    ("a\n{{ if 1 }}\nb {{ nope }}", 'template: template:3: function "nope" not defined'),
    ("{{ 1\n\n", "template: template:3: unclosed action started at template:1"),
    ("{{ (nope) }}", 'template: template:1: function "nope" not defined'),
    ('{{ define "t" }}{{ break }}{{ end }}', "template: template:1: {{break}} outside {{range}}"),
    ("{{ nil }}", 'template: template:1:3: executing "template" at <nil>: nil is not a command'),
    ("{{ .Values.nil.x }}", 'template: template:1:10: executing "template" at <.Values.nil.x>: nil pointer evaluating interface {}.x'),
    (
        "{{ range $i, $x := 3 }}{{ $i }}{{ end }}",
        "template: template:1:19: executing \"template\" at <3>: can't use 3 to iterate over more than one variable",
    ),
    ('{{ range "abc" }}{{ . }}{{ end }}', "template: template:1:9: executing \"template\" at <\"abc\">: range can't iterate over abc"),
    (
        "{{ range .Values.f }}{{ . }}{{ end }}",
        "template: template:1:16: executing \"template\" at <.Values.f>: range can't iterate over 131072",
    ),
    ('{{ template "nope" }}', 'template: template:1:12: executing "template" at <{{template "nope"}}>: template "nope" not defined'),
    ('{{ template "a" }}', 'template: template:1:12: executing "template" at <{{template "a"}}>: template "a" not defined'),
    (
        "{{ index .Values.network 5 }}",
        'template: template:1:3: executing "template" at <index .Values.network 5>: error calling index: index out of range: 5',
    ),
    (
        "{{ index .Values 1 }}",
        'template: template:1:3: executing "template" at <index .Values 1>: error calling index: value has type int; should be string',
    ),
    (
        '{{ index .Values.l "a" }}',
        'template: template:1:3: executing "template" at <index .Values.l "a">: error calling index: cannot index slice/array with type string',
    ),
    (
        "{{ index .Values.nope 1 }}",
        'template: template:1:3: executing "template" at <index .Values.nope 1>: error calling index: index of untyped nil',
    ),
    (
        '{{ index .Values.nope "a" "b" }}',
        'template: template:1:3: executing "template" at <index .Values.nope "a" "b">: error calling index: index of untyped nil',
    ),
    ("{{ index 3 1 }}", "template: template:1:3: executing \"template\" at <index 3 1>: error calling index: can't index item of type int"),
    ("{{ len 3 }}", 'template: template:1:3: executing "template" at <len 3>: error calling len: len of type int'),
    (
        "{{ eq 1 1.0 }}",
        'template: template:1:3: executing "template" at <eq 1 1.0>: error calling eq: incompatible types for comparison: int and float64',
    ),
    (
        "{{ eq .Values.f 131072 }}",
        'template: template:1:3: executing "template" at <eq .Values.f 131072>: error calling eq: incompatible types for comparison: float64 and int',
    ),
    ("{{ eq 1 }}", 'template: template:1:3: executing "template" at <eq 1>: error calling eq: missing argument for comparison'),
    ("{{ eq }}", 'template: template:1:3: executing "template" at <eq>: wrong number of args for eq: want at least 1 got 0'),
    (
        "{{ eq .Values.l .Values.l }}",
        'template: template:1:3: executing "template" at <eq .Values.l .Values.l>: error calling eq: non-comparable type [a b]: []interface {}',
    ),
    (
        "{{ eq .Values.em .Values.em }}",
        'template: template:1:3: executing "template" at <eq .Values.em .Values.em>: error calling eq: non-comparable type map[]: map[string]interface {}',
    ),
    (
        "{{ lt true false }}",
        'template: template:1:3: executing "template" at <lt true false>: error calling lt: invalid type for comparison',
    ),
    (
        '{{ lt 1 "a" }}',
        'template: template:1:3: executing "template" at <lt 1 "a">: error calling lt: incompatible types for comparison: int and string',
    ),
    (
        "{{ lt .Values.nope 1 }}",
        'template: template:1:3: executing "template" at <lt .Values.nope 1>: error calling lt: invalid type for comparison',
    ),
    ("{{ lt nil nil }}", 'template: template:1:3: executing "template" at <lt nil nil>: error calling lt: invalid type for comparison'),
    ("{{ and }}", 'template: template:1:3: executing "template" at <and>: wrong number of args for and: want at least 1 got 0'),
    ("{{ printf 3 }}", 'template: template:1:10: executing "template" at <3>: expected string; found 3'),
    ("{{ call nil }}", 'template: template:1:3: executing "template" at <call nil>: error calling call: call of nil'),
    ("{{ call }}", 'template: template:1:3: executing "template" at <call>: wrong number of args for call: want at least 1 got 0'),
    ("{{ 1 2 }}", "template: template:1:3: executing \"template\" at <1>: can't give argument to non-function 1"),
    ('{{ "a" 1 }}', "template: template:1:3: executing \"template\" at <\"a\">: can't give argument to non-function \"a\""),
    (
        "{{ .Values.node.hostname 1 }}",
        'template: template:1:10: executing "template" at <.Values.node.hostname>: hostname is not a method but has arguments',
    ),
    ("{{ .Values.node 1 }}", 'template: template:1:10: executing "template" at <.Values.node>: node is not a method but has arguments'),
    ("{{ 1 | .Values.node }}", 'template: template:1:14: executing "template" at <.Values.node>: node is not a method but has arguments'),
    ("{{ (1).x }}", "template: template:1:4: executing \"template\" at <1>: can't evaluate field x in type int"),
    ("{{ . .}}", "template: template:1:3: executing \"template\" at <.>: can't give argument to non-function ."),
    ('{{ template "x" 1 2 }}', 'template: template:1:12: executing "template" at <{{template "x" 1 2}}>: template "x" not defined'),
    ("{{ trunc 4 .Values.nope }}", 'template: template:1:18: executing "template" at <.Values.nope>: invalid value; expected string'),
    ("{{ .Values.nope | trunc 4 }}", 'template: template:1:24: executing "template" at <4>: invalid value; expected string'),
    ('{{ trunc "a" "b" }}', 'template: template:1:9: executing "template" at <"a">: expected integer; found "a"'),
    ('{{ trunc 1.5 "b" }} ', 'template: template:1:9: executing "template" at <1.5>: expected integer; found 1.5'),
    (
        '{{ trunc .Values.f "b" }}',
        'template: template:1:16: executing "template" at <.Values.f>: wrong type for value; expected int; got float64',
    ),
    ("{{ trunc 1 nil }}", 'template: template:1:11: executing "template" at <nil>: cannot assign nil to string'),
    ("{{ trunc 1 3 }}", 'template: template:1:11: executing "template" at <3>: expected string; found 3'),
    (
        "{{ trunc 1 .Values.nil }}",
        'template: template:1:18: executing "template" at <.Values.nil>: wrong type for value; expected string; got interface {}',
    ),
    ("{{ trunc 1 }}", 'template: template:1:3: executing "template" at <trunc>: wrong number of args for trunc: want 2 got 1'),
    ('{{ trunc 1 "a" "b" }}', 'template: template:1:3: executing "template" at <trunc>: wrong number of args for trunc: want 2 got 3'),
    ("{{ add 1 2 | until }}", 'template: template:1:13: executing "template" at <until>: wrong type for value; expected int; got int64'),
    (
        "{{ upper . }}",
        'template: template:1:9: executing "template" at <.>: wrong type for value; expected string; got map[string]interface {}',
    ),
    ("{{ upper true }}", 'template: template:1:9: executing "template" at <true>: expected string; found true'),
    ('{{ fail "boom" }}', 'template: template:1:3: executing "template" at <fail "boom">: error calling fail: boom'),
    ("{{ not }}", 'template: template:1:3: executing "template" at <not>: wrong number of args for not: want 1 got 0'),
    ("{{ not 1 2 }}", 'template: template:1:3: executing "template" at <not>: wrong number of args for not: want 1 got 2'),
    ("{{ index }}", 'template: template:1:3: executing "template" at <index>: wrong number of args for index: want at least 1 got 0'),
]


@pytest.mark.parametrize(("text", "printed"), PRINTS)
def test_faults_as_go(text: str, printed: str) -> None:
    """A lone closing mark is text."""
    assert render(text, DATA) == printed


@pytest.mark.parametrize(("text", "reason"), FAILS)
def test_faults_refused_as_go(text: str, reason: str) -> None:
    """Parse and execution errors have Go's text and place."""
    with pytest.raises(TemplateError) as caught:
        render(text, DATA)
    assert caught.value.message == reason
