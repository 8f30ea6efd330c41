"""modules: modules of the kernel, with their parameters (docs/reference/modules.md)."""

from __future__ import annotations

from kairos_boot.actions.base import Invalid
from kairos_boot.actions.modprobe import LoadModule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.cloudconfig.model import Step
    from kairos_boot.facts import Facts
    from kairos_boot.modules import Plan

KEY = "modules"


def plan(step: Step, facts: Facts) -> Plan:  # noqa: ARG001
    for index, item in enumerate(step.modules):
        where = step.where(KEY, index)
        name, *parameters = item.split() or [""]
        if not name or name.startswith((".", "-")) or "/" in name:
            yield Invalid(where, f"not a module's name: {item!r}", "write it like zram, or with parameters like zram num_devices=2")
        else:
            yield LoadModule(name, tuple(parameters), step.limit(), where)
