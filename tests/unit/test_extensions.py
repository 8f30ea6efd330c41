"""Extensions of a boot, as the initrd links them, and what an image's release file allows (docs/extensions.md)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kairos_boot.boot.extensions import CONFEXT, SYSEXT, link
from kairos_boot.boot.sequence import ROOT, link_the_extensions, verify_the_mounts
from kairos_boot.boot.state import BootState
from kairos_boot.cli import extensions as verb
from kairos_boot.cli.arguments import UsageError
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle.extension_release import misfit, names_of
from kairos_boot.lifecycle.extensions import chosen, must_be_name
from kairos_boot.system.host import Host

if TYPE_CHECKING:
    from pathlib import Path


def keep(root: Path, store: str, name: str, *states: str) -> None:
    """An image, and absolute links to it, as the verbs make them."""
    (root / store.lstrip("/")).mkdir(parents=True, exist_ok=True)
    (root / store.lstrip("/") / name).write_bytes(b"image")
    for state in states:
        (root / store.lstrip("/") / state).mkdir(exist_ok=True)
        (root / store.lstrip("/") / state / name).symlink_to(f"{store}/{name}")


def test_a_boot_takes_its_own_and_the_common_ones_by_the_paths_of_the_root_to_come(tmp_path: Path) -> None:
    root, run, warned = tmp_path / "sysroot", tmp_path / "run", list[str]()
    keep(root, SYSEXT.store, "a.raw", "active", "common")
    keep(root, SYSEXT.store, "p.raw", "passive")
    keep(root, CONFEXT.store, "c.raw", "common")
    assert link(Host(str(root)), "active", warned.append, str(run)) == [f"{run}/run/extensions/a.raw", f"{run}/run/confexts/c.raw"]
    assert os.readlink(run / "run/extensions/a.raw") == "/var/lib/kairos/extensions/active/a.raw"
    assert warned == []


def test_a_node_without_extensions_gets_no_directory(tmp_path: Path) -> None:
    assert link(Host(str(tmp_path)), "active", pytest.fail, str(tmp_path / "run")) == []
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_merged_is_told_and_the_others_are_linked(tmp_path: Path) -> None:
    """A link that leads nowhere, and a name that is taken."""
    warned = list[str]()
    keep(tmp_path, SYSEXT.store, "gone.raw", "active")
    keep(tmp_path, SYSEXT.store, "here.raw", "active")
    keep(tmp_path, SYSEXT.store, "taken.raw", "active")
    (tmp_path / SYSEXT.store.lstrip("/") / "gone.raw").unlink()
    (tmp_path / "run/extensions").mkdir(parents=True)
    (tmp_path / "run/extensions/taken.raw").write_bytes(b"")
    assert link(Host(str(tmp_path)), "active", warned.append, str(tmp_path)) == [f"{tmp_path}/run/extensions/here.raw"]
    assert ["gone.raw" in warned[0], "taken.raw" in warned[1], len(warned)] == [True, True, 2]


def test_links_come_behind_the_mounts_and_not_in_a_reset_nor_on_a_medium() -> None:
    """A boot that erases the node's data starts nothing of it (D8); a medium has none."""
    [belongs] = [belongs for belongs, step in ROOT if step is link_the_extensions]
    steps = [step for _, step in ROOT]
    assert steps.index(link_the_extensions) > steps.index(verify_the_mounts)
    taken = {mode: belongs(BootState(mode)) for mode in ("active", "passive", "recovery", "autoreset", "live", "unknown")}
    assert taken == {"active": True, "passive": True, "recovery": True, "autoreset": False, "live": False, "unknown": False}
    assert not belongs(BootState("recovery", reduced=True))


SYSTEM = {"ID": "debian", "VERSION_ID": "12"}


@pytest.mark.parametrize(("values", "system", "why"), [
    ({"ID": "debian", "VERSION_ID": "12"}, SYSTEM, ""),
    ({"ID": "_any"}, SYSTEM, ""),
    ({"ID": "debian", "VERSION_ID": "11"}, SYSTEM, "it is for VERSION_ID=11, and the system has VERSION_ID=12"),
    ({"ID": "debian"}, SYSTEM, "it does not say which VERSION_ID it is for, and the system has VERSION_ID=12"),
    ({"ID": "arch"}, {"ID": "arch"}, ""),
    ({"ID": "debian", "SYSEXT_LEVEL": "2", "VERSION_ID": "12"}, {**SYSTEM, "SYSEXT_LEVEL": "1"}, "it is for SYSEXT_LEVEL=2, and the system has SYSEXT_LEVEL=1"),
    ({"ID": "debian", "SYSEXT_LEVEL": "1"}, {**SYSTEM, "SYSEXT_LEVEL": "1"}, ""),
])  # fmt: skip
def test_a_release_file_is_held_against_the_system(values: dict[str, str], system: dict[str, str], why: str) -> None:
    assert misfit(values, system, SYSEXT) == why


def test_a_name_is_tried_with_and_without_the_kind() -> None:
    """Newer versions of systemd take `.sysext` off."""
    assert names_of("work.sysext.raw", SYSEXT) == ("work.sysext", "work")
    assert names_of("work.raw", SYSEXT) == ("work",)


@pytest.mark.parametrize("name", ["one", ".raw", ".x.raw", "-x.raw", "a/b.raw", "a\n.raw"])
def test_what_no_extension_can_be_called_is_refused(name: str) -> None:
    with pytest.raises(KairosError):
        must_be_name(name)


@pytest.mark.parametrize("words", [["enable", "x"], ["enable", "--active"], ["list", "x"], ["install", "--now", "file:/x.raw"], ["remove", "--active", "x"], ["frobnicate"]])
def test_a_call_that_does_not_say_enough_or_too_much_is_wrong_usage(words: list[str]) -> None:
    with pytest.raises(UsageError):
        verb.run(SYSEXT, words)


def test_an_empty_name_names_nothing(tmp_path: Path) -> None:
    """As an expression it is found in every name: the only extension would be removed."""
    store = tmp_path / "var/lib/kairos/extensions"
    store.mkdir(parents=True)
    (store / "tools.raw").touch()
    with pytest.raises(KairosError, match="is empty"):
        chosen(Host(str(tmp_path)), SYSEXT, "")
