"""A boot with unit files of the stages' names in /etc that have no order, as published configurations write them, and with steps that start units.

The boot ends within the fixture's limit although steps of stage `fs` start what waits for sysinit.target.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.container.conftest import Container, Layer

pytestmark = [pytest.mark.container, pytest.mark.root]

UNITS = "/etc/systemd/system"
FOREIGN = "[Unit]\n{unit}\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/kairos-agent run-stage {stage}\n[Install]\nWantedBy={target}\n"
STAGES = {
    "fs": ("DefaultDependencies=no\nAfter=local-fs.target\nWants=local-fs.target\nBefore=sysinit.target", "sysinit.target"),
    "boot": ("Before=getty.target", "multi-user.target"),
    "network": ("After=network-online.target", "multi-user.target"),
}
IMPATIENT = "[Unit]\nDefaultDependencies=no\n{order}\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/kairos-agent run-stage --only network /early\n"
"""A unit of the owner that emits a stage long before its turn; one of them in front of the stage that comes before."""
SERVICE = "[Unit]\n{unit}\n[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
SERVICES = {
    "plain": "", "early": "DefaultDependencies=no", "puller": "DefaultDependencies=no\nRequires=pulled.service\nAfter=pulled.service", "pulled": "",
    "behind-boot": "After=cos-setup-boot.service", "beside-boot": "", "late": "After=cos-setup-network.service",
}  # fmt: skip
CONFIG = """
stages:
  fs:
    - name: start
      systemctl:
        enable: ["--now plain"]
        start: [early, puller]
  boot:
    - name: start
      systemctl:
        start: [behind-boot, beside-boot]
    - name: look
      commands:
        - systemctl is-active beside-boot >/run/beside
  network:
    - name: start
      systemctl:
        start: [late]
"""
TRACE = "stages:\n" + "".join(f"  {stage}:\n    - commands: [sleep 1; echo {stage} >>/run/trace]\n" for stage in STAGES)


@pytest.fixture(scope="module")
def node(layer: Layer) -> Layer:
    """The foreign units, pulled in as their own configuration does it."""
    for stage, (unit, target) in STAGES.items():
        layer.write({f"{UNITS}/cos-setup-{stage}.service": FOREIGN.format(unit=unit, stage=stage, target=target)})
        layer.link(f"{UNITS}/{target}.wants/cos-setup-{stage}.service", f"{UNITS}/cos-setup-{stage}.service")
    layer.write({f"{UNITS}/{name}.service": SERVICE.format(unit=unit) for name, unit in SERVICES.items()})
    for name, order in (("impatient", ""), ("in-front", "Before=cos-setup-boot.service")):
        layer.write({f"{UNITS}/{name}.service": IMPATIENT.format(order=order)})
        layer.link(f"{UNITS}/sysinit.target.wants/{name}.service", f"{UNITS}/{name}.service")
    layer.write({"/early/early.yaml": "stages: {network: [{commands: [cat /run/trace >>/run/early || echo nothing >>/run/early]}]}\n"})
    layer.write({"/oem/10_trace.yaml": TRACE, "/oem/20_start.yaml": CONFIG, "/etc/hosts": "127.0.0.1 localhost\n"})
    layer.link(f"{UNITS}/systemd-networkd-wait-online.service", "/dev/null")
    layer.link(f"{UNITS}/ssh.service", "/dev/null")
    return layer


def test_foreign_units_of_the_stages_run_one_after_the_other(container: Container) -> None:
    """Decisions D10 and D14: none waited for the lock, since none was started before its turn."""
    assert container.show("cos-setup-boot.service", "FragmentPath") == {"FragmentPath": f"{UNITS}/cos-setup-boot.service"}
    assert container.read("/run/trace").split() == list(STAGES)
    times = []
    for stage in STAGES:
        shown = container.show(f"cos-setup-{stage}.service", "ExecMainStartTimestampMonotonic", "ExecMainExitTimestampMonotonic")
        times += [int(shown["ExecMainStartTimestampMonotonic"]), int(shown["ExecMainExitTimestampMonotonic"])]
    assert times == sorted(times)


def notes(container: Container, stage: str) -> list[str]:
    """What was queued in *stage*, by the ledger."""
    records = [json.loads(line) for line in container.run("sh", "-c", "cat /run/cos/ledger/*.jsonl").splitlines()]
    return [r["action"].partition("queued: ")[2].split(" starts")[0] for r in records
            if r.get("kind") == "item" and r["stage"] == stage and "queued: " in r["action"]]  # fmt: skip


@pytest.mark.parametrize("unit", SERVICES)
def test_every_unit_that_a_step_started_runs(container: Container, unit: str) -> None:
    assert container.run("systemctl", "is-active", unit).strip() == "active"


def test_what_would_wait_for_the_stage_was_queued_and_the_rest_waited_for(container: Container) -> None:
    """Decision C11: in `fs` all that waits for sysinit.target, in later stages only what is ordered behind them."""
    assert notes(container, "fs") == ["--now plain", "puller"]
    assert notes(container, "boot") == ["behind-boot"]
    assert notes(container, "network") == ["late"]
    assert container.read("/run/beside").strip() == "active"
    assert container.run("systemctl", "--failed", "--plain", "--no-legend").strip() == ""


def test_a_stage_that_something_else_starts_too_early_waits_for_the_one_before_it(container: Container) -> None:
    """Decision D14; but never for what waits for itself: then it runs at once, and says so."""
    told = container.run("journalctl", "--boot", "--output=cat", "--identifier=kairos-boot")
    assert told.count("stage network waits for cos-setup-boot.service, which comes before it") == 1
    assert told.count("stage network does not wait for cos-setup-boot.service, which waits for this run") == 1
    assert "boot" in container.read("/run/early").split()
