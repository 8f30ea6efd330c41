"""Requirements: `analyze` tells from the ledger where the time of a boot went."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from kairos_boot.cli import analyze as verb
from kairos_boot.cli.arguments import UsageError
from kairos_boot.reports.analyze import blame, critical_chain, svg, timeline
from kairos_boot.reports.history import Boot
from kairos_boot.stages.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def boot(tmp_path: Path) -> Boot:
    now = [2.0]
    ledger = Ledger(str(tmp_path), "b1", clock=lambda: 1000.0 + now[0], monotonic=lambda: now[0])
    for stage, gap, steps in (("rootfs", 1.0, (("A.long", 0.7, "done"), ("A.<short> & \x01", 0.001, "done"), ("A.no", 0.0, "skipped"))),
                              ("boot", 5.0, (("B.x", 2.0, "failed"),)), ("reconcile", 300.0, (("R.late", 9.0, "done"),))):
        now[0] += gap
        begin = now[0]
        ledger.write("stage", event="start", stage=stage)
        for name, duration, result in steps:
            now[0] += duration
            ledger.write("step", stage=stage, step=name, file="/f", result=result, reason="", duration=duration)
        ledger.write("stage", event="end", stage=stage, result="done", duration=now[0] - begin)
    with open(ledger.path, "rb") as file:
        return Boot("b1", file.read())


def test_blame_lists_the_longest_first_and_no_skipped_step(boot: Boot) -> None:
    assert [line.split()[3] for line in blame(boot)[:3]] == ["R.late", "B.x", "A.long"]
    assert not any("A.no" in line for line in blame(boot))


def test_the_chain_goes_back_through_the_boot_and_names_the_waits(boot: Boot) -> None:
    text = "\n".join(critical_chain(boot))
    words = ["boot @", "B.x @", "until then +5.00 s", "rootfs @3.00 s", "A.long @", "1 shorter step +1 ms", "until then +3.00 s"]
    places = [text.index(word) for word in words]
    assert places == sorted(places)
    assert "reconcile" not in text
    assert "ended 10.70 s after" in text


def test_the_timeline_has_every_stage_on_one_scale(boot: Boot) -> None:
    lines = timeline(boot)
    [rootfs] = [line for line in lines if line.endswith(" rootfs")]
    [reconcile] = [line for line in lines if line.endswith(" reconcile")]
    assert rootfs.index("#") < reconcile.index("#")
    assert any("A.long" in line for line in lines)


def test_the_picture_is_xml_whatever_the_names_are(boot: Boot) -> None:
    tree = ET.fromstring(svg(boot))
    titles = [element.text or "" for element in tree.iter("{http://www.w3.org/2000/svg}title")]
    assert any(title.startswith("A.<short> & ") for title in titles)
    assert sum(title.startswith("B.x") for title in titles) == 1


def test_an_empty_ledger_is_told_so() -> None:
    empty = Boot("b", b"")
    for report in (blame, timeline, critical_chain):
        [line] = report(empty)
        assert line.startswith("no ")
    ET.fromstring(svg(empty))


def test_an_unknown_report_is_wrong_usage() -> None:
    with pytest.raises(UsageError):
        verb.run(["blam"])
