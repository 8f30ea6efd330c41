"""Make the parts that the verbs need out of what they were asked for."""

from __future__ import annotations

import os

from kairos_boot.cli.arguments import Arguments
from kairos_boot.errors import KairosError
from kairos_boot.facts import Facts
from kairos_boot.system.host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kairos_boot.cloudconfig.model import Document, Problem
    from kairos_boot.loading.documents import Sources
    from kairos_boot.node.config import Collector
    from kairos_boot.stages.ledger import Ledger
    from kairos_boot.stages.runner import Log

FAILED = 4
"""Exit code of an action that failed: what was asked for is not done. One of whose hooks a step failed is done, and ends with 1."""
SOURCE_FLAGS = {"root": True, "dotnotation": False, "cloud-init-paths": True, "override-cloud-init-paths": True}


def facts_of(host: Host) -> Facts:
    """The facts of *host*, gathered when they are asked for."""

    def gather() -> Mapping[str, object]:
        from kairos_boot.system import facts

        return facts.gather(host)

    def hostname_data() -> Mapping[str, object]:
        from kairos_boot.system import facts

        return facts.hostname_data(host)

    return Facts(gather, hostname_data, host.read)


def sources_of(host: Host, given: Sequence[str] = (), flags: Arguments | None = None, *, keep: bool = False, cmdline: str | None = None) -> Sources:
    """The sources that a verb was *given*, else those of *flags* and of the kernel command line, which is the host's unless it is said.

    With *keep* the running system's documents are kept for the boot.
    """
    from kairos_boot.loading.documents import DIRECTORIES, RECORD, Sources
    from kairos_boot.system.reader import HostReader

    def values() -> Mapping[str, object]:
        from kairos_boot.system.facts import gather

        return gather(host)

    if flags is None:
        flags = Arguments()
    if cmdline is None:
        cmdline = cmdline_of(host)
    return Sources(HostReader(host), given, directories=flags.values("override-cloud-init-paths") or DIRECTORIES, extra=flags.values("cloud-init-paths"),
                   cmdline=cmdline, values=values, dotnotation="dotnotation" in flags, strict="strict" in flags,
                   record=RECORD if keep and host.root == "/" and os.geteuid() == 0 else None)


def collector_of(host: Host, option: str = "") -> Collector:
    """What reads the configuration of *host*; with *option* that gives what the kernel command line does else."""
    from kairos_boot.node.config import Collector
    from kairos_boot.system.facts import gather
    from kairos_boot.system.reader import HostReader

    return Collector(HostReader(host), lambda: gather(host), option)


def cmdline_of(host: Host) -> str:
    return (host.read("/proc/cmdline") or b"").decode("utf-8", "surrogateescape")


def is_guided(cmdline: str) -> bool:
    """Whether a kernel command line may say something about stages and steps (`stages.breakpoints`)."""
    return "rd.kairos.break=" in cmdline or "kairos.skip=" in cmdline


def ledger_of(host: Host) -> Ledger:
    from kairos_boot.stages.ledger import DIRECTORY, Ledger, boot_id

    return Ledger(host.path(DIRECTORY), boot_id(host))


def origin(host: Host, sources: Sources) -> dict[str, object]:
    """Who started this run, and with which sources: by `unit` (and which), `step` (of another run) or `hand`.

    A unit is told from a login by its control group: a shell of somebody may have inherited any variable.
    """
    from kairos_boot.system.identity import started
    from kairos_boot.system.lock import COMMAND

    own = (host.read("/proc/self/cgroup") or b"").decode("utf-8", "replace").strip().rpartition("/")
    unit = own[2] if own[2].endswith(".service") and "/user.slice" not in own[0] and "INVOCATION_ID" in os.environ else ""
    by = "step" if os.environ.get(COMMAND) else "unit" if unit else "hand"
    found: dict[str, object] = {"by": by, "unit": unit} if unit else {"by": by}
    if host.online:
        found["process"] = started(host)
    if sources.default:
        return found
    from kairos_boot.shown import shown

    return {**found, "sources": [shown(source) if "://" in source else source for source in sources.names]}


def about(stage: str, root: str) -> str:
    """What a run of *stage* says of itself to those who wait for it."""
    return f"stage {stage}" if root == "/" else f"stage {stage} of {os.path.realpath(root)}"


def running(host: Host) -> bool:
    """Whether a run goes on now: of this system, else of the tree *host*, by a process here or by one of the system whose tree it is."""
    from kairos_boot.system.lock import LOCK, holder

    found = holder()
    if host.online:
        return found is not None
    return (found is not None and found.about.endswith(f" of {os.path.realpath(host.root)}")) or holder(host.path(LOCK)) is not None


def nothing_in(source: str) -> Problem:
    """A warning of a directory that was named and has no document."""
    from kairos_boot.cloudconfig.model import Problem

    return Problem("warning", source, "there is no document (*.yaml, *.yml) in this directory", "name another one, or a file")


def strangers(stage: str, documents: Sequence[Document]) -> list[Problem]:
    """A warning if no document has the *stage* and nothing starts it by itself: it was probably mistyped."""
    if any(name.removesuffix(".before").removesuffix(".after") == stage or name == stage for d in documents for name in d.stages):
        return []
    from kairos_boot.cloudconfig.catalog import PREFIXES, names

    known = names()
    if stage in known or stage.startswith(PREFIXES):
        return []
    from kairos_boot.cloudconfig.model import Problem
    from kairos_boot.nearest import did_you_mean

    hint = did_you_mean(stage, [*known, *(name for d in documents for name in d.stages)])
    return [Problem("warning", f"stage {stage}", "no document has it, and nothing starts it by itself: there was nothing to do", hint)]


def need_root(root: str, *, looks: bool = False) -> None:
    """KairosError: not the superuser, and the running system is meant, be it that the call only *looks* at what is root's."""
    if root == "/" and os.geteuid():
        raise KairosError("this changes nothing, but needs root to look" if looks else "this changes the system and needs root", hint="run it with sudo")


def node_of(given: Arguments) -> Host:
    """The running node, or the one that --host-root names. KairosError: no node's root is there."""
    root = given.value("host-root", "/")
    if "host-root" in given and (not root or not os.path.isdir(f"{root}/run/cos")):
        raise KairosError("this is not the root directory of a running node" if os.path.isdir(root) else f"no such directory{'' if root else ': the name is empty'}", root,
                          "--host-root names the place where the node's root is mounted with its /run; in a pod: /host")
    return Host(root)


def root_of(given: Arguments) -> str:
    """The root directory that --root names, else the running system's. KairosError: it is no directory."""
    root = given.value("root", "/")
    if not os.path.isdir(root):
        raise KairosError("no such directory", root, "--root names the directory of another system")
    return root


def logger() -> Log:
    """The log for people: the journal when a service runs us, else lines on standard error."""
    from kairos_boot.system.journal import Journal

    return Journal()

