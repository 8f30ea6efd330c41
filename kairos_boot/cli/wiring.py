"""Make the parts that the verbs need out of what they were asked for."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError
from kairos_boot.facts import Facts
from kairos_boot.system.host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kairos_boot.cli.arguments import Arguments
    from kairos_boot.cloudconfig.model import Document, Problem
    from kairos_boot.stages.ledger import Ledger
    from kairos_boot.stages.runner import Log

DIRECTORIES = ("/system/oem", "/oem", "/usr/local/cloud-config")
"""The default directories, in the order in which they are read (A1)."""
CACHE = "/run/kairos-boot/documents"
"""Documents parsed once are kept here for the boot."""
LEDGER = "/run/cos/ledger"
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


class Sources:
    """The documents of a call: given sources, or the default directories, the cmdline URI and the cmdline."""

    def __init__(self, host: Host, words: Sequence[str], arguments: Arguments, *, keep: bool = False, cmdline: str | None = None) -> None:
        from kairos_boot.system.reader import HostReader

        self.host, self.reader = host, HostReader(host)
        self.dotnotation = "dotnotation" in arguments
        self.strict = "strict" in arguments
        self.given = list(words)
        self.default = not words
        if self.default:
            self.given = [*(arguments.values("override-cloud-init-paths") or DIRECTORIES), *arguments.values("cloud-init-paths")]
        self.cache = CACHE if keep and host.root == "/" and os.geteuid() == 0 else None
        self._cmdline = cmdline
        self._fetched: dict[str, list[Document]] = {}

    def load(self) -> list[Document]:
        """Load everything, files anew, URLs and standard input once."""
        from kairos_boot.loading.sources import config_uri, load_cmdline

        documents: list[Document] = []
        paths: list[str] = []
        for source in self.given:
            if source == "-" or "://" in source:
                documents += self._files(paths) + self._once(source)
                paths = []
            else:
                paths.append(source)
        documents += self._files(paths)
        if self.default:
            text = self.cmdline()
            uri, problems = config_uri(text, self.host_values)
            if problems:
                from kairos_boot.cloudconfig.model import Document as Broken

                documents.append(Broken("the kernel command line", problems=tuple(problems), broken=True))
            if uri:
                documents += self._once(uri)
            documents += load_cmdline(text, self.reader, strict=self.strict)
        return documents

    def host_values(self) -> Mapping[str, object]:
        """The template data of a configuration URI."""
        from kairos_boot.system.facts import gather

        return gather(self.host)

    def cmdline(self) -> str:
        """The kernel command line: the given one, else the host's."""
        if self._cmdline is not None:
            return self._cmdline
        return (self.host.read("/proc/cmdline") or b"").decode("utf-8", "surrogateescape")

    def _files(self, paths: Sequence[str]) -> list[Document]:
        from kairos_boot.loading.sources import load

        return load(paths, self.reader, dotnotation=self.dotnotation, cache=self.cache, missing_ok=DIRECTORIES if self.default else ()) if paths else []

    def _once(self, source: str) -> list[Document]:
        from kairos_boot.loading.sources import load

        if source not in self._fetched:
            self._fetched[source] = load([source], self.reader, dotnotation=self.dotnotation)
        return self._fetched[source]


def ledger_of(host: Host) -> Ledger:
    """The ledger of this boot."""
    from kairos_boot.stages.ledger import Ledger

    boot = (host.read("/proc/sys/kernel/random/boot_id") or b"unknown").decode().strip()
    return Ledger(host.path(LEDGER), boot)


def origin(sources: Sources) -> dict[str, object]:
    """Who started this run, and with which sources: by `unit` (and which), `step` (of another run) or `hand`.

    A unit is told from a login by its control group: a shell of somebody may have inherited any variable.
    """
    from kairos_boot.system.lock import COMMAND

    own = (sources.host.read("/proc/self/cgroup") or b"").decode("utf-8", "replace").strip().rpartition("/")
    unit = own[2] if own[2].endswith(".service") and "/user.slice" not in own[0] and "INVOCATION_ID" in os.environ else ""
    by = "step" if os.environ.get(COMMAND) else "unit" if unit else "hand"
    found: dict[str, object] = {"by": by, "unit": unit} if unit else {"by": by}
    if sources.default:
        return found
    from kairos_boot.shown import shown

    return {**found, "sources": [shown(source) if "://" in source else source for source in sources.given]}


def running(host: Host) -> bool:
    """Whether a run goes on at this moment on this node."""
    from kairos_boot.system.lock import holder

    return host.online and holder() is not None


def strangers(stage: str, documents: Sequence[Document]) -> list[Problem]:
    """A warning if no document has the *stage* and nothing starts it by itself: it was probably mistyped."""
    if any(name.removesuffix(".before").removesuffix(".after") == stage or name == stage for d in documents for name in d.stages):
        return []
    from kairos_boot.cloudconfig.catalog import PREFIXES, names
    from kairos_boot.cloudconfig.model import Problem
    from kairos_boot.nearest import did_you_mean

    known = names()
    if stage in known or stage.startswith(PREFIXES):
        return []
    hint = did_you_mean(stage, [*known, *(name for d in documents for name in d.stages)])
    return [Problem("warning", f"stage {stage}", "no document has it, and nothing starts it by itself: there was nothing to do", hint)]


def need_root(root: str) -> None:
    """KairosError: not the superuser, and the running system is meant."""
    if root == "/" and os.geteuid():
        raise KairosError("this changes the system and needs root", hint="run it with sudo")


def is_offline_root(root: str) -> None:
    """KairosError: *root* is no directory."""
    if not os.path.isdir(root):
        raise KairosError("no such directory", root, "--root names the directory of another system")


def logger() -> Log:
    """The log for people: the journal when a service runs us, else lines on standard error."""
    from kairos_boot.system.journal import log_to

    return log_to()

