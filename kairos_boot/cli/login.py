"""Whoever logs in on a degraded node learns of it: a line of the console's greeting and of the message of the day.

Both are files of /run, which agetty(8) and pam_motd(8) read by themselves.
"""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError
from kairos_boot.shown import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.reports.history import Boot
    from kairos_boot.system.host import Host

ISSUE, MOTD = "/run/issue.d/50-kairos-boot.issue", "/run/motd.d/50-kairos-boot"


def tell(host: Host, stage: str, failed: int, *, look: bool) -> None:
    """Write the line when the first thing of a boot failed: *failed* in this run of *stage*. To *look* is to read what the whole boot's record says
    by now, and to take the line away when all is mended; a boot's own stages have no time for that.
    """
    if not host.online or not (failed or look):
        return
    there = host.exists(MOTD)
    try:
        if there and look:
            from kairos_boot.reports.history import load

            _put(host, line(load(host)))
        elif failed and not there:
            _put(host, one_line(f"kairos-boot: this node is degraded: {_failures(failed)} in {stage}; see: kairos-boot status") + "\n")
    except (KairosError, OSError):
        return  # a full /run; the journal and the ledger have it


def _put(host: Host, text: str) -> None:
    for path, escaped in ((ISSUE, text.replace("\\", "\\\\")), (MOTD, text)):
        place = host.path(path)
        if text:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(escaped)
        elif os.path.exists(place):
            os.unlink(place)


def _failures(number: int) -> str:
    return f"{number} failure{'' if number == 1 else 's'}"


def line(boot: Boot) -> str:
    """What is told; nothing of a boot without failures. No message is in it: the greeting is for everybody at the console."""
    failed = boot.failed()
    if not failed:
        return ""
    first = failed[0]
    about = f"step {first.step}" if first.step else first.where.partition(": ")[0]
    stage = f" in stage {first.stages[0]}" if first.stages else ""
    return one_line(f"kairos-boot: this node is degraded: {_failures(len(failed))}, the first{stage}: {about}; see: kairos-boot status") + "\n"
