"""kairos-boot notify EVENT

Hands an event over to the installed providers. There are none in this version, so it says so and succeeds: published
configurations call it at every boot.
"""

from __future__ import annotations

import sys


def run(arguments: list[str]) -> int:
    """Say in one line that nobody listens."""
    sys.stdout.write(f"no provider is installed: nothing to do for {' '.join(arguments) or 'this call'}\n")
    return 0
