"""kairos-boot start

Hands over to the installed providers. There are none in this version, so it says so and succeeds: a unit with
Restart=on-failure then rests.
"""

from __future__ import annotations

from kairos_boot.cli.notify import run

__all__ = ["run"]
