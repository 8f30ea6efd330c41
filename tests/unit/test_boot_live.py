"""The root that is a squashfs file: which medium is meant, and what a boot without it says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.boot import live
from kairos_boot.boot.cmdline import Cmdline
from kairos_boot.boot.report import FatalError, Report
from kairos_boot.boot.state import detect
from kairos_boot.errors import KairosError
from kairos_boot.system.udev import Partition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

UUID = "2025-01-02-03-04-05-06"
DISC = Partition("/dev/sr0", "sr0", "COS_LIVE", "iso9660", "", UUID)
STICK = Partition("/dev/sda", "sda", "COS_LIVE", "iso9660", "", UUID)
PART = Partition("/dev/sda1", "sda", "COS_LIVE", "iso9660", "1-1", UUID)
OTHER = Partition("/dev/sdb", "sdb", "COS_LIVE", "iso9660", "", "2025-09-09-09-09-09-09")
RECOVERY = Partition("/dev/vda3", "vda", "COS_RECOVERY", "ext4", "aa-3", "x")
ENTRY = "root=live:CDLABEL=COS_LIVE rd.live.dir=/ rd.live.squashimg=rootfs.squashfs rd.cos.disable"
SQUASHED = "root=live:LABEL=COS_RECOVERY rd.live.dir=/ rd.live.squashimg=/cOS/recovery.squashfs"


class Machine:
    """A machine with these devices; *refuses* is what cannot be mounted."""

    def __init__(self, devices: Sequence[Partition], refuses: str = "") -> None:
        self.all, self.refuses = list(devices), refuses
        self.calls: list[tuple[object, ...]] = []

    def wait(self, find: Callable[[list[Partition]], Partition | None], limit: float) -> Partition | None:
        return find(self.all)

    def partitions(self) -> list[Partition]:
        return self.all

    def mount(self, source: str, target: str, fstype: str, options: Sequence[str]) -> None:
        if self.refuses in (source, fstype):
            raise KairosError("input/output error", target)
        self.calls.append((source, target, fstype, *options))

    def attach(self, path: str, *, read_only: bool) -> str:
        assert read_only
        return "/dev/loop7"

    def esp(self) -> str:
        return ""


class Notes:
    """A ledger and a log that remember."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, kind: str, **fields: Any) -> None:
        """Nobody reads it here."""

    def log(self, priority: int, message: str, **about: str) -> None:
        self.lines.append(message)


def make(tmp_path: Path, machine: Machine, text: str, file: str = "rootfs.squashfs") -> tuple[str, Notes]:
    """What the root was made from."""
    where = tmp_path / live.MEDIUM.lstrip("/") / file
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_bytes(b"hsqs")
    notes, line = Notes(), Cmdline(text)
    disk = live.make(line, detect(line), machine, Report(notes, notes.log, "/dev/null"), 1, str(tmp_path))  # type: ignore[arg-type]
    return disk.state, notes


def test_the_medium_the_system_on_it_and_memory_above_it_are_mounted_for_the_root(tmp_path: Path) -> None:
    machine = Machine([DISC])
    assert make(tmp_path, machine, ENTRY)[0] == "/dev/sr0"
    assert machine.calls == [
        ("/dev/sr0", f"{tmp_path}/run/initramfs/live", "iso9660", "ro"),
        ("/dev/loop7", f"{tmp_path}/run/rootfsbase", "squashfs", "ro"),
        ("tmpfs", f"{tmp_path}/run/overlay", "tmpfs", "size=50%", "mode=0755"),
    ]
    assert (tmp_path / "run/overlay/live/upper").is_dir()


@pytest.mark.parametrize(("there", "words", "chosen"), [
    ([STICK, PART], "", "/dev/sda"), ([OTHER, DISC], f"kairos.live=UUID={UUID}", "/dev/sr0"), ([DISC, STICK, PART, OTHER], f"kairos.live=UUID={UUID}", "/dev/sr0"),
    ([RECOVERY, DISC], "", "/dev/sr0"),
], ids=["a stick is seen twice", "another medium has the label", "two copies of the one image", "a node's disk is there"])  # fmt: skip
def test_the_medium_that_was_booted_is_the_one_that_is_taken(tmp_path: Path, there: list[Partition], words: str, chosen: str) -> None:
    """Decision D9."""
    assert make(tmp_path, Machine(there), f"{ENTRY} {words}")[0] == chosen


