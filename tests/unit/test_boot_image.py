"""Before the image is attached: what makes a boot end in the emergency mode, with cause and remedy (D3)."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.boot import image, report
from kairos_boot.boot.cmdline import Cmdline
from kairos_boot.boot.image import BootDisk, check_image
from kairos_boot.boot.keeping import image_identity
from kairos_boot.boot.report import FatalError, Report, banner
from kairos_boot.boot.state import detect
from kairos_boot.errors import KairosError
from kairos_boot.stages.culprits import Culprits
from kairos_boot.system import ext4
from kairos_boot.system.process import Processes, Result
from kairos_boot.system.udev import Partition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

STATE = Partition("/dev/vda4", "vda", "COS_STATE", "ext4", "aa")
ENTRY = "root=LABEL=COS_ACTIVE cos-img/filename=/cOS/active.img"


class Notes:
    """A ledger and a log that remember."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.lines: list[str] = []

    def write(self, kind: str, **fields: Any) -> None:
        self.records.append({"kind": kind, **fields})

    def log(self, priority: int, message: str, **about: str) -> None:
        self.lines.append(message)


class Machine:
    """A node with these partitions; *path* is what its state partition holds."""

    def __init__(self, home: Path, partitions: Sequence[Partition] = (STATE,)) -> None:
        self.home, self.all = home, list(partitions)
        self.processes = Processes()
        self.calls: list[tuple[object, ...]] = []

    def wait(self, find: Callable[[list[Partition]], Partition | None], limit: float) -> Partition | None:
        self.calls.append(("wait", limit))
        return find(self.all)

    def partitions(self) -> list[Partition]:
        return self.all

    def mount(self, source: str, target: str, fstype: str, options: Sequence[str]) -> None:
        self.calls.append(("mount", source, fstype, *options))

    def attach(self, path: str, *, read_only: bool) -> str:
        self.calls.append(("attach", path, read_only))
        return "/dev/loop7"

    def esp(self) -> str:
        return ""


def make_image(path: Path, label: str = "COS_ACTIVE") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-L", label, path], check=True)
    return path


def attach(machine: Machine, cmdline: str) -> tuple[BootDisk, Notes]:
    notes, line = Notes(), Cmdline(cmdline)
    disk = image.attach(line, detect(line), machine, Report(notes, notes.log, "/dev/null"), 1, str(machine.home))  # type: ignore[arg-type]
    return disk, notes


def test_the_image_is_attached_read_only_and_each_part_is_recorded(tmp_path: Path) -> None:
    make_image(tmp_path / "cOS/active.img")
    machine = Machine(tmp_path)
    disk, notes = attach(machine, f"{ENTRY} kairos.state=PARTUUID=AA fsck.mode=skip")
    assert disk == BootDisk("vda", "/dev/vda4", "ext4", f"{tmp_path}/cOS/active.img", "/dev/loop7")
    assert machine.calls == [("wait", 1), ("mount", "/dev/vda4", "ext4", "ro"), ("attach", f"{tmp_path}/cOS/active.img", True)]
    assert [r["result"] for r in notes.records if r["kind"] == "mount"] == ["done"] * 4
    assert BootDisk.parse(disk.text()) == disk


@pytest.mark.parametrize(("cmdline", "cause"), [
    ("root=LABEL=COS_ACTIVE", "cos-img/filename=PATH is missing"),
    ("root=/dev/sda cos-img/filename=/x", "neither the partition"),
    (f"{ENTRY} kairos.state=PARTUUID=bb", "PARTUUID=bb, did not appear within 1 s; there are: /dev/vda4 (COS_STATE)"),
])
def test_a_boot_that_cannot_find_its_image_says_what_is_missing_and_what_is_there(tmp_path: Path, cmdline: str, cause: str) -> None:
    with pytest.raises(FatalError) as error:
        attach(Machine(tmp_path), cmdline)
    assert cause in error.value.message
    assert error.value.hint


def test_a_missing_image_is_fatal_and_its_neighbours_are_named(tmp_path: Path) -> None:
    make_image(tmp_path / "cOS/passive.img")
    (tmp_path / "cOS/passive.img.sha256").write_text("")
    with pytest.raises(FatalError, match=r"missing; in its directory: passive\.img;"):
        attach(Machine(tmp_path), f"{ENTRY} fsck.mode=skip")


