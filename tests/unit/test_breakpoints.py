"""Breakpoints and steps left out: what the words on the kernel command line name, and what comes of one that names nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.boot.cmdline import Cmdline
from kairos_boot.cli.guide import break_place, guide_of, skip_place, skipped
from kairos_boot.cloudconfig.decode import decode
from kairos_boot.cloudconfig.model import Document, Step
from kairos_boot.facts import Facts
from kairos_boot.stages.breakpoints import Guide
from kairos_boot.stages.graph import Vertex
from kairos_boot.stages.runner import Runner
from kairos_boot.system.host import Host
from kairos_boot.system.process import Processes

if TYPE_CHECKING:
    from collections.abc import Sequence

TOP = Path(__file__).parents[2]
STEPS = {"boot.before": {"Early": "early"}, "boot": {"One": "one", "Disk check": "check", "Last": "last"}}


class Console:
    """Somebody at the console: what was shown to them, and what had been done by then."""

    def __init__(self, root: Path, *, missing: bool = False) -> None:
        self.root, self.missing, self.left = root, missing, 0.0
        self.shown: list[tuple[str, list[str]]] = []

    def __call__(self, text: str, stage: str) -> None:
        if self.missing:
            raise FileNotFoundError(2, "No such file or directory", "/dev/console")
        self.shown.append((f"{stage}: {text}", self.trace()))
        self.left = time.time()

    def trace(self) -> list[str]:
        path = self.root / "trace"
        return path.read_text().split() if path.exists() else []


class Records:
    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []

    def write(self, kind: str, **fields: object) -> None:
        self.all.append({"kind": kind, **fields})


def boot(root: Path, cmdline: str, console: Console, stages: Sequence[str] = ("boot",)) -> tuple[list[str], Records]:
    """Run *stages* with the words of *cmdline*; what was logged, and the record."""
    line, records, said = Cmdline(cmdline), Records(), list[str]()

    def log(priority: int, message: str, **_: object) -> None:
        if priority <= 5:
            said.append(message)

    host = Host(str(root), Processes(environment={"PATH": "/usr/bin:/bin"}))
    guide = Guide(map(break_place, line.values("rd.kairos.break")), map(skip_place, line.values("kairos.skip")), console, lambda: ["/ (ext4, read-only)"], log, records)
    document = Document("/doc.yaml", "Doc", {stage: tuple({"name": name, "keys": ("name", "commands"), "marks": {"": (1, 1)}, "commands": (f"echo {word} >> {root}/trace",)}
                                                        for name, word in steps.items()) for stage, steps in STEPS.items()})
    runner = Runner(host, Facts(), records, log, guide=guide)
    for stage in stages:
        runner.emit(stage, lambda: [document])
    return said, records


@pytest.mark.parametrize(("word", "before", "next_"), [
    ("boot", ["early"], "Doc.One, Doc.Disk check, Doc.Last"),
    ("boot.before", [], "Doc.Early"),
    ("boot.after", ["early", "one", "check", "last"], "no step"),
    ('"boot:Disk check"', ["early", "one"], "Doc.Disk check"),
    ("boot:Doc.Last", ["early", "one", "check"], "Doc.Last"),
    ("boot:Di*", ["early", "one"], "Doc.Disk check"),
])  # fmt: skip
def test_a_shell_comes_at_that_point_and_the_boot_goes_on_behind_it(tmp_path: Path, word: str, before: list[str], next_: str) -> None:
    """The text says where it stopped and why, what is mounted, what comes next, and how to go on."""
    console = Console(tmp_path)
    said, records = boot(tmp_path, f"rd.kairos.break={word}", console)
    [(text, done)] = console.shown
    assert done == before
    assert f"(rd.kairos.break={word.strip(chr(34))})" in text
    assert all(f"  {what:<9}  " in text for what in ("Mounted", "Next", "Go on"))
    assert f"Next       {next_}" in text
    assert "/ (ext4, read-only)" in text
    assert console.trace() == ["early", "one", "check", "last"]
    assert len([record for record in records.all if record["kind"] == "break"]) == 1
    assert [line.partition(" ")[0] for line in said] == ["stopped", "going"]


@pytest.mark.parametrize("word", ['"Disk check"', '"boot:Disk check"', '"Doc.Disk check"', "Disk*"])
def test_a_step_is_left_out_of_the_boot_and_the_record_says_why(tmp_path: Path, word: str) -> None:
    console = Console(tmp_path)
    said, records = boot(tmp_path, f"kairos.skip={word}", console)
    [skipped_] = [record for record in records.all if record.get("result") == "skipped"]
    assert console.trace() == ["early", "one", "last"]
    assert (skipped_["step"], skipped_["reason"]) == ("Doc.Disk check", f"kairos.skip={word.strip(chr(34))} on the kernel command line")
    assert said == ["left out of stage boot in this boot (kairos.skip): Doc.Disk check"]


def test_a_step_of_another_stage_is_not_left_out(tmp_path: Path) -> None:
    console = Console(tmp_path)
    boot(tmp_path, "kairos.skip=fs:One rd.kairos.break=fs", console)
    assert (console.trace(), console.shown) == (["early", "one", "check", "last"], [])


def test_a_word_that_names_no_step_says_what_was_probably_meant(tmp_path: Path) -> None:
    console = Console(tmp_path)
    said, _ = boot(tmp_path, 'rd.kairos.break="boot:Disk chekc" kairos.skip=boot:Lsat', console)
    assert said == ["rd.kairos.break=boot:Disk chekc: stage boot has no step 'Disk chekc'; did you mean 'Disk check'?", "kairos.skip=boot:Lsat: stage boot has no step 'Lsat'; did you mean 'Last'?"]
    assert console.trace() == ["early", "one", "check", "last"]


def problems(records: Records) -> list[tuple[str, str, str]]:
    """Place, text and remedy of each warning of the record, which status shows."""
    return [(record["where"], record["message"], record["hint"]) for record in records.all if record["kind"] == "problem" and record["severity"] == "warning"]


@pytest.mark.parametrize(("word", "stages", "told"), [
    ("kairos.skip=boot:Lsat", ("boot",), ("stage boot has no step 'Lsat'", "did you mean 'Last'?")),
    ("kairos.skip=Lsat", ("boot", "network"), ("no stage has a step 'Lsat'", "did you mean 'Last'?")),
    ("kairos.skip=Doc.Lsat", ("boot", "network"), ("no stage has a step 'Doc.Lsat'", "did you mean 'Doc.Last'?")),
    ("rd.kairos.break=boot:qqqqqqqq", ("boot", "network"), ("stage boot has no step 'qqqqqqqq'", "")),
    ("kairos.skip=Last", ("boot", "network"), None), ("kairos.skip=Lsat", ("boot",), None),
])  # fmt: skip
def test_what_names_no_step_is_in_the_record_once(tmp_path: Path, word: str, stages: tuple[str, ...], told: tuple[str, str] | None) -> None:
    """A word without a stage is told of at the end of the boot's stages: user data may still bring the step."""
    _, records = boot(tmp_path, word, Console(tmp_path), stages=stages)
    assert problems(records) == ([(word, *told)] if told else [])


