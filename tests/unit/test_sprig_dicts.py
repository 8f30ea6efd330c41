"""The sprig functions for dictionaries, as sprig 3.3 has them."""

from __future__ import annotations

import pytest

from kairos_boot.template import TemplateError, render
from tests.unit.sprig_data import DATA

PRINTS = [
    ('{{ dict "a" 1 "b" }}', "map[a:1 b:]"),
    ("{{ dict 1 2 }}", "map[1:2]"),
    ('{{ get (dict "a" 1) "a" }}', "1"),
    ('{{ get (dict "a" 1) "b" }}', ""),
    ('{{ set (dict "a" 1) "b" 2 }}', "map[a:1 b:2]"),
    ('{{ unset (dict "a" 1 "b" 2) "a" }}', "map[b:2]"),
    ('{{ hasKey (dict "a" 1) "a" }}', "true"),
    ('{{ pluck "a" (dict "a" 1) (dict "b" 2) (dict "a" 3) }}', "[1 3]"),
    ('{{ keys (dict "a" 1 "b" 2) | sortAlpha }}', "[a b]"),
    ('{{ pick (dict "a" 1 "b" 2) "a" }}', "map[a:1]"),
    ('{{ omit (dict "a" 1 "b" 2) "a" }}', "map[b:2]"),
    ('{{ values (dict "a" 1) }}', "[1]"),
    ('{{ merge (dict "a" 1) (dict "a" 2 "b" 3) }}', "map[a:1 b:3]"),
    ('{{ mergeOverwrite (dict "a" 1) (dict "a" 2 "b" 3) }}', "map[a:2 b:3]"),
    ('{{ merge (dict "a" (dict "x" 1)) (dict "a" (dict "x" 2 "y" 3)) }}', "map[a:map[x:1 y:3]]"),
    ('{{ merge (dict "a" 0 "b" "") (dict "a" 2 "b" "c") }}', "map[a:2 b:c]"),
    ('{{ mergeOverwrite (dict "a" 1) (dict "a" 0) }}', "map[a:0]"),
    ('{{ mergeOverwrite (dict "a" (list 1)) (dict "a" (list 2)) }}', "map[a:[2]]"),
    ('{{ merge (dict "a" 1) (dict "a" (dict "b" 1)) }}', "map[a:1]"),
    ('{{ mergeOverwrite (dict "a" (dict "x" 1)) (dict "a" 3) }}', "map[a:3]"),
    ('{{ mergeOverwrite (dict "a" 3) (dict "a" (dict "x" 1)) }}', "map[a:map[x:1]]"),
    ('{{ dig "a" "b" "def" (dict "a" (dict "b" 1)) }}', "1"),
    ('{{ dig "a" "c" "def" (dict "a" (dict "b" 1)) }}', "def"),
    ('{{ dig "x" "y" 5 (dict) }}', "5"),
    ('{{ deepCopy (dict "a" (list 1)) }}', "map[a:[1]]"),
    ('{{ hasKey .Values.nope "a" }}', "false"),
    ('{{ get .Values.nope "a" }}', ""),
    ("{{ keys .Values.nope }}", "[]"),
    ('{{ $d := dict "a" 1 }}{{ $_ := set $d "b" 2 }}{{ $d.b }}{{ range $k, $v := $d }}{{ $k }}{{ $v }}{{ end }}', "2a1b2"),
    ('{{ mergeOverwrite (dict "a" 1) (dict "a" "") }}', "map[a:]"),
    ('{{ mergeOverwrite (dict "a" 1) (dict "a" nil) }}', "map[a:<nil>]"),
    ('{{ mergeOverwrite (dict "a" (list 1)) (dict "a" list) }}', "map[a:[]]"),
    ('{{ mergeOverwrite (dict "a" (dict "x" 1)) (dict "a" dict) }}', "map[a:map[x:1]]"),
    ('{{ mergeOverwrite (dict "a" (dict "x" 1)) (dict "a" nil) }}', "map[a:<nil>]"),
    ('{{ merge (dict "a" nil) (dict "a" 1) }}', "map[a:1]"),
    ('{{ merge (dict "a" list) (dict "a" (list 1)) }}', "map[a:[1]]"),
    ('{{ merge (dict "a" false) (dict "a" true) }}', "map[a:true]"),
    ('{{ merge (dict "a" dict) (dict "a" 3) }}', "map[a:3]"),
    ('{{ merge (dict "a" "") (dict "a" (dict "b" 1)) }}', "map[a:map[b:1]]"),
    ('{{ mergeOverwrite (dict "a" 1) (dict "a" 2) (dict "a" 3) }}', "map[a:3]"),
    ('{{ merge (dict) (dict "a" 2) (dict "a" 3) }}', "map[a:2]"),
    ('{{ mergeOverwrite (dict "a" (dict "b" 1 "c" 2)) (dict "a" (dict "b" 0)) }}', "map[a:map[b:0 c:2]]"),
    ('{{ merge .Values.nope (dict "a" 1) }}', "map[a:1]"),
    ('{{ merge (dict "a" 1) .Values.nope }}', "map[a:1]"),
    ('{{ merge (dict "a" nil) (dict "a" nil "b" nil) }}', "map[a:<nil>]"),
    ('{{ merge (dict) (dict "b" "") }}', "map[b:]"),
    ('{{ merge (dict) (dict "b" 0) }}', "map[b:0]"),
    ('{{ merge (dict) (dict "b" nil) }}', "map[]"),
    ('{{ merge (dict "b" 1) (dict "b" nil) }}', "map[b:1]"),
    ('{{ merge (dict "b" (dict "x" 1)) (dict "b" 3) }}', "map[b:map[x:1]]"),
    ('{{ merge (dict) (dict "b" list) }}', "map[b:[]]"),
    ('{{ merge (dict) (dict "b" dict) }}', "map[b:map[]]"),
    ('{{ mergeOverwrite (dict) (dict "b" nil) }}', "map[b:<nil>]"),
    ('{{ mergeOverwrite (dict) (dict "b" "") }}', "map[b:]"),
    ('{{ merge (dict "a" dict) (dict "a" (dict "b" nil)) }}', "map[a:map[b:<nil>]]"),
    ('{{ (dict "a" (dict "b" 1)).a.b }}', "1"),
    ('{{ $m := dict "a" 1 }}{{ $m.a }} {{ $m.b }} {{ ($m).a }} {{ $m }}', "1 <no value> 1 map[a:1]"),
]

