"""Requirements: `status` tells from the ledger alone what ran, what was skipped and why, and what failed with its place (E1)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kairos_boot.cli import status as verb
from kairos_boot.cli import wiring
from kairos_boot.errors import KairosError
from kairos_boot.reports.history import Boot, load
from kairos_boot.reports.status import as_data, as_text
from kairos_boot.reports.text import seconds
from kairos_boot.stages.ledger import DIRECTORY, Ledger
from kairos_boot.system.host import Host
from kairos_boot.system.lock import LOCK

TOP = Path(__file__).resolve().parents[2]


class Story:
    """Writes a ledger whose clock moves by what things last."""

    def __init__(self, folder: Path, boot: str = "b1") -> None:
        self.now = 10.0
        self.ledger = Ledger(str(folder), boot, clock=lambda: 1_000_000 + self.now, monotonic=lambda: self.now)

    def step(self, stage: str, name: str, result: str = "done", reason: str = "", duration: float = 0.5, **failed: str) -> None:
        self.now += duration
        if failed:
            self.ledger.write("item", stage=stage, step=name, module="commands", action="run x", result="failed", duration=duration, **failed)
        self.ledger.write("step", stage=stage, step=name, file="/oem/a.yaml", result=result, reason=reason, duration=duration)

    def start(self, stage: str, **origin: Any) -> None:
        self.ledger.write("stage", event="start", stage=stage, steps=1, **origin)

    def end(self, stage: str, result: str = "done", duration: float = 1.0) -> None:
        self.ledger.write("stage", event="end", stage=stage, result=result, duration=duration)

    def stage(self, stage: str, *steps: str) -> None:
        self.start(stage)
        for name in steps:
            self.step(stage, name)
        self.end(stage)

    def boot(self, **more: Any) -> Boot:
        with open(self.ledger.path, "rb") as file:
            return Boot("b1", file.read(), **more)

    def text(self, **more: Any) -> str:
        return "\n".join(as_text(self.boot(), 1_000_060.0, **more))


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


def test_a_good_boot_is_told_in_few_lines(story: Story) -> None:
    story.ledger.write("boot", mode="active", image="/cOS/active.img")
    story.ledger.write("mount", what="overlay", where="/sysroot/etc", type="overlay", options="", result="done", duration=0.01)
    for stage in ("rootfs.before", "rootfs", "rootfs.after", "boot.before", "boot", "boot.after"):
        story.stage(stage, *(["A.x", "A.y"] if "." not in stage else []))
    lines = story.text().split("\n")
    assert lines[0] == "OK: 4 steps done, 0 skipped"
    assert "active system" in lines[1]
    assert "1970-01-12 13:46:40 UTC" in lines[1]  # when the kernel started
    assert "1 part in the initrd, all done" in story.text()
    assert [line.split()[:2] for line in lines if line.startswith("  ") and "done" in line][:2] == [["rootfs", "done"], ["boot", "done"]]
    assert len(lines) < 10


def test_a_failure_comes_first_with_place_cause_and_hint(story: Story) -> None:
    story.start("boot")
    story.step("boot", "A.bad", "failed", "x", error="mkfs /dev/x: exit status 1\nno such device\nmore", where="/oem/a.yaml:7:9: stages.boot[0].commands[1]", hint="plug it in")
    story.end("boot", "degraded")
    text = story.text()
    assert text.startswith("DEGRADED: 0 steps done, 0 skipped, 1 failure")
    for part in ("/oem/a.yaml:7:9: stages.boot[0].commands[1]: mkfs /dev/x: exit status 1", "| no such device", "stage boot, step A.bad, commands", "plug it in"):
        assert part in text
    assert text.index("FAILED") < text.index("STAGE")


def test_a_skipped_step_is_listed_with_its_reason(story: Story) -> None:
    story.start("boot")
    story.step("boot", "A.x", "skipped", "only_os: the system is 'Lab', which 'Fedora' does not match", 0.0)
    story.end("boot")
    assert "only_os: the system is 'Lab'" in story.text()
    assert "only_os: the system is 'Lab'" not in story.text(brief=True)
    assert story.boot().result == "ok"


def test_skipped_defaults_of_the_image_are_only_counted(story: Story) -> None:
    story.start("boot")
    for name in "xyz":
        story.ledger.write("step", stage="boot", step=f"D.{name}", file="/system/oem/d.yaml", result="skipped", reason=f"if: no: {name}", duration=0)
    story.end("boot")
    assert "3 steps of the image's defaults" in story.text()
    assert "if: no: x" not in story.text()
    assert "if: no: x" in story.text(steps=True)


def test_a_default_of_the_image_that_the_operator_left_out_is_shown(story: Story) -> None:
    """By a word on the kernel command line that may be forgotten there."""
    story.start("boot")
    for name, reason in (("x", "if: no"), ("y", "kairos.skip=y on the kernel command line")):
        story.ledger.write("step", stage="boot", step=f"D.{name}", file="/system/oem/d.yaml", result="skipped", reason=reason, duration=0)
    story.end("boot")
    assert "kairos.skip=y on the kernel command line" in story.text()
    assert "1 step of the image's defaults" in story.text()


def test_a_broken_document_is_told_once_though_each_stage_meets_it(story: Story) -> None:
    for stage in ("fs", "boot"):
        story.ledger.write("problem", stage=stage, severity="error", where="/oem/b.yaml:3:1", message="not YAML", hint="mind the blanks")
        story.start(stage)
        story.end(stage, "degraded")
    [failure] = story.boot().failed()
    assert (failure.where, failure.stages) == ("/oem/b.yaml:3:1", ["fs", "boot"])
    assert story.text().count("/oem/b.yaml:3:1") == 1


def test_a_stage_that_ran_again_after_a_repair_counts_as_it_is_now(story: Story) -> None:
    story.start("boot")
    story.step("boot", "A.x", "failed", "x", error="no", where="/oem/a.yaml:1:1")
    story.end("boot", "degraded")
    assert story.boot().result == "degraded"
    story.stage("boot", "A.x")
    assert story.boot().result == "ok"
    assert "run 2 times" in story.text()


def test_a_failed_condition_of_a_skipped_step_counts(story: Story) -> None:
    story.start("boot")
    story.ledger.write("problem", stage="boot", step="A.x", severity="error", where="/oem/a.yaml:1:1: stages.boot[0].if", message="time limit of 1 s")
    story.step("boot", "A.x", "skipped", "if: time limit of 1 s")
    story.end("boot", "degraded")
    [failure] = story.boot().failed()
    assert failure.step == "A.x"


def test_a_mount_that_is_missing_makes_the_boot_degraded(story: Story) -> None:
    story.ledger.write("mount", what="LABEL=COS_PERSISTENT", where="/usr/local", result="missing", error="no such partition", hint="look at the disk")
    assert story.boot().result == "degraded"
    assert "LABEL=COS_PERSISTENT on /usr/local: no such partition" in story.text()


def test_warnings_are_told_and_cost_nothing(story: Story) -> None:
    story.ledger.write("problem", stage="boot", severity="warning", where="/oem/a.yaml:1:1", message="unknown key: systctl")
    story.stage("boot")
    assert story.boot().result == "ok"
    assert "unknown key: systctl" in story.text()


def test_a_stage_without_an_end(story: Story) -> None:
    story.start("boot")
    story.step("boot", "A.x")
    assert story.boot(alive=True).result == "running"
    assert story.boot(alive=False).result == "degraded"
    assert story.boot(ago=1).runs[0].result == "interrupted"
    assert "never ended" in story.text()


def test_damaged_lines_are_told(story: Story) -> None:
    story.stage("boot")
    with open(story.ledger.path, "ab") as file:
        file.write(b'{"kind": "st')
    assert "1 damaged line" in story.text()


def test_json_has_the_whole_of_it(story: Story) -> None:
    story.stage("boot", "A.x")
    data = json.loads(json.dumps(as_data(story.boot())))
    assert data["result"] == "ok"
    [step] = data["stages"][0]["steps"]
    assert (step["step"], step["result"], step["begin"], step["duration"]) == ("A.x", "done", 10.0, 0.5)


def test_records_of_a_later_version_are_no_harm(story: Story) -> None:
    story.ledger.write("something-new", stage=["x"], deep={"a": 1})
    story.ledger.write("stage", stage=5, event=None, duration="long")
    story.ledger.write("step", stage="boot", duration="x", result=None)
    story.stage("boot", "A.x")
    assert story.boot().result == "ok"
    assert as_text(story.boot(), 0.0)


def node(tmp_path: Path, current: str) -> Host:
    for path in ("proc/sys/kernel/random", "run/cos/ledger", "run/lock"):
        (tmp_path / path).mkdir(parents=True, exist_ok=True)
    (tmp_path / "proc/sys/kernel/random/boot_id").write_text(f"{current}\n")
    return Host(str(tmp_path))


def boots(tmp_path: Path, count: int) -> Host:
    for number in range(count):
        host = node(tmp_path, f"{number}-boot")
        ledger = Ledger(host.path(DIRECTORY), f"{number}-boot")
        ledger.write("stage", event="start", stage=f"s{number}")
        ledger.write("stage", event="end", stage=f"s{number}", result="done", duration=0.0)
        ledger.keep(host)
        if number < count - 1:
            os.unlink(ledger.path)
    return host


@pytest.mark.parametrize(("ago", "stage"), [("0", "s2"), ("1", "s1"), ("-1", "s1"), ("2", "s0"), ("1-b", "s1"), ("2-boot", "s2")])
def test_earlier_boots_are_found(tmp_path: Path, ago: str, stage: str) -> None:
    assert load(boots(tmp_path, 3), ago).runs[0].stage == stage


@pytest.mark.parametrize("ago", ["3", "x", "99999999999999"])
def test_a_boot_that_is_not_there(tmp_path: Path, ago: str) -> None:
    with pytest.raises(KairosError, match="boot"):
        load(boots(tmp_path, 3), ago)


def test_the_copy_serves_when_run_was_lost(tmp_path: Path) -> None:
    host = boots(tmp_path, 2)
    os.unlink(host.path(f"{DIRECTORY}/1-boot.jsonl"))
    assert load(host).runs[0].stage == "s1"


def test_nothing_recorded_says_so(tmp_path: Path) -> None:
    with pytest.raises(KairosError, match="nothing was recorded"):
        load(node(tmp_path, "b1"))


def test_a_run_that_goes_on_is_told_from_one_that_never_ended(tmp_path: Path) -> None:
    host = node(tmp_path, "b1")
    Ledger(host.path(DIRECTORY), "b1").write("stage", event="start", stage="boot")
    assert load(host).result == "degraded"
    assert load(host, running=True).result == "running"


@pytest.mark.parametrize("by", ["a run here, of the tree", "a run of the system whose tree it is", "a run of another tree", "nobody"])
def test_a_run_that_goes_on_in_a_tree_is_no_wreck(tmp_path: Path, by: str) -> None:
    """In a pod the node's root is a tree, too. A run of something else makes nothing of the tree's own go on."""
    host = node(tmp_path, "b1")
    paths = {"a run here, of the tree": ("", tmp_path), "a run of another tree": ("", tmp_path / "other"), "a run of the system whose tree it is": (str(tmp_path), "/")}
    if by == "nobody":
        assert not wiring.running(host)
        return
    home, root = paths[by]
    if not home and os.geteuid():
        pytest.skip("only root has a lock here")
    script = """
