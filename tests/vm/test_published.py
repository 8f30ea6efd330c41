"""A node with the 31 default configurations that Kairos publishes in place of ours: existing nodes move over unchanged."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import machine as qemu
import pytest
import variant
import yaml
from vm import AT_ONCE, Node

DEFAULTS = Path(__file__).resolve().parents[3] / "shared/corpus/defaults"
BOOT_STAGES = {f"{stage}{part}" for stage in ("rootfs", "initramfs", "fs", "boot", "network") for part in (".before", "", ".after")}

pytestmark = [
    pytest.mark.vm,
    pytest.mark.root,
    pytest.mark.skipif(not DEFAULTS.is_dir(), reason="the published configurations are not here (../shared/corpus/defaults)"),
]


@pytest.fixture(scope="module")
def node(scratch: Path, machines: list[qemu.Machine]) -> Node:
    """A node whose images have the published files in /system/oem; one image is enough here."""
    overlay = variant.Overlay(variant.base(DEFAULTS, ("active",)), scratch / "published.qcow2")
    overlay.write_oem(variant.access(), AT_ONCE)
    machine = qemu.Machine(overlay.path, scratch)
    machines.append(machine)
    return Node(machine).boot()


def test_the_node_boots(node: Node) -> None:
    assert node.facts["units"]["multi-user.target"]["ActiveState"] == "active"
    assert node.facts["cos"]["active_mode"] == "1"


def test_the_ledger_lists_every_step_of_every_file(node: Node) -> None:
    expected: Counter[tuple[str, str]] = Counter()
    for path in sorted(DEFAULTS.glob("*.yaml")):
        for stage, steps in (yaml.safe_load(path.read_text()).get("stages") or {}).items():
            if stage in BOOT_STAGES:
                expected[f"/system/oem/{path.name}", stage] += len(steps)
    found = Counter((step["file"].split(":")[0], step["stage"]) for step in node.steps())
    assert sum(expected.values()) > 80
    assert {key: found[key] for key in expected} == dict(expected)


def test_each_step_is_done_or_skipped_with_a_reason_or_failed_with_a_cause(node: Node) -> None:
    for step in node.steps():
        assert step["result"] in {"done", "unchanged", "skipped", "failed"}
        if step["result"] == "skipped":
            assert step["reason"], step
        if step["result"] == "failed":
            items = [r for r in node.facts["ledger"] if r["kind"] == "item" and (r["stage"], r["step"]) == (step["stage"], step["step"])]
            assert step.get("reason") or [item for item in items if item["result"] == "failed" and item["error"]], step