FAILS = [
    (
        '{{ dig "a" "b" "def" (dict "a" 1) }}',
        'template: template:1:3: executing "template" at <dig "a" "b" "def" (dict "a" 1)>: error calling dig: interface conversion: interface {} is int, not map[string]interface {}',
    ),
    (
        '{{ dig "a" "b" }}',
        'template: template:1:3: executing "template" at <dig "a" "b">: error calling dig: dig needs at least three arguments',
    ),
    (
        '{{ dig "a" "b" 3 }}',
        'template: template:1:3: executing "template" at <dig "a" "b" 3>: error calling dig: interface conversion: interface {} is int, not map[string]interface {}',
    ),
    (
        '{{ set .Values.nope "a" 1 }}',
        'template: template:1:3: executing "template" at <set .Values.nope "a" 1>: error calling set: assignment to entry in nil map',
    ),
    (
        '{{ mergeOverwrite (dict "a" 1) "x" }}',
        "template: template:1:31: executing \"template\" at <\"x\">: can't handle \"x\" for arg of type map[string]interface {}",
    ),
]


@pytest.mark.parametrize(("text", "printed"), PRINTS)
def test_dicts_as_go(text: str, printed: str) -> None:
    """Functions for dictionaries give what sprig gives."""
    assert render(text, DATA) == printed


@pytest.mark.parametrize(("text", "reason"), FAILS)
def test_dicts_refused_as_go(text: str, reason: str) -> None:
    """Wrong arguments fail as in sprig."""
    with pytest.raises(TemplateError) as caught:
        render(text, DATA)
    assert caught.value.message == reason
