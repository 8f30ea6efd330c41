"""A reset that the next boot begins by itself, on a node of one signed file: the entry that leads there, who makes it, and when it goes (4.1)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kairos_boot.cli.main import run
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import entries, uki_upgrading
from kairos_boot.lifecycle.uki_autoreset import FILE, DropEntry
from kairos_boot.node import loader
from kairos_boot.system import efi
from tests.unit.esp_node import Node, program

if TYPE_CHECKING:
    from pathlib import Path


def chosen(node: Node) -> str:
    return efi.text(loader.ONE_SHOT, str(node.variables))


@pytest.mark.parametrize("asked", ["statereset", "statereset.conf"])
def test_the_entry_is_made_of_recovery_and_no_boot_takes_it_by_itself(tmp_path: Path, asked: str) -> None:
    node = Node(tmp_path)
    said = entries.select(node.host, asked)
    assert node.entry("statereset") == {"title": "Node state reset (auto)", "efi": "/EFI/kairos/recovery.efi", "sort-key": "0004"}
    assert (node.starts("statereset"), loader.find(node.host, "statereset").left, chosen(node)) == ("rescue", 0, "statereset.conf")
    assert "none of its tries" not in said


def test_of_a_recovery_system_that_is_another_one_now_it_is_made_anew(tmp_path: Path) -> None:
    node = Node(tmp_path)
    entries.select(node.host, "statereset")
    recovery = node.menu / "recovery+3.conf"
    (node.esp / "EFI/kairos/newer.efi").write_bytes(program("newer"))
    recovery.write_text(recovery.read_text().replace("recovery.efi", "newer.efi"))
    entries.select(node.host, "statereset")
    assert node.starts("statereset") == "newer"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it is asked for first")
def test_the_list_of_the_menu_says_that_it_is_chosen_and_counts_no_tries_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    node = Node(tmp_path)
    entries.select(node.host, "statereset")
    assert run(["bootentry", "--host-root", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "statereset  (the next boot, once)"


def test_it_is_written_once(tmp_path: Path) -> None:
    node = Node(tmp_path)
    entries.select(node.host, "statereset")
    before = os.stat(node.menu / FILE).st_ino
    entries.select(node.host, "statereset")
    assert os.stat(node.menu / FILE).st_ino == before


@pytest.mark.parametrize("lack", ["entry", "program"])
def test_without_a_recovery_system_it_is_refused_and_nothing_is_chosen(tmp_path: Path, lack: str) -> None:
    node = Node(tmp_path)
    (node.menu / "recovery+3.conf" if lack == "entry" else node.esp / "EFI/kairos/recovery.efi").unlink()
    before = node.entries
    with pytest.raises(KairosError, match="no entry 'recovery'"):
        entries.select(node.host, "statereset")
    assert (node.entries, chosen(node)) == (before, "")


def test_it_goes_with_an_upgrade_where_another_entry_was_chosen_since(tmp_path: Path) -> None:
    """Else an older recovery system had no room for a new one."""
    node = Node(tmp_path)
    entries.select(node.host, "statereset")
    assert DropEntry().apply(node.host) is False
    entries.select(node.host, "cos")
    uki_upgrading.upgrade(node, {"source": "file:/new.efi", "recovery": True})  # type: ignore[arg-type]
    assert node.entries == ["active.conf", "passive.conf", "recovery+3-0.conf"]
    assert sorted(node.programs) == ["one", "two", "zero"]


def test_it_goes_under_the_name_that_the_boot_loader_gave_it_when_it_was_started(tmp_path: Path) -> None:
    """systemd-boot counts starts also where no tries are left; under that name it is no other one when a reset is asked for again."""
    node = Node(tmp_path)
    entries.select(node.host, "statereset")
    started = (node.menu / FILE).rename(node.menu / "statereset+0-1.conf")
    entries.select(node.host, "statereset")
    assert [name for name in node.entries if "statereset" in name] == [started.name]
    entries.select(node.host, "cos")
    assert DropEntry().apply(node.host) is True
    assert node.entries == ["active.conf", "passive.conf", "recovery+3.conf"]
    assert DropEntry().apply(node.host) is False


def test_a_menus_own_entry_stays_its_own_when_its_tries_are_used_up(tmp_path: Path) -> None:
    """Boots that reset are not blessed, so the third one leaves it none."""
    node = Node(tmp_path)
    own = node.menu / "statereset+0-3.conf"
    own.write_text("title Mine\nefi /EFI/kairos/mine.efi\n")
    entries.select(node.host, "statereset")
    assert own.read_text() == "title Mine\nefi /EFI/kairos/mine.efi\n"
    entries.select(node.host, "cos")
    assert DropEntry().apply(node.host) is False
    assert own.exists()
