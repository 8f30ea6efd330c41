"""Step keys that talk to a running system: units and drop-ins under a real systemd, the host name, settings, packages that are there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.container.conftest import Container, Layer

pytestmark = [pytest.mark.container, pytest.mark.root]

CONFIG = """
stages:
  demo:
    - files:
        - {path: /etc/systemd/system/demo.service, content: "[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n"}
        - {path: /etc/systemd/system/old.service, content: "[Service]\\nExecStart=/bin/true\\n[Install]\\nWantedBy=multi-user.target\\n"}
      commands: [systemctl -q daemon-reload, "[ -e /run/once ] || systemctl -q enable old; touch /run/once"]
    - systemctl:
        enable: [demo]
        disable: [old.service]
        mask: [sleep.target]
        overrides:
          - {service: demo, name: 10-nice, content: "[Service]\\nNice=5\\n"}
          - {service: systemd-networkd.socket, content: "[Socket]\\nReceiveBuffer=1M\\n"}
        start: [demo]
    - hostname: quince
      environment: {GREETING: hello}
      timesyncd: {NTP: ntp.example}
      sysctl: {net.ipv4.ip_forward: 1}
      packages: {install: [systemd, bash], remove: [no-such-package]}
"""


@pytest.fixture(scope="module")
def node(layer: Layer) -> Layer:
    """A node with one configuration for a stage that nothing emits."""
    layer.write({"/demo/demo.yaml": CONFIG, "/etc/hosts": "127.0.0.1 localhost\n", "/etc/resolv.conf": "nameserver 192.0.2.1\n"})
    layer.link("/etc/systemd/system/systemd-networkd-wait-online.service", "/dev/null")
    return layer


@pytest.fixture(scope="module")
def outcomes(container: Container) -> list[dict[str, Any]]:
    """The stage run twice."""
    return [json.loads(container.run("sh", "-c", "kairos-boot run-stage --json --only demo /demo 2>/dev/null")) for _ in range(2)]


def results(outcome: dict[str, Any], module: str) -> list[str]:
    """What came of each item of a key."""
    return [record["result"] for record in outcome["records"] if record.get("module") == module]


def test_units_are_as_wanted_and_drop_ins_are_read_before_start(container: Container, outcomes: list[dict[str, Any]]) -> None:
    """A service that is started runs with its new drop-in, in a directory that systemd had not seen; sockets have drop-ins, too."""
    assert results(outcomes[0], "systemctl") == ["changed"] * 7
    assert container.show("demo.service", "ActiveState", "Nice", "UnitFileState") == {"ActiveState": "active", "Nice": "5", "UnitFileState": "enabled"}
    assert container.show("old.service", "UnitFileState")["UnitFileState"] == "disabled"
    assert container.show("sleep.target", "LoadState")["LoadState"] == "masked"
    assert container.show("systemd-networkd.socket", "ReceiveBuffer")["ReceiveBuffer"] == "1048576"


def test_the_running_system_has_its_settings(container: Container, outcomes: list[dict[str, Any]]) -> None:
    """Host name in kernel and files, a kernel setting, files that other programs read; packages that are there cost no manager."""
    assert container.run("uname", "-n").strip() == "quince"
    assert container.read("/etc/hosts") == "127.0.0.1 localhost quince\n"
    assert container.read("/proc/sys/net/ipv4/ip_forward") == "1\n"
    assert container.read("/etc/systemd/timesyncd.conf.d/10-yip.conf") == "[Time]\nNTP = ntp.example\n"
    assert 'GREETING="hello"\n' in container.read("/etc/environment")
    assert results(outcomes[0], "packages") == ["unchanged", "unchanged"]


def test_a_second_run_changes_nothing(outcomes: list[dict[str, Any]]) -> None:
    """Each item says so, systemctl's included."""
    second = [record["result"] for record in outcomes[1]["records"] if record.get("module") not in (None, "commands") and "result" in record]
    assert second
    assert set(second) == {"unchanged"}
