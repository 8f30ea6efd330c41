"""Units of systemd: their state, and what is to be loaded again."""

from __future__ import annotations

from kairos_boot.errors import KairosError
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.actions.files import WriteFile
    from kairos_boot.system.host import Host

BOOTED = "/run/systemd/system"
"""Present where systemd runs, see sd_booted(3)."""
PLAIN = {"LC_ALL": "C"}
SAYS_CHANGED = ("Created symlink", "Removed ")
"""How systemctl tells, in the C locale, that it changed a link; a second call says nothing."""

STARTS = ("start", "restart", "try-restart", "reload", "reload-or-restart", "isolate")
"""Verbs that wait for a job that may have to wait."""
IGNORED = "unning in chroot, ignoring"
"""What it says, with success, where it starts nothing: in the initrd's half of a boot."""


def ask(host: Host, argv: tuple[str, ...], timeout: float, where: str) -> str:
    """What systemctl says. KairosError: it failed, with its words."""
    try:
        result = host.processes.run(argv, timeout=timeout, env=PLAIN)
    except KairosError as error:
        raise KairosError(error.message, where, "is systemd what runs this node?") from error
    if result.code or result.timed_out:
        said = f"\n{result.output.strip()}" if result.output.strip() else ""
        raise KairosError(f"{' '.join(argv)}: {result.explain(timeout)}{said}", where)
    return result.output


@record
class SetUnit:
    """One of `enable`, `disable`, `mask` and `start` for *words*: units, and options if a document gives some.

    What would wait for the stage that runs it is queued instead, and *queued* gets the unit of that stage (C11).
    """

    verb: str
    words: tuple[str, ...]
    timeout: float = 0
    where: str = ""
    queued: list[str] | None = None

    def describe(self) -> str:
        """Verb and units."""
        return f"systemctl {self.verb} {' '.join(self.words)}"

    def would_change(self, host: Host) -> bool | None:
        """Whether a unit is to be started; of the other verbs only doing it tells."""
        return not self._runs(host) if self.verb == "start" else None

    def _runs(self, host: Host) -> bool:
        if not host.exists(BOOTED):
            return False
        result = host.processes.run(("systemctl", "is-active", "--quiet", *self.words), timeout=self.timeout, env=PLAIN)
        return result.code == 0 and IGNORED not in result.output

    def apply(self, host: Host) -> bool:
        """Let systemctl do it; a unit that runs is not started. KairosError: systemctl failed, or there is none."""
        if self.verb == "start" and len(self.words) == 1 and self._runs(host):
            return False
        argv = ("systemctl", self.verb, *self._no_block(host), *self.words)
        said = ask(host, argv, self.timeout, self.where)
        return IGNORED not in said if self.verb == "start" else any(sign in said for sign in SAYS_CHANGED)

    def _no_block(self, host: Host) -> tuple[str, ...]:
        """The option, if systemctl would wait for a job that cannot begin before this stage ends."""
        if not (self.verb in STARTS or "--now" in self.words) or "--no-block" in self.words or not host.exists(BOOTED):
            return ()
        from kairos_boot.actions.jobs import holder

        try:
            unit = holder(host, self.words, lambda argv: ask(host, argv, self.timeout, self.where))
        except KairosError:  # systemctl itself will say what is wrong
            return ()
        if unit and self.queued is not None:
            self.queued.append(unit)
        return ("--no-block",) if unit else ()


@record
class DropIn:
    """A drop-in of a unit. What was written is noted in *written*: systemd does not notice a new directory by itself."""

    file: WriteFile
    written: list[str]

    def describe(self) -> str:
        """As the file's."""
        return self.file.describe()

    def would_change(self, host: Host) -> bool | None:
        """As the file's."""
        return self.file.would_change(host)

    def apply(self, host: Host) -> bool:
        """Write the file."""
        changed = self.file.apply(host)
        if changed:
            self.written.append(self.file.path)
        return changed


@record
class ReloadUnits:
    """systemd reads the drop-ins that were written; where it does not run, it reads them when it starts."""

    drop_ins: tuple[DropIn, ...]
    written: list[str]
    timeout: float = 0
    where: str = ""

    def describe(self) -> str:
        """The command, and when."""
        return "systemctl daemon-reload, if a drop-in was written"

    def would_change(self, host: Host) -> bool | None:
        """Whether a drop-in was written, or would be."""
        return host.exists(BOOTED) and (bool(self.written) or any(item.would_change(host) for item in self.drop_ins))

    def apply(self, host: Host) -> bool:
        """Reload, if a drop-in was written."""
        if not self.written or not host.exists(BOOTED):
            return False
        ask(host, ("systemctl", "daemon-reload"), self.timeout, self.where)
        return True
