"""GRUB's environment block, checked against GRUB's own editor both ways (G2)."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.node import grubenv

if TYPE_CHECKING:
    from pathlib import Path

EDITOR = shutil.which("grub-editenv") or shutil.which("grub2-editenv")
needs_grub = pytest.mark.skipif(not EDITOR, reason="grub-editenv (package grub-common) is not here")
VALUES = ["", "cos", "a b", "x=y", "back\\slash", "end\\", "two\nlines", "\\\n", "#", "äö", "#a=b\n", 'quiet loglevel=3 foo="a b"']


def editor(path: Path, *words: str) -> str:
    assert EDITOR
    return subprocess.run([EDITOR, str(path), *words], check=True, capture_output=True, text=True).stdout


@needs_grub
@pytest.mark.parametrize("value", VALUES)
def test_grub_reads_what_we_write_and_we_read_what_grub_writes(tmp_path: Path, value: str) -> None:
    path = tmp_path / "grubenv"
    grubenv.save(str(path), {"before": "1", "name": value, "after": "2"})
    assert len(path.read_bytes()) == 1024
    shown = value.replace("\\", "\\\\").replace("\n", "\\\n")
    assert editor(path, "list") in (f"before=1\nname={value}\nafter=2\n", f"before=1\nname={shown}\nafter=2\n")
    theirs = tmp_path / "theirs"
    editor(theirs, "create")
    editor(theirs, "set", "before=1", f"name={value}", "after=2")
    assert grubenv.load(str(theirs)) == {"before": "1", "name": value, "after": "2"}
    editor(path, "set", "more=3")
    assert grubenv.load(str(path)) == {"before": "1", "name": value, "after": "2", "more": "3"}


@needs_grub
def test_random_changes_come_out_as_grubs_own(tmp_path: Path) -> None:
    """The same changes by both: the same block, byte for byte."""
    chance = random.Random(7)
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    editor(theirs, "create")
    ours.write_bytes(theirs.read_bytes())
    for _ in range(60):
        name = f"v{chance.randrange(6)}"
        value = "".join(chance.choice("ab =\\\n#") for _ in range(chance.randrange(12)))
        if chance.random() < 0.25:
            editor(theirs, "unset", name)
            grubenv.save(str(ours), {name: None})
        else:
            editor(theirs, "set", f"{name}={value}")
            grubenv.save(str(ours), {name: value})
        assert grubenv.load(str(theirs)) == grubenv.load(str(ours))
    assert ours.read_bytes() == theirs.read_bytes()


def test_what_is_not_changed_stays_in_its_order_byte_for_byte() -> None:
    block = (grubenv.HEADER + b"# WARNING: a comment\nz=1\nodd=\\x\nnext_entry=cos\na=2\n").ljust(1024, b"#")
    new = grubenv.changed(block, {"next_entry": "fallback", "more": "x"})
    assert new == (grubenv.HEADER + b"# WARNING: a comment\nz=1\nodd=\\x\nnext_entry=fallback\na=2\nmore=x\n").ljust(1024, b"#")
    assert grubenv.changed(new, {}) == new


@needs_grub
@pytest.mark.parametrize("odd", ["\n", "no variable\n", "\n\nwords\n"])
def test_a_line_that_hides_the_next_variable_from_grub_goes_with_the_next_change(tmp_path: Path, odd: str) -> None:
    """A hand that edited the file left a blank line: what is set behind it must reach GRUB all the same."""
    path = tmp_path / "grubenv"
    path.write_bytes((grubenv.HEADER + f"a=1\n# a comment\n{odd}next_entry=cos\n".encode()).ljust(1024, b"#"))
    grubenv.save(str(path), {"next_entry": "recovery"})
    assert editor(path, "list") == "a=1\nnext_entry=recovery\n"


def test_a_name_that_stands_twice_is_left_once() -> None:
    block = (grubenv.HEADER + b"a=1\nb=2\na=3\n").ljust(1024, b"#")
    assert grubenv.changed(block, {"a": "9"}) == (grubenv.HEADER + b"a=9\nb=2\n").ljust(1024, b"#")
    assert grubenv.changed(block, {"a": None}) == (grubenv.HEADER + b"b=2\n").ljust(1024, b"#")


def test_a_value_that_does_not_fit_is_refused_and_the_old_block_stays(tmp_path: Path) -> None:
    path = tmp_path / "grubenv"
    grubenv.save(str(path), {"a": "1"})
    before = path.read_bytes()
    room = 1024 - len(grubenv.HEADER) - len("a=1\nb=\n")
    grubenv.changed(before, {"b": "x" * room})
    with pytest.raises(KairosError, match="room for 1024 bytes, and 1025 are wanted"):
        grubenv.save(str(path), {"b": "x" * (room + 1)})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["grubenv"]


def test_what_is_no_block_is_refused_and_a_missing_one_is_empty(tmp_path: Path) -> None:
    assert grubenv.load(str(tmp_path / "none")) == {}
    (tmp_path / "odd").write_text("next_entry=cos\n")
    for use in (grubenv.load, lambda path: grubenv.save(path, {"a": "1"})):
        with pytest.raises(KairosError, match="no environment block"):
            use(str(tmp_path / "odd"))
    assert (tmp_path / "odd").read_text() == "next_entry=cos\n"


@pytest.mark.parametrize("name", ["", "a=b", "a\nb", "#a", "a\\"])
def test_a_name_that_grub_would_misread_is_refused(name: str) -> None:
    with pytest.raises(KairosError, match="not a name"):
        grubenv.changed(b"", {name: "1"})


def test_a_line_that_was_cut_off_does_not_count() -> None:
    assert [name for name, _, _ in grubenv._lines(grubenv.HEADER + b"a=1\nb=2", "")] == ["a"]


def test_of_two_who_save_at_once_neither_takes_the_variables_of_the_other_back(tmp_path: Path) -> None:
    """One process sets a variable again and again while another one sets others: all are there."""
    block = str(tmp_path / "grubenv")
    child = os.fork()
    if not child:
        for number in range(60):
            grubenv.save(block, {"child": str(number)})
        os._exit(0)
    for number in range(20):
        grubenv.save(block, {f"v{number}": "x"})
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert grubenv.load(block) == {"child": "59", **{f"v{number}": "x" for number in range(20)}}


@pytest.mark.parametrize("kind", ["device", "pipe"])
def test_what_is_no_file_is_refused_and_stays(tmp_path: Path, kind: str) -> None:
    """Nobody waits for a pipe, and no device becomes a file."""
    path = tmp_path / "grubenv"
    if kind == "pipe":
        os.mkfifo(path)
    elif os.geteuid():
        pytest.skip("needs root: a device")
    else:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    before = path.lstat()
    for act in (lambda: grubenv.load(str(path)), lambda: grubenv.save(str(path), {"a": "b"})):
        with pytest.raises(KairosError, match="is no file"):
            act()
    assert path.lstat().st_ino == before.st_ino


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the block is made root's")
def test_a_relative_path_is_that_of_the_working_directory(tmp_path: Path) -> None:
    """One that was read and another one that was written would lose the variables of both."""
    with contextlib.chdir(tmp_path):
        grubenv.save("block", {"a": "1"})
        grubenv.save("block", {"b": "2"})
        assert grubenv.load("block") == {"a": "1", "b": "2"}
    assert grubenv.load(f"{tmp_path}/block") == {"a": "1", "b": "2"}
