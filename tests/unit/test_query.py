"""Paths of `config get` and `state get`."""

from __future__ import annotations

from typing import Any

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.node.query import EVERY, by_jq, follow, path_of
from kairos_boot.system.process import Result


@pytest.mark.parametrize(("query", "parts"), [
    ("install.device", ["install", "device"]), (".install", ["install"]), ("users[0].name", ["users", 0, "name"]), ("", []), (".", []),
    ('"k3s-agent".enabled', ["k3s-agent", "enabled"]), ('["k3s-agent"]', ["k3s-agent"]), ("k3s-agent.args[]", ["k3s-agent", "args", EVERY]),
    ("a | keys", None), ("a[", None), ("a..b", None), ("a.", None), ("a[-1]", None), ("length(a)", None),
])
def test_a_plain_path_is_told_from_a_query_of_jq(query: str, parts: list[Any] | None) -> None:
    assert path_of(query) == parts


DATA = {"a": [{"b": 1}, {"b": 2}], "t": "text", "n": None}


@pytest.mark.parametrize(("query", "found"), [("a[1].b", [2]), ("a[].b", [1, 2]), ("x.y", []), ("a[7]", []), ("n.x", []), ("t", ["text"])])
def test_what_is_missing_is_nothing(query: str, found: list[Any]) -> None:
    assert follow(DATA, path_of(query) or [], lambda item: item) == found


@pytest.mark.parametrize("query", ["t.x", "a.b", "t[0]", "t[]"])
def test_a_part_of_what_has_none_is_an_error(query: str) -> None:
    with pytest.raises(KairosError):
        follow(DATA, path_of(query) or [], lambda item: item)


class Jq:
    """A process runner with one answer."""

    def __init__(self, answer: Result | KairosError) -> None:
        super().__init__()
        self.answer = answer

    def run(self, argv: Any, **_: Any) -> Result:
        if isinstance(self.answer, KairosError):
            raise self.answer
        return self.answer


def test_anything_else_is_for_jq_and_says_so_where_there_is_none() -> None:
    assert by_jq("a | length", DATA, Jq(Result(0, "2\n"))) == [2]
    with pytest.raises(KairosError, match="needs the program jq"):
        by_jq("a | length", DATA, Jq(KairosError("cannot run jq: No such file or directory")))
    with pytest.raises(KairosError, match="syntax error"):
        by_jq("a |", DATA, Jq(Result(3, "syntax error\n")))
