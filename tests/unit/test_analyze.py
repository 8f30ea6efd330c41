"""Requirements: `analyze` tells from the ledger where the time of a boot went."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from kairos_boot.cli import analyze as verb
from kairos_boot.cli.arguments import UsageError
from kairos_boot.reports.analyze import blame, timeline
from kairos_boot.reports.chain import critical_chain
from kairos_boot.reports.history import Boot
from kairos_boot.reports.picture import svg
from kairos_boot.reports.spans import Marks
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


def test_the_picture_is_xml_whatever_the_names_are(tmp_path: Path) -> None:
    now = [1.0]
    ledger = Ledger(str(tmp_path), "<b1>", clock=lambda: 1000.0 + now[0], monotonic=lambda: now[0])
    ledger.write("boot", mode="<active>&")
    ledger.write("stage", event="start", stage="boot", by="unit", unit="<u>&.service")
    now[0] += 2.0
    ledger.write("step", stage="boot", step="A.<b> & \x01 \ud800", file="/f", result="failed", reason="", duration=2.0)
    ledger.write("begin", stage="boot", step="A.<c> & \x02", file="/f")
    tree = ET.fromstring(svg(Boot("<b1>", (tmp_path / "<b1>.jsonl").read_bytes())))
    titles = [element.text or "" for element in tree.iter("{http://www.w3.org/2000/svg}title")]
    assert sum("A.<b> & " in title for title in titles) == 1
    assert sum("A.<c> & " in title for title in titles) == 1


def test_an_empty_ledger_is_told_so() -> None:
    empty = Boot("b", b"")
    for report in (blame, timeline, critical_chain):
        [line] = report(empty)
        assert line.startswith("no ")
    ET.fromstring(svg(empty))


def test_an_unknown_report_is_wrong_usage() -> None:
    with pytest.raises(UsageError):
        verb.run(["blam"])


MANAGER = "InitRDTimestampMonotonic=1200000\nUserspaceTimestampMonotonic=4000000\nFinishTimestampMonotonic=12000000\n"
UNITS = """Id=cos-setup-boot.service
InactiveExitTimestampMonotonic=8200000
ActiveEnterTimestampMonotonic=10800000

Id=local-fs.target
InactiveExitTimestampMonotonic=8100000
ActiveEnterTimestampMonotonic=8100000

Id=network-online.target
InactiveExitTimestampMonotonic=0
ActiveEnterTimestampMonotonic=0
"""


def test_the_chain_has_the_marks_of_systemd_and_what_a_stage_waited_for(boot: Boot) -> None:
    lines = critical_chain(boot, Marks(MANAGER, UNITS))
    assert lines[1] == "systemd: the initrd from 1.20 s, the node's own system from 4.00 s, done at 12.00 s"
    assert lines[4:] == [
        "cos-setup-boot.service @8.20 s +2.60 s",
        "├─boot @8.70 s +2.00 s",
        "│ └─B.x @8.70 s +2.00 s failed",
        "├─start of the program @8.20 s +501 ms",
        "└─local-fs.target @8.10 s",
        "  └─kairos-boot-initrd.service @3.00 s +701 ms",
        "    ├─rootfs @3.00 s +701 ms",
        "    │ ├─A.long @3.00 s +700 ms",
        "    │ └─1 shorter step +1 ms",
        "    └─the system, until then +3.00 s",
    ]


def test_marks_of_another_run_of_the_unit_are_not_taken(boot: Boot) -> None:
    """It was started again: systemd knows its last start only."""
    assert "cos-setup-boot.service @8.70 s +2.00 s" in critical_chain(boot, Marks(MANAGER, UNITS.replace("8200000", "99000000").replace("10800000", "99900000")))


def test_the_time_of_a_stage_is_that_of_its_process(tmp_path: Path) -> None:
    """The start of the program is no part of the system (X10)."""
    now = [5.0]
    ledger = Ledger(str(tmp_path), "b1", clock=lambda: 1000.0 + now[0], monotonic=lambda: now[0])
    for stage in ("boot.before", "boot"):
        ledger.write("stage", event="start", stage=stage, by="unit", unit="cos-setup-boot.service", process=4.25)
        now[0] += 1.0
        ledger.write("step", stage=stage, step=f"S.{stage}", file="/f", result="done", reason="", duration=1.0)
        ledger.write("stage", event="end", stage=stage, result="done", duration=1.0)
    boot = Boot("b1", (tmp_path / "b1.jsonl").read_bytes())
    assert critical_chain(boot)[3:] == [
        "cos-setup-boot.service @4.25 s +2.75 s", "├─boot @6.00 s +1.00 s", "│ └─S.boot @6.00 s +1.00 s", "├─boot.before @5.00 s +1.00 s", "│ └─S.boot.before @5.00 s +1.00 s",
        "├─start of the program @4.25 s +750 ms", "└─the system, until then +4.25 s"]
    assert sum("(start of the program)" in line for line in timeline(boot)) == 1
    assert "start of the program · 750 ms" in svg(boot)


def test_the_picture_reads_without_a_mouse(boot: Boot) -> None:
    """Heading, legend, units; every bar has its words inside the picture, and nothing says by colour alone what failed."""
    text = svg(boot, Marks(MANAGER, UNITS))
    for words in ("Boot of the", "seconds since the kernel started", "nothing to change", "✗ B.x · 2.00 s · failed", "systemd is done", "prefers-color-scheme: dark", "1 shorter step, 1 skipped"):
        assert words in text
    width = float(ET.fromstring(text).get("width", "0"))
    for element in ET.fromstring(text).iter("{http://www.w3.org/2000/svg}text"):
        x, room = float(element.get("x", "0")), len(element.text or "") * 6.6
        assert (x - room if element.get("text-anchor") == "end" else x) >= 0, element.text
        assert (x if element.get("text-anchor") == "end" else x + room / (2 if element.get("text-anchor") == "middle" else 1)) <= width, element.text