def test_of_two_media_with_one_label_none_is_guessed(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match=r"several media are CDLABEL=COS_LIVE: /dev/sr0, /dev/sdb; detach"):
        make(tmp_path, Machine([DISC, OTHER]), ENTRY)


def test_a_recovery_system_that_is_a_squashfs_lies_on_the_disk_that_the_boot_loader_named(tmp_path: Path) -> None:
    stranger = Partition("/dev/vdb3", "vdb", "COS_RECOVERY", "ext4", "bb-3", "y")
    text = f"{SQUASHED} kairos.state=PARTUUID=AA-3"
    assert make(tmp_path, Machine([stranger, RECOVERY]), text, "cOS/recovery.squashfs")[0] == "/dev/vda3"
    assert detect(Cmdline(text)).mode == "recovery"


@pytest.mark.parametrize(("machine", "text", "says"), [
    (Machine([RECOVERY]), ENTRY, r"the medium CDLABEL=COS_LIVE did not appear within 1 s; there are: /dev/vda3 \(COS_RECOVERY\)"),
    (Machine([DISC]), ENTRY.replace("rootfs", "other"), r"has no /other.squashfs; in its directory: rootfs.squashfs"),
    (Machine([DISC], "iso9660"), ENTRY, "the medium cannot be read: .*input/output error"),
    (Machine([DISC], "squashfs"), ENTRY, "the system on the medium is damaged"),
], ids=["no medium", "not on it", "a medium that cannot be read", "a damaged system"])  # fmt: skip
def test_without_a_root_the_boot_says_why_and_what_to_do(tmp_path: Path, machine: Machine, text: str, says: str) -> None:
    with pytest.raises(FatalError, match=says) as error:
        make(tmp_path, machine, text)
    assert error.value.hint


@pytest.mark.parametrize(("words", "says"), [("rd.live.ram", "rd.live.ram is not in this version"), ("rd.cos.overlay=LABEL=x", "LABEL=x: a live system keeps")])
def test_an_option_that_is_not_understood_is_told_and_costs_no_boot(tmp_path: Path, words: str, says: str) -> None:
    assert any(says in line for line in make(tmp_path, Machine([DISC]), f"{ENTRY} {words}")[1].lines)


@pytest.mark.parametrize(("text", "medium"), [
    (ENTRY, True), (SQUASHED, True), ("root=live:/dev/sr0", True), ("root=live:UUID=x", True), ("netboot rd.cos.disable", False),
    ("root=live:http://192.0.2.1/rootfs.squashfs netboot", False), ("root=LABEL=COS_ACTIVE", False), ("root=live:CDLABEL=COS_LIVE root=LABEL=COS_ACTIVE", False),
])
def test_a_root_on_a_medium_is_ours_to_make_and_one_from_a_network_is_not(text: str, medium: bool) -> None:
    assert detect(Cmdline(text)).medium is medium


def test_the_names_of_file_and_directory_are_those_that_dracut_would_take() -> None:
    assert live.wanted(Cmdline("root=live:CDLABEL=X")).file == "/LiveOS/squashfs.img"
    assert live.wanted(Cmdline(SQUASHED)).file == "/cOS/recovery.squashfs"


def test_the_menu_of_the_medium_and_that_of_a_squashed_recovery_name_what_the_initrd_takes() -> None:
    """And neither ends at a prompt (D12)."""
    menus = Path(__file__).resolve().parents[2] / "packaging/image"
    words = " ".join(line.partition('"')[2].rstrip('"') for line in (menus / "live.cfg").read_text().splitlines() if line.startswith("set live="))
    line = Cmdline(words.replace("@LABEL@", "COS_LIVE").replace("@UUID@", UUID))
    assert (detect(line).mode, str(live.wanted(line)), live.wanted(line).file) == ("live", f"UUID={UUID}", "/rootfs.squashfs")
    assert {"panic=5", "rd.emergency=reboot", "rd.shell=0", "cdroot", "rd.cos.disable"} <= set(line.tokens)
    [words] = [text.partition('found="')[2].partition('"')[0] for text in (menus / "bootargs.cfg").read_text().splitlines() if "$recoverylabel rd.live.dir" in text]
    line = Cmdline(words.replace("$recoverylabel", "COS_RECOVERY").replace("$img", "/cOS/recovery.squashfs"))
    assert (detect(line).mode, detect(line).medium, live.wanted(line).file) == ("recovery", True, "/cOS/recovery.squashfs")
