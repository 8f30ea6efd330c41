"""Requirements: what is compared is what ran in this boot and still stands in the documents; what the boot itself left otherwise is no drift."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.actions.drift import deviates
from kairos_boot.cloudconfig.decode import decode
from kairos_boot.cloudconfig.model import Document
from kairos_boot.facts import Facts
from kairos_boot.loading.memory import _freeze, _thaw
from kairos_boot.reports import drift as report
from kairos_boot.reports.history import Boot
from kairos_boot.stages.drift import Drift, reconcile
from kairos_boot.stages.ledger import Ledger
from kairos_boot.stages.runner import Options, Outcome, Runner
from kairos_boot.system.host import Host

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Node:
    """A root with a ledger, whose stages are run by *by*."""

    def __init__(self, root: Path, by: str = "unit") -> None:
        self.root = root
        self.host = Host(str(root))
        self.now = 0.0
        self.ledger = Ledger(str(root / "ledger"), "b1", clock=self._time)
        self.told: list[tuple[str, Mapping[str, str]]] = []
        self.runner = Runner(self.host, Facts(), self.ledger, self._log, Options(only=True), {"by": by})

    def _time(self) -> float:
        return os.stat(self.root).st_ctime + self.now

    def _log(self, priority: int, message: str, *, kind: str = "", more: Mapping[str, str] | None = None, **_: object) -> None:
        self.told.append((kind, more or {}))

    def path(self, name: str) -> str:
        """A file below the root, as the documents of these tests name it."""
        return f"{self.root}/{name}"

    def boot(self, *documents: Document, stage: str = "boot") -> None:
        self.runner.emit(stage, lambda: documents)

    def compare(self, *documents: Document) -> list[tuple[str, str]]:
        """Subject and what was found of each difference."""
        with open(self.ledger.path, "rb") as file:
            drift = Drift(self.runner, documents, file.read())
        drift.compare()
        return [(found.subject, found.found) for _, found in drift.found]

    def record(self) -> Boot:
        with open(self.ledger.path, "rb") as file:
            return Boot("b1", file.read())


def step(name: str, **keys: Any) -> dict[str, Any]:
    return {"name": name, "keys": ("name", *keys), "marks": {"": (1, 1)}, **keys}


def file(path: str, content: str = "x\n", **more: Any) -> dict[str, Any]:
    return {"path": path, "content": content, "owner": os.geteuid(), "group": os.getegid(), **more}


def document(*steps: dict[str, Any], stage: str = "boot", **more: Any) -> Document:
    return Document("/oem/d.yaml", "D", {stage: steps}, **more)


def test_what_the_boot_itself_left_otherwise_is_no_drift_until_it_changes_again(tmp_path: Path) -> None:
    node = Node(tmp_path)
    wanted = document(step("a", files=(file("/f"), file("/g"))))
    node.boot(wanted)
    (tmp_path / "f").write_text("by a command of the boot\n")
    (tmp_path / "g").unlink()
    node.now = 3600
    node.boot(document(step("later"), stage="network"), stage="network")  # the boot's end, an hour later
    assert node.compare(wanted) == []


def test_what_changes_after_the_boot_is_drift_and_runs_by_hand_are_no_end_of_a_boot(tmp_path: Path) -> None:
    wanted = document(step("a", files=(file("/f"), file("/g"))))
    for by, end in (("unit", -10), ("hand", 7200)):
        node = Node(tmp_path, by)
        node.boot(wanted)
        (tmp_path / "f").write_text("by a person\n")
        (tmp_path / "g").unlink()
        node.now = end
        node.boot(document(step("later"), stage="network"), stage="network")
        assert [subject for subject, _ in node.compare(wanted)] == ["/f", "/g"]
        os.unlink(node.ledger.path)


def test_a_step_that_did_not_run_declares_nothing(tmp_path: Path) -> None:
    node = Node(tmp_path, "hand")
    node.boot(document(step("a", files=(file("/f"),), if_="false")))
    assert node.compare(document(step("a", files=(file("/f"),), if_="false"), step("b", files=(file("/g"),)))) == []


def test_a_ledger_that_is_damaged_costs_the_lines_that_are(tmp_path: Path) -> None:
    node = Node(tmp_path, "hand")
    wanted = document(step("a", files=(file("/f", permissions=0o640),)))
    node.boot(wanted)
    with open(node.ledger.path, "ab") as ledger:
        ledger.write(b'\n{"kind": "step", "stage": "boot", "content": \n{"kind": "stage", "event": "end", "stage": \n\xff\x00{"kind"')
    (tmp_path / "f").chmod(0o600)
    assert node.compare(wanted) == [("/f", "mode 0600")]


def test_what_cannot_be_looked_at_is_a_difference_with_the_reason(tmp_path: Path) -> None:
    node = Node(tmp_path, "hand")
    wanted = document(step("a", files=(file("/f"), file("/g"))))
    node.boot(wanted)
    (tmp_path / "f").unlink()
    (tmp_path / "f").mkdir()
    [(subject, found)] = node.compare(wanted)
    assert (subject, "not a regular file" in found) == ("/f", True)


def test_many_differences_of_one_document_are_counted(tmp_path: Path) -> None:
    node = Node(tmp_path, "hand")
    wanted = document(step("a", files=tuple(file(f"/f{number}") for number in range(30))))
    node.boot(wanted)
    for number in range(30):
        (tmp_path / f"f{number}").unlink()
    assert len(node.compare(wanted)) == 30
    boot = node.record()
    assert len(boot.differences) == 20
    text = "\n".join(report.as_text(boot, node._time()))
    assert "DRIFT: 30 differences: 30 things of 1 step" in text
    assert "… 10 more" in text
    [more] = [told for kind, told in node.told if kind == "drift"][:1]
    assert dict(more) == {"PATH": "/f0", "WANTED": "write /f0 (2 bytes)", "FOUND": "there is no such file"}


def test_content_is_never_shown(tmp_path: Path) -> None:
    node = Node(tmp_path, "hand")
    wanted = document(step("a", files=(file("/f", "topsecret\n", permissions=0o600),)))
    node.boot(wanted)
    (tmp_path / "f").write_text("othersecret\n")
    node.compare(wanted)
    (tmp_path / "f").chmod(0o644)
    node.compare(wanted)
    with open(node.ledger.path, encoding="utf-8") as ledger:
        assert "secret" not in ledger.read() + repr(node.told)


def test_a_defect_costs_the_comparison_and_not_the_stage(tmp_path: Path) -> None:
    node = Node(tmp_path, "hand")
    wanted = document(step("a", files=(file("/f"),)))
    node.boot(wanted)
    broken = Document("/oem/d.yaml", "D", {"boot": ({"name": "a", "keys": ("files",), "files": 7},)})
    reconcile(node.runner, [broken], node.ledger.path, Outcome())
    assert node.record().drift is None or node.record().differences == []
    reconcile(node.runner, [wanted], node.path("no-ledger"), Outcome())


def test_nothing_compared_is_said(tmp_path: Path) -> None:
    node = Node(tmp_path, "hand")
    node.boot(document(step("a")))
    assert report.as_text(node.record(), 0.0) == [report.NEVER]
    assert report.as_data(node.record())["compared"] is None


def test_a_unit_deviates_only_where_it_is_not_as_it_was_made() -> None:
    steady = {"ActiveState": "active", "SubState": "running", "UnitFileState": "enabled", "LoadState": "loaded", "Result": "success", "Type": "simple"}
    once = {**steady, "ActiveState": "inactive", "SubState": "dead", "Type": "oneshot", "RemainAfterExit": "no"}
    assert [deviates(verb, steady) for verb in ("start", "enable", "disable", "mask")] == ["", "", "enabled", "enabled"]
    assert deviates("start", once) == ""
    assert deviates("start", {**once, "Result": "exit-code", "ActiveState": "failed", "SubState": "failed"}) == "failed (failed), exit-code"
    assert deviates("start", {**steady, "ActiveState": "inactive", "SubState": "dead"}) == "inactive (dead)"
    assert deviates("start", {**steady, "ActiveState": "inactive", "SubState": "dead", "ConditionResult": "no", "ConditionTimestampMonotonic": "7"}) == ""
    assert deviates("start", {**steady, "ActiveState": "inactive", "SubState": "dead", "ConditionResult": "no", "ConditionTimestampMonotonic": "0"}) == "inactive (dead)"
    assert deviates("enable", {**steady, "UnitFileState": "static"}) == ""
    assert deviates("enable", {**steady, "UnitFileState": "masked"}) == "masked"
    assert deviates("mask", {**steady, "LoadState": "masked"}) == ""
    assert deviates("enable", {}) == ""


def test_what_failed_in_the_boot_is_a_failure_and_no_drift_until_it_was_done(tmp_path: Path) -> None:
    node = Node(tmp_path, "hand")
    wanted = document(step("a", files=(file("/dir/f"), file("/g"))))
    (tmp_path / "dir").write_text("in the way")
    node.boot(wanted)
    (tmp_path / "g").unlink()
    assert [subject for subject, _ in node.compare(wanted)] == ["/g"]
    (tmp_path / "dir").unlink()
    node.boot(wanted)
    (tmp_path / "dir/f").unlink()
    assert [subject for subject, _ in node.compare(wanted)] == ["/dir/f"]


@pytest.mark.parametrize("text", ["reconcile: true\nstages: {}", "#cloud-config\nreconcile: true", "#cloud-config\nreconcile: true\nstages: {boot: [{name: a}]}"])
def test_a_document_of_either_kind_says_it_at_its_root(text: str) -> None:
    assert decode(text.encode(), "/d.yaml").reconcile
    assert not decode(text.replace("true", "false").encode(), "/d.yaml").reconcile
    wrong = decode(text.replace("true", "[often]").encode(), "/d.yaml")
    assert any("reconcile" in problem.where and problem.severity == "error" for problem in wrong.problems)


def test_what_is_kept_of_a_document_has_it() -> None:
    for wanted in (True, False):
        assert _thaw(_freeze(Document("/d.yaml", "D", reconcile=wanted))).reconcile is wanted


def test_a_step_that_its_frequency_leaves_out_is_not_said_to_run_again(tmp_path: Path) -> None:
    """It ran in this boot, for the last time; its neighbour runs again."""
    node = Node(tmp_path, "hand")
    wanted = document(step("a", files=(file("/f"),), frequency="once"), step("b", files=(file("/g"),)), reconcile=True)
    node.boot(wanted)
    for name in ("f", "g"):
        (tmp_path / name).write_text("by a person\n")
    with open(node.ledger.path, "rb") as ledger:
        drift = Drift(node.runner, [wanted], ledger.read())
    drift.compare()
    drift.repair(Outcome())
    assert [(tmp_path / name).read_text() for name in ("f", "g")] == ["by a person\n", "x\n"]
    text = "\n".join(report.as_text(node.record(), node._time()))
    assert "run again, since their documents say `reconcile: true`: D.b\n" in text
    assert text.endswith("not run again, since their `frequency` leaves them out: D.a")
    assert "nothing was repaired" not in text
    assert report.as_data(node.record())["compared"]["left"] == ["D.a"]
