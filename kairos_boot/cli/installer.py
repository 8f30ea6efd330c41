"""What the verbs `install` and `manual-install` share: they are wired, planned and run alike."""

from __future__ import annotations

import os

from kairos_boot.cli import wiring
from kairos_boot.cli.actions import Wired, print_plan
from kairos_boot.errors import KairosError, reason
from kairos_boot.lifecycle import installing
from kairos_boot.shown import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kairos_boot.cli.arguments import Arguments
    from kairos_boot.node.config import Collector, Config

WORK = "/run/kairos-boot/install"
"""Where documents from elsewhere lie while their steps may run."""
NOT_FOUND = 404
"""What a server answers that knows no such address."""
FLAGS = {"source": True, "plan": False, "json": False, "reboot": False, "poweroff": False, "allow-insecure-registries": False}


class Installer(Wired):
    """The machine that installs: its stages run with the documents of *config*, too."""

    def __init__(self, cmdline: str) -> None:
        super().__init__("install")
        self.cmdline = cmdline

    def read(self, path: str) -> bytes:
        """A file or an address."""
        from kairos_boot.system.reader import HostReader

        reader = HostReader(self.host)
        return reader.fetch(path) if "://" in path else reader.read(path)

    def disks(self) -> list[str]:
        """All of the machine."""
        from kairos_boot.lifecycle.target import every

        return every(self.host)

    def collector(self) -> Collector:
        """What reads the configuration."""
        return wiring.collector_of(self.host)

    def emit(self, stage: str, root: str) -> str:
        """Run *stage*; Kairos' words for it are what scripts wait for."""
        self.log(5, f"Running {stage} hook", kind="hook", stage=stage)
        return super().emit(stage, root)

    def take(self, config: Config) -> None:
        """Let the documents that are in no directory of the stages be sources of theirs (each runs once)."""
        from kairos_boot.loading.documents import DIRECTORIES as STAGED
        from kairos_boot.system.private import private_directory

        extra = []
        for at, (source, text) in enumerate(config.texts.items()):
            if source.startswith(tuple(f"{directory}/" for directory in STAGED)):
                continue
            if os.path.isabs(source) and os.path.isfile(source):
                extra.append(source)
                continue
            private_directory(os.path.dirname(WORK))
            private_directory(WORK)
            path = f"{WORK}/{at}.yaml"
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(text)
            extra.append(path)
        self.extra = tuple(extra)

    def forget(self) -> None:
        """Remove what `take` wrote: there may be secrets in it."""
        from kairos_boot.system.trees import remove

        try:
            remove(WORK)
        except OSError as error:
            self.log(4, f"documents of the installation stay in {WORK}: {reason(error)}", kind="warning", stage="install")


class Builder(Installer):
    """A machine that builds images: no stage runs on it, only in the image, and nothing of it is the node's."""

    def __init__(self, settings: str) -> None:
        from kairos_boot.stages.ledger import NoLedger

        super().__init__(settings)
        self.ledger = NoLedger()

    def lock(self) -> Callable[[], None]:
        """Two images may be built at once."""
        return lambda: None

    def collector(self) -> Collector:
        """What reads the configuration; its last words are those of `--set`."""
        return wiring.collector_of(self.host, "--set")


def judge(wired: Installer, config: Config) -> None:
    """Tell what is wrong with the configuration. KairosError: a value of ours is of the wrong kind, so that something else would be installed."""
    from kairos_boot.node.sections import problems

    found = list(problems(config.settings))
    for problem in (*config.problems, *(p for p in found if p.severity != "error")):
        wired.log(4, str(problem), kind="problem", stage="install")
    for problem in found:
        if problem.severity == "error":
            raise KairosError(problem.message, problem.where, problem.hint)


def kind_of(wired: Installer, asked: installing.Asked) -> type[installing.Installation]:
    """The kind of installation that *wired* does: a machine whose system is one signed file makes a node of that kind; a disk image is for GRUB."""
    from kairos_boot.node.mode import one_file

    if asked.image or not one_file(wired.host):
        return installing.Installation
    from kairos_boot.lifecycle.uki_installing import UkiInstallation

    return UkiInstallation


def run(given: Arguments, wired: Installer, config: Config, asked: installing.Asked) -> int:
    """Install, or print what it would do."""
    given.needs("json", "plan")
    if not asked.image:
        judge(wired, config)
    if "plan" in given:
        from kairos_boot.system.mounts import leave_namespace

        leave_namespace()  # a look into an image file mounts it, which nobody else is to meet
        return print_plan(installing.plan_of(wired, config, asked, kind_of(wired, asked)), as_json="json" in given)
    if asked.image:  # no stage runs on a machine that builds, and where it fails there will be no file
        return 1 if installing.install(wired, config, asked).failures else 0
    wired.take(config)
    try:
        return wired.carry_out(lambda: installing.install(wired, config, asked, kind_of(wired, asked)), asked.then)
    finally:
        wired.forget()


def on_this_machine(document: str, directories: tuple[str, ...], *, looks: bool) -> tuple[Installer, Config]:
    """The running system, and the configuration: of *document* where one is named, and of *directories*. It may be that the call only *looks*."""
    from kairos_boot.system.host import Host

    wiring.need_root("/", looks=looks)
    wired = Installer(wiring.cmdline_of(Host("/")))
    if not document:
        return wired, wired.collector().collect(wired.cmdline, directories)
    try:
        return wired, wired.collector().given(document if "://" in document else os.path.abspath(document), wired.cmdline, directories)
    except KairosError as error:
        missing = "configuration file not found in remote address: " if getattr(error, "status", 0) == NOT_FOUND else ""
        raise KairosError(missing + error.message, error.where or shown(document), error.hint) from error


