"""What ends an action: its note in `.kairos-state`, its record on the node, its marker."""

from __future__ import annotations

from kairos_boot.boot.resume import MARKER
from kairos_boot.lifecycle import marker
from kairos_boot.node import kairos_state
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.stages.ledger import Ledger
    from kairos_boot.system.host import Host

RECORD = ".state/var-log.bind/kairos-boot"
"""Where the persistent partition keeps what the node finds at /var/log/kairos-boot."""

PLANNED = ".kairos/suc-upgrade-{entry}"
"""Where, on COS_OEM, a Plan of Kubernetes notes what it gave the node for its `active` or `recovery` system (packaging/kubernetes/suc-upgrade): whatever
else is written in its place makes that untrue.
"""


@record
class NoteEvent:
    """*event* of `.kairos-state` below *directory* happened now, from *source*."""

    directory: str
    event: str
    source: str

    def describe(self) -> str:
        """The event and its place."""
        return f"note {self.event} in {self.directory}/{kairos_state.FILE}"

    def would_change(self, host: Host) -> bool | None:  # noqa: ARG002
        """It has another time each time."""
        return True

    def apply(self, host: Host) -> bool:
        """Write it. KairosError: the disk fails."""
        kairos_state.note(host.path(self.directory), self.event, self.source, host.clock())
        return True


@record
class KeepRecord:
    """This boot's ledger is kept below *directory*, too."""

    ledger: Ledger
    directory: str

    def describe(self) -> str:
        """The place."""
        return f"keep the record of this boot in {self.directory}"

    def would_change(self, host: Host) -> bool | None:  # noqa: ARG002
        """It has grown."""
        return True

    def apply(self, host: Host) -> bool:
        """Copy it; a record that cannot be kept is noted in the ledger itself."""
        return self.ledger.keep(host, self.directory)


@record
class ClearMarker:
    """The action is over for the boot loader: *state* has no marker."""

    state: str

    def describe(self) -> str:
        """What goes."""
        return f"remove the marker of the action from {self.state}"

    def would_change(self, host: Host) -> bool | None:
        """Whether there is one."""
        return host.exists(f"{self.state}/{MARKER}")

    def apply(self, host: Host) -> bool:
        """Remove it, the boot loader's part first. KairosError: the disk fails."""
        marker.clear(host.path(self.state))
        return True
