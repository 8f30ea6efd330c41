"""kairos-boot status [--boot N] [--brief|--steps|--drift] [--json] [--root DIR]

Tells what ran in a boot, what was skipped and why, and what failed, the culprits first.

      --boot N    N boots ago (0 is this boot), or the beginning of a boot's id; the last ten boots are kept
      --brief     leave out the skipped steps
      --steps     list every step
      --drift     tell what is no longer as the boot made it, as stage reconcile found it last
      --json      print it for programs
      --root DIR  read the record below DIR

Exit code: 0, or 3 when there is nothing to tell.
"""

from __future__ import annotations

import sys
import time

from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import parse
from kairos_boot.cli.output import say_data
from kairos_boot.reports.history import load
from kairos_boot.reports.status import as_data, as_text
from kairos_boot.system.host import Host

FLAGS = {"boot": True, "brief": False, "steps": False, "drift": False, "json": False, "root": True}


def run(words: list[str]) -> int:
    given = parse(words, FLAGS, bare=True)
    host = Host(wiring.root_of(given))
    boot = load(host, given.value("boot", "0"), running=wiring.running(host))
    if "drift" in given:
        from kairos_boot.reports import drift

        if "json" in given:
            say_data(drift.as_data(boot))
        else:
            sys.stdout.write("\n".join(drift.as_text(boot, time.time())) + "\n")
    elif "json" in given:
        say_data(as_data(boot))
    else:
        lines = as_text(boot, time.time(), colour=sys.stdout.isatty(), steps="steps" in given, brief="brief" in given)
        sys.stdout.write("\n".join(lines) + "\n")
    return 0
