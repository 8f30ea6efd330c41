"""kairos-boot logs [-o FILE] [--root DIR]

Collects what a report of a fault needs in one archive: the ledgers of the last boots, the initrd's log, the journal of
the stage units, disks, mounts and the kernel's messages. No cloud-config is taken, since those hold secrets; words that
look like logins are left out. What could not be taken is said.

  -o, --output FILE   the archive (./kairos-logs.tar.gz without it)
      --root DIR      take those of the system below DIR; nothing of it is executed

Exit code: 0, 2 wrong usage, 3 the archive cannot be written.
"""

from __future__ import annotations

import sys

from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import parse
from kairos_boot.reports.collect import collect
from kairos_boot.shown import plain
from kairos_boot.system.host import Host

FLAGS = {"output": True, "root": True}


def run(words: list[str]) -> int:
    given = parse(words, FLAGS, {"o": "output"}, bare=True)
    target = given.value("output", "kairos-logs.tar.gz")
    for line in collect(Host(wiring.root_of(given)), target, Host().processes):
        sys.stderr.write(plain(f"left out: {line}\n"))
    sys.stdout.write(f"{target}\n")
    return 0
