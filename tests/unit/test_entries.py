"""Entries of the boot menu: which there are, and what is refused before anything is written (G7, G10)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kairos_boot.cli.main import run
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle.entries import names, roll_back, select, variables
from kairos_boot.node.grubenv import changed
from kairos_boot.system.host import Host

MENU = Path(__file__).resolve().parents[2] / "packaging/image/grub.cfg"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A node with our menu, and one entry of its image's maker; nothing is mounted."""
    for path, text in {"etc/cos/grub.cfg": MENU.read_text(), "etc/kairos/branding/grubmenu.cfg": 'menuentry "Memory test" {\n}\nmenuentry "Again" --id cos {\n}\n'}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return Host(str(tmp_path))


def test_an_entry_has_its_id_else_its_title_and_each_once(host: Host) -> None:
    assert names(host) == ["cos", "fallback", "recovery", "statereset", "Memory test"]


def test_an_entry_that_the_menu_does_not_have_is_refused_with_those_it_has(host: Host) -> None:
    with pytest.raises(KairosError, match="has no entry 'stateresett'") as caught:
        select(host, "stateresett")
    assert "cos, fallback, recovery, statereset, Memory test" in caught.value.hint


def test_without_a_mounted_partition_nothing_is_written_and_the_remedy_named(host: Host, tmp_path: Path) -> None:
    """A file in the image's own /oem would be one that no boot loader reads."""
    (tmp_path / "oem").mkdir()
    with pytest.raises(KairosError, match="no place for the boot loader's settings is mounted") as caught:
        select(host, "statereset")
    assert "--host-root" in caught.value.hint
    assert list((tmp_path / "oem").iterdir()) == []


def test_what_the_boot_loader_reads_is_oems_block_over_the_one_of_the_state_partition(host: Host, tmp_path: Path) -> None:
    """So a choice that was kept on COS_STATE, as where OEM is encrypted, is listed."""
    for place, changes in (("run/initramfs/cos-state", {"next_entry": "recovery", "saved_entry": "fallback"}), ("oem", {"saved_entry": "cos"})):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "grubenv").write_bytes(changed(b"", changes))
    assert variables(host) == {"next_entry": "recovery", "saved_entry": "cos"}


@pytest.mark.parametrize("mode", ["recovery_mode", "live_mode", ""])
def test_only_the_active_and_the_passive_system_roll_back(host: Host, tmp_path: Path, mode: str) -> None:
    (tmp_path / "run/cos").mkdir(parents=True)
    if mode:
        (tmp_path / "run/cos" / mode).write_text("1")
    with pytest.raises(KairosError, match="neither the active nor the passive system") as caught:
        roll_back(host)
    assert f"bootentry --select cos --host-root {host.root}" in caught.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it is asked for first")
@pytest.mark.parametrize("verb", [["bootentry"], ["bootentry", "--select", "cos"], ["rollback"], ["reset", "--next-boot"]])
def test_a_place_that_is_no_nodes_root_is_refused(verb: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pod whose node is mounted elsewhere would be told nothing, or a wrong cause."""
    assert run([*verb, "--host-root", f"{tmp_path}/nosuch"]) == 3
    assert f"{tmp_path}/nosuch: no such directory; --host-root names the place" in capsys.readouterr().err
    assert run([*verb, "--host-root", ""]) == 3, "as from a variable that is not set: this machine is not meant"
    assert "the name is empty" in capsys.readouterr().err
    assert run([*verb, "--host-root", str(tmp_path)]) == 3
    assert f"{tmp_path}: this is not the root directory of a running node; --host-root names the place" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it is asked for first")
def test_a_node_without_a_boot_menu_is_no_empty_list(host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run/cos").mkdir(parents=True)
    assert run(["bootentry", "--host-root", host.root]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "cos  (the default)"
    (tmp_path / "etc/cos/grub.cfg").unlink()
    (tmp_path / "etc/kairos/branding/grubmenu.cfg").unlink()
    assert run(["bootentry", "--host-root", host.root]) == 3
    assert f"no boot menu is found, so nothing is known of its entries; looked for {host.root}/etc/cos/grub.cfg" in capsys.readouterr().err
