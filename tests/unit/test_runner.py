"""The runner: what happens to a step, in which order, and what is recorded of it."""

from __future__ import annotations

import _thread
import hashlib
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.cloudconfig.model import Document, Problem
from kairos_boot.errors import Ended, KairosError
from kairos_boot.facts import Facts
from kairos_boot.records import replace
from kairos_boot.stages.planning import Planned
from kairos_boot.stages.runner import Options, Runner
from kairos_boot.system.host import Host
from kairos_boot.system.process import Processes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Records:
    """A ledger in memory."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []

    def write(self, kind: str, **fields: object) -> None:
        """Remember."""
        self.all.append({"kind": kind, **fields})

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The records of one kind."""
        return [r for r in self.all if r["kind"] == kind]


class Bench:
    """A runner on an empty root, its records and its log."""

    def __init__(self, root: Path, **options: Any) -> None:
        self.root, self.records, self.lines = root, Records(), list[tuple[int, str]]()
        # Commands are real and run in this system; only files are below the root.
        self.host = Host(str(root), Processes(environment={"ROOT": str(root), "PATH": "/usr/bin:/bin"}))
        self.runner = Runner(self.host, Facts(), self.records, self._log, Options(**options))

    def _log(self, priority: int, message: str, **_: object) -> None:
        self.lines.append((priority, message))

    def run(self, stage: str, *documents: Document) -> Any:
        """Emit *stage* over *documents*."""
        return self.runner.emit(stage, lambda: documents)

    def trace(self) -> list[str]:
        """What the commands wrote."""
        return (self.root / "trace").read_text().splitlines() if (self.root / "trace").exists() else []

    def results(self) -> list[tuple[str, str]]:
        """Step and result, in order."""
        return [(r["step"], r["result"]) for r in self.records.of("step")]


def step(name: str, **keys: Any) -> dict[str, Any]:
    """A plain step, as the decoder makes it."""
    return {"name": name, "keys": ("name", *keys), "marks": {"": (1, 1)}, **keys}


def say(word: str) -> str:
    """A command that leaves a trace."""
    return f"echo {word} >>$ROOT/trace"


