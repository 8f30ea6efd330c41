"""kairos-boot upgrade list-releases [--registry REGISTRY] [--all] [--pre] [--allow-insecure-registries]

Lists the images in a registry that this node can be upgraded to, the newest first.

      --registry REGISTRY  where they are, such as quay.io/kairos; else what the image says (KAIROS_REGISTRY_AND_ORG)
      --all                also what is not newer than the image of this node
      --pre                also alpha, beta and release candidates
      --allow-insecure-registries  accept registries without TLS, or with a certificate that nobody vouches for

Exit code: 0 done, also when there is no newer one, 2 wrong usage, 3 the registry does not tell.
"""

from __future__ import annotations

from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import parse
from kairos_boot.cli.output import say
from kairos_boot.system.host import Host

FLAGS = {"registry": True, "all": False, "pre": False, "output": True, "allow-insecure-registries": False}
HIDDEN = ("output",)
"""A flag of Kairos that changes nothing: neither the help nor a completion offers it."""


def run(words: list[str]) -> int:
    """List them."""
    given = parse(words, FLAGS, bare=True)
    wiring.need_root("/", looks=True)
    from kairos_boot.actions.registry import tags
    from kairos_boot.lifecycle.releases import found, wanted
    from kairos_boot.node.state import release

    host = Host("/")
    this = wanted(release(host), given.value("registry"))
    say(f"Using registry: {this.repository}\nCurrent image:\n{this.repository}:{this.prefix}{this.version}\n\n")
    known = found(tags(host, this.repository, insecure="allow-insecure-registries" in given), this, older="all" in given, unfinished="pre" in given)
    head = "Available releases:\n" if "all" in given else "Available releases, newer than this one:\n"
    say("".join([head, *(f"{this.repository}:{tag}\n" for tag in known)]) if known else "No newer releases found\n")
    return 0
