"""commands: shell text, one shell an item (docs/reference/commands.md)."""

from __future__ import annotations

from kairos_boot.actions.run import Run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.cloudconfig.model import Step
    from kairos_boot.facts import Facts
    from kairos_boot.modules import Plan

KEY = "commands"


def plan(step: Step, facts: Facts) -> Plan:
    """Yield one run per item; an empty text is run, too, and succeeds."""
    for index, text in enumerate(step.commands):
        where = step.where(KEY, index)
        yield Run(shell=facts.render(text, where), timeout=step.limit(), retries=step.retries, where=where)
