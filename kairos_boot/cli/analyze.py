"""kairos-boot analyze [blame|timeline|critical-chain] [--boot N] [--svg FILE] [--root DIR]

Tells where the time of a boot went: `blame` lists the steps by duration, `timeline` shows stages and steps in time,
`critical-chain` what the end of the boot waited for (this without a word).

      --boot N    N boots ago, or the beginning of a boot's id
      --svg FILE  write the timeline as a picture; - is standard output
      --root DIR  read the record below DIR

Exit code: 0, 2 wrong usage, 3 when there is nothing to tell, or the picture cannot be written.
"""

from __future__ import annotations

import sys

from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import UsageError, parse
from kairos_boot.errors import Explained
from kairos_boot.reports import analyze
from kairos_boot.reports.history import load
from kairos_boot.system.host import Host

FLAGS = {"boot": True, "svg": True, "root": True}
REPORTS = {"blame": analyze.blame, "timeline": analyze.timeline, "critical-chain": analyze.critical_chain}


def run(words: list[str]) -> int:
    given = parse(words, FLAGS)
    if len(given.words) > 1 or (given.words and given.words[0] not in REPORTS):
        raise UsageError(f"say one of {', '.join(REPORTS)}, not {' '.join(given.words)}")
    host = Host(wiring.root_of(given))
    boot = load(host, given.value("boot", "0"), running=wiring.running(host))
    if "svg" in given:
        _write(given.value("svg"), analyze.svg(boot))
    if given.words or "svg" not in given:
        sys.stdout.write("\n".join(REPORTS[given.words[0] if given.words else "critical-chain"](boot)) + "\n")
    return 0


def _write(path: str, text: str) -> None:
    if path == "-":
        sys.stdout.write(text)
        return
    with Explained("cannot be written", path), open(path, "w", encoding="utf-8") as file:
        file.write(text)
