"""What an action gets from the verb that wires it, and what it gives back."""

from __future__ import annotations

from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Protocol

    from kairos_boot.actions.base import Action
    from kairos_boot.lifecycle.hooks import Emit, Steps
    from kairos_boot.lifecycle.progress import Progress
    from kairos_boot.node.config import Config
    from kairos_boot.node.partitions import NodeDisk
    from kairos_boot.stages.ledger import Ledger
    from kairos_boot.stages.runner import Log
    from kairos_boot.system import copying
    from kairos_boot.system.host import Host

    class Machine(Protocol):
        """The machine, its record and its log."""

        host: Host
        log: Log
        ledger: Ledger
        progress: Callable[[str], Progress]

        def lock(self) -> Callable[[], None]:
            """Hold the lock of actions; what frees it. KairosError: another one runs."""

        def emit(self, stage: str, root: str) -> str:
            """Run a stage in a root directory; what failed, or nothing."""

        def steps(self, stage: str, root: str) -> int:
            """How many steps the documents of a root directory have for a stage."""

    class Node(Machine, Protocol):
        """A machine that is a node already."""

        def config(self) -> Config:
            """The merged configuration."""

        def disk(self) -> NodeDisk:
            """The disk that the node was booted from. KairosError: it is not known."""

        def calls(self, stage: str, program: str) -> bool:
            """Whether a command of *stage* names *program*."""

    class Installer(Machine, Protocol):
        """A machine that makes a node."""

        cmdline: str

        def read(self, path: str) -> bytes:
            """A file or an address."""

        def disks(self) -> Sequence[str]:
            """The disks on which prepared partitions are looked for."""


@record
class Surroundings:
    """What the phases of an action work with: hooks, progress, and where it notes what it did."""

    emit: Emit
    steps: Steps
    progress: Callable[[str], copying.Progress]
    finish: tuple[Action, ...] = ()
    """Actions at its end: the record, the trial of a new system, the end of the marker."""


@record
class Outcome:
    """How an action ended: what failed and did not stop it, and `reboot`, `poweroff` or nothing for what follows."""

    failures: tuple[str, ...] = ()
    then: str = ""


def ended(failures: Sequence[str], settings: Mapping[str, Any]) -> Outcome:
    """The outcome of an action that came to its end, whose *settings* say what follows."""
    return Outcome(tuple(failures), follows(settings))


def follows(settings: Mapping[str, Any]) -> str:
    """What the *settings* of an action let follow it: `reboot`, `poweroff`, or nothing."""
    return next((how for how in ("reboot", "poweroff") if settings.get(how) is True), "")
