"""kairos-boot doctor [--root DIR] [--json] [SOURCE...]

Looks at an image, or at this node, and tells what it lacks and what to do: kernel and initrd, units, mount points, programs,
configurations, modes, baked-in identities, the boot menu; on a running node also room and the clock. Nothing of what is looked at
is executed, nothing is changed, and a build machine needs no root where files can be read without it.

      --root DIR   the system below DIR
      --json       print it for programs
  -d, --dotnotation   the sources are dot-notation text
      --cloud-init-paths PATH            add a source to the default ones
      --override-cloud-init-paths PATH   replace the default ones

Exit code: 0 no errors (there may be warnings), 1 errors, 2 wrong usage, 3 nothing to look at: no such root.
"""

from __future__ import annotations

import sys

from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import parse
from kairos_boot.cli.output import say, say_data
from kairos_boot.cli.validate import problems
from kairos_boot.reports.doctor import as_lines, examine
from kairos_boot.reports.examined import Examined
from kairos_boot.shown import one_line
from kairos_boot.system import initramfs
from kairos_boot.system.host import Host

FLAGS = {"root": True, "json": False, **wiring.SOURCE_FLAGS}
SECONDS = 30.0


def run(words: list[str]) -> int:
    given = parse(words, FLAGS, {"d": "dotnotation"})
    root = wiring.root_of(given)
    host, here = Host(root), Host("/")
    runs = root == "/"
    documents = wiring.sources_of(host, given.words, given, cmdline=None if runs else "").load()

    def packed(path: str) -> set[str]:
        return initramfs.names(host.path(path), here.processes)

    def speaks(text: str) -> str:
        result = here.processes.run(("sh", "-n"), timeout=SECONDS, stdin=text.encode("utf-8", "surrogateescape"), env={"LC_ALL": "C"})
        return one_line(result.output.strip() or result.explain(SECONDS)) if result.code else ""

    found = examine(Examined(host, documents, list(dict.fromkeys(problems(list(documents)))), packed, speaks, runs=runs))
    if "json" in given:
        say_data([{"check": f.check, "severity": f.severity, "where": f.where, "message": f.message, "hint": f.hint} for f in found])
    else:
        say("".join(f"{line}\n" for line in as_lines(found, colour=sys.stdout.isatty())))
    return 1 if any(f.severity == "error" for f in found) else 0
