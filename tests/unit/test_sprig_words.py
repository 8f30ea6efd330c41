"""The sprig functions for wrapping, splitting and joining, as sprig 3.3 has them."""

from __future__ import annotations

import pytest

from kairos_boot.template import render
from tests.unit.sprig_data import DATA

PRINTS = [
    ('{{ wrap 10 "hello world this is long" }}', "hello\nworld this\nis long"),
    ('{{ wrapWith 5 "\\t" "Hello World" }}', "Hello\tWorld"),
    ('{{ wrap 5 "abcdefghijkl" }}', "abcdefghijkl"),
    ('{{ wrapWith 4 "|" "abcdefgh ij" }}', "abcd|efgh|ij"),
    ('{{ wrap 0 "ab c" }}', "ab\nc"),
    ('{{ wrap 6 "a  b   c    d" }}', "a  b  \nc    d"),
    ('{{ wrap 5 "abcde fghij" }}', "abcde\nfghij"),
    ('{{ wrap 5 "abcd  efgh" }}', "abcd \nefgh"),
    ('{{ wrap 3 "a\\nb cd" }}', "a\nb\ncd"),
    (
        '{{ split "$" "foo$bar$baz" }} {{ (split "," "a,b")._1 }} {{ splitn "$" 2 "foo$bar$baz" }} {{ splitList "," "a,b,c" }} {{ splitList "" "abc" }} {{ splitn "" 2 "abc" }} {{ splitn "," 0 "a,b" }} {{ splitn "," -1 "a,b" }} {{ (split "," "a,b")._9 }}',
        "map[_0:foo _1:bar _2:baz] b map[_0:foo _1:bar$baz] [a b c] [a b c] map[_0:a _1:bc] map[] map[_0:a _1:b] <no value>",
    ),
    ('{{ toStrings (list 1 "a" nil true) }}', "[1 a true]"),
    ("{{ toStrings 3 }}", "[3]"),
    ("{{ toStrings nil }}", "[]"),
    ('{{ join "," (list 1 "a" nil) }}', "1,a"),
    ('{{ join "-" "x" }}', "x"),
    ('{{ join "," nil }}', ""),
    ('{{ sortAlpha (list "b" "a" 3) }}', "[3 a b]"),
    ("{{ sortAlpha 3 }}", "[3]"),
    ('{{ wrap 5 "abcdefghijkl mno pq" }}', "abcdefghijkl\nmno\npq"),
    ('{{ wrapWith 4 "|" "abcdefgh ijkl mnopq" }}', "abcd|efgh|ijkl|mnop|q"),
    ('{{ wrapWith 4 "|" "abcde fgh" }}', "abcd|e|fgh"),
    ('{{ wrapWith 3 "|" "abc def" }}', "abc|def"),
    ('{{ wrap 4 "é é é é é" }}', "é\né\né\né\né"),
    ('{{ wrapWith 4 "" "abcd efgh" }}', "abcd\nefgh"),
    ('{{ wrapWith 2 "|" "  abc" }}', "ab|c"),
]


@pytest.mark.parametrize(("text", "printed"), PRINTS)
def test_words_as_go(text: str, printed: str) -> None:
    """Functions for wrapping, splitting and joining give what sprig gives."""
    assert render(text, DATA) == printed
