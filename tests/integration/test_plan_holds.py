"""Requirement: what `plan --all --root` says of a tree is what the next boot of it then does, by its ledger, apart from what the plan calls unknowable (E3)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.isolated import TOP, Isolated

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root
BOOT = ("rootfs", "initramfs", "fs", "boot", "network", "reconcile")
SIGNS = {"+": {"changed"}, "=": {"unchanged", "warning"}, "!": {"failed"}, "?": {"changed", "unchanged", "failed", "warning"}}
OWN = """
name: Own
stages:
  initramfs:
    - name: account
      users: {planned: {uid: "1717", passwd: "$6$x$y", ssh_authorized_keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPlanPlanPlanPlanPlanPlanPlanPlanPlanPlanPla me"]}}
    - name: name
      hostname: planned
  boot:
    - name: files
      directories: [{path: /srv/shelf, permissions: 0750}, {path: /srv}]
      files: [{path: /srv/shelf/a, content: "one"}, {path: /srv/there, content: "is there\\n"}, {path: /srv/directory, content: "no file"}]
      environment_file: /srv/environment
      environment: {A: b}
    - name: skipped for another system
      only_os: Other
      files: [{path: /srv/never, content: "x"}]
    - name: skipped by a condition
      if: '[ -e /srv/nothing ]'
      commands: [touch /srv/never]
    - name: decided by what a step before makes
      if: '[ -f /srv/shelf/a ]'
      files: [{path: /srv/b, content: "two"}]
    - name: decided by files that a step before makes
      if_files: {any: [/srv/shelf/a]}
      files: [{path: /srv/c, content: "three"}]
    - name: decided by what a command before makes
      if: '[ -f /srv/made ]'
      files: [{path: /srv/d, content: "four"}]
  boot.before:
    - name: makes it
      commands: ["echo >/srv/made"]
  network:
    - name: wrong
      sysctl: {net.ipv4.ip_foward: "1", swap pines: "1"}
    - name: setting
      sysctl: {kernel.domainname: planned.example}
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Isolated]:
    made = Isolated(tmp_path)
    for path in sorted((TOP / "packaging/image/oem").glob("*.yaml")):
        made.put(f"/system/oem/{path.name}", path.read_text())
    made.put("/oem/own.yaml", OWN)
    made.put("/run/cos/active_mode", "1")
    made.put("/srv/there", "is there\n")
    made.put("/srv/directory/x", "")
    made.put("/usr/bin/systemctl", "#!/bin/sh\nexit 0\n", 0o755)
    yield made
    made.close()


def planned(machine: Isolated) -> list[dict[str, Any]]:
    """The plan of the tree, made from outside, but for its network namespace: what /proc/sys/net shows is that of whoever looks."""
    argv = ["nsenter", f"--net=/proc/{machine.pid}/ns/net", sys.executable, "-m", "kairos_boot", "plan", "--all", "--json", "--root", str(machine.root)]
    done = subprocess.run(argv, cwd=TOP, capture_output=True, text=True, check=False)
    steps: list[dict[str, Any]] = json.loads(done.stdout)["steps"]
    return steps


def done(machine: Isolated) -> list[dict[str, Any]]:
    """What the boot did, in the form of the plan."""
    for stage in BOOT:
        machine.kairos("run-stage", stage)
    code, told = machine.kairos("status", "--json")
    assert code == 0, told
    return [{**step, "stage": run["stage"]} for run in json.loads(told)["stages"] for step in run["steps"]]


def test_the_plan_of_a_tree_is_what_its_boot_does(machine: Isolated) -> None:
    plan, boot = planned(machine), done(machine)
    assert [(p["stage"], p["step"]) for p in plan] == [(b["stage"], b["step"]) for b in boot]
    unknown = {p["step"] for p in plan if p["if"]}
    assert {step for step in unknown if step.startswith("Own.")} == {f"Own.decided by what {who} before makes" for who in ("a step", "a command")} | {"Own.decided by files that a step before makes"}
    assert len(unknown) <= len(plan) / 3, unknown  # a plan that knows nothing would hold, too
    wrong = []
    for said, was in zip(plan, boot, strict=True):
        about = f"{said['stage']} {said['step']}"
        if said["if"]:
            continue  # only the boot could tell
        if bool(said["skip"]) != (was["result"] == "skipped"):
            wrong.append(f"{about}: planned {said['skip'] or 'to run'}, was {was['result']} {was['reason']}")
        elif not said["skip"]:
            items = [(item["action"], item["result"]) for item in was["items"]]
            actions = [(action["action"], action["sign"]) for action in said["actions"] if action["module"]]
            if len(items) != len(actions):
                wrong.append(f"{about}: planned {actions}, was {items}")
                continue
            wrong += [f"{about}: planned {sign} {action}, was {result} {item}" for (action, sign), (item, result) in zip(actions, items, strict=True) if result not in SIGNS[sign]]
    assert not wrong, "\n".join(wrong)
