"""kairos-boot start

Does what is left to do in the first boot: brings the bundles of the configuration, those that failed again in the next boot. Then it hands
over to the installed providers; there are none in this version, so it says so and succeeds: a unit with Restart=on-failure then rests.

Exit code: 0 done, 1 a bundle cannot be brought and fail_on_bundles_errors is set, 3 the first boot cannot be noted.
"""

from __future__ import annotations

import os

from kairos_boot.cli import notify


def run(words: list[str]) -> int:
    """Bring the bundles, and say that nobody listens."""
    failed = _first_boot() if not os.geteuid() else False
    return notify.run(words) or int(failed)


def _first_boot() -> bool:
    """Whether it failed, and has to be seen."""
    from kairos_boot.cli.actions import Wired
    from kairos_boot.lifecycle.bundles import LOCK, SECONDS, first_boot, is_due
    from kairos_boot.node.sections import understood
    from kairos_boot.system.lock import Lock

    wired = Wired("first-boot")
    if not is_due(wired.host):
        return False
    lock = Lock(LOCK, about="the first boot")  # not that of actions: a bundle's script may start one
    lock.acquire(lambda text: wired.log(5, text, kind="lock", stage="first-boot"), limit=SECONDS)
    try:
        data = understood(wired.config().settings, "start")
        return bool(first_boot(wired, data)) and data.get("fail_on_bundles_errors") is True
    finally:
        lock.release()
