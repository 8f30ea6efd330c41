"""The sprig functions for lists, as sprig 3.3 has them."""

from __future__ import annotations

import pytest

from kairos_boot.template import TemplateError, render
from tests.unit.sprig_data import DATA

PRINTS = [
    ("{{ list 1 2 }}", "[1 2]"),
    ('{{ tuple 1 "a" }}', "[1 a]"),
    ("{{ first (list 1 2) }}", "1"),
    ("{{ last (list 1 2) }}", "2"),
    ("{{ rest (list 1 2 3) }}", "[2 3]"),
    ("{{ initial (list 1 2 3) }}", "[1 2]"),
    ("{{ append (list 1) 2 }}", "[1 2]"),
    ("{{ push (list 1) 2 }}", "[1 2]"),
    ("{{ prepend (list 1) 0 }}", "[0 1]"),
    ("{{ concat (list 1) (list 2 3) }}", "[1 2 3]"),
    ("{{ reverse (list 1 2) }}", "[2 1]"),
    ('{{ uniq (list 1 1 "1" 2) }}', "[1 1 2]"),
    ("{{ without (list 1 2 3) 2 }}", "[1 3]"),
    ("{{ has 1 (list 1 2) }}", "true"),
    ('{{ has "1" (list 1 2) }}', "false"),
    ('{{ compact (list 1 0 "" nil "a") }}', "[1 a]"),
    ("{{ chunk 2 (list 1 2 3) }}", "[[1 2] [3]]"),
    ("{{ slice (list 1 2 3) 1 }}", "[2 3]"),
    ("{{ slice (list 1 2 3) 1 2 }}", "[2]"),
    ("{{ first list }}", "<no value>"),
    ("{{ last list }}", "<no value>"),
    ("{{ rest list }}", "[]"),
    ("{{ initial list }}", "[]"),
    ("{{ first (until 3) }}", "0"),
    ("{{ has 1 nil }}", "false"),
    ("{{ slice list 0 1 }}", "<no value>"),
    ("{{ slice (list 1 2 3) }}", "[1 2 3]"),
    ('{{ slice (list 1 2 3) "1" }}', "[2 3]"),
    ("{{ list 1.0 1e6 | toJson }}", "[1,1000000]"),
    ("{{ list 1 2 | toString }}", "[1 2]"),
    ('{{ printf "%s" (list "a" 1) }}', "[a %!s(int=1)]"),
    ('{{ list 1 nil "a" }}', "[1 <nil> a]"),
    ('{{ printf "%v" (list nil 1) }}', "[<nil> 1]"),
    ('{{ printf "%#v" (list nil 1) }}', "[]interface {}{interface {}(nil), 1}"),
    ("{{ (list 1 2) }}", "[1 2]"),
    ("{{ range $i, $e := list 1 2 }}{{ with $e }}{{ $i }}{{ . }}{{ end }}{{ end }}", "0112"),
    ('{{ index (list 1 2) 0 | printf "%d" }}', "1"),
]

FAILS = [
    (
        '{{ reverse "a" }}',
        'template: template:1:3: executing "template" at <reverse "a">: error calling reverse: Cannot find reverse on type string',
    ),
    (
        '{{ first "abc" }}',
        'template: template:1:3: executing "template" at <first "abc">: error calling first: Cannot find first on type string',
    ),
    (
        '{{ mustFirst "abc" }}',
        'template: template:1:3: executing "template" at <mustFirst "abc">: error calling mustFirst: Cannot find first on type string',
    ),
    (
        '{{ has 1 "abc" }}',
        'template: template:1:3: executing "template" at <has 1 "abc">: error calling has: Cannot find has on type string',
    ),
    ('{{ uniq "a" }}', 'template: template:1:3: executing "template" at <uniq "a">: error calling uniq: Cannot find uniq on type string'),
]


@pytest.mark.parametrize(("text", "printed"), PRINTS)
def test_lists_as_go(text: str, printed: str) -> None:
    """Functions for lists give what sprig gives."""
    assert render(text, DATA) == printed


@pytest.mark.parametrize(("text", "reason"), FAILS)
def test_lists_refused_as_go(text: str, reason: str) -> None:
    """Wrong arguments fail as in sprig."""
    with pytest.raises(TemplateError) as caught:
        render(text, DATA)
    assert caught.value.message == reason
