"""What an action is wired to: the running node, its sources, its record, its log, its progress."""

from __future__ import annotations

import os

from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import parse
from kairos_boot.cli.output import complain, say, say_data
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle.progress import maker
from kairos_boot.records import NOTHING
from kairos_boot.system.host import Host
from kairos_boot.system.lock import ACTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from kairos_boot.cloudconfig.model import Document
    from kairos_boot.lifecycle.wired import Outcome
    from kairos_boot.loading.documents import Sources
    from kairos_boot.node.config import Config
    from kairos_boot.node.partitions import NodeDisk
    from kairos_boot.stages.runner import Log

WITH_SUBSTAGES = (".before", "", ".after")
BRIEF = 2.0
"""Seconds that an action waits for who holds its lock only for a moment."""
SHOWN = ("action", "phase", "progress", "failure")
"""Events that everybody sees who stands before a node that nobody can log in to."""


class OnConsoles:
    """A log whose news of an action are lines on each of *consoles*, too."""

    def __init__(self, log: Log, consoles: Sequence[str]) -> None:
        self._log, self._consoles = log, consoles

    def __call__(self, priority: int, message: str, *, kind: str = "", stage: str = "", step: str = "", file: str = "", module: str = "",
                 more: Mapping[str, str] = NOTHING) -> None:
        """One message; it is also a runner's log."""
        from kairos_boot.boot.report import tell
        from kairos_boot.shown import plain

        self._log(priority, message, kind=kind, stage=stage, step=step, file=file, module=module, more=more)
        if kind in SHOWN:
            tell(self._consoles, f"  {plain(message)}\n")


class Wired:
    """One action called *name* on the running node. Everything is made when it is asked for."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.host = Host("/")
        self.log = _log(self.host)
        self.ledger = wiring.ledger_of(self.host)
        self.extra: tuple[str, ...] = ()
        """Documents whose steps run besides those of the system's directories; not in an image, which has its own."""
        self.progress = maker(lambda line: self.log(6, line, kind="progress", stage=name))

    def config(self) -> Config:
        from kairos_boot.cli.config import collect

        return collect(self.host)

    def disk(self) -> NodeDisk:
        """The disk that the node was booted from, as udev and its table tell. KairosError: it is not known."""
        from kairos_boot.lifecycle.survey import disk_of
        from kairos_boot.system.udev import Udev

        return disk_of(self.host, Udev().partitions())

    def lock(self) -> Callable[[], None]:
        """Hold the lock of actions, and give what frees it. KairosError: another action runs (G6)."""
        from kairos_boot.system.lock import Lock

        lock = Lock(ACTIONS, about=self.name)
        try:
            lock.acquire(lambda text: None, limit=BRIEF)  # noqa: ARG005
        except KairosError as error:
            raise KairosError(f"another action is running: {error.message}", error.where, "wait for it; kairos-boot status tells what it does") from error
        if lock.shared:
            raise KairosError("another action is running, and this is called by one of its steps", ACTIONS, "let the step do something else")
        return lock.release

    def emit(self, stage: str, root: str) -> str:
        """Run *stage* in the root directory *root*; what failed, or nothing."""
        from kairos_boot.boot.chroot import inside

        if root == "/":
            return self._emit(stage, self.extra)
        self._documents(root)  # with what reads them, while this system's own libraries are in sight
        failed = inside(root, lambda: 1 if self._emit(stage) else 0)
        return "a step inside the image, see the record" if failed else ""

    def _emit(self, stage: str, extra: Sequence[str] = ()) -> str:
        from kairos_boot.stages.culprits import Culprits
        from kairos_boot.stages.runner import Runner
        from kairos_boot.system.lock import Lock

        host = Host("/")
        lock = Lock(about=f"stage {stage}")
        lock.acquire(lambda text: self.log(5, text, kind="lock", stage=stage))
        try:
            culprits = Culprits(self.ledger)
            sources = _sources(host, extra)
            outcome = Runner(host, wiring.facts_of(host), culprits, self.log, origin=wiring.origin(host, sources)).emit(stage, sources.load)
        finally:
            lock.release()
        return culprits.first(outcome.failed).removeprefix(": ") or f"{outcome.failed} failures" if outcome.failed else ""

    def steps(self, stage: str, root: str) -> int:
        """How many steps the documents below *root* have for *stage*."""
        documents = _sources(self.host, self.extra).load() if root == "/" else self._documents(root)
        return sum(len(document.stages.get(stage + suffix, ())) for document in documents for suffix in WITH_SUBSTAGES)

    def calls(self, stage: str, program: str) -> bool:
        """Whether a command of *stage*, of the running system, names *program*."""
        documents = _sources(self.host, self.extra).load()
        return any(program in command for document in documents for suffix in WITH_SUBSTAGES for step in document.steps(stage + suffix) for command in step.commands)

    def _documents(self, root: str) -> Sequence[Document]:
        return wiring.sources_of(Host(root), cmdline="").load()

    def carry_out(self, act: Callable[[], Outcome], then: str = "", *, leaves: bool = True) -> int:
        """Do it, and let follow what was asked for (*then*) or the configuration says, where the machine *leaves* for it; the exit code."""
        from kairos_boot.lifecycle.phases import Broken

        try:
            outcome = act()
        except Broken as error:
            complain(f"kairos-boot {self.name}: {error}\n")
            return wiring.FAILED
        left = not leaves or not (then or outcome.then) or self._leave(then or outcome.then)
        return 1 if outcome.failures or not left else 0

    def _leave(self, how: str) -> bool:
        """Restart the machine or switch it off; whether that began. What was done before stays done."""
        self.log(5, f"{self.name} is done: {how} follows", kind="action", stage=self.name)
        result = self.host.processes.run(("systemctl", "--no-block", how), timeout=60)
        if result.code:
            complain(f"kairos-boot {self.name}: it is done, but systemctl {how}: {result.explain(60)}: {result.output.strip()}; {how} by hand\n")
        return not result.code


def _sources(host: Host, extra: Sequence[str]) -> Sources:
    """What a stage of the running system is made of, with the documents *extra*."""
    return wiring.sources_of(host, flags=parse([f"--cloud-init-paths={path}" for path in extra], wiring.SOURCE_FLAGS))


def _log(host: Host) -> Log:
    """Of a boot that resets the node: on every console as well, unless somebody called us on one."""
    from kairos_boot.boot.cmdline import Cmdline
    from kairos_boot.node.mode import boot_word

    log = wiring.logger()
    if boot_word(host) != "autoreset_boot" or os.isatty(2):
        return log
    return OnConsoles(log, Cmdline(wiring.cmdline_of(host)).consoles)


def print_plan(phases: Sequence[Mapping[str, Any]], *, as_json: bool) -> int:
    """Print the plan of an action."""
    if as_json:
        say_data(phases)
        return 0
    for phase in phases:
        say(f"{phase['number']}. {phase['title']}{' (done before)' if phase['done'] else ''}\n")
        for line in phase["does"]:
            say(f"     {line}\n")
        say(f"     after a power cut: {phase['again']}\n")
    return 0