def document(stage: str, *steps: dict[str, Any], name: str = "D", **more: Any) -> Document:
    """A document with one stage."""
    return Document("/oem/d.yaml", name, {stage: steps}, **more)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A bench without options."""
    return Bench(tmp_path)


def test_before_main_and_after_run_in_this_order_over_all_documents(bench: Bench) -> None:
    one = Document("/a.yaml", "A", {"s.after": (step("x", commands=(say("3"),)),), "s": (step("x", commands=(say("2"),)),)})
    two = Document("/b.yaml", "B", {"s.before": (step("x", commands=(say("1"),)),), "s.after": (step("x", commands=(say("4"),)),)})
    outcome = bench.run("s", one, two)
    assert bench.trace() == ["1", "2", "3", "4"]
    assert (outcome.done, outcome.failed, outcome.result) == (4, 0, "done")


def test_only_emits_the_named_substage(tmp_path: Path) -> None:
    bench = Bench(tmp_path, only=True)
    bench.run("s", Document("/a", "A", {"s.before": (step("x", commands=(say("1"),)),), "s": (step("x", commands=(say("2"),)),)}))
    assert bench.trace() == ["2"]


def test_documents_are_loaded_anew_for_each_substage(bench: Bench) -> None:
    """A step may bring a document, as user data does."""
    loads = [(), (document("s", step("brought", commands=(say("seen"),))),), ()]
    bench.runner.emit("s", lambda: loads.pop(0))
    assert bench.trace() == ["seen"]


def test_modules_of_a_step_run_in_their_fixed_order_whatever_the_order_of_keys(bench: Bench) -> None:
    bench.run("s", document("s", step("x", commands=("cat $ROOT/f >>$ROOT/trace",), files=({"path": "/f", "content": "file\n", "owner": None},))))
    modules = [r["module"] for r in bench.records.of("item")]
    assert modules == ["files", "commands"]


def test_the_commands_of_a_classic_document_come_last(bench: Bench) -> None:
    bench.run("s", document("s", step("x", commands=("true",), sysctl={"a b": "1"}, classic=True)))
    assert [r["module"] for r in bench.records.of("item")] == ["sysctl", "commands"]


def test_a_failing_item_stops_nothing_and_is_recorded_with_its_place_and_words(bench: Bench) -> None:
    outcome = bench.run("s", document("s", step("x", commands=("echo visible; exit 37", say("next")), sysctl={"no name": "1"}), step("y", commands=(say("y"),))))
    assert bench.trace() == ["next", "y"]
    assert outcome.failed == 2
    assert outcome.result == "degraded"
    assert bench.results() == [("D.x", "failed"), ("D.y", "done")]
    failed = [r for r in bench.records.of("item") if r["result"] == "failed"]
    assert "exit status 37" in failed[0]["error"]
    assert "visible" in failed[0]["error"]
    assert failed[0]["where"] == "/oem/d.yaml:1:1: stages.s[0].commands[0]"
    assert failed[1]["hint"] == "write it like net.ipv4.ip_forward"
    errors = [text for priority, text in bench.lines if priority == 3]
    assert len(errors) == 2
    assert "D.x" in errors[0]


def test_strict_stops_at_the_first_failure_and_says_what_was_left_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path, strict=True)
    bench.run("s", document("s", step("x", commands=(say("a"), "false", say("b"))), step("y", commands=(say("c"),))))
    assert bench.trace() == ["a"]
    assert bench.results() == [("D.x", "failed"), ("D.y", "skipped")]
    assert "--strict" in bench.records.of("step")[1]["reason"]


def test_strict_runs_nothing_of_a_stage_whose_documents_are_broken(tmp_path: Path) -> None:
    bench = Bench(tmp_path, strict=True)
    bench.run("s", Document("/b.yaml", problems=(Problem("error", "/b.yaml:1:1", "broken"),), broken=True), document("s", step("x", commands=(say("a"),))))
    assert bench.trace() == []


@pytest.mark.parametrize(("on_failure", "trace"), [("continue", ["a", "b", "c"]), ("stop-step", ["a", "c"]), ("stop-stage", ["a"])])
def test_on_failure_decides_what_is_left_out(bench: Bench, on_failure: str, trace: Sequence[str]) -> None:
    bench.run("s", document("s", step("x", commands=(say("a"), "false", say("b")), on_failure=on_failure), step("y", commands=(say("c"),))))
    assert bench.trace() == trace


def test_a_key_without_a_module_is_a_failure_that_names_it_at_its_place() -> None:
    [wanted] = document("s", step("x", commands=("true",)) | {"keys": ("unheard", "commands"), "marks": {"unheard": (3, 5)}}).steps("s")
    [(key, error), (other, _)] = Planned(wanted, Facts(), (("unheard", "unheard"), ("commands", "commands")))
    assert (key, other) == ("unheard", "commands")
    assert isinstance(error, KairosError)
    assert str(error).startswith("/oem/d.yaml:3:5: stages.s[0].unheard: the key unheard cannot be executed")


def test_a_defect_of_a_module_costs_its_step_only_and_is_no_silence(bench: Bench) -> None:
    """`files` that are no records at all: the decoder never lets that happen, so it stands for any defect."""
    bench.run("s", document("s", step("x", commands=3), step("y", commands=(say("y"),))))
    assert bench.trace() == ["y"]
    assert bench.results()[0] == ("D.x", "failed")
    assert "internal error" in bench.records.of("step")[0]["reason"]


def test_a_skip_is_information_with_its_reason_and_no_failure(bench: Bench) -> None:
    outcome = bench.run("s", document("s", step("x", if_files={"all": ("/none",)}, commands=(say("a"),))))
    assert bench.trace() == []
    assert (outcome.skipped, outcome.failed) == (1, 0)
    assert "/none" in bench.records.of("step")[0]["reason"]
    assert any(priority == 6 and "/none" in text for priority, text in bench.lines)


def test_a_condition_that_runs_out_of_time_skips_and_counts_as_a_failure(bench: Bench) -> None:
    outcome = bench.run("s", document("s", step("x", if_="sleep 60", timeout=0.2, commands=(say("a"),))))
    assert bench.trace() == []
    assert (outcome.skipped, outcome.failed) == (1, 1)


def test_a_problem_of_a_document_is_reported_once_although_three_substages_load_it(bench: Bench) -> None:
    outcome = bench.run("s", Document("/b.yaml", problems=(Problem("error", "/b.yaml:3:1", "broken"), Problem("warning", "/b.yaml:4:1", "odd"))))
    assert (outcome.failed, outcome.warnings) == (1, 1)
    assert [text for _, text in bench.lines if "/b.yaml" in text] == ["/b.yaml:3:1: broken", "/b.yaml:4:1: odd"]


def test_a_missing_target_of_after_makes_the_stage_degraded_and_its_step_runs(bench: Bench) -> None:
    outcome = bench.run("s", document("s", step("x", after=({"name": "D.y"},), commands=(say("x"),))))
    assert bench.trace() == ["x"]
    assert outcome.result == "degraded"


def test_nothing_changed_is_told_from_done(bench: Bench) -> None:
    work = document("s", step("x", directories=({"path": "/d"},)) | {"directories": ({"path": "/d", "owner": None, "group": None},)})
    (bench.root / "d").mkdir(mode=0o755)
    if os.geteuid():
        pytest.skip("needs root: ownership 0:0")
    assert not bench.run("s", work).changed
    assert bench.results() == [("D.x", "unchanged")]


def test_jobs_let_steps_of_one_layer_overlap_and_only_those(tmp_path: Path) -> None:
    bench = Bench(tmp_path, jobs=2)
    wait = "for i in $(seq 100); do [ -e $ROOT/met ] && break; sleep 0.1; done; ls $ROOT/met >/dev/null && echo met >>$ROOT/trace"
    bench.run("s", document("s", step("a", commands=(say("a"),)), step("b", after=({"name": "D.a"},), commands=(wait,)),
                            step("c", after=({"name": "D.a"},), commands=("touch $ROOT/met",)), step("d", commands=(say("d"),))))
    assert bench.trace() == ["a", "met", "d"]


def test_without_jobs_steps_of_a_layer_run_one_at_a_time_in_source_order(bench: Bench) -> None:
    after = ({"name": "init"},)
    bench.run("s", document("s", step("b", after=after, commands=("sleep 0.2; " + say("b"),)), step("a", after=after, commands=(say("a"),))))
    assert bench.trace() == ["b", "a"]


def test_once_runs_once_and_its_record_is_what_remembers(bench: Bench) -> None:
    work = document("s", step("x", frequency="once", commands=(say("x"),)))
    bench.run("s", work)
    bench.run("s", work)
    assert bench.trace() == ["x"]
    assert "frequency" in bench.records.of("step")[1]["reason"]
    for record in (bench.root / "usr/local/.kairos/steps").iterdir():
        record.unlink()
    bench.run("s", work)
    assert bench.trace() == ["x", "x"]


def test_once_is_once_whatever_stands_beside_the_step(bench: Bench) -> None:
    """Equal names in a list get their places as numbers; a step that has a name of its own keeps its record."""
    disk = step("format the disk", frequency="once", commands=(say("disk"),))
    bench.run("s", document("s", disk))
    bench.run("s", document("s", step("", commands=(say("a"),)), step("", commands=(say("b"),)), disk))
    assert bench.trace() == ["disk", "a", "b"]


def test_steps_of_one_name_in_two_stages_are_two_steps(bench: Bench) -> None:
    for stage in ("boot", "network", "boot"):
        bench.run(stage, document(stage, step("register", frequency="once", commands=(say(stage),))))
    assert bench.trace() == ["boot", "network"]


def test_a_record_of_the_first_version_counts(bench: Bench) -> None:
    """It knew a step by its full name alone; a disk is not formatted again by an upgrade."""
    bench.run("s", document("s", step("x", frequency="once", commands=(say("x"),))))
    [record] = (bench.root / "usr/local/.kairos/steps").iterdir()
    record.rename(record.with_name(hashlib.sha256(b"D.x").hexdigest()[:32]))
    bench.run("s", document("s", step("x", frequency="once", commands=(say("x"),))))
    assert bench.trace() == ["x"]


@pytest.mark.parametrize("kind", ["files", "environment"])
def test_steps_beside_each_other_add_to_one_file_and_lose_nothing(bench: Bench, kind: str) -> None:
    for round_ in range(5):
        path = f"/etc/{kind}{round_}"
        more = [step(f"s{at}", after=({"name": "D.n"},), **({"files": ({"path": path, "content": f"K{at}=v\n", "append": True},)} if kind == "files" else
                                                            {"environment": {f"K{at}": "v"}, "environment_file": path})) for at in range(8)]  # fmt: skip
        outcome = bench.run("s", document("s", step("n"), *more, jobs=4))
        assert outcome.failed == 0
        assert sorted(line.partition("=")[0] for line in (bench.root / path[1:]).read_text().split()) == [f"K{at}" for at in range(8)]


def test_a_record_that_cannot_be_written_is_a_failure_of_the_step(bench: Bench) -> None:
    (bench.root / "oem").mkdir()
    (bench.root / "oem/.kairos").write_text("in the way")
    outcome = bench.run("s", document("s", step("x", frequency="once", commands=(say("x"),))))
    assert (outcome.done, outcome.failed, bench.results()) == (0, 1, [("D.x", "failed")])
    [(_, told)] = [line for line in bench.lines if line[0] == 3]
    assert told == "/oem/d.yaml:1:1: stages.s[0].frequency: step D.x: cannot record that it ran: Not a directory; it runs again next time"


def test_a_step_that_failed_is_not_remembered(bench: Bench) -> None:
    work = document("s", step("x", frequency="once", commands=(say("x"), "false")))
    bench.run("s", work)
    bench.run("s", work)
    assert bench.trace() == ["x", "x"]


def test_on_change_runs_again_when_the_step_says_something_else(bench: Bench) -> None:
    for word in ("x", "x", "y", "y"):
        bench.run("s", document("s", step("x", frequency="on-change", commands=(say(word),))))
    assert bench.trace() == ["x", "y"]


def test_a_change_that_failed_half_way_is_followed_by_what_was_before(bench: Bench) -> None:
    """The first content comes back after another one that failed: the step runs, since the node is neither the one nor the other."""
    for commands in ((say("old"),), (say("new"), "false"), (say("old"),)):
        bench.run("s", document("s", step("x", frequency="on-change", commands=commands)))
    assert bench.trace() == ["old", "new", "old"]


def test_once_per_image_runs_again_on_another_image(bench: Bench) -> None:
    work = document("s", step("x", frequency="once-per-image", commands=(say("x"),)))
    (bench.root / "etc").mkdir()
    for version in ("1", "1", "2"):
        (bench.root / "etc/os-release").write_text(f"VERSION_ID={version}\n")
        bench.run("s", work)
    assert bench.trace() == ["x", "x"]


def test_records_tell_when_and_how_long(bench: Bench) -> None:
    before = time.time()
    bench.run("s", document("s", step("x", commands=("true",))))
    [record] = bench.records.of("step")
    assert before <= record["start"] <= time.time()
    assert record["duration"] >= 0
    stages = [(r["stage"], r["event"]) for r in bench.records.of("stage")]
    assert stages == [(f"s{x}", e) for x in (".before", "", ".after") for e in ("start", "end")]


def test_a_long_step_says_that_it_still_runs_and_which(bench: Bench) -> None:
    bench.run("s", document("s", step("x", commands=("true",))))
    assert isinstance(bench.host.processes, Processes)
    bench.runner.running.append("D.x")
    assert bench.host.processes.waiting
    bench.host.processes.waiting(20.0)
    assert bench.lines[-1] == (6, "Still running after 20 s: D.x")


def together(*steps: dict[str, Any]) -> Document:
    """A document whose steps may all run beside each other."""
    return document("s", *({**each, "keys": (*each["keys"], "after"), "after": ({"name": "init"},)} for each in steps), jobs=8)


def test_steps_beside_each_other_keep_their_own_warnings_output_and_counts(bench: Bench) -> None:
    """Of 100 steps each has a template that fails, and says its own number."""
    said: list[tuple[str, str]] = []
    bench.runner.log = lambda priority, message, *, kind="", step="", **_: said.append((step, message)) if kind in ("output", "warning") else None
    numbers = range(100)
    outcome = bench.run("s", together(*(step(f"n{i}", commands=(f'echo number {i}. {{{{ fail "{i}." }}}}' if i % 2 else f"echo number {i}.; false",)) for i in numbers)))
    assert (outcome.done, outcome.failed, outcome.warnings) == (50, 50, 50)
    assert {r["step"]: r["result"] for r in bench.records.of("step")} == {f"D.n{i}": "done" if i % 2 else "failed" for i in numbers}
    assert sorted(r["step"] for r in bench.records.of("problem")) == sorted(f"D.n{i}" for i in numbers if i % 2)
    assert len(said) == 100
    for name, text in said:
        assert f" {name.removeprefix('D.n')}." in text or f'"{name.removeprefix("D.n")}."' in text, (name, text)


def test_a_system_that_gives_no_thread_costs_no_step(bench: Bench) -> None:
    """At its limit of tasks or of memory the steps run one after the other, as without jobs; so do those of later layers."""
    before = _thread.stack_size(1 << 46)
    try:
        outcome = bench.run("s", together(*(step(f"n{i}", commands=(say(str(i)),)) for i in range(4))), document("s", step("later", commands=(say("later"),)), name="E"))
    finally:
        _thread.stack_size(before)
    assert bench.trace() == ["0", "1", "2", "3", "later"]
    assert (outcome.done, outcome.failed) == (5, 0)


@pytest.mark.parametrize("keys", [{"users": {"a\nb": {}}}, {"sysctl": {"a\nb": "1"}}, {"files": ({"path": "/f", "content": "x", "ownerstring": "a\nb"},)}, {"only_os": "a\nb("},
                                  {"if_files": {"any": ("/a\nb",)}}, {"authorized_keys": {"a\nb": ("x",)}}, {"environment": {"a\nb": "x"}}])
def test_no_name_begins_a_line_of_its_own_in_what_a_run_says(bench: Bench, keys: dict[str, Any]) -> None:
    """E6: what a document calls things cannot look like a message of the program."""
    marks = {f"{key}/a\nb": (3, 4) for key in keys}
    bench.run("s", document("s", {**step("x", **keys), "marks": {"": (1, 1), **marks}}))
    assert [text for _, text in bench.lines if "\nb" in text] == []


def test_an_end_in_one_step_ends_those_beside_it_and_begins_no_other(tmp_path: Path) -> None:
    """The thread that waits is told; what runs is ended, what waits is not begun, and the record says that the stage was interrupted."""
    bench = Bench(tmp_path)
    began = tmp_path / "0"

    def alarm(number: int, frame: object) -> None:
        raise Ended("a stop")

    before = signal.signal(signal.SIGUSR1, alarm)
    tell = f"touch $ROOT/$N; while [ ! -e {tmp_path}/1 ]; do sleep 0.05; done; [ $N = 0 ] && kill -USR1 {os.getpid()}; sleep 300"
    try:
        with pytest.raises(Ended):
            bench.run("s", replace(together(*(step(f"n{i}", commands=(f"N={i}; {tell}",)) for i in range(5))), jobs=2))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert began.exists()
    assert not (tmp_path / "2").exists()
    assert {(r["step"], r["result"], r["reason"]) for r in bench.records.of("step")} == {("D.n0", "failed", "a stop"), ("D.n1", "failed", "a stop")}
    [end] = [r for r in bench.records.of("stage") if r["event"] == "end" and r["stage"] == "s"]
    assert (end["result"], end["failed"]) == ("interrupted", 2)


def test_what_a_command_said_that_succeeded_is_told_at_debug_level_with_its_step(bench: Bench) -> None:
    bench.run("s", document("s", step("x", commands=("echo quince", "true", "echo plum; false"))))
    assert [text for priority, text in bench.lines if priority == 7 and "Running" not in text] == ["echo quince:\nquince"]


def test_a_step_at_work_is_in_the_record_before_it_takes_time(bench: Bench) -> None:
    """So that a run which is cut off says where it was: also in a shell condition. What is skipped at once is not at work."""
    bench.run("s", document("s", step("skipped", if_files={"all": ("/no",)}, commands=("true",)), step("asked", if_="exec false", commands=("true",)),
                            step("done", commands=("true",))))
    assert [r["step"] for r in bench.records.of("begin")] == ["D.asked", "D.done"]
    kinds = [r["kind"] for r in bench.records.all if r["kind"] in ("begin", "item", "step")]
    assert kinds == ["step", "begin", "step", "begin", "item", "step"]


def test_the_record_of_a_stage_says_who_started_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.runner.origin = {"by": "unit", "unit": "cos-setup-boot.service"}
    bench.run("s")
    assert {r["unit"] for r in bench.records.of("stage") if r["event"] == "start"} == {"cos-setup-boot.service"}


def test_an_error_without_a_place_of_the_document_gets_that_of_its_item(bench: Bench) -> None:
    """`/l1: too many levels of symbolic links` alone does not say where it is written (attacks 23)."""
    (bench.root / "l1").symlink_to("l2")
    (bench.root / "l2").symlink_to("l1")
    bench.run("s", document("s", step("x", files=({"path": "/l1", "content": "a"}, {"path": "/a\0b", "content": "a"}))))
    for record in bench.records.of("item"):
        assert record["where"].startswith("/oem/d.yaml:1:1: stages.s[0].files"), record
    assert "/l1" in bench.records.of("item")[0]["error"]


def test_a_name_that_is_no_utf_8_is_remembered(bench: Bench) -> None:
    """It comes from the kernel command line, in which any byte may stand."""
    work = document("s", step("\udcff", frequency="once", commands=(say("x"),)))
    for _ in range(2):
        assert bench.run("s", work).failed == 0
    assert bench.trace() == ["x"]


def test_a_name_of_several_lines_forges_none(bench: Bench) -> None:
    bench.run("s", document("s", step("x\nStep D.y: done", commands=("false",))))
    assert all("\nStep" not in text for _, text in bench.lines)
