"""kairos-boot uuid

Prints what this node calls itself towards others: its machine id, a hyphen, its host name; without a newline, as scripts expect it.
The environment variable UUID is printed instead where it is set.

Exit code: 0, 2 wrong usage.
"""

from __future__ import annotations

import os
import sys

from kairos_boot.cli.arguments import UsageError, parse
from kairos_boot.cli.state import state_of
from kairos_boot.system.host import Host

FLAGS: dict[str, bool] = {}


def run(words: list[str]) -> int:
    if parse(words, FLAGS).words:
        raise UsageError(f"it takes no words: {words[0]}")
    sys.stdout.write(os.environ.get("UUID", "") or str(state_of(Host("/"))["uuid"]))
    return 0
