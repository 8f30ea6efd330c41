"""sysctl: settings of the running kernel, each on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.facts import Facts
from kairos_boot.modules import sysctl
from kairos_boot.system.host import Host

if TYPE_CHECKING:
    from pathlib import Path

    from tests.modules.conftest import MakeStep, Node


def test_the_value_is_written_as_it_stands(host: Node, step: MakeStep) -> None:
    """The text goes to the kernel without a line end."""
    host.put("/proc/sys/net/ipv4/ip_forward", "0\n")
    assert host.do(sysctl, step(sysctl={"net.ipv4.ip_forward": "1"})) == [True]
    assert host.text("/proc/sys/net/ipv4/ip_forward") == "1"


def test_second_run_changes_nothing(host: Node, step: MakeStep) -> None:
    """A setting that the kernel shows with tabs and a line end is the same setting."""
    host.put("/proc/sys/net/ipv4/range", "1024\t65000\n")
    wanted = step(sysctl={"net.ipv4.range": "1024 65000"})
    before = host.state()
    assert host.do(sysctl, wanted) == [False]
    assert host.state() == before


@pytest.mark.parametrize(("name", "path"), [
    ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
    ("net.ipv4.conf.eth0/5.mtu", "net/ipv4/conf/eth0.5/mtu"),
    ("net/ipv4/conf/eth0.5/mtu", "net/ipv4/conf/eth0.5/mtu"),
    ("debug.exception-trace", "debug/exception-trace"),
])
def test_both_spellings_of_a_name(host: Node, step: MakeStep, name: str, path: str) -> None:
    """The first separator decides, as in sysctl(8), so that an interface name may contain a dot."""
    host.put("/proc/sys/" + path, "0")
    assert host.do(sysctl, step(sysctl={name: "7"})) == [True]
    assert host.text("/proc/sys/" + path) == "7"


@pytest.mark.parametrize("name", ["swap pines", "net..ipv4", "", "../../etc/passwd", "net/../../../etc/passwd", "a\0b", "net."])
def test_a_name_that_is_none_is_refused_with_its_place(host: Node, step: MakeStep, name: str) -> None:
    """Nothing outside /proc/sys is reachable; the error tells where the name stands and how names are written."""
    host.put("/etc/passwd", "root:x:0:0::/:/bin/sh\n")
    host.put("/proc/sys/vm/swappiness", "60")
    before = host.text("/etc/passwd")
    refused, done = host.do(sysctl, step(sysctl={name: "1", "vm.swappiness": "10"}))
    assert "stages.s[0].sysctl" in str(refused)
    assert "net.ipv4.ip_forward" in str(refused)
    assert done is True
    assert host.text("/etc/passwd") == before


def test_an_unknown_setting_does_not_stop_the_next(host: Node, step: MakeStep) -> None:
    """It is an error with its place, and it is not created."""
    host.put("/proc/sys/vm/swappiness", "60")
    unknown, done = host.do(sysctl, step(sysctl={"vm.no_such": "1", "vm.swappiness": "10"}))
    assert "no such kernel setting: /proc/sys/vm/no_such" in str(unknown)
    assert done is True
    assert not host.exists("/proc/sys/vm/no_such")


def test_a_setting_that_nobody_can_change_is_told_before_and_after(host: Node, step: MakeStep) -> None:
    """As Linux shows net.core.rmem_max in a network namespace, where not even root can write it; one that has the value already is fine."""
    for name in ("rmem_max", "wmem_max"):
        host.put(f"/proc/sys/net/core/{name}", "7\n", 0o444)
    refused, same = sysctl.plan(step(sysctl={"net.core.rmem_max": "8", "net.core.wmem_max": "7"}), Facts())
    with pytest.raises(KairosError, match=r"cannot set /proc/sys/net/core/rmem_max to '8': the kernel lets nobody change it here"):
        refused.would_change(host)
    with pytest.raises(KairosError, match="lets nobody change it"):
        refused.apply(host)
    assert same.would_change(host) is False
    assert host.text("/proc/sys/net/core/rmem_max") == "7\n"


def test_a_plan_tells_of_an_unknown_setting(tmp_path: Path, step: MakeStep) -> None:
    """As the run will; of a tree that does not run nobody knows its kernel."""
    [action] = sysctl.plan(step(sysctl={"net.ipv4.ip_foward": "1"}), Facts())
    with pytest.raises(KairosError, match="no such kernel setting: /proc/sys/net/ipv4/ip_foward"):
        action.would_change(Host(str(tmp_path), online=True))
    assert action.would_change(Host(str(tmp_path))) is None


def test_differs_and_describe_agree_with_apply(host: Node, step: MakeStep) -> None:
    """A plan tells the truth before and after."""
    host.put("/proc/sys/vm/swappiness", "60")
    [action] = sysctl.plan(step(sysctl={"vm.swappiness": "10"}), Facts())
    assert action.would_change(host) is True
    assert action.describe() == "set /proc/sys/vm/swappiness to '10'"
    action.apply(host)
    assert action.would_change(host) is False
