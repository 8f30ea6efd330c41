"""One boot that somebody stops twice at the serial console, and from which a step is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import machine as qemu
import pytest
import variant
from vm import AT_ONCE, BOOT, Node, oem_files

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.vm, pytest.mark.root]

STEPS = """#cloud-config
name: Story
stages:
  boot:
    - {name: First, commands: [echo first >> /run/trace]}
    - {name: Second, commands: [echo second >> /run/trace]}
    - {name: Third, commands: [echo third >> /run/trace]}
    - {name: Fourth, commands: [echo fourth >> /run/trace]}
"""
WORDS = "rd.shell=1 rd.kairos.break=initramfs.before rd.kairos.break=boot:Second kairos.skip=Third"


def answer(machine: qemu.Machine, typed: str, mark: str) -> str:
    """What the shell at the console says to a line."""
    machine.type(f"{typed}; echo {mark[0]}''{mark[1:]}\n")  # the echo of what was typed is no answer
    machine.wait_console(f"^{mark}", BOOT)
    return machine.screen()


@pytest.fixture(scope="module")
def node(base_disk: Path, scratch: Path, machines: list[qemu.Machine]) -> Node:
    """The boot, gone on with twice."""
    overlay = variant.Overlay(base_disk, scratch / "node.qcow2")
    overlay.write_oem({**oem_files(), "50_story.yaml": STEPS}, {**AT_ONCE, "extra_active_cmdline": WORDS})
    machine = qemu.Machine(overlay.path, scratch)
    machines.append(machine)
    machine.start(keyboard=True)
    machine.wait_console(r"stopped before stage initramfs\.before \(rd\.kairos\.break=initramfs\.before\)", BOOT)
    machine.wait_console(r"^initramfs\.before \(/\)# ", BOOT)
    early = answer(machine, "test -e /etc/initrd-release || ls /run/cos; readlink /proc/self/fd/0; kairos-boot status | head -n 3", "ANSWERED")
    machine.type("exit\n")
    machine.wait_console(r"stopped before step .*Second of stage boot", BOOT)
    machine.wait_console(r"^boot \(/\)# ", BOOT)
    late = answer(machine, "echo trace:$(cat /run/trace); systemctl is-active serial-getty@ttyS0.service", "REPLIED")
    machine.type("exit\n")
    seen = Node(machine).look()
    seen.facts["early"], seen.facts["late"] = early, late
    return seen


def test_the_shell_before_stage_initramfs_is_in_the_nodes_root(node: Node) -> None:
    """The text says what is mounted and what comes next; the mounts are the node's own."""
    early = node.facts["early"]
    assert "Mounted    /" in early
    assert "Go on      exit, or Ctrl-D" in early
    assert "active_mode" in early.partition("initramfs.before (/)#")[2]
    assert "job control" not in early


def test_the_shell_before_a_step_comes_after_the_steps_before_it(node: Node) -> None:
    """No login prompt fights for the console meanwhile."""
    late = node.facts["late"].partition("stopped before step")[2]
    assert "trace:first\n" in late.replace("\r", "")
    assert "inactive" in late


def test_the_boot_went_on_to_its_end(node: Node) -> None:
    assert node.host.file("/run/trace").content_string == "first\nsecond\nfourth\n"
    assert node.host.run("systemctl is-system-running").stdout.strip() in ("running", "degraded")
    assert node.host.run("systemctl is-active serial-getty@ttyS0.service").stdout == "active\n"
    assert node.host.run("systemctl is-enabled serial-getty@ttyS0.service").stdout.strip() != "masked-runtime"
    assert [r["duration"] > 0 for r in node.facts["ledger"] if r["kind"] == "break"] == [True, True]


def test_the_step_was_left_out_and_everybody_says_so(node: Node) -> None:
    """The record, the journal, and the plan of a boot like this one."""
    [step] = [r for r in node.steps(result="skipped") if r["step"].endswith("Third")]
    assert step["reason"] == "kairos.skip=Third on the kernel command line"
    assert "left out of stage boot in this boot (kairos.skip): /oem/50_story.yaml.Third" in node.host.run("journalctl -b -t kairos-boot -o cat").stdout
    assert "kairos.skip=Third on the kernel command line" in node.host.run("kairos-boot plan boot").stdout
