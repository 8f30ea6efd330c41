"""The sprig functions for conversion and arithmetic, as sprig 3.3 has them."""

from __future__ import annotations

import pytest

from kairos_boot.template import TemplateError, render
from tests.unit.sprig_data import DATA

PRINTS = [
    ('{{ atoi "12" }}', "12"),
    ('{{ atoi "x" }}', "0"),
    ('{{ atoi "-3" }}', "-3"),
    ('{{ atoi "1.5" }}', "0"),
    ('{{ atoi " 1" }}', "0"),
    ('{{ atoi "012" }}', "12"),
    ('{{ int "7" }}', "7"),
    ('{{ int "0x10" }}', "16"),
    ('{{ int "010" }}', "8"),
    ('{{ int "7.9" }}', "0"),
    ('{{ int "7.0" }}', "7"),
    ("{{ int 7.9 }}", "7"),
    ("{{ int true }}", "1"),
    ("{{ int nil }}", "0"),
    ('{{ int "abc" }}', "0"),
    ('{{ int "" }}', "0"),
    ('{{ int64 "3" }}', "3"),
    ('{{ float64 "1.5" }}', "1.5"),
    ('{{ float64 "x" }}', "0"),
    ("{{ float64 3 }}", "3"),
    ('{{ toDecimal "0777" }}', "511"),
    ("{{ toDecimal 777 }}", "511"),
    ('{{ toDecimal "9" }}', "0"),
    ("{{ int -7.9 }}", "-7"),
    ('{{ int "-5" }}', "-5"),
    ('{{ int "+5" }}', "5"),
    ('{{ int "1e3" }}', "0"),
    ('{{ int "1_000" }}', "1000"),
    ('{{ int "0b11" }}', "3"),
    ('{{ int "0o7" }}', "7"),
    ("{{ add 1 2 3 }}", "6"),
    ("{{ add }}", "0"),
    ("{{ add1 3 }}", "4"),
    ("{{ sub 5 2 }}", "3"),
    ("{{ div 7 2 }}", "3"),
    ("{{ div -7 2 }}", "-3"),
    ("{{ mod 7 2 }}", "1"),
    ("{{ mod -7 2 }}", "-1"),
    ("{{ mul 2 3 4 }}", "24"),
    ('{{ add "3" 4.7 true }}', "8"),
    ("{{ max 1 5 3 }}", "5"),
    ("{{ min 1 5 3 }}", "1"),
    ("{{ biggest 1 2 }}", "2"),
    ("{{ maxf 1.5 3 }}", "3"),
    ("{{ minf 1.5 3 }}", "1.5"),
    ("{{ mul 9223372036854775807 2 }}", "-2"),
    ("{{ addf 1.5 2 3 }}", "6.5"),
    ("{{ add1f 1.5 }}", "2.5"),
    ("{{ subf 7.5 2 3 }}", "2.5"),
    ("{{ divf 10 2 4 }}", "1.25"),
    ("{{ mulf 1.5 2 2 }}", "6"),
    ("{{ addf 0.1 0.2 }}", "0.3"),
    ("{{ divf 1 3 }}", "0.3333333333333333"),
    ("{{ divf 2 3 }}", "0.6666666666666667"),
    ("{{ ceil 123.001 }}", "124"),
    ("{{ floor 123.9 }}", "123"),
    ("{{ floor -1.5 }}", "-2"),
    ("{{ ceil -1.5 }}", "-1"),
    ("{{ round 123.555555 3 }}", "123.556"),
    ("{{ round 123.5 0 }}", "124"),
    ("{{ round 123.49999 0 }}", "123"),
    ("{{ round -2.5 0 }}", "-3"),
    ("{{ round 2.5 0 }}", "3"),
    ("{{ round 1234.5 -2 }}", "1200"),
    ("{{ round 123.54 1 0.3 }}", "123.6"),
    ('{{ floor "1.5" }}', "1"),
    ("{{ mulf 0.1 3 }}", "0.3"),
    ("{{ subf 0.3 0.1 }}", "0.2"),
    ("{{ seq 5 }}", "1 2 3 4 5"),
    ("{{ seq -3 }}", "1 0 -1 -2 -3"),
    ("{{ seq 0 }}", "1 0"),
    ("{{ seq 2 5 }}", "2 3 4 5"),
    ("{{ seq 5 2 }}", "5 4 3 2"),
    ("{{ seq 0 2 10 }}", "0 2 4 6 8 10"),
    ("{{ seq 0 -2 -5 }}", "0 -2 -4"),
    ("{{ seq 1 2 }}", "1 2"),
    ("{{ seq }}", ""),
    ("{{ seq 5 -2 0 }}", "5 3 1"),
    ("{{ seq 0 0 5 }}", ""),
    ("{{ seq 1 -1 5 }}", ""),
    ("{{ seq 1 2 3 4 }}", ""),
    ("{{ seq 2 2 }}", "2"),
    ("{{ until 5 }}", "[0 1 2 3 4]"),
    ("{{ until -3 }}", "[0 -1 -2]"),
    ("{{ until 0 }}", "[]"),
    ("{{ untilStep 3 6 2 }}", "[3 5]"),
    ("{{ untilStep 6 3 -1 }}", "[6 5 4]"),
    ("{{ untilStep 0 5 -1 }}", "[]"),
    ("{{ untilStep 5 0 1 }}", "[]"),
    ("{{ untilStep 0 10 3 }}", "[0 3 6 9]"),
    ("{{ untilStep 0 5 0 }}", "[]"),
    ("{{ range until 6 }}{{ if eq . 2 }}{{ continue }}{{ end }}{{ if eq . 4 }}{{ break }}{{ end }}{{ . }}{{ end }}", "013"),
    ("{{ .Values.b | int }}", "2097152"),
    (
        "{{ range $i := until 3 }}{{ range $j := until 3 }}{{ if eq $j 1 }}{{ break }}{{ end }}{{ $i }}{{ $j }} {{ end }}{{ end }}",
        "00 10 20 ",
    ),
]

FAILS = [
    (
        "{{ div 1 0 }}",
        'template: template:1:3: executing "template" at <div 1 0>: error calling div: runtime error: integer divide by zero',
    ),
    (
        "{{ mod 1 0 }}",
        'template: template:1:3: executing "template" at <mod 1 0>: error calling mod: runtime error: integer divide by zero',
    ),
]


@pytest.mark.parametrize(("text", "printed"), PRINTS)
def test_numbers_as_go(text: str, printed: str) -> None:
    """Functions for conversion and arithmetic give what sprig gives."""
    assert render(text, DATA) == printed


@pytest.mark.parametrize(("text", "reason"), FAILS)
def test_numbers_refused_as_go(text: str, reason: str) -> None:
    """Wrong arguments fail as in sprig."""
    with pytest.raises(TemplateError) as caught:
        render(text, DATA)
    assert caught.value.message == reason
