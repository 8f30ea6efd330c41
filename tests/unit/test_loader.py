"""The boot menu of a node that is one signed file: entries with counters, their names in versions of systemd-boot, the choice for one boot (7.4)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kairos_boot.cli.main import run
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import entries, trusted
from kairos_boot.node import loader
from kairos_boot.node.loader import Entry
from kairos_boot.system import efi
from kairos_boot.system.host import Host

if TYPE_CHECKING:
    from collections.abc import Sequence

FILES = ("active+2-1.conf", "passive.conf", "recovery+3.conf", "statereset.conf", "my_entry+0-3.conf", "random-seed")


class Node:
    """A node's root directory with a menu and variables."""

    def __init__(self, root: Path, files: Sequence[str] = FILES, **variables: str) -> None:
        self.host = Host(str(root))
        self.menu, self.variables = root / "efi/loader/entries", root / efi.DIRECTORY.lstrip("/")
        for directory in (self.menu, self.variables, root / "run/cos"):
            directory.mkdir(parents=True)
        (root / "run/cos/uki_boot_mode").write_text("1")
        for name in files:
            (self.menu / name).write_text("")
        for name, text in variables.items():
            (self.variables / f"{name}-{efi.LOADER}").write_bytes(efi.KEPT + f"{text}\0".encode("utf-16-le"))

    @property
    def chosen(self) -> str:
        return efi.text(loader.ONE_SHOT, str(self.variables))


@pytest.mark.parametrize(("file", "entry"), [
    ("active.conf", Entry("active.conf", "active")), ("active+3.conf", Entry("active+3.conf", "active", 3)), ("active+2-1.conf", Entry("active+2-1.conf", "active", 2)),
    ("active+0-3.conf", Entry("active+0-3.conf", "active", 0)), ("a+b.conf", Entry("a+b.conf", "a+b")), ("a+1-.conf", Entry("a+1-.conf", "a+1-")),
    ("a+b+2.conf", Entry("a+b+2.conf", "a+b", 2)), ("+3.conf", Entry("+3.conf", "+3")), ("active.efi", None), (".conf", None), ("active", None),
])
def test_an_entry_has_its_tries_in_the_name_of_its_file(file: str, entry: Entry | None) -> None:
    assert loader.parse(file) == entry


def test_the_entries_come_in_the_order_of_the_menu(tmp_path: Path) -> None:
    assert [(e.word, e.left) for e in loader.entries(Node(tmp_path).host)] == [("cos", 2), ("fallback", None), ("recovery", 3), ("statereset", None), ("my_entry", 0)]


@pytest.mark.parametrize(("asked", "file"), [
    ("cos", "active+2-1.conf"), ("active", "active+2-1.conf"), ("active.conf", "active+2-1.conf"), ("fallback", "passive.conf"), ("passive", "passive.conf"),
    ("recovery", "recovery+3.conf"), ("my entry", "my_entry+0-3.conf"), ("my_entry", "my_entry+0-3.conf"),
])
def test_an_entry_is_asked_for_by_any_of_its_names(tmp_path: Path, asked: str, file: str) -> None:
    assert loader.find(Node(tmp_path).host, asked).file == file


@pytest.mark.parametrize("asked", ["activ", "", "random-seed", "../passive"])
def test_an_entry_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path, asked: str) -> None:
    node = Node(tmp_path)
    with pytest.raises(KairosError, match="has no entry") as caught:
        entries.select(node.host, asked)
    assert "cos, fallback, recovery, statereset, my_entry" in caught.value.hint
    assert not node.chosen


def test_two_counters_of_one_entry_are_ambiguous(tmp_path: Path) -> None:
    node = Node(tmp_path, ("active+3.conf", "active+2-1.conf"))
    with pytest.raises(KairosError, match=r"ambiguous: active\+2-1.conf, active\+3.conf"):
        entries.select(node.host, "cos")
    assert not node.chosen


@pytest.mark.parametrize(("variables", "ident"), [
    ({}, "active.conf"), ({"LoaderInfo": "systemd-boot 252.39"}, "active.conf"), ({"LoaderInfo": "systemd-boot 255.4"}, "active.conf"), ({"LoaderInfo": "systemd-boot 257.2"}, "active.conf"),
    ({"LoaderInfo": "systemd-boot 256.7"}, "active+2-1.conf"), ({"LoaderEntries": "active+3.conf\0passive.conf"}, "active+2-1.conf"),
    ({"LoaderEntries": "active.conf\0passive.conf", "LoaderInfo": "systemd-boot 252.39"}, "active.conf"),
])
def test_the_loader_is_told_the_name_that_it_has_for_the_entry(tmp_path: Path, variables: dict[str, str], ident: str) -> None:
    node = Node(tmp_path, **variables)
    said = entries.select(node.host, "cos")
    assert node.chosen == ident
    assert "the entry cos, once (active+2-1.conf)" in said


def test_an_entry_without_tries_is_said_to_be_one(tmp_path: Path) -> None:
    assert "none of its tries is left" in entries.select(Node(tmp_path).host, "my entry")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it is asked for first")
def test_the_list_says_what_runs_what_is_chosen_and_how_many_tries_are_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    node = Node(tmp_path, LoaderEntrySelected="active+2-1.conf", LoaderEntryOneShot="passive.conf")
    assert run(["bootentry", "--host-root", node.host.root]) == 0
    assert capsys.readouterr().out.splitlines() == ["cos  (this boot; 2 tries left)", "fallback  (the next boot, once)", "recovery  (3 tries left)", "statereset", "my_entry  (0 tries left)"]


def test_without_the_partition_the_menu_is_not_an_empty_one(tmp_path: Path) -> None:
    node = Node(tmp_path)
    for path in node.menu.iterdir():
        path.unlink()
    node.menu.rmdir()
    with pytest.raises(KairosError, match="the boot menu cannot be read"):
        loader.entries(node.host)


@pytest.mark.parametrize("name", ["statereset", "statereset.conf"])
def test_the_entry_of_a_reset_that_a_menu_has_is_chosen_as_any_other(tmp_path: Path, name: str) -> None:
    node = Node(tmp_path)
    before = sorted(path.name for path in node.menu.iterdir())
    entries.select(node.host, name)
    assert node.chosen == "statereset.conf"
    assert sorted(path.name for path in node.menu.iterdir()) == before


@pytest.mark.parametrize("kind", ["boot", "install"])
def test_settings_of_grub_are_refused_where_nobody_reads_them(tmp_path: Path, kind: str) -> None:
    node = Node(tmp_path)
    (tmp_path / "run/cos/uki_boot_mode").rename(tmp_path / f"run/cos/uki_{kind}_mode")
    (tmp_path / "run/cos/active_mode").write_text("1")
    for refused in (lambda: entries.roll_back(node.host), lambda: entries.save(node.host, {"next_entry": "cos"}), lambda: trusted.refuse(node.host, "upgrade")):
        with pytest.raises(KairosError, match=r"one signed file \(trusted boot\)"):
            refused()
