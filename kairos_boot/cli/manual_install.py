"""kairos-boot manual-install [--plan [--json]] [--device DEVICE] [--source SOURCE] [--use-default-dirs] [--reboot|--poweroff] CONFIG

Makes a node of an empty disk: everything on it is lost. CONFIG is the configuration of the new node, a path or an address; it also says how it is
installed (section install). Without a device the largest disk that nothing uses is taken.

      --device DEVICE     a path, auto or script://PATH
      --source SOURCE     what the system is made of: dir:/PATH, file:/PATH, oci:IMAGE, …; default: the live medium's own root
      --use-default-dirs  merge CONFIG with the configurations of this system
      --plan              say what would be done, and do nothing
      --json              the plan for programs
      --reboot            reboot when it is done          --poweroff   power off
      --allow-insecure-registries  talk to a registry without TLS

Exit code: 0 done, 1 done but a hook failed, 2 wrong usage, 3 refused: nothing was changed, 4 it failed half-way: the disk is no node.
"""

from __future__ import annotations

from kairos_boot.cli import installer
from kairos_boot.cli.arguments import UsageError, parse
from kairos_boot.lifecycle.installing import Asked
from kairos_boot.lifecycle.target import AUTO
from kairos_boot.node.config import DIRECTORIES

FLAGS = {**installer.FLAGS, "device": True, "use-default-dirs": False}


def run(words: list[str]) -> int:
    """Install with a configuration that is named."""
    given = parse(words, FLAGS)
    if len(given.words) != 1:
        raise UsageError("it takes one configuration: a path or an address")
    wired, config = installer.on_this_machine(given.words[0], DIRECTORIES if "use-default-dirs" in given else (), looks="plan" in given)
    return installer.run(given, wired, config, Asked(given.value("device"), given.value("source"), default=AUTO, insecure="allow-insecure-registries" in given, then=given.follows()))
