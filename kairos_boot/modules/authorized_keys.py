"""authorized_keys: ssh keys of existing users (docs/reference/authorized_keys.md)."""

from __future__ import annotations

from kairos_boot.actions.authorized_keys import from_items

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.cloudconfig.model import Step
    from kairos_boot.facts import Facts
    from kairos_boot.modules import Plan

KEY = "authorized_keys"


def plan(step: Step, facts: Facts) -> Plan:  # noqa: ARG001
    for user, items in step.authorized_keys.items():
        yield from from_items(user, [(item, step.where(KEY, user, index)) for index, item in enumerate(items)], step.timeout, step.retries)
