"""sysctl: kernel parameters of the running kernel (docs/reference/sysctl.md)."""

from __future__ import annotations

from kairos_boot.actions.base import Invalid
from kairos_boot.actions.kernel import WriteKernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.cloudconfig.model import Step
    from kairos_boot.facts import Facts
    from kairos_boot.modules import Plan

KEY = "sysctl"


def plan(step: Step, facts: Facts) -> Plan:  # noqa: ARG001
    for name, value in step.sysctl.items():
        if not is_name(name):
            yield Invalid(step.where(KEY, name), f"not a sysctl name: {name!r}", "write it like net.ipv4.ip_forward")
        else:
            yield WriteKernel("/proc/sys/" + path(name), value, step.where(KEY, name))


def is_name(name: str) -> bool:
    """Whether every part of *name* is a plain word."""
    return all(part and part not in (".", "..") and not any(c.isspace() or c == "\0" for c in part) for part in path(name).split("/"))


def path(name: str) -> str:
    """The path below /proc/sys. As sysctl(8) does: whichever of `.` and `/` comes first separates, and the other is swapped with it."""
    dot, slash = name.find("."), name.find("/")
    if slash != -1 and (dot == -1 or slash < dot):
        return name
    return name.translate({ord("."): "/", ord("/"): "."})
