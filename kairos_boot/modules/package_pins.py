"""package_pins: versions that the package manager is to hold (docs/reference/package_pins.md)."""

from __future__ import annotations

from kairos_boot.actions.base import Invalid, Note
from kairos_boot.actions.files import WriteFile
from kairos_boot.actions.ini import SetKeys
from kairos_boot.actions.packages import NOTHING_KNOWN, family_of
from kairos_boot.actions.pins import APK, APT, DNF_CONF, DNF_LIST, LockDnf, LockZypper, NoPins, PinWorld, apt_preferences
from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.cloudconfig.model import Step
    from kairos_boot.facts import Facts
    from kairos_boot.modules import Plan

KEY = "package_pins"


def plan(step: Step, facts: Facts) -> Plan:
    """Yield what the node's package manager needs to hold each version; one without pins is noted."""
    pins = {}
    for name, text in sorted(step.package_pins.items()):
        where = step.where(KEY, name)
        try:
            version = facts.render(text, where, needed=True)
        except KairosError as error:
            yield Invalid(where, error.message, error.hint)
            continue
        if not version.strip():
            yield Note(where, f"a pin of {name} without a version is left out")
        elif len(name.split()) != 1 or len(version.split()) != 1 or name.startswith("-"):
            yield Invalid(where, f"not a package and its version: {name!r}, {version!r}", 'write it like nginx: "1.24.0-1"')
        else:
            pins[name.strip()] = version.strip()
    if not pins:
        return
    family, distribution = family_of(facts.read)
    where, timeout = step.where(KEY), step.limit()
    if family == "apt":
        yield WriteFile(APT, apt_preferences(pins), 0o644, parent_mode=0o755, where=where)
    elif family == "dnf":
        yield SetKeys(DNF_CONF, where, "main", {"enabled": "1", "locklist": DNF_LIST})
        yield LockDnf(pins, timeout, where)
    elif family == "zypper":
        for name, version in pins.items():
            yield LockZypper(name, version, timeout, step.where(KEY, name))
    elif family == "apk":
        yield PinWorld(APK, where, pins)
    else:
        kind = NoPins if distribution == NOTHING_KNOWN else Note
        yield kind(where, f"the pins are left out: no package manager that holds versions is known here, os-release says {distribution}")