def test_the_time_at_the_console_is_not_the_steps(tmp_path: Path) -> None:
    """Its own time begins when the boot goes on: the clock of the record says so."""
    console = Console(tmp_path)
    _, records = boot(tmp_path, "rd.kairos.break=boot:Last", console)
    [end] = [number for number, record in enumerate(records.all) if record["kind"] == "break"]
    [last] = [record for record in records.all if record["kind"] == "step" and record["step"] == "Doc.Last"]
    assert console.left <= last["start"]
    assert [record["step"] for record in records.all[end:] if record["kind"] == "step"] == ["Doc.Last"]


def test_steps_that_may_overlap_do_not_where_the_boot_stops_at_one(tmp_path: Path) -> None:
    """Else others would run while somebody looks, or two shells share a console."""
    (tmp_path / "trace").touch()
    text = "jobs: 8\nstages:\n  boot:\n" + "".join(f"  - {{name: S{n}, after: [{{name: init}}], commands: ['echo {n} >> {tmp_path}/trace']}}\n" for n in range(1, 7))
    console = Console(tmp_path)
    line, records = Cmdline("rd.kairos.break=boot:S3 rd.kairos.break=boot:S5"), Records()
    guide = Guide(map(break_place, line.values("rd.kairos.break")), (), console, list, lambda *_, **__: None, records)
    document = decode(text.encode(), "/doc.yaml")
    Runner(Host(str(tmp_path), Processes(environment={"PATH": "/usr/bin:/bin"})), Facts(), records, lambda *_, **__: None, guide=guide).emit("boot", lambda: [document])
    assert [done for _, done in console.shown] == [["1", "2"], ["1", "2", "3", "4"]]


