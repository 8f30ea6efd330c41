"""kairos-boot bootentry [--select ENTRY] [--host-root DIR]

Without a flag it lists the entries of the boot menu, and which one the next boot takes.

  -s, --select ENTRY   let the next boot take ENTRY, once (cos, fallback, recovery, statereset, …)
      --host-root DIR  the node whose root is mounted at DIR

Exit code: 0 done, 2 wrong usage, 3 refused: nothing was changed; no boot menu to list.
"""

from __future__ import annotations

import sys

from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import parse
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import entries
from kairos_boot.node import grubenv

FLAGS = {"select": True, "host-root": True}


def run(words: list[str]) -> int:
    given = parse(words, FLAGS, {"s": "select"}, bare=True)
    wiring.need_root("/", looks="select" not in given)
    host = wiring.node_of(given)
    if "select" in given:
        sys.stdout.write(entries.select(host, given.value("select")) + "\n")
        return 0
    names = entries.names(host)
    if not names:
        raise KairosError("no boot menu is found, so nothing is known of its entries", hint=f"looked for {', '.join(map(host.path, entries.MENUS))}")
    variables = grubenv.load(host.path(f"{entries.OEM}/grubenv"))
    chosen, default = variables.get("next_entry", ""), variables.get("saved_entry", "") or "cos"
    for name in names:
        says = "  (the next boot, once)" if name == chosen else "  (the default)" if name == default else ""
        sys.stdout.write(f"{name}{says}\n")
    return 0
