"""Units of systemd: their state, and what is to be loaded again."""

from __future__ import annotations

from kairos_boot.actions.base import Told
from kairos_boot.errors import KairosError
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.actions.base import Effect
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
class Queued(Told):
    """The job waits until the unit *behind* which it was queued has ended."""

    behind: str = ""


@record
class SetUnit:
    """One of `enable`, `disable`, `mask` and `start` for *words*: units, and options if a document gives some.

    What would wait for the stage that runs it is queued instead, and that is told (C11).
    """

    verb: str
    words: tuple[str, ...]
    timeout: float = 0
    where: str = ""

    def describe(self) -> str:
        return f"systemctl {self.verb} {' '.join(self.words)}"

    @property
    def subject(self) -> str:
        return f"unit{'s' if len(self.words) > 1 else ''} {' '.join(self.words)}" + ("" if self.verb == "start" else " (at a boot)")

    @property
    def wanted(self) -> str:
        """How the unit is to be."""
        return {"start": "active", "enable": "enabled", "disable": "disabled", "mask": "masked"}[self.verb]

    def drifted(self, host: Host) -> bool | None:
        """Whether a unit is not as it was made; None where systemd does not run."""
        return bool(self.deviating(host)) if host.exists(BOOTED) else None

    def deviating(self, host: Host) -> list[tuple[str, str]]:
        """Each unit that is not as wanted, and how it is. One that ran once and ended well is as it should be, so is one that needs no link.

        KairosError: systemctl failed.
        """
        from kairos_boot.actions.drift import SHOWN, deviates

        names = tuple(word for word in self.words if not word.startswith("-"))
        said = ask(host, ("systemctl", "show", f"--property={','.join(SHOWN)}", "--", *names), self.timeout, self.where)
        blocks = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in said.split("\n\n")]
        return [(block.get("Id", ""), found) for block in blocks if (found := deviates(self.verb, block))]

    def would_change(self, host: Host) -> bool | None:
        """Whether a unit is to be started; of the other verbs only doing it tells."""
        return not self._runs(host) if self.verb == "start" else None

    def _runs(self, host: Host) -> bool:
        if not host.exists(BOOTED):
            return False
        result = host.processes.run(("systemctl", "is-active", "--quiet", *self.words), timeout=self.timeout, env=PLAIN)
        return result.code == 0 and IGNORED not in result.output

    def apply(self, host: Host) -> Effect:
        """Let systemctl do it; a unit that runs is not started. KairosError: systemctl failed, or there is none."""
        if self.verb == "start" and len(self.words) == 1 and self._runs(host):
            return False
        holder = self._holder(host)
        said = ask(host, ("systemctl", self.verb, *(("--no-block",) if holder else ()), *self.words), self.timeout, self.where)
        changed = IGNORED not in said if self.verb == "start" else any(sign in said for sign in SAYS_CHANGED)
        return Queued(changed, behind=holder) if holder else changed

    def _holder(self, host: Host) -> str:
        """The unit of this stage, if systemctl would wait for a job that cannot begin before it ends."""
        if not (self.verb in STARTS or "--now" in self.words) or "--no-block" in self.words or not host.exists(BOOTED):
            return ""
        from kairos_boot.actions.jobs import holder

        try:
            return holder(host, self.words, lambda argv: ask(host, argv, self.timeout, self.where))
        except KairosError:  # systemctl itself will say what is wrong
            return ""


@record
class ReloadUnits:
    """systemd reads drop-ins that were written; a new directory it does not notice. Where it does not run, it reads them when it starts."""

    timeout: float = 0
    where: str = ""

    def describe(self) -> str:
        return "systemctl daemon-reload"

    def would_change(self, host: Host) -> bool | None:
        return host.exists(BOOTED)

    def apply(self, host: Host) -> bool:
        """Reload. KairosError: systemctl failed."""
        if not host.exists(BOOTED):
            return False
        ask(host, ("systemctl", "daemon-reload"), self.timeout, self.where)
        return True
