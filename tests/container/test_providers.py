"""A provider brings up a cluster once: it is told of the boot, then of the bootstrap, and its stages run where it emits them (agent.bootstrap, roles with a slash too)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.container.conftest import Container, Layer

pytestmark = [pytest.mark.container, pytest.mark.root]

HERE = Path(__file__).parent
STAGES = """\
name: notify
stages:
  initramfs:
    - if: '[ ! -f "/run/cos/recovery_mode" ] && [ ! -f "/run/cos/live_mode" ]'
      commands: [kairos-agent notify agent.boot]
  provider-kairos.bootstrap.before.master/ha:
    - commands: [echo before >> /usr/local/events]
  provider-kairos.bootstrap.after.master/ha:
    - commands: [echo after >> /usr/local/events]
"""
CONFIG = "#cloud-config\nsample:\n  role: master/ha\n  long: {long}\n"


@pytest.fixture(scope="module")
def node(layer: Layer) -> Layer:
    layer.write({"/system/oem/02_notify.yaml": STAGES, "/oem/90_custom.yaml": CONFIG.format(long="x")})
    layer.write({"/system/providers/agent-provider-sample": (HERE / "agent-provider-sample").read_text()})
    return layer


def test_events_and_stages_come_in_the_published_order_and_a_cluster_is_brought_up_once(container: Container) -> None:
    container.run("chmod", "755", "/system/providers/agent-provider-sample")
    container.run("sh", "-c", "rm -f /usr/local/events; rm -rf /usr/local/.kairos")
    container.run("kairos-boot", "run-stage", "initramfs")
    said = container.run("sh", "-c", "kairos-agent start 2>&1")
    assert "agent-provider-sample: One time bootstrap done" in said
    expected = ["agent.boot agent.boot #cloud-config False", "agent.bootstrap agent.bootstrap #cloud-config False", "before", "started as master/ha", "after"]
    assert container.read("/usr/local/events").splitlines() == expected
    assert "Sentinel exists" in container.run("sh", "-c", "kairos-agent start 2>&1")
    assert container.read("/usr/local/events").splitlines() == [*expected, expected[1]]


def test_a_long_configuration_comes_in_a_file(container: Container) -> None:
    container.run("sh", "-c", f"rm -f /usr/local/events; printf '%s' '{CONFIG.format(long='x' * 10000)}' > /oem/90_custom.yaml")
    container.run("kairos-boot", "notify", "agent.boot")
    assert container.read("/usr/local/events").splitlines() == ["agent.boot agent.boot #cloud-config True"]


def test_what_a_provider_complains_of_is_said_and_the_stage_is_degraded(container: Container) -> None:
    container.run("sh", "-c", "echo '#cloud-config' > /oem/90_custom.yaml")
    said = container.run("sh", "-c", "kairos-boot run-stage initramfs 2>&1; echo code $?")
    assert "agent.boot: agent-provider-sample (/system/providers/agent-provider-sample) failed: no role" in said
    assert said.rstrip().endswith("code 1")
