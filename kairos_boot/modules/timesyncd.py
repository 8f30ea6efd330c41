"""timesyncd: time servers, as a drop-in of systemd-timesyncd (docs/reference/timesyncd.md)."""

from __future__ import annotations

from kairos_boot.actions.base import Invalid, Note
from kairos_boot.actions.ini import SetKeys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.cloudconfig.model import Step
    from kairos_boot.facts import Facts
    from kairos_boot.modules import Plan

KEY = "timesyncd"
PATH = "/etc/systemd/timesyncd.conf.d/10-yip.conf"
KNOWN = ("NTP", "FallbackNTP", "RootDistanceMaxSec", "PollIntervalMinSec", "PollIntervalMaxSec", "ConnectionRetrySec", "SaveIntervalSec")
"""The keys of timesyncd.conf(5)."""


def plan(step: Step, facts: Facts) -> Plan:  # noqa: ARG001
    """Yield one edit with all keys; what cannot stand in the file is refused, what timesyncd does not know is noted."""
    values = {}
    for key, value in step.timesyncd.items():
        where = step.where(KEY, key)
        if not key.isalnum() or not key.isascii():
            yield Invalid(where, f"not a key of timesyncd.conf: {key!r}", f"known are {', '.join(KNOWN)}")
        elif "\n" in value or "\r" in value:
            yield Invalid(where, f"the value of {key} has more than one line", "separate time servers by blanks")
        else:
            if key not in KNOWN:
                meant = next((known for known in KNOWN if known.lower() == key.lower()), "")
                yield Note(where, f"systemd-timesyncd does not know {key!r}", f"did you mean {meant}?" if meant else f"known are {', '.join(KNOWN)}")
            values[key] = value.strip()
    if values:
        yield SetKeys(PATH, step.where(KEY), "Time", values)
