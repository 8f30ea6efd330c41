"""Units of systemd: their state, and what is to be loaded again."""

from __future__ import annotations

from kairos_boot.errors import KairosError
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host

BOOTED = "/run/systemd/system"
"""Present where systemd runs, see sd_booted(3)."""
PLAIN = {"LC_ALL": "C"}
SAYS_CHANGED = ("Created symlink", "Removed ")
"""How systemctl tells, in the C locale, that it changed a link; a second call says nothing."""


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
    """One of `enable`, `disable`, `mask` and `start` for *words*: units, and options if a document gives some."""

    verb: str
    words: tuple[str, ...]
    timeout: float = 0
    where: str = ""

    def describe(self) -> str:
        """Verb and units."""
        return f"systemctl {self.verb} {' '.join(self.words)}"

    def differs(self, host: Host) -> bool | None:
        """Whether a unit is to be started; of the other verbs only doing it tells."""
        return not self._runs(host) if self.verb == "start" else None

    def _runs(self, host: Host) -> bool:
        if not host.exists(BOOTED):
            return False
        return host.processes.run(("systemctl", "is-active", "--quiet", *self.words), timeout=self.timeout, env=PLAIN).code == 0

    def apply(self, host: Host) -> bool:
        """Let systemctl do it; a unit that runs is not started. KairosError: systemctl failed, or there is none."""
        if self.verb == "start":
            if len(self.words) == 1 and self._runs(host):
                return False
            ask(host, ("systemctl", self.verb, *self.words), self.timeout, self.where)
            return True
        said = ask(host, ("systemctl", self.verb, *self.words), self.timeout, self.where)
        return any(sign in said for sign in SAYS_CHANGED)


@record
class ReloadUnits:
    """systemd has read the drop-ins of *units* as they are now; a system that does not run reads them when it boots."""

    units: tuple[str, ...]
    timeout: float = 0
    where: str = ""

    def describe(self) -> str:
        """The command."""
        return "systemctl daemon-reload, if systemd has not read the drop-ins"

    def differs(self, host: Host) -> bool | None:
        """Whether systemd says that it must."""
        if not host.exists(BOOTED):
            return False
        return "yes" in ask(host, ("systemctl", "show", "--property=NeedDaemonReload", "--value", *self.units), self.timeout, self.where)

    def apply(self, host: Host) -> bool:
        """Reload, if systemd says that it must."""
        if not self.differs(host):
            return False
        ask(host, ("systemctl", "daemon-reload"), self.timeout, self.where)
        return True
