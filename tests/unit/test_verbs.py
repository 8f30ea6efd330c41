"""What the command line answers to words that it does not know, and to those of Kairos."""

from __future__ import annotations

import importlib
import os
import signal
from pathlib import Path

import pytest

from kairos_boot.cli.main import VERBS, run
from kairos_boot.cli.verbs import INSTEAD


@pytest.mark.parametrize("verb", [verb for verb in INSTEAD if verb not in VERBS])
def test_a_verb_of_kairos_that_this_version_lacks_is_one_line_with_what_to_use(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([verb, "--some-flag"]) == 2
    said = capsys.readouterr().err
    assert said == f"kairos-boot: {verb} is not in this version; {INSTEAD[verb]}\n"


def test_a_mistyped_verb_is_one_line_with_the_near_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runstage", "boot"]) == 2
    assert capsys.readouterr().err == "kairos-boot: unknown verb: runstage (did you mean run-stage?); kairos-boot --help lists them\n"


@pytest.mark.parametrize(("flag", "said"), [("--size=foo", "--size: not a size: 'foo'; write it like 8G, 8192M or +1G"), ("--firmware=arm", "--firmware is bios, efi or both: arm")])
def test_a_flag_with_a_value_that_is_none_of_its_is_wrong_usage(flag: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["install", "--disk-image", "/nowhere/disk.raw", "--source", "dir:/nowhere", "--plan", flag]) == 2
    assert said in capsys.readouterr().err


def test_another_word_gets_the_overview(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["xyzzy"]) == 2
    assert "usage: kairos-boot VERB" in capsys.readouterr().err


def test_options_of_kairos_before_the_verb_and_its_words_are_taken(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGLEVEL", "info")
    assert run(["--debug", "--strict-validation", "print-schema"]) == 0
    assert '"$schema"' in capsys.readouterr().out
    assert os.environ["LOGLEVEL"] == "debug"
    assert run(["--debug"]) == 2


@pytest.mark.parametrize(("words", "changes"), [
    (["bootentry"], False), (["bootentry", "--select", "cos"], True), (["rollback"], True), (["install", "--plan", "/dev/null"], False), (["install", "/dev/null"], True),
    (["install", "--disk-image", "/nowhere/disk.raw", "--source", "dir:/nowhere", "--plan"], False), (["install", "--disk-image", "/nowhere/disk.raw", "--source", "dir:/nowhere"], True),
    (["manual-install", "--plan", "/nowhere.yaml"], False), (["upgrade", "--plan"], False), (["upgrade", "list-releases"], False), (["upgrade"], True),
    (["reset", "--plan"], False), (["reset", "--unattended"], True),
])
def test_a_call_that_only_looks_is_not_said_to_change_the_system(words: list[str], changes: bool, capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module(f"kairos_boot.cli.{'list_releases' if 'list-releases' in words else words[0].replace('-', '_')}")  # while it may be read
    user = os.geteuid()
    if not user:
        os.seteuid(65534)
    try:
        assert run(words) == 3
    finally:
        os.seteuid(user)
    assert capsys.readouterr().err.endswith(f": this changes {'the system and needs root' if changes else 'nothing, but needs root to look'}; run it with sudo\n")


@pytest.mark.parametrize(("stage", "said"), [
    ("bot", "stage bot: no document has it, and nothing starts it by itself: there was nothing to do; did you mean 'boot'?"),
    ("network.befor", "stage network.befor: no document has it, and nothing starts it by itself: there was nothing to do; did you mean 'network.before'?"),
    ("my-satge", "stage my-satge: no document has it, and nothing starts it by itself: there was nothing to do; did you mean 'my-stage'?"),
    ("boot", ""), ("fs", ""), ("my-stage", ""), ("only-before", ""), ("provider-kairos.bootstrap.master", ""),
])
@pytest.mark.parametrize("verb", [["plan"], ["run-stage", "-a"], ["run-stage"]])
def test_a_stage_that_nobody_knows_is_said_with_the_near_one(verb: list[str], stage: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may be meant to come later, so the exit code stays."""
    if verb == ["run-stage"] and os.geteuid():
        pytest.skip("needs root: the lock")
    (tmp_path / "d.yaml").write_text("stages: {my-stage: [{name: x}], boot: [{name: y}], only-before.before: [{name: z}]}\n")
    before = dict(os.environ)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    try:
        assert run([*verb, "--root", str(tmp_path), stage, "/d.yaml"]) == 0
    finally:
        os.environ.clear()
        os.environ.update(before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    lines = [line for line in capsys.readouterr().err.splitlines() if "no document has it" in line]
    assert [line.removeprefix("warning: ") for line in lines] == ([said] if said else [])


@pytest.mark.parametrize(("words", "code"), [
    (["validate", "{home}/none"], 1), (["config", "--root", "{home}", "get", "install.nothing"], 0), (["config", "--root", "{home}", "origin", "install.nothing"], 3),
    (["state", "--root", "{home}", "get", "nothing"], 0), (["grubedit", "--grub-file", "{home}/none"], 0), (["config", "--root", "{home}/none"], 3), (["state", "--root", "{home}/none"], 3),
    (["status", "--root", "{home}"], 3),
])
def test_what_is_not_there_has_the_exit_code_of_the_table(words: list[str], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """docs/operating.md: who asks what is set nowhere has an answer; what was to be judged and cannot be is an error."""
    assert run([word.format(home=tmp_path) for word in words]) == code
    assert "Traceback" not in "".join(capsys.readouterr())
