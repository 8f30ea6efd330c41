"""A node whose recovery system is a squashfs file, as Kairos left them: started into it, and reset from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import machine as qemu
import node as system
import pytest
import variant
from ahead import Ahead
from common import run
from installs import look
from resets import WAYS, Reset, ends
from vm import AT_ONCE, BOOT, Node, oem_files

pytestmark = [pytest.mark.vm, pytest.mark.root, pytest.mark.long]


def squashed(home: Path, machines: list[qemu.Machine]) -> dict[str, Any]:
    """Two boots of that recovery system, the second of which resets the node, and one of what it wrote."""
    system.build(home / "tree")
    run("mksquashfs", home / "tree", home / "recovery", "-quiet", "-no-progress", "-comp", "gzip", "-Xcompression-level", "1")
    run("rm", "-r", home / "tree")
    overlay = variant.Overlay(variant.base(), home / "node.qcow2")
    overlay.write_oem({**oem_files("reset"), "kept": "kept\n"}, {**AT_ONCE, "next_entry": "recovery"})
    overlay.fill("persistent", "COS_PERSISTENT", {"mine": "mine\n"})
    overlay.fill("recovery", "COS_RECOVERY", {"cOS/recovery.squashfs": (home / "recovery").read_bytes()})
    machine = qemu.Machine(overlay.path, home)
    machines.append(machine)
    machine.start()
    told = {"node": look(machine), "plan": machine.ssh("kairos-boot reset --plan; findmnt -no OPTIONS /")}
    planned = machine.ssh("kairos-boot reset --plan --json")
    machine.ssh(WAYS["next_boot"], BOOT, check=False)
    machine.wait_off(BOOT)
    screen = ends(machine)
    return {**told, "reset": Reset(Node(machine).boot(), [screen], planned)}


AHEAD = [("recovery", squashed)]


@pytest.fixture(scope="module")
def recovery(ahead: Ahead) -> Any:
    return ahead.result(squashed)


def test_a_recovery_system_may_be_a_squashfs_and_a_reset_would_take_what_is_in_it(recovery: dict[str, Any]) -> None:
    """Found on the disk that was booted, with memory above it; the configuration is the node's."""
    seen = recovery["node"]
    assert seen["state"]["boot"] == "recovery_boot"
    assert "root=live:LABEL=COS_RECOVERY" in seen["cmdline"]
    assert "kairos.state=PARTUUID=" in seen["cmdline"]
    assert "90_access.yaml" in seen["oem"]
    assert "lowerdir=/run/rootfsbase" in recovery["plan"].splitlines()[-1]
    assert "/run/rootfsbase" in recovery["plan"]
    assert seen["state"]["persistent"]["mounted"] is False


@pytest.fixture
def reset(recovery: dict[str, Any]) -> Reset:
    """The node after the reset from there."""
    found: Reset = recovery["reset"]
    return found


def test_both_images_are_whole_and_new_with_all_that_is_in_the_squashfs(reset: Reset) -> None:
    """Files, links and directories with content, mode, owner, time and attributes, behind their own labels; the digest beside each is its own."""
    images = reset.left["images"]
    assert (images["active label"], images["passive label"]) == ("COS_ACTIVE", "COS_PASSIVE")
    assert images["entries"] > 1000
    assert (images["active"], images["passive"]) == ([], [])
    assert (images["active digest"], images["passive digest"]) == (True, True)
    assert {name for name in reset.left["on state"] if not name.endswith(".source")} - {"known-failures"} == {f"{name}.img{digest}" for name in ("active", "passive") for digest in ("", ".sha256")}


def test_it_keeps_oem_empties_usr_local_and_runs_the_hooks_in_order(reset: Reset) -> None:
    """As any other reset does (G1, G3)."""
    assert (reset.left["mine"], reset.left["kept"]) == ("", "kept\n")
    assert [line.split() for line in reset.left["hooks"]] == [["before", "0", "overlayfs"], ["after", "0", "ext2/ext3"]]
    assert reset.left["written"] == "after-reset\n"
    assert reset.phases() == [(phase["phase"], phase["title"]) for phase in reset.plan]
    assert not {"resume_entry", "resume_tries", "next_entry"} & set(reset.left["state"])
    assert not {"next_entry", "saved_entry"} & set(reset.left["oem"])


def test_the_new_active_system_comes_up_for_the_first_time_and_is_good(reset: Reset) -> None:
    """The recovery system is the squashfs that it was."""
    facts = reset.node.facts
    assert reset.left["once"] == ["once-boot", "once-rootfs"]
    assert facts["cos"]["active_mode"] == "1"
    assert (facts["state"], facts["failed"]) == ("running", [])
    assert [(r["result"], r["trial"]) for r in facts["ledger"] if r["kind"] == "assessment"] == [("good", "reset")]
