"""hostname: the node's name, in the kernel, /etc/hostname and /etc/hosts (docs/reference/hostname.md)."""

from __future__ import annotations

from kairos_boot.actions.base import Invalid
from kairos_boot.actions.files import Owner, WriteFile
from kairos_boot.actions.hostname import NameLoopback, SetHostname
from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.cloudconfig.model import Step
    from kairos_boot.facts import Facts
    from kairos_boot.modules import Plan

KEY = "hostname"
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
"""What systemd takes from /etc/hostname; anything else it drops at the next boot."""
LONGEST = 64
"""Bytes the kernel takes (HOST_NAME_MAX)."""


def plan(step: Step, facts: Facts) -> Plan:
    """Yield the three places of the name; a template that fails yields its error alone."""
    if not step.hostname:
        return
    where = step.where(KEY)
    try:
        name = facts.render_hostname(step.hostname).strip()
    except KairosError as error:
        yield Invalid(where, f"the host name's template fails: {error.message}", error.hint or "it knows .UUID, .Random, .MachineID and .ProtectedID")
        return
    if not name or not LETTERS.issuperset(name) or name[0] in ".-" or name[-1] == "-" or ".." in name:
        yield Invalid(where, f"not a host name: {name!r}", "use letters, digits, dashes and dots")
    elif len(name.encode()) > LONGEST:
        yield Invalid(where, f"the host name has {len(name.encode())} bytes, the kernel takes {LONGEST}: {name!r}", "cut it with trunc, as in {{ trunc 6 .MachineID }}")
    else:
        yield SetHostname(name, where)
        yield WriteFile("/etc/hostname", f"{name}\n".encode(), owner=Owner(), where=where)
        yield NameLoopback("/etc/hosts", where, name)
