"""Requirement: of a boot with a slow, a failing and a skipped step, status, analyze, the metrics, the journal and systemd tell one story;
what drifts afterwards is told by the next reconcile, run by its unit.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.container.conftest import Container, Layer

pytestmark = [pytest.mark.container, pytest.mark.root]
COLLECTED = "/var/lib/prometheus/node-exporter"
PROGRAM = "/usr/bin/kairos-boot"
STORY = """
name: Story
stages:
  boot:
    - name: slow
      commands: [sleep 1.5]
    - name: failing
      commands: ["echo the disk is on fire; exit 7"]
    - name: another
      sysctl: {net.ipv4.ip_foward: "1"}
    - name: left out
      if: '[ -f /nowhere ]'
      commands: ["true"]
    - name: declared
      files: [{path: /srv/declared, content: "as it was\\n", permissions: 0640}, {path: /srv/gone, content: "x"}]
      systemctl: {start: [steady.service]}
"""
STEADY = "[Service]\nExecStart=/bin/sleep infinity\n"


@pytest.fixture(scope="module")
def node(layer: Layer) -> Layer:
    layer.write({"/oem/10_story.yaml": STORY, "/etc/systemd/system/steady.service": STEADY, f"{COLLECTED}/.here": "", "/etc/hosts": "127.0.0.1 localhost\n"})
    layer.link("/etc/systemd/system/ssh.service", "/dev/null")
    layer.link("/etc/systemd/system/systemd-networkd-wait-online.service", "/dev/null")
    return layer


def seconds(text: str) -> float:
    """`1.50 s` or `500 ms`."""
    number, unit = text.split()
    return float(number) / (1000 if unit == "ms" else 1)


def test_everybody_tells_one_story(container: Container) -> None:
    told = json.loads(container.run(PROGRAM, "status", "--wait", "--timeout", "120", "--json"))
    assert container.run("sh", "-c", f"{PROGRAM} status --check >/run/out; echo $?").strip() == "1"
    assert [(failure["step"], failure["line"]) for failure in told["failures"]] == [("Story.failing", 8), ("Story.another", 10)]
    [boot] = [run for run in told["stages"] if run["stage"] == "boot"]
    slow = next(step for step in boot["steps"] if step["step"] == "Story.slow")
    assert (boot["failed"], slow["result"], next(s["result"] for s in boot["steps"] if s["step"] == "Story.left out")) == (2, "done", "skipped")
    assert "Story.slow" in container.run(PROGRAM, "analyze", "blame").splitlines()[0]
    metrics = container.read(f"{COLLECTED}/kairos_boot.prom")
    assert 'kairos_boot_failures{known="false"} 2' in metrics
    assert 'kairos_boot_stage_steps{stage="boot",result="skipped"} 1' in metrics
    journal = [entry.get("KAIROS_STEP") for entry in container.journal("KAIROS_EVENT=failure", "KAIROS_STAGE=boot")]
    assert journal == ["Story.failing", "Story.another"]
    status = container.show("cos-setup-boot.service", "StatusText")["StatusText"]
    assert re.search(r"2 failed: /oem/10_story.yaml:8:\d+: .*exit 7.* \(and 1 more\)", status), status
    for path in ("/run/issue.d/50-kairos-boot.issue", "/run/motd.d/50-kairos-boot"):
        assert "degraded: 2 failures in stage boot; see: kairos-boot status" in container.read(path)


def test_the_figures_are_those_of_systemd(container: Container) -> None:
    container.run(PROGRAM, "status", "--wait", "--timeout", "120")
    chain = container.run(PROGRAM, "analyze", "critical-chain")
    begin, end = (int(container.show("cos-setup-boot.service", name)[name]) / 1e6 for name in ("ExecMainStartTimestampMonotonic", "ExecMainExitTimestampMonotonic"))
    match = re.search(r"cos-setup-boot\.service @(.+) \+(.+)", chain)
    assert match, chain
    assert abs(seconds(match[2]) - (end - begin)) < 0.3, (chain, begin, end)  # the end of a process, not of its work
    assert "start of the program" in chain
    assert container.run(PROGRAM, "analyze", "--svg", "-").startswith("<svg")


def test_what_drifts_is_told_by_the_next_reconcile(container: Container) -> None:
    container.run(PROGRAM, "status", "--wait", "--timeout", "120")
    container.run("systemctl", "start", "cos-setup-reconcile.service")
    assert json.loads(container.run(PROGRAM, "status", "--drift", "--json"))["differences"] == []
    container.run("sh", "-c", "chmod 600 /srv/declared; rm /srv/gone; systemctl stop steady.service")
    container.run("systemctl", "start", "cos-setup-reconcile.service")  # drift is no failure
    told = json.loads(container.run(PROGRAM, "status", "--drift", "--json"))
    wanted = [("/srv/declared", "mode 0640", "mode 0600"), ("/srv/gone", "write /srv/gone (1 bytes)", "there is no such file"), ("unit steady.service", "active", "inactive (dead)")]
    assert [(d["path"], d["wanted"], d["found"]) for d in told["differences"]] == wanted
    entries = container.journal("KAIROS_EVENT=drift")
    assert [(e["KAIROS_PATH"], e["KAIROS_WANTED"], e["KAIROS_FOUND"], e["KAIROS_STEP"]) for e in entries] == [(*each, "Story.declared") for each in wanted]
    assert container.run("stat", "-c", "%a", "/srv/declared").strip() == "600"
    assert "kairos_boot_drift_differences 3" in container.read(f"{COLLECTED}/kairos_boot.prom")
