"""environment: variables in a file, /etc/environment or `environment_file` (docs/reference/environment.md)."""

from __future__ import annotations

from kairos_boot.actions.base import Invalid
from kairos_boot.actions.dotenv import SetVariables, is_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.cloudconfig.model import Step
    from kairos_boot.facts import Facts
    from kairos_boot.modules import Plan

KEY = "environment"
PATH = "/etc/environment"


def plan(step: Step, facts: Facts) -> Plan:
    """Yield one edit with all variables; names that a shell does not take are refused. Without variables nothing is meant."""
    path = step.environment_file or PATH
    values = {}
    for name, text in step.environment.items():
        where = step.where(KEY, name)
        value = facts.render(text, where, secret=True)
        if not is_name(name):
            yield Invalid(where, f"not a variable's name: {name!r}", "use letters, digits and underscores, and no digit first")
        elif "\0" in value:
            yield Invalid(where, f"the value of {name} contains a NUL character")
        else:
            values[name] = value
    if values and not path.startswith("/"):
        yield Invalid(step.where("environment_file"), f"not an absolute path: {path!r}", "begin it with /")
    elif values:
        yield SetVariables(path, step.where(KEY), values)
