"""What the verbs do with the tree that --root names: it is there, nothing of it is executed, and who writes and who reads agree."""

from __future__ import annotations

import importlib
import json
import shutil
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


@pytest.mark.parametrize("verb", ["config", "state"])
def test_a_query_never_runs_the_jq_of_the_tree(verb: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    jq = tmp_path / "usr/bin/jq"
    jq.parent.mkdir(parents=True)
    (tmp_path / "bin").symlink_to("usr/bin")
    jq.write_text("#!/bin/sh\necho '\"foreign\"'\n")
    jq.chmod(0o755)
    code = run([verb, "--root", str(tmp_path), "get", ". | length"])
    out, err = capfd.readouterr()
    assert "foreign" not in out
    assert "chroot" not in err
    assert code == (0 if shutil.which("jq") else 3)
    if code == 0:
        assert json.loads(out) >= 0


@pytest.mark.skipif(not shutil.which("jq"), reason="needs jq")
def test_what_jq_says_of_a_query_shows_the_query_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "--root", str(tmp_path), "get", "a..b"]) == 3
    said = capsys.readouterr().err
    assert "a..b" in said
    assert "then empty" not in said


@pytest.mark.parametrize("words", [["plan"], ["run-stage", "--analyze"]])
def test_a_source_that_is_not_in_the_tree_says_where_it_was_looked_up(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "x.yaml").write_text("stages: {boot: []}\n")
    assert run([*words, "--root", str(tmp_path / "root"), "boot", str(tmp_path / "x.yaml")]) == 1
    said = capsys.readouterr().err
    assert f"{tmp_path}/x.yaml: no such file or directory below {tmp_path}/root; " in said
    assert "standard input" in said


def test_on_the_running_system_nothing_is_said_of_a_root(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "/nosuch.yaml"]) == 1
    assert "/nosuch.yaml: no such file or directory; a source is" in capsys.readouterr().out
