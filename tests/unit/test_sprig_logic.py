"""The sprig functions for defaults, choices, types, as sprig 3.3 has them."""

from __future__ import annotations

import pytest

from kairos_boot.template import TemplateError, render
from tests.unit.sprig_data import DATA

PRINTS = [
    ('{{ default "d" "" }}', "d"),
    ('{{ default "d" 0 }}', "d"),
    ('{{ default "d" "v" }}', "v"),
    ('{{ default "d" .Values.nope }}', "d"),
    ('{{ default "d" false }}', "d"),
    ('{{ default "d" .Values.el }}', "d"),
    ('{{ .Values.nope | default "x" }}', "x"),
    ("{{ default 1 0.0 }}", "1"),
    ('{{ default "d" }}', "d"),
    ('{{ "" | default .Values.l }}', "[a b]"),
    ('{{ empty "" }}', "true"),
    ("{{ empty 0 }}", "true"),
    ("{{ empty nil }}", "true"),
    ("{{ empty .Values.em }}", "true"),
    ('{{ empty "a" }}', "false"),
    ('{{ coalesce 0 "" nil "x" }}', "x"),
    ("{{ coalesce 0 1 2 }}", "1"),
    ('{{ all 1 "a" }}', "true"),
    ("{{ all 1 0 }}", "false"),
    ("{{ any 0 1 }}", "true"),
    ('{{ any 0 "" }}', "false"),
    ("{{ all }}", "true"),
    ("{{ any }}", "false"),
    ('{{ ternary "a" "b" true }}', "a"),
    ('{{ false | ternary "a" "b" }}', "b"),
    ("{{ coalesce }}", "<no value>"),
    ("{{ typeOf 1 }}", "int"),
    ('{{ typeOf "a" }}', "string"),
    ("{{ typeOf 1.5 }}", "float64"),
    ("{{ typeOf .Values }}", "map[string]interface {}"),
    ("{{ typeOf .Values.l }}", "[]interface {}"),
    ("{{ typeOf nil }}", "<nil>"),
    ("{{ typeOf (add 1 2) }}", "int64"),
    ("{{ typeOf true }}", "bool"),
    ('{{ typeOf (split "," "a") }}', "map[string]string"),
    ('{{ typeOf (splitList "," "a") }}', "[]string"),
    ("{{ typeOf (until 2) }}", "[]int"),
    ('{{ typeOf (index "a" 0) }}', "uint8"),
    ("{{ typeOf (chunk 1 (list 1)) }}", "[][]interface {}"),
    ("{{ typeOf (list 1) }}", "[]interface {}"),
    ("{{ typeOf (dict) }}", "map[string]interface {}"),
    ('{{ typeOf (semver "1.2.3") }}', "*semver.Version"),
    ("{{ kindOf 1 }}", "int"),
    ('{{ kindOf "a" }}', "string"),
    ("{{ kindOf 1.5 }}", "float64"),
    ("{{ kindOf .Values }}", "map"),
    ("{{ kindOf .Values.l }}", "slice"),
    ("{{ kindOf (add 1 2) }}", "int64"),
    ("{{ kindOf true }}", "bool"),
    ("{{ kindOf nil }}", "invalid"),
    ('{{ kindOf (semver "1.2.3") }}', "ptr"),
    ('{{ kindIs "map" .Values }}', "true"),
    ('{{ typeIs "string" "a" }}', "true"),
    ('{{ typeIsLike "int" 1 }}', "true"),
    ('{{ typeIsLike "semver.Version" (semver "1.2.3") }}', "true"),
    ("{{ deepEqual (list 1 2) (list 1 2) }}", "true"),
    ("{{ deepEqual 1 (add 1 0) }}", "false"),
    ('{{ deepEqual (dict "a" 1) (dict "a" 1) }}', "true"),
    ('{{ or true (fail "x") }}', "true"),
    ('{{ and false (fail "x") }}', "false"),
]

FAILS = [
    ('{{ fail "no" }}', 'template: template:1:3: executing "template" at <fail "no">: error calling fail: no'),
]


@pytest.mark.parametrize(("text", "printed"), PRINTS)
def test_logic_as_go(text: str, printed: str) -> None:
    """Functions for defaults, choices, types give what sprig gives."""
    assert render(text, DATA) == printed


@pytest.mark.parametrize(("text", "reason"), FAILS)
def test_logic_refused_as_go(text: str, reason: str) -> None:
    """Wrong arguments fail as in sprig."""
    with pytest.raises(TemplateError) as caught:
        render(text, DATA)
    assert caught.value.message == reason
