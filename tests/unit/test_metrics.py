"""Requirements: a boot in numbers that a collector takes whole, whose figures are those of `status`, and a dashboard that shows what there is."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from kairos_boot.cli import metrics as verb
from kairos_boot.errors import KairosError
from kairos_boot.reports.history import Boot
from kairos_boot.reports.metrics import FAMILIES, PREFIX, text
from kairos_boot.reports.status import as_data
from kairos_boot.stages.ledger import Ledger
from kairos_boot.system.host import Host

DASHBOARD = Path(__file__).parents[2] / "packaging/grafana/kairos-boot.json"
SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (-?[0-9.e+]+)')


def story(folder: Path, mode: str = "active") -> Boot:
    """A boot with a slow, a failing and a skipped step, drift, and an entry that did not boot."""
    now = [1.0]
    ledger = Ledger(str(folder), "b1", lambda: 1_000_000 + now[0], lambda: now[0])
    ledger.write("boot", mode=mode)
    ledger.write("failed-boot", entry="cos", where="", message="gone", hint="", log="", happened=1)
    for stage, steps in (("boot", (("slow", "done", 3.0), ("bad", "failed", 1.0), ("not", "skipped", 0.0))), ("network.after", ())):
        ledger.write("stage", event="start", stage=stage, by="unit")
        for name, result, seconds in steps:
            now[0] += seconds
            ledger.write("step", stage=stage, step=name, file="/oem/a.yaml", result=result, reason="x", duration=seconds)
        ledger.write("stage", event="end", stage=stage, result="degraded" if steps else "done", duration=4.0 if steps else 0.25)
    ledger.write("drift", steps=1, things=7, differences=2, again=[], changed=[], duration=0.1)
    return Boot("b1", (folder / "b1.jsonl").read_bytes())


def samples(told: str) -> dict[str, float]:
    """Each sample by its name and labels. Every line is a comment or a sample."""
    found = {}
    for line in told.splitlines():
        if not line.startswith("#"):
            match = SAMPLE.fullmatch(line)
            assert match, line
            found[line.rpartition(" ")[0].removeprefix(PREFIX)] = float(match[3])
    return found


def test_the_numbers_are_those_of_status(tmp_path: Path) -> None:
    boot = story(tmp_path)
    found, data = samples(text(boot, "1.0")), as_data(boot)
    [stage] = [run for run in data["stages"] if run["stage"] == "boot"]
    assert found['stage_duration_seconds{stage="boot"}'] == stage["duration"] == 4.0
    assert [found[f'stage_steps{{stage="boot",result="{result}"}}'] for result in ("done", "skipped", "failed")] == [stage["done"], stage["skipped"], 1]
    assert found['failures{known="false"}'] == len(data["failures"]) == 1
    assert (found["degraded"], found["running"], found["drift_differences"], found["drift_things"]) == (1, 0, 2, 7)
    assert found['entry_not_booted{entry="cos"}'] == 1
    assert found["boot_duration_seconds"] == 5.25
    assert found["start_time_seconds"] == 1_000_000
    assert found['info{version="1.0",mode="active",boot_id="b1"}'] == 1


def test_foreign_text_ends_no_label(tmp_path: Path) -> None:
    told = text(story(tmp_path, 'a"b\\c\nd\ud800'), "1")
    assert 'mode="a\\"b\\\\c\\nd?"' in told
    samples(told)


def test_an_empty_and_a_damaged_record_have_numbers_too() -> None:
    assert samples(text(Boot("x", b"nonsense\n"), "1"))["ledger_damaged_lines"] == 1


def test_the_file_is_replaced_whole_and_everybody_may_read_it(tmp_path: Path) -> None:
    (tmp_path / ".kairos_boot.prom.kairos-new").write_text("left by a run that was cut")
    os.umask(0o077)
    try:
        for told in ("old", "new"):
            verb.put(str(tmp_path), told)
    finally:
        os.umask(0o022)
    assert [entry.name for entry in tmp_path.iterdir()] == ["kairos_boot.prom"]
    assert (tmp_path / "kairos_boot.prom").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "kairos_boot.prom").stat().st_mode) == 0o644
    with pytest.raises(KairosError, match=r"kairos_boot\.prom"):
        verb.put(str(tmp_path / "none"), "x")


def test_a_unit_that_cannot_write_them_says_so(tmp_path: Path) -> None:
    assert "nothing was recorded" in verb.of_unit(Host(str(tmp_path)), ("/x",))


def expressions(value: Any) -> list[str]:
    """Every query of the dashboard."""
    if isinstance(value, dict):
        return [v for k, v in value.items() if k in ("expr", "query", "definition") and isinstance(v, str)] + [e for v in value.values() for e in expressions(v)]
    return [e for v in value for e in expressions(v)] if isinstance(value, list) else []


def test_the_dashboard_asks_for_what_there_is() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    asked = {name for expression in expressions(dashboard) for name in re.findall(rf"{PREFIX}([a-z_]+)", expression)}
    assert asked
    assert asked <= set(FAMILIES)
    spots = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
    assert len(spots) == len(set(spots))
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in dashboard["panels"])
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(spots)
