"""The turn of a stage: one that something else than its own unit starts too early in a boot waits for the stage before it (D10, D14)."""

from __future__ import annotations

from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kairos_boot.system.host import Host

BEFORE = {"boot": "fs", "network": "boot", "reconcile": "network"}
CGROUP = "/proc/self/cgroup"
LIMIT = 600.0
"""Seconds, as long as for the lock."""


def await_turn(host: Host, stage: str, say: Callable[[str], None]) -> None:
    """Wait while the unit of the stage before *stage* has a job, and *say* so; not where that job in turn waits for us, and never longer
    than the limit: a stage out of turn is better than none.
    """
    if stage not in BEFORE or not host.online or (host.read(CGROUP) or b"").rstrip().endswith(f"/{unit(stage)}".encode()):
        return  # of its own unit systemd has seen to it
    from kairos_boot.actions.units import BOOTED, ask

    if not host.exists(BOOTED):
        return
    from kairos_boot.actions.jobs import holder, queued

    before = unit(BEFORE[stage])

    def told(argv: tuple[str, ...]) -> str:
        return ask(host, argv, LIMIT, "")

    try:
        if before not in queued(told):
            return
        if holder(host, (before,), told):
            say(f"stage {stage} does not wait for {before}, which waits for this run")
            return
        say(f"stage {stage} waits for {before}, which comes before it")
        told(("systemctl", "start", before))  # its job is there: this waits for the end of it
    except KairosError as error:  # how it ended is told elsewhere; the order counts
        say(f"stage {stage} waits no longer for {before}: {error.message}")


def unit(stage: str) -> str:
    return f"cos-setup-{stage}.service"
