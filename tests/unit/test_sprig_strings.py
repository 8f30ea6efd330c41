"""The sprig functions for trimming, case, parts and tests of strings, as sprig 3.3 has them."""

from __future__ import annotations

import pytest

from kairos_boot.template import TemplateError, render
from tests.unit.sprig_data import DATA

PRINTS = [
    (
        '{{ trim "  t\\n " }}|{{ trimAll "$" "$5$" }}|{{ trimall "ab" "abcba" }}|{{ trimPrefix "a" "aab" }}|{{ trimSuffix "b" "abb" }}|{{ trimAll "" " a " }}',
        "t|5|c|ab|ab| a ",
    ),
    ('{{ upper "aßé" }}', "AßÉ"),
    ('{{ lower "AÉİ" }}', "aéi"),
    ("{{ title \"hello wORLD foo-bar it's a_b 1ab\" }}", "Hello WORLD Foo-Bar It'S A_b 1ab"),
    ('{{ untitle "Hello WORLD Foo-Bar" }}', "hello wORLD foo-Bar"),
    ('{{ swapcase "aB Cd 1x" }}', "Ab cD 1X"),
    ('{{ swapcase "This Is A.Test" }}', "tHIS iS a.tEST"),
    ('{{ repeat 3 "ab" }}', "ababab"),
    ('{{ substr 0 3 "abcdef" }}', "abc"),
    ('{{ substr 2 -1 "abcdef" }}', "cdef"),
    ('{{ substr -1 3 "abcdef" }}', "abc"),
    ('{{ substr 1 100 "abc" }}', "bc"),
    ('{{ substr 0 2 "héé" | len }}', "2"),
    ('{{ trunc 3 "abcdef" }}', "abc"),
    ('{{ trunc -3 "abcdef" }}', "def"),
    ('{{ trunc 10 "abc" }}', "abc"),
    ('{{ trunc -10 "abc" }}', "abc"),
    ('{{ trunc 0 "abc" }}', ""),
    ('{{ trunc -3 "abc" }}', "abc"),
    ('{{ trunc 2 "é→" }}', "é"),
    ('{{ abbrev 5 "hello world" }}', "he..."),
    ('{{ abbrev 3 "hello" }}', "hello"),
    ('{{ abbrev 20 "hello" }}', "hello"),
    ('{{ abbrev 4 "hello world" }}', "h..."),
    ('{{ abbrevboth 5 10 "1234 5678 9123" }}', "...5678..."),
    ('{{ abbrevboth 0 8 "hello world xyz" }}', "hello..."),
    ('{{ abbrevboth 5 6 "hello world" }}', "hello world"),
    ('{{ abbrevboth 20 10 "hello world foo bar baz" }}', "...bar baz"),
    ('{{ abbrevboth 5 7 "hello world and more" }}', "... ..."),
    ('{{ abbrevboth 4 9 "hello world and more" }}', "hello ..."),
    ('{{ nospace "a b\\tc\\n d" }}', "abcd"),
    ('{{ initials "First Try" }}', "FT"),
    ('{{ initials "first  try x" }}', "ftx"),
    ('{{ initials "  aa.bb-cc dd" }}', "ad"),
    ('{{ contains "b" "abc" }}', "true"),
    ('{{ hasPrefix "a" "abc" }}', "true"),
    ('{{ hasSuffix "a" "abc" }}', "false"),
    ('{{ quote "a\\"b" 1 nil true .Values.nope 1.5 }}', '"a\\"b" "1" "true" "1.5"'),
    ("{{ squote \"a'b\" 1 nil true }}", "'a'b' '1' 'true'"),
    ("{{ quote .Values.l }}", '"[a b]"'),
    ('{{ cat "a" 1 nil "b" }}', "a 1 b"),
    ("{{ quote }}", ""),
    ('{{ indent 2 "a\\nb\\n\\nc" }}', "  a\n  b\n  \n  c"),
    ('{{ nindent 4 "a\\nb" }}', "\n    a\n    b"),
    ('{{ replace "a" "b" "banana" }}', "bbnbnb"),
    ('{{ plural "one" "many" 1 }}', "one"),
    ('{{ plural "one" "many" 2 }}', "many"),
    ('{{ replace "" "-" "abc" }}', "-a-b-c-"),
    ("{{ toString 3 }}", "3"),
    ("{{ toString true }}", "true"),
    ("{{ toString .Values.l }}", "[a b]"),
    ("{{ toString nil }}", "<nil>"),
    ("{{ toString 1.5 }}", "1.5"),
    ("{{ hello }}", "Hello!"),
    ('{{ "a" | upper | printf "%s-%s" "x" }}', "x-A"),
    ('{{ trunc 2.0 "b" }}', "b"),
    ("upper }}", "upper }}"),
]

FAILS = [
    (
        '{{ "x" | repeat -1 }}',
        'template: template:1:9: executing "template" at <repeat -1>: error calling repeat: strings: negative Repeat count',
    ),
    (
        '{{ substr 5 2 "abcdef" }}',
        'template: template:1:3: executing "template" at <substr 5 2 "abcdef">: error calling substr: runtime error: slice bounds out of range [5:2]',
    ),
    (
        '{{ substr 10 12 "abc" }}',
        'template: template:1:3: executing "template" at <substr 10 12 "abc">: error calling substr: runtime error: slice bounds out of range [10:3]',
    ),
    (
        '{{ substr 10 -1 "abc" }}',
        'template: template:1:3: executing "template" at <substr 10 -1 "abc">: error calling substr: runtime error: slice bounds out of range [10:3]',
    ),
    (
        '{{ substr -1 10 "abc" }}',
        'template: template:1:3: executing "template" at <substr -1 10 "abc">: error calling substr: runtime error: slice bounds out of range [:10] with length 3',
    ),
]


@pytest.mark.parametrize(("text", "printed"), PRINTS)
def test_strings_as_go(text: str, printed: str) -> None:
    """Functions for trimming, case, parts and tests of strings give what sprig gives."""
    assert render(text, DATA) == printed


@pytest.mark.parametrize(("text", "reason"), FAILS)
def test_strings_refused_as_go(text: str, reason: str) -> None:
    """Wrong arguments fail as in sprig."""
    with pytest.raises(TemplateError) as caught:
        render(text, DATA)
    assert caught.value.message == reason