@pytest.mark.parametrize(("offset", "data", "cause"), [
    (0, bytes(1 << 16), "beginning was overwritten"), (1024 + 24, b"\xff\xff", "superblock is damaged"), (1024 + 4, b"\xff\xff\xff\x00", "cut off"),
    (1024 + 58, b"\x02\x00", "kernel noted errors"),
], ids=["overwritten", "nonsense", "longer than its file", "errors"])
def test_a_damaged_superblock_is_fatal(tmp_path: Path, offset: int, data: bytes, cause: str) -> None:
    path = make_image(tmp_path / "a.img")
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)
    with pytest.raises(FatalError, match=cause):
        check_image(str(path), (), Processes())


def test_a_copy_that_was_cut_off_is_fatal(tmp_path: Path) -> None:
    path = make_image(tmp_path / "a.img")
    os.truncate(path, 4 << 20)
    with pytest.raises(FatalError, match="cut off: 4194304 bytes of a file system of 8388608"):
        check_image(str(path), (), Processes())


def test_damaged_group_descriptors_are_found_by_e2fsck(tmp_path: Path) -> None:
    path = make_image(tmp_path / "a.img")
    block = int(subprocess.run(["/sbin/dumpe2fs", "-h", path], capture_output=True, text=True, check=True).stdout.split("Block size:")[1].split()[0])
    with path.open("r+b") as file:
        file.seek(max(block, 2048))
        file.write(b"\xff" * 64)
    assert ext4.check(str(path)) == "COS_ACTIVE"
    with pytest.raises(FatalError, match="e2fsck"):
        check_image(str(path), ("-p",), Processes())


def test_a_sound_image_passes_whatever_its_label_says(tmp_path: Path) -> None:
    """After an upgrade passive is a hard link of what was active, and no label is rewritten inside an image (G9)."""
    path = make_image(tmp_path / "a.img", "COS_PASSIVE")
    check_image(str(path), ("-p", "-f"), Processes())


def test_without_e2fsck_the_superblock_decides(tmp_path: Path) -> None:
    class Nothing:
        def run(self, *words: object, **how: object) -> Result:
            raise KairosError("cannot run e2fsck")

    check_image(str(make_image(tmp_path / "a.img")), ("-p",), Nothing())


def test_a_file_system_that_cannot_be_repaired_is_a_warning_and_is_mounted_all_the_same() -> None:
    class Broken:
        def run(self, *words: object, **how: object) -> Result:
            return Result(4, "UNEXPECTED INCONSISTENCY")

    notes = Notes()
    image.check_file_system("/dev/vda5", "ext4", ("-p",), Broken(), Report(notes, notes.log, "/dev/null"))  # type: ignore[arg-type]
    assert "UNEXPECTED INCONSISTENCY" in notes.lines[0]


def test_a_fatal_error_is_noted_for_the_end_of_the_boot_and_the_banner_is_on_every_console(tmp_path: Path) -> None:
    consoles = [tmp_path / "tty1", tmp_path / "ttyS0"]
    for console in consoles:
        console.touch()
    notes, error = Notes(), FatalError("the cause " * 20, "/a/place", "the remedy")
    said = Report(notes, notes.log, "/dev/null")  # type: ignore[arg-type]
    said.fatal(error, str(tmp_path / "run/fatal"), str(tmp_path / "run/record"))
    assert notes.records[-1]["severity"] == "error"
    assert '"message": "the cause' in (tmp_path / "run/record").read_text()
    said.banner(error, [*map(str, consoles), str(tmp_path / "none")], [("Next", "in 30 s …")], str(tmp_path / "run/fatal"))
    for text in [console.read_bytes().decode() for console in consoles]:
        assert "THIS NODE CANNOT BOOT\r\n" in text
        for words in ("  Where:   /a/place", "  Cause:   the cause", "  Remedy:  the remedy", "  Next:    in 30 s …"):
            assert words in text
    assert "CANNOT BOOT" in (tmp_path / "run/fatal").read_text()
    assert max(map(len, banner(FatalError("word " * 50)).splitlines())) <= 80


