"""Waiting for a route by the kernel's events, in a network of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from kairos_boot.system.netlink import has_route, wait_for_route
from tests.namespace.cloud import LINK_LOCAL, Network

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a network namespace")]


@pytest.fixture
def network() -> Iterator[Network]:
    """A network with the loopback interface alone; tests add a pair of links."""
    made = Network()
    made.ip("link set lo up")
    yield made
    made.close()


def later(*commands: str) -> threading.Thread:
    """Configure the network in a moment, from a thread, which lives in the same network."""
    def configure() -> None:
        time.sleep(0.5)
        for words in commands:
            subprocess.run(["ip", *words.split()], check=True)

    thread = threading.Thread(target=configure)
    thread.start()
    return thread


def plug(network: Network) -> None:
    """A link with a carrier."""
    network.ip("link add v0 type veth peer name v1")
    network.ip("link set v1 up")
    network.ip("link set v0 up")


def test_a_route_that_is_there_is_not_waited_for(network: Network) -> None:
    plug(network)
    network.ip("addr add 192.0.2.2/24 dev v0")
    network.ip("route add default via 192.0.2.1")
    assert wait_for_route(LINK_LOCAL, 0) is True


def test_without_a_link_it_ends_at_once(network: Network) -> None:
    start = time.monotonic()
    assert wait_for_route(LINK_LOCAL, 60) is False
    assert time.monotonic() - start < 30


def test_a_link_that_is_being_configured_is_waited_for(network: Network) -> None:
    plug(network)
    thread = later("addr add 192.0.2.2/24 dev v0", "route add default via 192.0.2.1")  # v1 is still being configured
    assert wait_for_route(LINK_LOCAL, 60) is True
    thread.join()
    assert has_route(LINK_LOCAL)


def test_the_limit_ends_it(network: Network) -> None:
    plug(network)
    assert wait_for_route(LINK_LOCAL, 0.5) is False


def test_a_configured_link_that_leads_nowhere_ends_it(network: Network) -> None:
    plug(network)
    thread = later("addr add 192.0.2.2/24 dev v0", "addr add 198.51.100.2/24 dev v1")
    start = time.monotonic()
    assert wait_for_route(LINK_LOCAL, 60) is False
    assert time.monotonic() - start < 30
    thread.join()


def test_waiting_loads_no_library(network: Network) -> None:
    """What would decode the events costs more than the rest of a stage."""
    plug(network)
    code = ("import sys; from kairos_boot.system.netlink import wait_for_route as w; print(w('169.254.169.254', 0.2), "
            "[name for name in ('pyroute2', 'socket', 'threading', 'http', 'enum') if name in sys.modules])")
    done = subprocess.run([sys.executable, "-S", "-c", code], check=True, text=True, capture_output=True, timeout=30)
    assert done.stdout == "False []\n"
