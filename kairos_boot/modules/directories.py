"""directories: directories with mode and owner (docs/reference/directories.md)."""

from __future__ import annotations

from kairos_boot.actions.base import Invalid
from kairos_boot.actions.files import MakeDirectory, Owner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.cloudconfig.model import Step
    from kairos_boot.facts import Facts
    from kairos_boot.modules import Plan

KEY = "directories"


def plan(step: Step, facts: Facts) -> Plan:  # noqa: ARG001
    for index, item in enumerate(step.directories):
        if not item.path.startswith("/"):
            yield Invalid(step.where(KEY, index, "path"), f"not an absolute path: {item.path!r}", "begin it with /")
        else:
            yield MakeDirectory(item.path.rstrip("/") or "/", item.permissions, Owner(item.owner, item.group), step.where(KEY, index))
