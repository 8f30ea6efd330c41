"""Was a boot good? By the record of its stages, and of one on trial by new failures and the health checks, too (G4, G9)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kairos_boot.lifecycle.assessment import KNOWN, Verdict, judge, known_failures, settle, trial_of
from kairos_boot.node import grubenv
from kairos_boot.stages.ledger import encode
from kairos_boot.system.host import Host
from kairos_boot.system.process import Processes

STAGES = ("rootfs", "initramfs", "fs", "boot", "network")


def ledger(*steps: tuple[str, str, str], stages: tuple[str, ...] = STAGES) -> bytes:
    """The record of a boot with these steps (stage, name, result) whose *stages* came to their end."""
    records = [{"kind": "step", "stage": stage, "step": step, "result": result} for stage, step, result in steps]
    records += [{"kind": "stage", "stage": stage, "event": "end", "result": "done"} for stage in stages]
    return "".join(encode(r) + "\n" for r in records).encode()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A node whose programs run as they are, below a directory."""
    (tmp_path / "oem/health.d").mkdir(parents=True)
    return Host(str(tmp_path), Processes("/"))


def test_a_boot_whose_stages_came_to_their_end_is_good(host: Host) -> None:
    assert judge(host, ledger(), trial=False, known=None) == Verdict((), ())
    assert judge(host, ledger(stages=STAGES[:4]), trial=True, known=[]).good, "a network that never comes is no fault of the system"


@pytest.mark.parametrize("missing", STAGES[:4])
def test_one_that_did_not_is_not(host: Host, missing: str) -> None:
    verdict = judge(host, ledger(stages=tuple(stage for stage in STAGES if stage != missing)), trial=False, known=None)
    assert verdict.reasons == (f"stage {missing} did not come to its end",)


def test_without_a_trial_failing_steps_do_not_speak_against_a_boot_but_are_known_afterwards(host: Host) -> None:
    verdict = judge(host, ledger(("boot", "Mine", "failed")), trial=False, known=[])
    assert (verdict.good, verdict.failing) == (True, ("boot Mine",))


def test_on_trial_a_step_speaks_against_it_only_if_it_did_not_fail_in_the_last_good_boot(host: Host) -> None:
    record = ledger(("boot", "Old", "failed"), ("fs", "New", "failed"))
    assert judge(host, record, trial=True, known=["boot Old"]).reasons == ("step fs New failed, and did not in the last good boot",)
    assert judge(host, record, trial=True, known=["boot Old", "fs New"]).good
    assert judge(host, record, trial=True, known=None).good, "after a reset no boot is known to be good"


def test_a_step_that_was_done_later_and_reconcile_do_not_count(host: Host) -> None:
    record = ledger(("boot", "Again", "failed"), ("boot", "Again", "done"), ("reconcile", "Drift", "failed"), ("reconcile.after", "Drift", "failed"))
    assert judge(host, record, trial=True, known=[]) == Verdict((), ())


def test_substages_count_as_their_own(host: Host) -> None:
    assert judge(host, ledger(("boot.after", "Late", "failed")), trial=True, known=[]).failing == ("boot.after Late",)


def test_a_run_by_hand_is_no_part_of_the_boot() -> None:
    """Somebody who tries a step on a node under trial must not send it back; the next run of the unit counts again."""

    def run(by: str, result: str) -> bytes:
        records = ({"kind": "stage", "stage": "boot", "event": "start", "by": by}, {"kind": "step", "stage": "boot", "step": "Mine", "result": result})
        return "".join(encode(r) + "\n" for r in records).encode()

    node = Host("/", Processes("/"))
    assert judge(node, run("unit", "done") + run("hand", "failed"), trial=False, known=None).failing == ()
    assert judge(node, run("hand", "failed") + run("unit", "failed"), trial=False, known=None).failing == ("boot Mine",)
    assert judge(node, run("unit", "failed") + run("hand", "done"), trial=False, known=None).failing == ("boot Mine",)


def test_a_health_check_that_leads_nowhere_speaks_against_a_trial(host: Host) -> None:
    os.symlink("/gone", f"{host.root}/oem/health.d/10-link")
    assert judge(host, ledger(), trial=True, known=None).reasons == ("the health check /oem/health.d/10-link cannot be run: No such file or directory",)


def check(host: Host, name: str, text: str, mode: int = 0o755) -> str:
    """A health check of the node."""
    path = f"{host.root}/oem/health.d/{name}"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\n{text}\n")
    os.chmod(path, mode)
    return path


@pytest.mark.skipif(os.geteuid() != 0, reason="health checks are root's")
def test_health_checks_decide_a_trial_and_only_a_trial(tmp_path: Path) -> None:
    """What is not executable is no check, and one that others can change is not run but told of."""
    node = Host(str(tmp_path), Processes("/"))
    (tmp_path / "oem/health.d").mkdir(parents=True)

    class Chrooted:
        """Runs the programs of the directory as the node would."""

        def run(self, argv: tuple[str, ...], *, timeout: float) -> object:
            return Processes("/").run((str(tmp_path) + argv[0], *argv[1:]), timeout=timeout)

    node.processes = Chrooted()  # type: ignore[assignment]
    check(node, "10-good", "exit 0")
    check(node, "20-bad", "echo first; echo the database is down; exit 3")
    check(node, "30-loose", "exit 0", 0o777)
    check(node, "40-notes", "exit 1", 0o644)
    assert judge(node, ledger(), trial=False, known=[]).good
    bad, loose = judge(node, ledger(), trial=True, known=[]).reasons
    assert bad.startswith("the health check /oem/health.d/20-bad failed: ")
    assert bad.endswith(": the database is down")
    assert loose == "the health check /oem/health.d/30-loose is not root's alone, and was not run: others than root can write /oem/health.d/30-loose (mode 0777)"


