"""Links and routes: whether the node can reach an address now, and waiting for it by the kernel's own events (rtnetlink).

An event only says that it is time to look again; what counts is read from the kernel's own files. pyroute2, which would decode the
events, takes 25 MB and a tenth of a second, more than all the rest of a stage.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import SocketType

GROUPS = 0x1 | 0x10 | 0x100 | 0x40 | 0x400
"""RTMGRP_LINK, _IPV4_IFADDR, _IPV6_IFADDR, _IPV4_ROUTE, _IPV6_ROUTE."""
LOOPBACK, LOWER_UP = 0x8, 0x10000
"""Flags of a link; the second one is its carrier."""
RTM_GETLINK, REQUEST_DUMP, ERROR, DONE = 18, 0x301, 2, 3
AF_NETLINK, SOCK_RAW, NETLINK_ROUTE = 16, 3, 0
LINK_SCOPE = "20"
"""The scope of an IPv6 address that reaches only the link, as /proc/net/if_inet6 writes it."""
SETTLE = 1.0
"""Seconds between a link's address and its routes."""
PORT = 9
"""Discard: nothing is sent, a datagram socket only asks the kernel for the way."""
EVENTS = 65536
"""Bytes of events that are read at once."""


def has_route(address: str) -> bool:
    """Whether the kernel knows a way to *address* (a numeric one) now."""
    from _socket import AF_INET, AF_INET6, SOCK_DGRAM, socket  # `socket` imports enum and selectors

    try:
        probe = socket(AF_INET6 if ":" in address else AF_INET, SOCK_DGRAM)
    except OSError:  # a kernel without that family
        return False
    try:
        probe.connect((address, PORT))
    except OSError:
        return False
    finally:
        probe.close()
    return True


def wait_for_route(address: str, limit: float) -> bool:
    """Whether there is a way to *address*: now, or within *limit* seconds while a link is still being configured.

    A node without a link that has a carrier and lacks an address is not waited for.
    """
    if has_route(address):
        return True
    if limit <= 0 or not _carriers():
        return False
    from _socket import socket

    try:
        events = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)
    except OSError:
        return False
    try:
        events.bind((0, GROUPS))  # before the first look, so that nothing falls between the two
        return _wait(events, address, time.monotonic() + limit)
    finally:
        events.close()


def _wait(events: SocketType, address: str, end: float) -> bool:
    import select

    poll = select.poll()
    poll.register(events.fileno(), select.POLLIN)
    seen, settled = _configured(), 0.0
    # *settled*: when the routes of the last address must have come; 0 before the first one.
    while not has_route(address):
        limit = end if _carriers() - seen else min(end, settled)
        left = limit - time.monotonic()
        if left <= 0:
            return False
        if not poll.poll(left * 1000):
            continue
        try:
            events.recv(EVENTS)
        except OSError:  # more came than the socket holds: all the more reason to look
            pass
        now = _configured()
        if now - seen:
            settled = time.monotonic() + SETTLE
        seen = now
    return True


def _carriers() -> set[str]:
    """The links that are up and have a carrier: rtnetlink(7), since only there the carrier is told at once."""
    from _socket import if_indextoname, socket
    from _struct import pack, unpack_from

    asked = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)
    found = set()
    try:
        asked.send(pack("=IHHII16x", 32, RTM_GETLINK, REQUEST_DUMP, 1, 0))
        kind = 0
        while kind not in (DONE, ERROR):
            data, at = asked.recv(EVENTS), 0
            while at < len(data):
                size, kind = unpack_from("=IH", data, at)
                if kind in (DONE, ERROR):
                    break
                index, flags = unpack_from("=iI", data, at + 20)
                if flags & LOWER_UP and not flags & LOOPBACK:
                    found.add(if_indextoname(index))
                at += size + 3 & ~3
    except OSError:  # a link that has gone meanwhile: an event tells to look again
        pass
    finally:
        asked.close()
    return found


def _configured() -> set[str]:
    """The links that have an address which reaches further than the link: of IPv4 each has a route with it."""
    found = {fields[0] for fields in _fields("/proc/net/route")}
    return found | {fields[5] for fields in _fields("/proc/net/if_inet6") if len(fields) > 5 and fields[3] != LINK_SCOPE}


def _fields(path: str) -> list[list[str]]:
    try:
        with open(path, encoding="ascii") as file:
            return [line.split() for line in file if not line.startswith("Iface")]
    except OSError:
        return []
