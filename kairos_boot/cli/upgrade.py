"""kairos-boot upgrade [--source SOURCE | --image IMAGE] [--recovery] [--plan [--json]]
       kairos-boot upgrade list-releases [--registry REGISTRY] [--all] [--pre] [--allow-insecure-registries]

Writes a new system beside the running one and lets it be the active system from the next boot on; what runs now becomes the passive one, once it has proved
itself. The new system is on trial then: if it does not come up, or is not healthy, the node goes back by itself.

      --source SOURCE    oci:IMAGE (a registry), ocifile:FILE, file:FILE (an image, or a signed file), dir:DIRECTORY (a tree); else upgrade.system.source of the documents
      --image IMAGE      the same as --source oci:IMAGE
      --recovery         upgrade the recovery system instead
      --boot-entry NAME  active or recovery; on a node that is one signed file any entry of its menu, which alone is replaced then
      --exclude-path P   leave the path P of the source out; may be given several times
      --allow-insecure-registries   accept registries without TLS, or with a certificate that nobody vouches for
      --plan             say what would be done, and do nothing
      --json             the plan for programs
      --reboot           reboot when it is done          --poweroff   power off
      --strict=no        a hook that fails stops nothing

list-releases lists what this node can be upgraded to; it has a --help of its own.

Exit code: 0 done, or nothing to do, 1 done but a hook failed, 2 wrong usage, 3 refused: nothing was changed, 4 it failed: see what
is said.
"""

from __future__ import annotations

from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import UsageError, parse
from kairos_boot.cli.output import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kairos_boot.cli.arguments import Arguments

FLAGS = {"source": True, "image": True, "recovery": False, "boot-entry": True, "exclude-path": True, "allow-insecure-registries": False, "plan": False,
         "json": False, "reboot": False, "poweroff": False, "strict": True, "settle": False}
HIDDEN = ("settle",)
"""Flags of a unit: neither the help nor a completion offers them."""
STRICT = {"yes": True, "true": True, "no": False, "false": False}


def run(words: list[str]) -> int:
    """Upgrade, or say what an upgrade would do."""
    given = parse(words, FLAGS)
    given.needs("json", "plan")
    settle = given.alone("settle")
    if settle and given.words:
        raise UsageError(f"--settle takes no words: {given.words[0]}")
    if len(given.words) > 1:
        raise UsageError(f"it takes one source: {given.words[1]}")
    given.follows()
    wiring.need_root("/", looks="plan" in given)
    from kairos_boot.cli import pod
    from kairos_boot.cli.actions import Wired, print_plan
    from kairos_boot.node.mode import one_file

    directory = pod.host_directory()
    if directory:
        pod.enter(directory)
    wired = Wired("upgrade")
    if one_file(wired.host):
        from kairos_boot.lifecycle import uki_upgrading as upgrading
    else:
        from kairos_boot.lifecycle import upgrading  # type: ignore[no-redef]
    if settle:
        upgrading.settle(wired)
        return 0
    asked = _asked(given)
    if directory and "source" in asked:
        asked["source"] = pod.source(asked["source"])
    if "plan" in given:
        from kairos_boot.system.mounts import leave_namespace

        leave_namespace()  # a look into an image file mounts it, which nobody else is to meet
        return print_plan(upgrading.plan_of(wired, asked), as_json="json" in given)
    # There is no systemd in a pod: whoever started it restarts the node.
    return wired.carry_out(lambda: upgrading.upgrade(wired, asked), leaves=not directory)


def _asked(given: Arguments) -> dict[str, Any]:
    """What the flags ask for; what they do not mention is the configuration's to say."""
    asked: dict[str, Any] = {flag: True for flag in ("recovery", "reboot", "poweroff", "allow-insecure-registries") if flag in given}
    if "boot-entry" in given:
        asked["entry"] = given.value("boot-entry")
    if "exclude-path" in given:
        asked["excluded-paths"] = given.values("exclude-path")
    if "strict" in given:
        if given.value("strict") not in STRICT:
            raise UsageError("--strict=yes or --strict=no")
        asked["strict"] = STRICT[given.value("strict")]
    if given.words:
        complain(f"kairos-boot upgrade: a source without a flag is deprecated; write --source {given.words[0]}\n")
    image = given.value("image")
    source = f"oci:{image}" if image else given.value("source") or (given.words[0] if given.words else "")
    return {**asked, **({"source": source} if source else {})}
