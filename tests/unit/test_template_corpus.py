"""Published configurations: every action in them is understood."""

from __future__ import annotations

import os

import pytest

from kairos_boot.template import TemplateError, check, render

CORPUS = os.path.join(__file__.rpartition("/tests/")[0], "..", "shared", "corpus")
ELSEWHERE = ("{{<", "{{%")
"""Short codes of a web site generator in the prose around the configurations."""
FACTS: dict[str, object] = {
    "Values": {
        "node": {"hostname": "labhost"},
        "product": {"uuid": "0000-1"},
        "network": [{"name": "eth0", "macaddress": "52:54:00:00:00:01"}],
        "memory": {"size": 2097152.0},
        "Random": "abcdefgh",
    },
    "MachineID": "3f1c0a5d9b7e4c28",
    "Random": "abcdefgh",
}


def lines() -> list[str]:
    """The lines of the corpus with an action in them."""
    found = set()
    for directory, _, names in os.walk(CORPUS):
        for name in names:
            with open(os.path.join(directory, name), encoding="utf-8", errors="surrogateescape") as file:
                found |= {line for line in file if "{{" in line and not any(mark in line for mark in ELSEWHERE)}
    return sorted(found)


@pytest.mark.skipif(not os.path.isdir(CORPUS), reason="the corpus of published configurations is not beside this checkout")
def test_every_action_of_the_corpus_is_understood() -> None:
    """All of them parse and render; only the function of configuration URLs is unknown, and named."""
    unknown = []
    for line in lines():
        text = line.replace('\\"', '"')
        try:
            check(text)
        except TemplateError as error:
            unknown.append(error.function)
            continue
        assert "{{" not in render(text, FACTS)
    assert set(unknown) <= {"required"}
    assert lines()


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("kairos-{{ trunc 4 .MachineID }}", "kairos-3f1c"),
        ("{{ (index .Values.network 0).macaddress }}", "52:54:00:00:00:01"),
        ("{{.Values.node.hostname}}", "labhost"),
        ("{{ .Values.memory.size }}", "2.097152e+06"),
        ("{{ .Values.nope }} {{ .Values.nope.deeper }}", "<no value> <no value>"),
    ],
)
def test_actions_in_use(text: str, printed: str) -> None:
    """What Kairos and its documentation write, with the facts of a machine."""
    assert render(text, FACTS) == printed