import sys
sys.path.insert(0, sys.argv[1])
from kairos_boot.cli import wiring
from kairos_boot.system.lock import Lock
Lock(sys.argv[2], wiring.about("boot", sys.argv[3])).acquire(print, 60)
print("holds", flush=True)
sys.stdin.readline()
"""
    with subprocess.Popen([sys.executable, "-c", script, str(TOP), home + LOCK, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "holds\n"
        found = wiring.running(host)
        run.communicate("\n", timeout=60)
    assert found == (by != "a run of another tree")
    assert not wiring.running(host)


def test_the_verb_prints_text_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = boots(tmp_path, 2).root
    assert verb.run(["--root", root]) == 0
    assert capsys.readouterr().out.startswith("OK: ")
    assert verb.run(["--root", root, "--boot", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["boot"]["id"] == "0-boot"


@pytest.mark.parametrize(("value", "text"), [(0.0, "0 ms"), (0.3124, "312 ms"), (1.238, "1.24 s"), (0.9996, "1.00 s"), (59.996, "1 min 0 s"), (125.0, "2 min 5 s"), (10920.0, "3 h 2 min")])
def test_durations_for_people(value: float, text: str) -> None:
    assert seconds(value) == text


def test_a_system_that_came_up_for_another_one_leads_with_the_reason(story: Story) -> None:
    """An operator who looks at a node that runs must see at once that it is not the system that it should be (D13)."""
    story.ledger.write("boot", mode="passive")
    story.ledger.write("failed-boot", entry="cos", where="/cOS/active.img", message="the image is missing", hint="upgrade the node", happened=1000)
    story.stage("boot", "a")
    lines = story.text().split("\n")
    assert lines[:3] == ["THE ENTRY cos DID NOT BOOT at 1970-01-01 00:16:40 UTC", "  /cOS/active.img: the image is missing", "      upgrade the node"]
    assert "DEGRADED: 1 step done" in lines[4]
    assert as_data(story.boot())["result"] == "degraded"
    assert [r["entry"] for r in as_data(story.boot())["not_booted"]] == ["cos"]


def fail(story: Story, stage: str = "boot", step: str = "A.x", error: str = "no", **origin: Any) -> None:
    """A run with one failure."""
    story.start(stage, **origin)
    story.step(stage, step, "failed", error, error=error, where="/oem/a.yaml:1:1")
    story.end(stage, "degraded")


def test_a_failure_stands_until_its_step_was_done(story: Story) -> None:
    """A run of the same stage with another document says nothing of it (X17)."""
    fail(story, by="unit")
    story.start("boot", by="hand", sources=["/srv/x.yaml"])
    story.step("boot", "B.y")
    story.end("boot")
    assert [f.step for f in story.boot().failed()] == ["A.x"]
    assert story.text().startswith("DEGRADED: 1 step done, 0 skipped, 1 failure")
    story.start("boot", by="hand")
    story.step("boot", "A.x", "skipped", "--only")
    story.end("boot")
    assert story.boot().result == "degraded"
    story.start("boot", by="hand")
    story.step("boot", "A.x")
    story.end("boot")
    assert story.boot().result == "ok"


def test_a_failure_of_a_step_that_is_no_more_goes_with_a_run_over_the_same_sources(story: Story) -> None:
    fail(story)
    story.stage("boot", "A.other")
    assert story.boot().result == "ok"


def test_a_failure_that_comes_again_with_other_words_is_one(story: Story) -> None:
    fail(story, error="exit status 1")
    fail(story, error="exit status 2")
    assert [f.message for f in story.boot().failed()] == ["exit status 2"]


def test_what_ran_by_hand_is_shown_as_such_beside_the_boot(story: Story) -> None:
    fail(story, by="unit", unit="cos-setup-boot.service")
    story.start("boot", by="hand", sources=["/srv/x\n.yaml"])
    story.step("boot", "B.y")
    story.end("boot")
    rows = [line for line in story.text().split("\n") if line.startswith("  boot ")]
    assert [row.split()[1:5] for row in rows] == [["degraded", "0", "0", "1"], ["done", "1", "0", "0"]]
    assert rows[1].endswith("by hand, /srv/x\\n.yaml")
    assert [(s["by"], s["unit"], s["sources"]) for s in as_data(story.boot())["stages"]] == [("unit", "cos-setup-boot.service", []), ("hand", "", ["/srv/x\n.yaml"])]


def test_header_and_table_count_alike(story: Story) -> None:
    """Two commands of one step that failed, and a condition that could not be decided, are three failures (X6)."""
    story.start("boot")
    for number in (0, 1):
        story.ledger.write("item", stage="boot", step="A.x", module="commands", action="run x", result="failed", error="no", where=f"/oem/a.yaml:{number}:1")
    story.step("boot", "A.x", "failed", "no")
    story.ledger.write("problem", stage="boot", step="A.c", severity="error", where="/oem/a.yaml:9:1: stages.boot[1].if", message="time limit")
    story.step("boot", "A.c", "skipped", "if: time limit")
    story.end("boot", "degraded")
    assert story.text().startswith("DEGRADED: 0 steps done, 1 skipped, 3 failures")
    assert next(line.split()[:5] for line in story.text().split("\n") if line.startswith("  boot ")) == ["boot", "degraded", "0", "1", "3"]
    data = as_data(story.boot())
    assert (len(data["failures"]), data["stages"][0]["failed"]) == (3, 3)


def earlier(tmp_path: Path, *failing: str, end: bool = True) -> Host:
    """A node with a boot before this one, in which these steps of stage boot failed."""
    host = node(tmp_path, "old")
    story = Story(tmp_path / "run/cos/ledger", "old")
    story.start("boot", by="unit")
    for name in failing:
        story.step("boot", name, "failed", "x", error="exit status 1 at 12:00", where="/oem/a.yaml:3:1")
    if end:
        story.end("boot", "degraded" if failing else "done")
    story.ledger.keep(host)
    os.unlink(story.ledger.path)
    return node(tmp_path, "new")


def test_failures_that_the_last_good_boot_had_too_are_marked_and_come_last(tmp_path: Path) -> None:
    """What is new is what somebody must look at (E7); lines move, and messages have times in them."""
    host = earlier(tmp_path, "A.old")
    story = Story(tmp_path / "run/cos/ledger", "new")
    story.start("boot", by="unit")
    story.step("boot", "A.old", "failed", "x", error="exit status 1 at 13:00", where="/oem/a.yaml:4:1")
    story.step("boot", "A.new", "failed", "x", error="exit status 1", where="/oem/a.yaml:9:1")
    story.end("boot", "degraded")
    boot = load(host)
    assert [(f.step, f.known) for f in boot.failed()] == [("A.new", False), ("A.old", True)]
    lines = as_text(boot, 1_000_060.0)
    assert lines[0] == "DEGRADED: 0 steps done, 0 skipped, 2 failures, 1 of them new"
    assert lines.index("FAILED") < lines.index("FAILED IN THE LAST GOOD BOOT, TOO")
    assert [f["known"] for f in as_data(boot)["failures"]] == [False, True]
    assert as_data(boot)["boot"]["compared_with"] == "old"


def test_a_boot_that_did_not_come_up_is_no_measure(tmp_path: Path) -> None:
    host = earlier(tmp_path, "A.old", end=False)
    fail(Story(tmp_path / "run/cos/ledger", "new"), step="A.old")
    assert [(f.step, f.known) for f in load(host).failed()] == [("A.old", False)]


def test_failures_of_the_image_and_of_the_node_are_told_apart(story: Story) -> None:
    story.start("boot")
    story.ledger.write("item", stage="boot", step="D.x", module="commands", action="run x", result="failed", error="no", where="/system/oem/d.yaml:1:1")
    story.ledger.write("step", stage="boot", step="D.x", file="/system/oem/d.yaml", result="failed", reason="no", duration=0)
    story.step("boot", "A.x", "failed", "no", error="no", where="/oem/a.yaml:1:2: stages.boot[0]")
    story.end("boot", "degraded")
    assert "in stage boot, step D.x, commands (the image's defaults)" in story.text()
    assert "in stage boot, step A.x, commands\n" in story.text() + "\n"
    assert [(f["of"], f["file"], f["line"], f["column"]) for f in as_data(story.boot())["failures"]] == [("image", "/system/oem/d.yaml", 1, 1), ("node", "/oem/a.yaml", 1, 2)]


def test_foreign_text_does_nothing_to_a_terminal(story: Story) -> None:
    """A step's name, its stage, what a command said: none forges a line or sends a control character (E6)."""
    evil = "\x1b]0;pwn\x07\x9b"
    story.start("boot" + evil)
    story.step("boot" + evil, "A.x\nOK: forged" + evil, "failed", "x" + evil, error=f"a{evil}\nb{evil}", where="/oem/a.yaml:1:1" + evil, hint=evil + "\n")
    story.step("boot" + evil, "A.y" + evil, "skipped", "x" + evil)
    story.ledger.write("mount", what="w" + evil, where="/", result="missing", error="no" + evil)
    story.ledger.write("boot", mode="active" + evil)
    for more in ({}, {"steps": True}):
        lines = story.text(**more)
        assert "\x1b" not in lines
        assert "\x9b" not in lines
        assert not [line for line in lines.split("\n")[1:] if line.startswith("OK: ")]


