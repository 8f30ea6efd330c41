"""What the verbs do with the tree that --root names: it is there, nothing of it is executed, and who writes and who reads agree."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from kairos_boot.cli.main import VERBS, run
from kairos_boot.errors import KairosError
from kairos_boot.reports.history import load
from kairos_boot.stages.ledger import DIRECTORY, NO_BOOT, Ledger, boot_id
from kairos_boot.system.host import Host

WORDS = {"run-stage": ["boot"], "plan": ["boot"]}
WITH_ROOT = [verb for verb in VERBS if "root" in getattr(importlib.import_module(f"kairos_boot.cli.{verb.replace('-', '_')}"), "FLAGS", ())]


@pytest.mark.parametrize("verb", WITH_ROOT)
def test_a_root_that_is_no_directory_is_said_to_be_none(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run([verb, "--root", "/nosuch", *WORDS.get(verb, [])]) == 3
    assert "/nosuch: no such directory" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_verbs_that_look_at_another_root_are_known() -> None:
    assert {"run-stage", "plan", "config", "state", "status", "analyze", "logs"} <= set(WITH_ROOT)


def record(host: Host, stage: str) -> None:
    """A run of *stage* as run-stage records it."""
    ledger = Ledger(host.path(DIRECTORY), boot_id(host))
    ledger.write("stage", event="start", stage=stage)
    ledger.write("stage", event="end", stage=stage, result="done", duration=0.0)


def kept_boot(host: Host) -> None:
    """A boot of the tree as it is kept in its logs."""
    ledger = Ledger(host.path("/run"), "earlier-boot")
    ledger.write("stage", event="start", stage="before")
    assert ledger.keep(host)


@pytest.mark.parametrize("verb", [["status"], ["status", "--boot", "0"], ["status", "--boot", NO_BOOT], ["analyze", "timeline"]])
def test_what_ran_in_a_tree_is_what_status_and_analyze_tell_of(verb: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(Host(str(tmp_path)), "mine")
    assert run([*verb, "--root", str(tmp_path)]) == 0
    assert "mine" in capsys.readouterr().out


def test_a_tree_in_which_nothing_ran_from_outside_tells_its_last_boot(tmp_path: Path) -> None:
    host = Host(str(tmp_path))
    (tmp_path / "run").mkdir()
    kept_boot(host)
    assert load(host).boot_id == "earlier-boot"
    record(host, "mine")
    assert [load(host, ago).boot_id for ago in ("0", "1")] == [NO_BOOT, "earlier-boot"]


def test_a_tree_without_any_record_says_so_and_offers_nothing_that_fails(tmp_path: Path) -> None:
    with pytest.raises(KairosError, match="nothing was recorded in this tree") as caught:
        load(Host(str(tmp_path)))
    assert caught.value.where == f"{DIRECTORY}/{NO_BOOT}.jsonl"
    assert "--boot" not in caught.value.hint
