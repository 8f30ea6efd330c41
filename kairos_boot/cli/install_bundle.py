"""kairos-boot install-bundle [--root-path DIR] [--local-file] [--allow-insecure-registries] TARGET

Brings a bundle onto this system, now. TARGET is container://IMAGE or docker://IMAGE, whose files are laid over a directory, or run://IMAGE,
whose run.sh is run (with CONTAINERDIR, the directory where the image is unpacked, and BUNDLE_TARGET).

      --root-path DIR  the directory; default: /, of which the image's own part is read-only
      --local-file     TARGET is an archive on this machine: container:///PATH
      --repository ADDRESS  for packages of luet, which this version does not have; changes nothing
      --allow-insecure-registries  talk to a registry without TLS

Exit code: 0 done, 2 wrong usage, 3 it cannot be had, or failed.
"""

from __future__ import annotations

from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import UsageError, parse
from kairos_boot.cli.output import say
from kairos_boot.system.host import Host

FLAGS = {"root-path": True, "local-file": False, "repository": True, "allow-insecure-registries": False}


def run(words: list[str]) -> int:
    """Bring it."""
    given = parse(words, FLAGS)
    if len(given.words) != 1:
        raise UsageError("bundle name required: it takes one target")
    wiring.need_root("/")
    from kairos_boot.lifecycle.bundles import BringBundle, bundle

    wanted = bundle(given.words[0], given.value("root-path"), local="local-file" in given, insecure="allow-insecure-registries" in given)
    changed = BringBundle(wanted).apply(Host("/"))
    say(f"{wanted}: {'done' if changed else 'nothing was to be done'}\n")
    return 0
