"""The decoder against the rules of scalars (yip's decoder), written a second time as patterns, over generated texts."""

from __future__ import annotations

import random
import re

import pytest

from kairos_boot.cloudconfig.decode import decode

COUNT = 6000
WHOLE = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|0[0-7]*|[1-9][0-9]*)")
FRACTION = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
YES, NO = {"y", "yes", "on", "true"}, {"n", "no", "off", "false"}
LIMIT = 1 << 63


def number(text: str) -> int | None:
    """What a plain text is in a field of whole numbers; None where it is refused."""
    if not text or text[0] not in "+-.0123456789":
        return None
    plain = text if text[0] == "." else text.replace("_", "")
    if WHOLE.fullmatch(plain):
        bare = plain.lstrip("+-")
        base = {"x": 16, "o": 8, "b": 2}.get(bare[1:2].lower(), 8 if bare[0] == "0" else 10)
        value = int(bare[2:] if bare[1:2].isalpha() else bare, base) * (-1 if plain[0] == "-" else 1)
    elif FRACTION.fullmatch(plain):
        float_value = float(plain)
        if abs(float_value) >= LIMIT:
            return None
        value = int(float_value)
    else:
        return None
    return value if -LIMIT <= value < LIMIT else None


def truth(text: str) -> bool | None:
    """What a plain text is in a field of yes and no: three ways to write a word's letters, no other."""
    word = text.lower()
    if text not in (word, word.capitalize(), word.upper()):
        return None
    return True if word in YES else False if word in NO else None


def read(key: str, text: str) -> object:
    """The value of *key* of a step as the decoder reads it; None where it drops the document."""
    document = decode(f"stages:\n  s:\n  - {key}: {text}\n".encode(), "/d.yaml")
    return None if document.broken else document.stages["s"][0].get(key, document.stages["s"][0])


def texts(alphabet: str, seed: int) -> list[str]:
    """Short texts that look like scalars, and never like YAML's own marks."""
    source = random.Random(seed)
    found = ["".join(source.choice(alphabet) for _ in range(source.randrange(1, 8))) for _ in range(COUNT)]
    return [text for text in dict.fromkeys(found) if text not in ("-", "---", "...")]


@pytest.mark.parametrize("alphabet", ["0123456789_+-.eE", "01xXoObB_7af", "0.5e-+9"])
def test_whole_numbers_follow_the_rules(alphabet: str) -> None:
    def timeout(text: str) -> object:
        document = decode(f"stages: {{s: [{{downloads: [{{timeout: {text}}}]}}]}}\n".encode(), "/d.yaml")
        return None if document.broken else document.stages["s"][0]["downloads"][0]["timeout"]

    wrong = [(text, number(text), got) for text in texts(alphabet, 1) if (got := timeout(text)) != number(text)]
    assert wrong == []


def test_booleans_follow_the_rules() -> None:
    source = random.Random(2)
    words = [w for word in (*YES, *NO, "null", "tru", "yess", "nay") for w in (word, word.capitalize(), word.upper(), word.swapcase())]
    words += ["".join(source.choice((c.lower(), c.upper())) for c in source.choice(words)) for _ in range(COUNT // 10)]
    wrong = []
    for word in words:
        if word in ("null", "Null", "NULL"):
            continue
        document = decode(f"stages: {{s: [{{packages: {{refresh: {word}}}}}]}}\n".encode(), "/d.yaml")
        got = None if document.broken else document.stages["s"][0]["packages"]["refresh"]
        if got is not truth(word):
            wrong.append((word, truth(word), got))
    assert wrong == []


@pytest.mark.parametrize("alphabet", ["0123456789_+-.eE", "yesnoYN01~x", "tfTFrueals=<:.-"])
def test_a_text_field_keeps_every_plain_scalar_as_it_is_written(alphabet: str) -> None:
    wrong = []
    for text in texts(alphabet, 3):
        if text.startswith(("- ", ":", "<<", "-:")) or text.endswith(":") or text in ("~", ":", "-") or ": " in text:
            continue  # null, a key, or a mark of YAML
        got = read("hostname", text)
        if got != text:
            wrong.append((text, got))
    assert wrong == []
