"""Which programs a step's texts call: what one of them hides or asks for."""

from __future__ import annotations

import pytest

from kairos_boot.reports.shell_words import called

HERE = "cat > /etc/motd <<EOF\nhello\nEOF\n"


@pytest.mark.parametrize(("texts", "programs"), [
    (["one a b; two"], {"one", "two"}),
    ([HERE, "tool --now"], {"cat", "tool"}),
    (["tool --now", HERE], {"cat", "tool"}),
    (["command -v tool || exit 0", "tool"], set()),
    (["tool", "command -v tool"], set()),
    ([HERE, "command -v tool", "tool"], {"cat"}),
    (["helper() { first; }", "helper; second"], {"first", "second"}),
    (["echo hello", ": comment # tool"], set()),
])  # fmt: skip
def test_each_text_of_a_step_is_read_alone_and_they_know_each_others_names(texts: list[str], programs: set[str]) -> None:
    """A here-document hides the rest of its own text only."""
    assert called(*texts) == programs
