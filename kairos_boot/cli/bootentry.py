"""kairos-boot bootentry [--select ENTRY] [--host-root DIR]

Without a flag it lists the entries of the boot menu, and which one the next boot takes.

  -s, --select ENTRY   let the next boot take ENTRY, once (cos, fallback, recovery, statereset, …; with trusted boot active, passive, … are the same)
      --host-root DIR  the node whose root is mounted at DIR

Exit code: 0 done, 2 wrong usage, 3 refused: nothing was changed; no boot menu to list.
"""

from __future__ import annotations

import sys

from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import parse
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import entries, uki_autoreset
from kairos_boot.node import loader
from kairos_boot.node.mode import one_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host

FLAGS = {"select": True, "host-root": True}


def run(words: list[str]) -> int:
    given = parse(words, FLAGS, {"s": "select"}, bare=True)
    wiring.need_root("/", looks="select" not in given)
    host = wiring.node_of(given)
    if "select" in given:
        sys.stdout.write(entries.select(host, given.value("select")) + "\n")
        return 0
    if one_file(host):
        return _files(host)
    names = entries.names(host)
    if not names:
        raise KairosError("no boot menu is found, so nothing is known of its entries", hint=f"looked for {', '.join(map(host.path, entries.MENUS))}")
    variables = entries.variables(host)
    chosen, default = variables.get("next_entry", ""), variables.get("saved_entry", "") or "cos"
    for name in names:
        says = "  (the next boot, once)" if name == chosen else "  (the default)" if name == default else ""
        sys.stdout.write(f"{name}{says}\n")
    return 0


def _files(host: Host) -> int:
    """The entries of systemd-boot: which one runs, which one is chosen, how many tries are left."""
    now, once = loader.selected(host), loader.next_once(host)
    for entry in loader.entries(host):
        says = [text for text, holds in (("this boot", entry.name == now), ("the next boot, once", entry.name == once)) if holds]
        says += [f"{entry.left} {'try' if entry.left == 1 else 'tries'} left"] if entry.left is not None and not uki_autoreset.is_made(host, entry) else []
        shown = f"  ({'; '.join(says)})" if says else ""
        sys.stdout.write(f"{entry.word}{shown}\n")
    return 0
