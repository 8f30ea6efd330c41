"""Which disk an installation takes: what is named, else the largest free one, never what is in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import target
from kairos_boot.system.host import Host
from kairos_boot.system.process import Result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

DISKS = {"sda": (1000, "0"), "sdb": (3000, "0"), "sdc": (3000, "0"), "sdd": (9000, "1"), "loop0": (99999, "0"), "sr0": (99999, "0"), "dm-0": (99999, "0")}


class Script:
    """A process runner that answers with one text."""

    def __init__(self, output: str, code: int = 0) -> None:
        self.output, self.code = output, code

    def run(self, argv: Sequence[str], **_: object) -> Result:
        """The answer."""
        self.argv = tuple(argv)
        return Result(self.code, self.output)


def machine(root: Path, disks: Mapping[str, tuple[int, str]] = DISKS, processes: Script | None = None) -> Host:
    """A machine with disks of so many sectors; the second value is whether it is read-only."""
    for name, (size, read_only) in disks.items():
        folder = root / "sys/block" / name
        folder.mkdir(parents=True)
        (folder / "size").write_text(f"{size}\n")
        (folder / "ro").write_text(f"{read_only}\n")
    return Host(str(root), processes or Script(""))


def test_auto_is_the_largest_disk_that_nothing_uses_and_that_can_be_written(tmp_path: Path) -> None:
    """Of two equal ones the first; loop devices, discs and what is made of disks are none."""
    host = machine(tmp_path)
    assert target.choose(host, "auto", lambda disk: False) == "/dev/sdb"
    assert target.choose(host, "auto", lambda disk: disk == "/dev/sdb") == "/dev/sdc"
    assert target.choose(host, "auto", lambda disk: disk in ("/dev/sdb", "/dev/sdc")) == "/dev/sda"


def test_auto_without_a_free_disk_is_refused_and_tells_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(KairosError, match="no disk to install on") as caught:
        target.choose(machine(tmp_path), "auto", lambda disk: True)
    assert "/dev/sda (0 GiB, in use)" in caught.value.hint


def test_without_a_name_nothing_is_guessed(tmp_path: Path) -> None:
    with pytest.raises(KairosError, match="it has to be named"):
        target.choose(machine(tmp_path), "", lambda disk: False)


@pytest.mark.parametrize(("output", "code", "said"), [
    ("no disk", 0, "its output is no path"), ("", 0, "its output is no path"), ("/dev/sda\n/dev/sdb", 0, "its output is no path"),
    ("boom", 3, "ended with exit status 3: boom")])
def test_a_script_that_names_no_disk_is_refused(tmp_path: Path, output: str, code: int, said: str) -> None:
    processes = Script(output, code)
    with pytest.raises(KairosError, match=said):
        target.choose(machine(tmp_path, processes=processes), "script:///opt/which", lambda disk: False)
    assert processes.argv == ("/opt/which",)


@pytest.mark.parametrize("folder", ["by-partlabel", "by-partuuid"])
def test_a_name_of_a_partition_is_no_disk(tmp_path: Path, folder: str) -> None:
    with pytest.raises(KairosError, match="a whole disk is meant"):
        target.choose(machine(tmp_path), f"/dev/disk/{folder}/x", lambda disk: False)


def test_a_file_is_no_target(tmp_path: Path) -> None:
    (tmp_path / "disk.raw").write_bytes(b"")
    with pytest.raises(KairosError, match="this is a file") as caught:
        target.choose(Host("/"), str(tmp_path / "disk.raw"), lambda disk: False)
    assert "--disk-image" in caught.value.hint
