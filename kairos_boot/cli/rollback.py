"""kairos-boot rollback [--host-root DIR]

Makes the other system the default for good: the passive one where the active one is, and the other way round. An upgrade or a reset takes it back.
For one boot only: kairos-boot bootentry --select fallback.

      --host-root DIR  the node whose root is mounted at DIR

Exit code: 0 done, 2 wrong usage, 3 refused: nothing was changed.
"""

from __future__ import annotations

import sys

from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import parse
from kairos_boot.lifecycle import entries

FLAGS = {"host-root": True}


def run(words: list[str]) -> int:
    given = parse(words, FLAGS, bare=True)
    wiring.need_root("/")
    sys.stdout.write(entries.roll_back(wiring.node_of(given)) + "\n")
    return 0
