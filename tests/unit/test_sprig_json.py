"""The sprig functions for JSON, as sprig 3.3 has them."""

from __future__ import annotations

import pytest

from kairos_boot.template import render
from tests.unit.sprig_data import DATA

PRINTS = [
    (
        "{{ toJson .Values }}",
        '{"b":2097152,"e":"","el":[],"em":{},"f":131072,"l":["a","b"],"m":1000000,"network":[{"macaddress":"52:54","name":"eth0"},{"name":"eth1"}],"nil":null,"node":{"hostname":"labhost","n":3},"q":1.5,"t":true,"u":"hé→x","z":0}',
    ),
    ('{{ toJson "a<b>&\\u2028\\x01" }}', '"a\\u003cb\\u003e\\u0026\\u2028\\u0001"'),
    ('{{ toRawJson "a<b>&" }}', '"a<b>&"'),
    ("{{ toJson 1.0 }}", "1"),
    ("{{ toJson 1e21 }}", "1e+21"),
    ("{{ toJson 1e-7 }}", "1e-7"),
    ("{{ toJson nil }}", "null"),
    ('{{ toJson (list 1 nil (dict "z" 1 "a" true)) }}', '[1,null,{"a":true,"z":1}]'),
    ("{{ toJson 1e300 }}", "1e+300"),
    ("{{ toJson .Values.b }}", "2097152"),
    ("{{ toJson 123456789.125 }}", "123456789.125"),
    ('{{ toJson "\\x7fé" }}', '"\x7fé"'),
    ('{{ toJson "\\b\\f" }}', '"\\b\\f"'),
    ('{{ toPrettyJson (dict "a" (list 1 2) "b" dict "c" list) }}', '{\n  "a": [\n    1,\n    2\n  ],\n  "b": {},\n  "c": []\n}'),
    ('{{ fromJson "{\\"a\\": [1, 2.5, \\"x\\", null, true]}" }}', "map[a:[1 2.5 x <nil> true]]"),
    ('{{ (fromJson "{\\"a\\": 3}").a }}', "3"),
    ('{{ fromJson "3" }}', "3"),
    ('{{ fromJson "x" }}', "<no value>"),
    ('{{ (fromJson "{\\"a\\":{\\"b\\":1e6}}").a.b }}', "1e+06"),
    ('{{ fromJson "NaN" }}', "<no value>"),
]


@pytest.mark.parametrize(("text", "printed"), PRINTS)
def test_json_as_go(text: str, printed: str) -> None:
    """Functions for JSON give what sprig gives."""
    assert render(text, DATA) == printed