def test_brackets_in_a_name_are_its_own() -> None:
    step = Vertex("Doc.Disk [sda]", Step(name="Disk [sda]"), Document("/doc.yaml"))
    assert skip_place("Disk [sda]").is_of("boot", step)
    assert skip_place("D*[sda]").is_of("boot", step)
    assert not skip_place("Disk s").is_of("boot", step)


def test_plan_says_which_words_name_nothing(tmp_path: Path) -> None:
    (tmp_path / "doc.yaml").write_text("stages: {boot: [{name: Last, hostname: x}], fs: [{name: Other, hostname: y}]}")
    call = [sys.executable, "-m", "kairos_boot", "plan", "--cmdline", "kairos.skip=Lsat kairos.skip=fs:Othr kairos.skip=Other", "--override-cloud-init-paths", str(tmp_path)]
    told = [subprocess.run([*call, word], cwd=TOP, check=False, capture_output=True, text=True, timeout=60) for word in ("--all", "boot")]
    assert told[0].stderr == ("warning: kairos.skip=fs:Othr: stage fs has no step 'Othr'; did you mean 'Other'?\n"
                              "warning: kairos.skip=Lsat: no stage has a step 'Lsat'; did you mean 'Last'?\n")
    assert "Other: kairos.skip=Other on the kernel command line" in told[0].stdout
    assert told[1].stderr == ""


def test_without_a_console_the_boot_goes_on_and_says_so(tmp_path: Path) -> None:
    console = Console(tmp_path, missing=True)
    said, _ = boot(tmp_path, "rd.kairos.break=boot", console)
    assert console.trace() == ["early", "one", "check", "last"]
    assert "no shell before stage boot: [Errno 2] No such file or directory: '/dev/console'" in said


@pytest.mark.parametrize(("cmdline", "allowed", "counts"), [
    ("kairos.skip=One", False, True), ("rd.shell=0 kairos.skip=One", False, False), ("rd.shell=0 kairos.skip=One", True, True),
    ("rd.shell=0 kairos.skip=One rd.shell=1", False, True), ("rd.shell=0 rd.shell kairos.skip=One", False, True), ("rd.shell rd.shell=no kairos.skip=One", False, False),
])  # fmt: skip
def test_a_locked_console_takes_no_words_unless_the_image_allows_it(tmp_path: Path, cmdline: str, allowed: bool, counts: bool) -> None:
    """The console is locked by the last rd.shell; /etc/kairos-boot/breakpoints is the image's word."""
    if allowed:
        (tmp_path / "etc/kairos-boot").mkdir(parents=True)
        (tmp_path / "etc/kairos-boot/breakpoints").touch()
    said: list[str] = []
    (tmp_path / "etc").mkdir(exist_ok=True)
    (tmp_path / "etc/initrd-release").touch()
    records = Records()
    guide = guide_of(Host(str(tmp_path)), Cmdline(cmdline), lambda priority, message, **_: said.append(message), records)
    assert (guide is not None, bool(skipped(Host(str(tmp_path)), Cmdline(cmdline)))) == (counts, counts)
    assert bool(said) == bool(problems(records)) == (not counts)
    assert counts or "the console is locked (rd.shell=0)" in said[0]


def test_a_stage_that_is_none_is_said_once_in_a_boot(tmp_path: Path) -> None:
    """In the initrd, where a boot begins."""
    said: list[str] = []
    for _ in range(2):
        guide_of(Host(str(tmp_path)), Cmdline("rd.kairos.break=initramsf.before"), lambda priority, message, **_: said.append(message), Records())
        (tmp_path / "etc").mkdir(exist_ok=True)
        (tmp_path / "etc/initrd-release").touch()
    assert said == ["rd.kairos.break=initramsf.before: there is no stage 'initramsf.before'; did you mean 'initramfs.before'?"]


@pytest.mark.parametrize(("word", "stops"), [("reconcile", False), ("reconcile.before", False), ("reconcile:Step", False), ("network.after", True)])
def test_a_breakpoint_is_for_the_boot_and_not_for_what_a_timer_runs(tmp_path: Path, word: str, stops: bool) -> None:
    """Nobody sits at the console of a node that is up; the record says so once, in the initrd."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/initrd-release").touch()
    records = Records()
    guide = guide_of(Host(str(tmp_path)), Cmdline(f"rd.kairos.break={word}"), lambda *_, **__: None, records)
    assert guide is not None
    stage = word.partition(":")[0]
    assert (guide.stops_in(stage) or any(place.stage == stage for place in guide._breaks)) == stops
    assert [place for place, _, _ in problems(records)] == ([] if stops else [f"rd.kairos.break={word}"])