SHAPES: tuple[Any, ...] = (None, True, -1, 0.5, 1e300, 10**400, "", "x", "\udc80\x1b", [], [[]], ["a", 1], {}, {"a": {"b": []}}, "9" * 5000)


@pytest.mark.parametrize("rounds", [100, pytest.param(400, marks=pytest.mark.slow)])
def test_records_of_any_shape_are_no_crash(story: Story, rounds: int) -> None:
    """Each field of each kind of record with each wrong type, lines cut anywhere, and lines that are no records: `status` and `analyze` tell what is left (E6)."""
    import random

    from kairos_boot.reports import analyze, chain, drift, metrics, picture

    story.ledger.write("boot", mode="active")
    story.ledger.write("failed-boot", entry="cos", where="/x", message="m", hint="h", happened=1000, log="/l")
    story.ledger.write("mount", what="a", where="/b", type="ext4", options="", result="missing", error="e", hint="h", duration=0.1)
    story.ledger.write("problem", stage="boot", step="A.x", severity="error", where="/oem/a.yaml:1:1", message="m", hint="h")
    fail(story, by="unit", unit="u", sources=["/a"])
    story.stage("boot", "A.x", "A.y")
    story.ledger.write("stage", event="start", stage="network", by="unit", unit="u", process=1.5)
    story.ledger.write("begin", stage="network", step="N.x", file="/oem/a.yaml")
    story.ledger.write("difference", stage="boot", step="A.x", file="/oem/a.yaml", module="files", path="/f", wanted="w", found="f", where="/oem/a.yaml:1:1: x")
    story.ledger.write("drift", steps=1, things=2, differences=1, again=["A.x"], changed=["/oem/b.yaml"], duration=0.1)
    story.ledger.write("kept", result="failed", where="/var/log", error="e")
    with open(story.ledger.path, encoding="utf-8") as file:
        good = [json.loads(line) for line in file]
    rng = random.Random(7)
    for round_ in range(rounds):
        lines = []
        for record in good:
            mutated = dict(record)
            for field in rng.sample(sorted(mutated), rng.randrange(3)):
                mutated[field] = rng.choice(SHAPES)
            line = json.dumps(mutated)
            lines.append(line[:rng.randrange(len(line))] if not rng.randrange(12) else line)
        if not round_ % 4:
            lines += ["[" * 200_000, '{"kind": "stage", "time": Infinity}', '{"kind": "mount", "time": NaN, "what": 1e999}', "{" + '"kind": ' * 9, '{"kind": "item", "x": ' + "[" * 900 + "]" * 900 + "}"]
        boot = Boot("b1", "\n".join(lines).encode("utf-8", "surrogatepass"))
        assert as_text(boot, 1_000_060.0)
        assert as_text(boot, 1_000_060.0, steps=True)
        json.loads(json.dumps([as_data(boot), drift.as_data(boot)], allow_nan=False))
        assert drift.as_text(boot, 1_000_060.0)
        assert metrics.text(boot, "1").isprintable() is False
        for report in (analyze.blame, analyze.timeline, chain.critical_chain):
            assert report(boot)
        assert picture.svg(boot)
        if not round_ % 4:
            assert boot.damaged >= 5
            assert "damaged lines" in "\n".join(as_text(boot, 0.0))
