"""kairos-boot analyze [blame|timeline|critical-chain] [--boot N] [--svg FILE] [--root DIR]

Tells where the time of a boot went: `blame` lists the steps by duration, `timeline` shows stages and steps in time,
`critical-chain` what the end of the boot waited for, with the marks of systemd where it is this boot (this without a word).

      --boot N    N boots ago, or the beginning of a boot's id
      --svg FILE  write the boot as a picture; - is standard output
      --root DIR  read the record below DIR

Exit code: 0, 2 wrong usage, 3 when there is nothing to tell, or the picture cannot be written.
"""

from __future__ import annotations

import sys

from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import UsageError, parse
from kairos_boot.errors import Explained, KairosError
from kairos_boot.reports import analyze, chain, picture
from kairos_boot.reports.history import load
from kairos_boot.reports.spans import MANAGER, TARGETS, UNIT, UNITS, Marks
from kairos_boot.system.host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.reports.history import Boot

FLAGS = {"boot": True, "svg": True, "root": True}
REPORTS = ("blame", "timeline", "critical-chain")


def run(words: list[str]) -> int:
    given = parse(words, FLAGS)
    if len(given.words) > 1 or (given.words and given.words[0] not in REPORTS):
        raise UsageError(f"say one of {', '.join(REPORTS)}, not {' '.join(given.words)}")
    host = Host(wiring.root_of(given))
    boot = load(host, given.value("boot", "0"), running=wiring.running(host))
    if "svg" in given:
        _write(given.value("svg"), picture.svg(boot, marks_of(boot, host)))
    if given.words or "svg" not in given:
        report = given.words[0] if given.words else "critical-chain"
        lines = {"blame": analyze.blame, "timeline": analyze.timeline}[report](boot) if report != "critical-chain" else chain.critical_chain(boot, marks_of(boot, host))
        sys.stdout.write("\n".join(lines) + "\n")
    return 0


def marks_of(boot: Boot, host: Host) -> Marks:
    """The marks of systemd of this boot; of an earlier one, and where it does not run, there are none."""
    from kairos_boot.actions.units import BOOTED, PLAIN

    if boot.ago or not host.online or not host.exists(BOOTED):
        return Marks()
    try:
        manager = host.processes.run(("systemctl", "show", f"--property={','.join(MANAGER)}"), timeout=30, env=PLAIN).output
        units = host.processes.run(("systemctl", "show", f"--property={','.join(UNIT)}", "--", *UNITS, *TARGETS), timeout=30, env=PLAIN).output
    except KairosError:
        return Marks()
    return Marks(manager, units)


def _write(path: str, text: str) -> None:
    if path == "-":
        sys.stdout.write(text)
        return
    with Explained("cannot be written", path), open(path, "w", encoding="utf-8") as file:
        file.write(text)
