"""The sprig functions for randomness: the form of what they give, and that it differs."""

from __future__ import annotations

import pytest

from kairos_boot.template import TemplateError, render

DIGITS = frozenset("0123456789")
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


@pytest.mark.parametrize(
    ("name", "allowed"),
    [("randAlpha", LETTERS), ("randNumeric", DIGITS), ("randAlphaNum", LETTERS | DIGITS), ("randAscii", frozenset(map(chr, range(32, 127))))],
)
def test_random_words_have_their_letters(name: str, allowed: frozenset[str]) -> None:
    """As many as asked for, of the kind asked for, others each time."""
    words = {render("{{ " + name + " 64 }}", {}) for _ in range(5)}
    assert len(words) == 5
    assert all(len(word) == 64 and set(word) <= allowed for word in words)
    assert render("{{ " + name + " 0 }}", {}) == ""


def test_uuid_is_of_version_four() -> None:
    """Groups of 8-4-4-4-12 hexadecimal digits with the version and variant of RFC 9562."""
    text = render("{{ uuidv4 }}", {})
    assert [len(part) for part in text.split("-")] == [8, 4, 4, 4, 12]
    assert text[14] == "4"
    assert text[19] in "89ab"
    assert text != render("{{ uuidv4 }}", {})


def test_shuffle_keeps_the_letters() -> None:
    """Only their order changes."""
    text = render('{{ shuffle "abcdefghijklmnopqrstuvwxyz0123456789" }}', {})
    assert sorted(text) == sorted("abcdefghijklmnopqrstuvwxyz0123456789")
    assert text != "abcdefghijklmnopqrstuvwxyz0123456789"


def test_random_number_lies_between_its_bounds() -> None:
    """The lower bound is possible, the upper one is not."""
    found = {render("{{ randInt -1 2 }}", {}) for _ in range(200)}
    assert found == {"-1", "0", "1"}
    with pytest.raises(TemplateError, match="randInt"):
        render("{{ randInt 3 3 }}", {})


def test_random_bytes_are_base64() -> None:
    """As many bytes as asked for, encoded."""
    assert render("{{ randBytes 16 | b64dec | len }}", {}) == "16"
