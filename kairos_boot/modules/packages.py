"""packages: work for the distribution's package manager (docs/reference/packages.md)."""

from __future__ import annotations

from kairos_boot.actions.base import Invalid
from kairos_boot.actions.packages import NOTHING_KNOWN, Manage, family_of, unknown
from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.cloudconfig.model import Step
    from kairos_boot.facts import Facts
    from kairos_boot.modules import Plan

KEY = "packages"
SHELL = frozenset("|&;$`(){}'\"\\\n")


def plan(step: Step, facts: Facts) -> Plan:
    """Yield refresh, upgrade, install and remove, as far as asked for. A name may be several, as a shell would split them."""
    asked = step.packages
    if not (asked.install or asked.remove or asked.refresh or asked.upgrade):
        return
    family, distribution = family_of(facts.read)
    if not family and distribution != NOTHING_KNOWN:
        error = unknown(distribution, step.where(KEY))
        yield Invalid(error.where, error.message, error.hint)
        return
    limits = (step.limit(), step.retries)
    names: dict[str, list[str]] = {"install": [], "remove": []}
    for phase, items in (("install", asked.install), ("remove", asked.remove)):
        for index, item in enumerate(items):
            where = step.where(KEY, phase, index)
            try:
                words = facts.render(item, where, needed=True)
            except KairosError as error:
                yield Invalid(where, error.message, error.hint)
                continue
            if SHELL & set(words) or not words.split():
                yield Invalid(where, f"not a package: {words!r}", "no shell reads this; write one package an item")
            else:
                names[phase] += words.split()
    if asked.refresh:
        yield Manage(family, "refresh", () if asked.upgrade else tuple(names["install"]), *limits, step.where(KEY, "refresh"))
    if asked.upgrade:
        yield Manage(family, "upgrade", (), *limits, step.where(KEY, "upgrade"))
    for phase in ("install", "remove"):
        if names[phase]:
            yield Manage(family, phase, tuple(names[phase]), *limits, step.where(KEY, phase))
