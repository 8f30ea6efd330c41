"""timesyncd: a drop-in whose other keys stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kairos_boot.facts import Facts
from kairos_boot.modules import timesyncd

if TYPE_CHECKING:
    from tests.modules.conftest import MakeStep, Node

PATH = timesyncd.PATH


def test_a_new_file(host: Node, step: MakeStep) -> None:
    """A section Time, world-readable in a world-readable directory."""
    assert host.do(timesyncd, step(timesyncd={"NTP": "0.pool.example"})) == [True]
    assert host.text(PATH) == "[Time]\nNTP = 0.pool.example\n"
    assert (host.mode(PATH), host.mode("/etc/systemd/timesyncd.conf.d")) == (0o644, 0o755)


def test_second_run_changes_nothing(host: Node, step: MakeStep) -> None:
    """The file is not written again."""
    wanted = step(timesyncd={"NTP": "a.example b.example", "FallbackNTP": ""})
    host.do(timesyncd, wanted)
    assert host.text(PATH) == "[Time]\nNTP = a.example b.example\nFallbackNTP =\n"
    before = host.state()
    assert host.do(timesyncd, wanted) == [False]
    assert host.state() == before


def test_what_is_there_stays(host: Node, step: MakeStep) -> None:
    """Comments, other keys and other sections; a repeated key would add servers, so it goes."""
    host.put(PATH, "# mine\n[Other]\nNTP=x\n[Time]\nNTP=old.example\n; why\nRootDistanceMaxSec=9\nNTP=second.example\n\n[Last]\nA=1\n")
    assert host.do(timesyncd, step(timesyncd={"NTP": "new.example", "FallbackNTP": "f.example"})) == [True]
    assert host.text(PATH) == ("# mine\n[Other]\nNTP=x\n[Time]\nNTP = new.example\n; why\nRootDistanceMaxSec=9\nFallbackNTP = f.example\n"
                               "\n[Last]\nA=1\n")


def test_a_file_without_the_section(host: Node, step: MakeStep) -> None:
    """It gets one at its end."""
    host.put(PATH, "[Other]\nA=1\n")
    host.do(timesyncd, step(timesyncd={"NTP": "a"}))
    assert host.text(PATH) == "[Other]\nA=1\n\n[Time]\nNTP = a\n"


def test_values_in_another_form_are_the_same(host: Node, step: MakeStep) -> None:
    """A file written with aligned keys is not rewritten for its blanks."""
    host.put(PATH, "[Time]\nNTP         = a b\nFallbackNTP = c\n")
    before = host.state()
    assert host.do(timesyncd, step(timesyncd={"NTP": "a b", "FallbackNTP": "c"})) == [False]
    assert host.state() == before


def test_wrong_items_do_not_stop_the_others(host: Node, step: MakeStep) -> None:
    """A key that cannot stand in the file, a value of two lines; the right one is written."""
    bad_key, bad_value, done = host.do(timesyncd, step(timesyncd={"N T P": "x", "NTP": "a\n[Evil]", "FallbackNTP": "b"}))
    assert "timesyncd.N T P" in str(bad_key)
    assert "more than one line" in str(bad_value)
    assert done is True
    assert host.text(PATH) == "[Time]\nFallbackNTP = b\n"


def test_a_key_that_timesyncd_does_not_know_is_noted(step: MakeStep) -> None:
    """It would be ignored without a word."""
    note, _ = timesyncd.plan(step(timesyncd={"ntp": "a"}), Facts())
    assert "did you mean NTP?" in note.describe()
    assert timesyncd.plan(step(), Facts()).__next__ is not None
    assert list(timesyncd.plan(step(), Facts())) == []
