"""A node with the 31 default configurations that Kairos publishes in place of ours: existing nodes move over unchanged."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import machine as qemu
import pytest
import variant
import yaml
from ahead import Ahead
from vm import AT_ONCE, Node

from kairos_boot.actions.datasource_found import BUDGET

DEFAULTS = Path(__file__).resolve().parents[3] / "shared/corpus/defaults"
BOOT_STAGES = {f"{stage}{part}" for stage in ("rootfs", "initramfs", "fs", "boot", "network") for part in (".before", "", ".after")}

pytestmark = [
    pytest.mark.vm,
    pytest.mark.root,
    pytest.mark.skipif(not DEFAULTS.is_dir(), reason="the published configurations are not here (../shared/corpus/defaults)"),
]


def boot(home: Path, machines: list[qemu.Machine]) -> Node:
    """A node whose images have the published files in /system/oem; one image is enough here."""
    overlay = variant.Overlay(variant.base(DEFAULTS, ("active",)), home / "published.qcow2")
    overlay.write_oem(variant.access(), AT_ONCE)
    machine = qemu.Machine(overlay.path, home)
    machines.append(machine)
    return Node(machine).boot()


AHEAD = [("node", boot)] if DEFAULTS.is_dir() else []


@pytest.fixture(scope="module")
def node(ahead: Ahead) -> Node:
    """The node, booted while others were."""
    booted: Node = ahead.result(boot)
    return booted


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


def test_no_step_fails_for_lack_of_a_data_source(node: Node) -> None:
    """Decision B14: the node has none; each of the three searches says so and is done."""
    searches = [r for r in node.facts["ledger"] if r["kind"] == "item" and r["module"] == "datasource" and r["action"].startswith("look for")]
    assert [r["stage"] for r in searches] == ["rootfs.before", "initramfs.before", "network"]
    assert [r for r in node.facts["ledger"] if r["kind"] == "item" and r["module"] == "datasource" and r["result"] == "failed"] == []
    assert len([r for r in node.facts["ledger"] if r["kind"] == "item" and "no metadata/userdata found" in r["action"]]) == 3
    for stage in ("rootfs.before", "initramfs.before", "network"):
        assert [step["result"] for step in node.steps(stage=stage) if "Pull data" in step["step"]] != ["failed"]


def test_no_unit_fails_for_lack_of_a_data_source(node: Node) -> None:
    """Decision B14: a unit of a stage is shown as failed for what other steps of it met, and nothing else is."""
    stages = {"kairos-boot-initrd.service": ("rootfs", "initramfs"), **{f"cos-setup-{stage}.service": (stage,) for stage in ("fs", "boot", "network")}}
    assert set(node.facts["failed"]) <= set(stages)
    for unit in node.facts["failed"]:
        records = [r for r in node.facts["ledger"] if str(r.get("stage", "")).partition(".")[0] in stages[unit]]
        culprits = [r for r in records if (r["kind"] == "step" and r.get("result") == "failed") or (r["kind"] == "problem" and r["severity"] == "error")]
        assert [r for r in culprits if "Pull data" not in r.get("step", "")], unit


def test_the_search_keeps_within_its_limit(node: Node) -> None:
    """Waiting for a route and all that it loads included; in the initrd, where there is no network, it asks nobody."""
    durations = {r["stage"]: r["duration"] for r in node.facts["ledger"] if r["kind"] == "item" and r["action"].startswith("look for")}
    assert durations["network"] < BUDGET + 2, "2 s are for an emulated processor"
    assert durations["rootfs.before"] < BUDGET / 2


def test_the_stages_run_in_order_although_the_published_units_have_none(node: Node) -> None:
    """Decisions D10 and D14: by their own unit files in /etc, and no stage waited for the lock of another."""
    times = []
    for stage in ("fs", "boot", "network"):
        unit = node.facts["units"][f"cos-setup-{stage}.service"]
        assert unit["FragmentPath"] == f"/etc/systemd/system/cos-setup-{stage}.service"
        times += [int(unit["ExecMainStartTimestampMonotonic"]), int(unit["ExecMainExitTimestampMonotonic"])]
    assert times == sorted(times)
    assert 0 not in times
    assert node.facts["waits"] == [], "a run that waits for the lock or for its turn says so in the journal"
