"""Links and routes: whether the node can reach an address now, and waiting for it by the kernel's own events (rtnetlink)."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GROUPS = 0x1 | 0x10 | 0x100 | 0x40 | 0x400
"""RTMGRP_LINK, _IPV4_IFADDR, _IPV6_IFADDR, _IPV4_ROUTE, _IPV6_ROUTE."""
LOOPBACK, RUNNING = 0x8, 0x40
LOWER_UP = 0x10000
"""Flags of a link; the last one is its carrier."""
LINK_SCOPE = 253
SETTLE = 1.0
"""Seconds between a link's address and its routes."""
NET = "/sys/class/net"
PORT = 9
"""Discard: nothing is sent, a datagram socket only asks the kernel for the way."""


def has_route(address: str) -> bool:
    """Whether the kernel knows a way to *address* (a numeric one) now."""
    from socket import AF_INET, AF_INET6, SOCK_DGRAM, socket

    with socket(AF_INET6 if ":" in address else AF_INET, SOCK_DGRAM) as probe:
        try:
            probe.connect((address, PORT))
        except OSError:
            return False
    return True


def _has_carrier() -> bool:
    """Whether a link is up; asked of sysfs, since pyroute2 takes a while to load."""
    for name in os.listdir(NET):
        try:
            with open(f"{NET}/{name}/carrier", encoding="ascii") as file:
                if name != "lo" and file.read(1) == "1":
                    return True
        except OSError:  # it is down
            continue
    return False


def wait_for_route(address: str, limit: float) -> bool:
    """Whether there is a way to *address*: now, or within *limit* seconds while a link is still being configured.

    A node without a link that has a carrier and lacks an address is not waited for. Without pyroute2 (in an initrd) only the
    present counts.
    """
    if has_route(address):
        return True
    if limit <= 0 or not _has_carrier():
        return False
    try:
        from pyroute2 import IPRoute
    except ImportError:
        return False
    with IPRoute() as events, IPRoute() as asked:  # two sockets: what an answer overtakes would lie unseen in the library
        events.bind(groups=GROUPS)  # before the first look, so that nothing falls between the two
        return _wait(events, _links(asked), _configured(asked), address, time.monotonic() + limit)


def _wait(events: Any, links: dict[int, bool], configured: set[int], address: str, end: float) -> bool:
    import select

    poll = select.poll()
    poll.register(events.fileno(), select.POLLIN)
    settled = 0.0
    """When the routes of the last address must have come; 0 before the first one."""
    while not has_route(address):
        limit = end if any(up and index not in configured for index, up in links.items()) else min(end, settled)
        left = limit - time.monotonic()
        if left <= 0:
            return False
        if not poll.poll(left * 1000):
            continue
        before = len(configured)
        for message in events.get():
            _take(message, links, configured)
        if len(configured) > before:
            settled = time.monotonic() + SETTLE
    return True


def _take(message: Any, links: dict[int, bool], configured: set[int]) -> None:
    """Keep what an event says of a link or of its addresses."""
    event = message["event"]
    if event == "RTM_NEWLINK":
        links[message["index"]] = _is_up(message)
    elif event == "RTM_DELLINK":
        links.pop(message["index"], None)
    elif event == "RTM_NEWADDR" and message["scope"] < LINK_SCOPE:
        configured.add(message["index"])


def _links(netlink: Any) -> dict[int, bool]:
    return {link["index"]: _is_up(link) for link in netlink.get_links()}


def _configured(netlink: Any) -> set[int]:
    return {address["index"] for address in netlink.get_addr() if address["scope"] < LINK_SCOPE}


def _is_up(link: Any) -> bool:
    flags: int = link["flags"]
    return not flags & LOOPBACK and bool(flags & RUNNING) and bool(flags & LOWER_UP)
