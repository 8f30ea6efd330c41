"""systemctl: units to enable, disable, mask and start, and drop-ins for them (docs/reference/systemctl.md)."""

from __future__ import annotations

from kairos_boot.actions.base import Invalid, Note
from kairos_boot.actions.files import Owner, WriteFile
from kairos_boot.actions.units import Queued, ReloadUnits, SetUnit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kairos_boot.cloudconfig.model import Override, Step
    from kairos_boot.facts import Facts
    from kairos_boot.modules import Plan

KEY = "systemctl"
TYPES = (".service", ".socket", ".device", ".mount", ".automount", ".swap", ".target", ".path", ".timer", ".slice", ".scope")
SHELL = frozenset("|&;<>$`(){}'\"\n")
"""What only a shell would understand."""


def plan(step: Step, facts: Facts) -> Plan:  # noqa: ARG001
    """Yield enable, disable, mask, the drop-ins, then start, so that what starts finds its drop-ins."""
    units = step.systemctl
    timeout = step.limit()
    for verb, items in (("enable", units.enable), ("disable", units.disable), ("mask", units.mask)):
        yield from _each(step, verb, items, timeout)
    yield from _overrides(step, timeout)
    yield from _each(step, "start", units.start, timeout)


def _each(step: Step, verb: str, items: Sequence[str], timeout: float) -> Plan:
    for index, item in enumerate(items):
        where = step.where(KEY, verb, index)
        if SHELL & set(item) or not item.split():
            yield Invalid(where, f"not a unit: {item!r}", "no shell reads this; write one unit an item, and shell text under commands")
        else:
            done = yield SetUnit(verb, tuple(item.split()), timeout, where)
            if isinstance(done, Queued):
                yield Note(where, f"queued: {item} starts when {done.behind}, which runs this step, has ended", quiet=True)


def _overrides(step: Step, timeout: float) -> Plan:
    written = False
    for index, item in enumerate(step.systemctl.overrides):
        where = step.where(KEY, "overrides", index)
        if not item.service or not item.content:
            yield Note(where, "a drop-in without a service is left out" if not item.service else f"a drop-in of {item.service} without content is left out")
        elif "/" in item.service + item.name or item.service.startswith("."):
            yield Invalid(where, f"not names of a unit and its drop-in: {item.service!r}, {item.name!r}", "write them like foo.service and 10-foo.conf")
        else:
            changed = yield WriteFile(path(item), item.content.encode("utf-8", "surrogateescape"), owner=Owner(), parent_mode=0o755, where=where)
            written = written or changed is not False
    if written:  # once for all of them
        yield ReloadUnits(timeout, step.where(KEY, "overrides"))


def unit(name: str) -> str:
    """The full name of a unit; one without a type is a service."""
    return name if name.endswith(TYPES) else f"{name}.service"


def path(item: Override) -> str:
    name = item.name or "override-yip.conf"
    return f"/etc/systemd/system/{unit(item.service)}.d/{name if name.endswith('.conf') else name + '.conf'}"
