"""systemd_firstboot: basic settings through systemd's own tool (docs/reference/systemd_firstboot.md)."""

from __future__ import annotations

from kairos_boot.actions.base import Invalid
from kairos_boot.actions.firstboot import FirstBoot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.cloudconfig.model import Step
    from kairos_boot.facts import Facts
    from kairos_boot.modules import Plan

KEY = "systemd_firstboot"


def plan(step: Step, facts: Facts) -> Plan:  # noqa: ARG001
    """Yield one call with all options; a key that is no option is refused."""
    options = {}
    for key, value in step.systemd_firstboot.items():
        name = key.lower()
        if not name.replace("-", "").isalnum() or not name.isascii() or name.startswith("-"):
            yield Invalid(step.where(KEY, key), f"not an option of systemd-firstboot: {key!r}", "write it without dashes in front, like locale")
        elif "\0" in value or "\n" in value:
            yield Invalid(step.where(KEY, key), f"the value of {key} has more than one line")
        else:
            options[name] = value
    if options:
        yield FirstBoot(options, step.limit(), step.where(KEY))
