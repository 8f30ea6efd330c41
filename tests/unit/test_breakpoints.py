"""Breakpoints and steps left out: what the words on the kernel command line name, and what comes of one that names nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.boot.cmdline import Cmdline
from kairos_boot.cli.guide import break_place, guide_of, skip_place, skipped
from kairos_boot.cloudconfig.model import Document
from kairos_boot.facts import Facts
from kairos_boot.stages.breakpoints import Guide
from kairos_boot.stages.runner import Runner
from kairos_boot.system.host import Host
from kairos_boot.system.process import Processes

if TYPE_CHECKING:
    from pathlib import Path

STEPS = {"boot.before": {"Early": "early"}, "boot": {"One": "one", "Disk check": "check", "Last": "last"}}


class Console:
    """Somebody at the console: what was shown to them, and what had been done by then."""

    def __init__(self, root: Path, *, missing: bool = False) -> None:
        self.root, self.missing = root, missing
        self.shown: list[tuple[str, list[str]]] = []

    def __call__(self, text: str, stage: str) -> None:
        if self.missing:
            raise FileNotFoundError(2, "No such file or directory", "/dev/console")
        self.shown.append((f"{stage}: {text}", self.trace()))

    def trace(self) -> list[str]:
        path = self.root / "trace"
        return path.read_text().split() if path.exists() else []


class Records:
    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []

    def write(self, kind: str, **fields: object) -> None:
        self.all.append({"kind": kind, **fields})


def boot(root: Path, cmdline: str, console: Console) -> tuple[list[str], Records]:
    """Run the stage boot with the words of *cmdline*; what was logged, and the record."""
    line, records, said = Cmdline(cmdline), Records(), list[str]()

    def log(priority: int, message: str, **_: object) -> None:
        if priority <= 5:
            said.append(message)

    host = Host(str(root), Processes(environment={"PATH": "/usr/bin:/bin"}))
    guide = Guide(map(break_place, line.values("rd.kairos.break")), map(skip_place, line.values("kairos.skip")), console, lambda: ["/ (ext4, read-only)"], log, records)
    document = Document("/doc.yaml", "Doc", {stage: tuple({"name": name, "keys": ("name", "commands"), "marks": {"": (1, 1)}, "commands": (f"echo {word} >> {root}/trace",)}
                                                        for name, word in steps.items()) for stage, steps in STEPS.items()})
    Runner(host, Facts(), records, log, guide=guide).emit("boot", lambda: [document])
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
    guide = guide_of(Host(str(tmp_path)), Cmdline(cmdline), lambda priority, message, **_: said.append(message), Records())
    assert (guide is not None, bool(skipped(Host(str(tmp_path)), Cmdline(cmdline)))) == (counts, counts)
    assert bool(said) == (not counts)
    assert counts or "the console is locked (rd.shell=0)" in said[0]


def test_a_stage_that_is_none_is_said_once_in_a_boot(tmp_path: Path) -> None:
    """In the initrd, where a boot begins."""
    said: list[str] = []
    for _ in range(2):
        guide_of(Host(str(tmp_path)), Cmdline("rd.kairos.break=initramsf.before"), lambda priority, message, **_: said.append(message), Records())
        (tmp_path / "etc").mkdir(exist_ok=True)
        (tmp_path / "etc/initrd-release").touch()
    assert said == ["rd.kairos.break=initramsf.before: there is no stage 'initramsf.before'; did you mean 'initramfs.before'?"]
