"""kairos-boot pull-image [--platform OS/ARCH] IMAGE DIRECTORY

Unpacks a container image of a registry, or an archive of one, over a directory.

      --platform OS/ARCH  which of the image's platforms, such as linux/arm64; default: this machine's

Exit code: 0 done, 2 wrong usage, 3 it could not be fetched or unpacked.
"""

from __future__ import annotations

import os

from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import UsageError, parse
from kairos_boot.cli.output import say
from kairos_boot.system.host import Host

FLAGS = {"platform": True}


def run(words: list[str]) -> int:
    """Unpack it."""
    given = parse(words, FLAGS)
    if len(given.words) != 2:
        raise UsageError("it takes an image and a directory")
    platform = given.value("platform")
    if platform and not 2 <= len([part for part in platform.split("/") if part]) <= 3:
        raise UsageError(f"--platform is written like linux/arm64: {platform}")
    wiring.need_root("/")
    from kairos_boot.actions.images import UnpackImage
    from kairos_boot.lifecycle.sources import parse as source

    named = source(given.words[0])
    target = os.path.abspath(given.words[1])
    UnpackImage(named.name, target, platform, 4 * 3600, 2, "pull-image").apply(Host("/"))
    say(f"unpacked {named} over {target}\n")
    return 0