def test_a_good_boot_ends_trial_and_count_and_leaves_what_failed_in_it(tmp_path: Path) -> None:
    (tmp_path / "cOS").mkdir()
    block = str(tmp_path / "grubenv")
    grubenv.save(block, {"boot_tries": "xx", "fallback_tries": "x", "trial": "reset", "trial_boot": "earlier", "owner": "keeps"})
    assert known_failures(str(tmp_path)) is None
    settle(str(tmp_path), "boot_tries", Verdict((), ("boot Mine",)), "this")
    assert grubenv.load(block) == {"fallback_tries": "x", "owner": "keeps"}
    assert known_failures(str(tmp_path)) == ["boot Mine"]


def test_a_good_boot_of_passive_leaves_the_trial_of_active(tmp_path: Path) -> None:
    """It came up since active was not good; nobody has judged active by that."""
    (tmp_path / "cOS").mkdir()
    block = str(tmp_path / "grubenv")
    grubenv.save(block, {"boot_tries": "xx", "fallback_tries": "x", "trial": "reset"})
    settle(str(tmp_path), "fallback_tries", Verdict((), ()), "this")
    assert grubenv.load(block) == {"boot_tries": "xx", "trial": "reset"}


def test_what_this_boot_put_on_trial_is_not_judged_by_it(tmp_path: Path) -> None:
    """An upgrade may end before the boot that did it is judged: the new system has not been started yet."""
    (tmp_path / "cOS").mkdir()
    block = str(tmp_path / "grubenv")
    variables = {"trial": "upgrade", "trial_boot": "this", "owner": "keeps"}
    grubenv.save(block, variables)
    assert trial_of(variables, "boot_tries", "this") == ""
    assert trial_of(variables, "boot_tries", "next") == "upgrade"
    assert trial_of({"trial": "reset"}, "boot_tries", "this") == "reset"
    assert trial_of(variables, "fallback_tries", "next") == ""
    settle(str(tmp_path), "boot_tries", Verdict((), ("boot Mine",)), "this")
    assert grubenv.load(block) == variables
    assert known_failures(str(tmp_path)) == ["boot Mine"], "the new system is compared with the old one"
    settle(str(tmp_path), "boot_tries", Verdict((), ()), "next")
    assert grubenv.load(block) == {"owner": "keeps"}


@pytest.mark.parametrize("name", ["plain", "line\nbreak", "line\u2028separator", "tab\x0b", "lone \udce9 byte", "back\\slash", "größe"])
def test_a_failure_is_known_in_the_next_boot_whatever_is_in_the_steps_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "cOS").mkdir()
    settle(str(tmp_path), "boot_tries", Verdict((), (f"boot {name}",)), "b1")
    assert known_failures(str(tmp_path)) == [f"boot {name}"]


JUDGE = """
import sys
sys.path[:0] = [TOP]
from kairos_boot.cli import assess
from kairos_boot.lifecycle import assessment, writable
from kairos_boot.node import grubenv, mode
from kairos_boot.stages.ledger import encode
from kairos_boot.system.host import Host
records = [{"kind": "stage", "stage": s, "event": "end"} for s in assessment.NEEDED]
verdict = assessment.judge(Host(PLACE), "".join(encode(r) + chr(10) for r in records).encode(), trial=False, known=assessment.known_failures(PLACE))
assert verdict.good
assessment.settle(PLACE, "boot_tries", verdict, "this")
print(*sys.modules)
"""


def test_the_judgement_of_a_good_boot_imports_nothing_dear(tmp_path: Path) -> None:
    """The end of every boot waits for it, behind all stages."""
    (tmp_path / "cOS").mkdir()
    grubenv.save(str(tmp_path / "grubenv"), {"boot_tries": "x"})
    script = JUDGE.replace("TOP", repr(str(Path(__file__).parents[2]))).replace("PLACE", repr(str(tmp_path)))
    run = subprocess.run([sys.executable, "-I", "-S", "-c", script], check=False, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    names = set(run.stdout.split())
    assert "kairos_boot.lifecycle.writable" in names
    assert {"collections", "contextlib", "enum", "functools", "json", "re", "typing"} & names == set()
    assert {f"kairos_boot.{name}" for name in ("system.facts", "system.filesystems", "system.trusted", "system.udev", "node.state")} & names == set()
    assert grubenv.load(str(tmp_path / "grubenv")) == {}


def test_known_failures_that_stayed_the_same_are_not_written_again(tmp_path: Path) -> None:
    """A good boot costs the disk no more than it has to tell."""
    (tmp_path / "cOS").mkdir()
    settle(str(tmp_path), "boot_tries", Verdict((), ("boot Mine",)), "this")
    before = (tmp_path / KNOWN).stat().st_ino
    settle(str(tmp_path), "boot_tries", Verdict((), ("boot Mine",)), "next")
    assert (tmp_path / KNOWN).stat().st_ino == before
    settle(str(tmp_path), "boot_tries", Verdict((), ()), "next")
    assert known_failures(str(tmp_path)) == []