def test_what_a_damaged_disk_says_does_nothing_to_a_console(tmp_path: Path) -> None:
    """A label or the words of e2fsck may hold anything (E6)."""
    (tmp_path / "console").touch()
    notes = Notes()
    said = Report(notes, notes.log, str(tmp_path / "console"))  # type: ignore[arg-type]
    shown = ""
    saying: list[Callable[[], None]] = [lambda: said.say("label \x1b[2J", failed=True), lambda: said.did_not_boot({"entry": "cos\x07", "message": "odd\x1b[1A\nmore"}),
                lambda: said.banner(FatalError("odd\x1b[2J", "/x\x07", "mend\x08 it"), [str(tmp_path / "console")], (), str(tmp_path / "fatal"))]
    for say in saying:
        (tmp_path / "console").write_text("")
        say()
        shown += (tmp_path / "console").read_text().replace("\x1b[0;1;31m", "").replace("\x1b[0m", "")
    assert [char for char in shown if not char.isprintable() and char not in "\r\n"] == []
    for words in ("label \\x1b[2J", "The entry cos\\x07 did not boot: odd\\x1b[1A", "Cause:   odd\\x1b[2J", "Where:   /x\\x07"):
        assert words in shown


def test_a_full_run_costs_no_banner(tmp_path: Path) -> None:
    (tmp_path / "console").touch()
    (tmp_path / "full").touch()
    notes = Notes()
    said = Report(notes, notes.log, "/dev/null")  # type: ignore[arg-type]
    said.fatal(FatalError("x"), str(tmp_path / "full/fatal"), str(tmp_path / "full/record"))
    said.banner(FatalError("x"), [str(tmp_path / "console")], (), str(tmp_path / "full/fatal"))
    assert "CANNOT BOOT" in (tmp_path / "console").read_text()


@pytest.mark.parametrize(("active", "shown"), [
    ("tty0 ttyS0\n", ["/dev/tty1", "/dev/ttyS0"]), ("ttyS0 tty0", ["/dev/tty1", "/dev/ttyS0", "/dev/console"]), ("", ["/dev/tty1", "/dev/ttyS0", "/dev/console"]),
])
def test_a_console_that_has_two_names_shows_it_once(active: str, shown: list[str]) -> None:
    assert report.once(["/dev/tty1", "/dev/ttyS0", "/dev/console"], active) == shown


def test_the_log_that_operators_know_is_for_root_alone(tmp_path: Path) -> None:
    log = report.TextLog(str(tmp_path / "immucore/immucore.log"))
    log(6, "Running stage: rootfs", kind="stage-start", stage="rootfs")
    log(7, "detail")
    path = tmp_path / "immucore/immucore.log"
    assert path.read_text().endswith(" INF Running stage: rootfs\n")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_part_that_fails_is_counted_recorded_and_shown_and_a_fatal_one_goes_through(tmp_path: Path) -> None:
    notes = Notes()
    said = Report(notes, notes.log, str(tmp_path / "console"))  # type: ignore[arg-type]
    (tmp_path / "console").touch()

    def fail(error: KairosError) -> Callable[[], None]:
        def do() -> None:
            raise error

        return do

    assert not said.part("Mounted /x", fail(KairosError("no", hint="do this")), what="a", where="/x")
    with pytest.raises(FatalError):
        said.part("Mounted /y", fail(FatalError("never")))
    assert said.failed == 2
    assert (notes.records[0]["result"], notes.records[0]["error"], notes.records[0]["hint"]) == ("failed", "no", "do this")
    assert "FAILED" in (tmp_path / "console").read_text()


def test_a_stages_line_names_its_first_culprit_once_and_harmlessly() -> None:
    """A step that failed by its items is no culprit of its own; control characters of foreign text are escaped (E6, E7)."""
    notes = Notes()
    culprits = Culprits(notes)
    assert culprits.first(0) == ""
    culprits.write("item", result="changed", where="/a:1:1", error="")
    culprits.write("step", result="skipped", file="/a", reason="if")
    culprits.write("item", result="failed", where="/a:2:1", error="exit status 3\x1b[2J\nits output")
    culprits.write("step", result="failed", file="/a", reason="1 item failed")
    culprits.write("problem", severity="error", where="/b:1:1", message="later")
    assert culprits.first(2) == ": /a:2:1: exit status 3\\x1b[2J (and 1 more)"
    assert [r["kind"] for r in notes.records] == ["item", "step", "item", "step", "problem"]


def test_an_image_that_was_replaced_or_written_to_has_another_identity(tmp_path: Path) -> None:
    path = make_image(tmp_path / "a.img")
    disk = BootDisk("vda", "/dev/vda4", "ext4", str(path), "/dev/loop0")
    first = image_identity(disk)
    assert first == image_identity(disk)
    os.utime(path)
    assert image_identity(disk) != first
    path.unlink()
    assert image_identity(disk) == ""
