"""dns: the resolver's configuration (docs/reference/dns.md)."""

from __future__ import annotations

from kairos_boot.actions.base import Note
from kairos_boot.actions.files import Owner, WriteFile
from kairos_boot.actions.resolver import TakeOver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.cloudconfig.model import Step
    from kairos_boot.facts import Facts
    from kairos_boot.modules import Plan

KEY = "dns"
PATH = "/etc/resolv.conf"
ADDRESS = frozenset("0123456789abcdefABCDEF.:")


def plan(step: Step, facts: Facts) -> Plan:  # noqa: ARG001
    """Yield the whole file. Without name servers nothing is meant, whatever else is given."""
    dns = step.dns
    servers = [server.strip() for server in dns.nameservers if server.strip()]
    if not servers:
        return
    for index, server in enumerate(dns.nameservers):
        if server.strip() and not is_address(server.strip()):
            yield Note(step.where(KEY, "nameservers", index), f"not an IP address: {server!r}", "a resolver takes numbers only, like 192.0.2.1")
    search = " ".join(" ".join(dns.search).split())
    options = " ".join(" ".join(dns.options).split())
    lines = [f"search {search}"] if search not in ("", ".") else []
    lines += [f"nameserver {' '.join(server.split())}" for server in servers]
    lines += [f"options {options}"] if options else []
    path = dns.path or PATH
    yield TakeOver(path, step.where(KEY))
    yield WriteFile(path, "".join(f"{line}\n" for line in lines).encode(), owner=Owner(), where=step.where(KEY), make_parents=False)


def is_address(text: str) -> bool:
    """Whether *text* looks like an IPv4 or IPv6 address, with a zone perhaps."""
    address = text.partition("%")[0]
    return set(address) <= ADDRESS and ("." in address or ":" in address)
