"""kairos-boot start [--restart] [--api URL] [DIR...]

Does what is left to do in the first boot: brings the bundles of the configuration and sets its grub_options for the boot loader; what failed is done
again in the next boot. Then it tells the
installed providers of agent.bootstrap, which may run as long as they like. Without one it says so and succeeds: a unit with Restart=on-failure then rests.
DIR: configurations for providers are read there instead of in the node's own places.

      --restart   tell the providers again, 5 s after one failed
      --api URL   what they are told as the address of an API (http://127.0.0.1:8080)
      --force     does nothing; units of Kairos may have it

Exit code: 0 done, 1 a provider failed, or a bundle cannot be brought and fail_on_bundles_errors is set, 2 wrong usage, 3 the first boot cannot be noted.
"""

from __future__ import annotations

import os
import time

from kairos_boot.cli.arguments import parse
from kairos_boot.cli.notify import publish
from kairos_boot.system.host import Host

FLAGS = {"restart": False, "force": False, "api": True}
DATA = {"api": "http://127.0.0.1:8080", "logfile": "/var/log/kairos/agent-provider.log"}
"""What providers expect to be told besides the configuration."""
PAUSE = 5.0
"""Seconds."""


def run(words: list[str]) -> int:
    """Do the first boot; then tell the providers, those that a bundle brought, too."""
    given = parse(words, FLAGS)
    failed = _first_boot() if not os.geteuid() else False
    data = {**DATA, "api": given.value("api", DATA["api"])}
    while (code := publish(Host("/"), "agent.bootstrap", data, given.words, seconds=0)) and "restart" in given:
        time.sleep(PAUSE)
    return code or int(failed)


def _first_boot() -> bool:
    """Whether it failed, and has to be seen."""
    from kairos_boot.cli.actions import Wired
    from kairos_boot.lifecycle.bundles import SECONDS
    from kairos_boot.lifecycle.first_boot import LOCK, first_boot, is_due
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
