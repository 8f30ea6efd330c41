"""Modules of the running kernel."""

from __future__ import annotations

from kairos_boot.actions.run import Run
from kairos_boot.records import record
from kairos_boot.system.host import Host


@record
class LoadModule:
    """A module, or an alias of one, is in the kernel; *parameters* count when it is loaded now."""

    name: str
    parameters: tuple[str, ...] = ()
    timeout: float = 0
    where: str = ""

    def describe(self) -> str:
        return f"load the kernel module {' '.join((self.name, *self.parameters))}"

    def would_change(self, host: Host) -> bool | None:
        """Whether the kernel lacks it; a name that the kernel does not show may be an alias or built in."""
        return None if not _present(host, self.name) else False

    def apply(self, host: Host) -> bool:
        """Let modprobe load it with what it needs. KairosError: there is no such module, or the kernel refuses it."""
        if _present(host, self.name):
            return False
        before = _loaded(host)
        Run(("modprobe", "--", self.name, *self.parameters), timeout=self.timeout, where=self.where).apply(host)
        return _loaded(host) != before  # built in: modprobe says yes and does nothing


def _present(host: Host, name: str) -> bool:
    inside = name.replace("-", "_")  # the kernel's own spelling
    return host.exists(f"/sys/module/{inside}") or inside in _loaded(host)


def _loaded(host: Host) -> set[str]:
    return {line.split(None, 1)[0] for line in (host.read("/proc/modules") or b"").decode("ascii", "replace").splitlines() if line.strip()}
