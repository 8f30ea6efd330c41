"""Programs: the user's shell text, and tools with an argument list."""

from __future__ import annotations

from kairos_boot.actions.base import untold
from kairos_boot.errors import KairosError
from kairos_boot.records import NOTHING, record
from kairos_boot.shown import masked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kairos_boot.system.host import Host


@record
class Run:
    """One program to its end; *shell* is text for `sh -c` instead of *argv*. *timeout* is in seconds, 0 is none."""

    argv: tuple[str, ...] = ()
    shell: str = ""
    timeout: float = 0
    retries: int = 0
    """So many more tries after a failed one."""
    env: Mapping[str, str] = NOTHING
    stdin: bytes = b""
    where: str = ""
    secret: bool = False
    """The words are secret (C5): they are not shown."""
    title: str = ""
    """What people read instead of the words."""

    def describe(self) -> str:
        return f"run {self._shown()}"

    def _shown(self) -> str:
        if self.title or self.secret:
            return self.title or "a command with secrets"
        if self.argv:
            return masked(" ".join(self.argv))
        lines = self.shell.strip().splitlines()
        first = masked(lines[0]) if lines else ""
        return f"{first} … ({len(lines)} lines)" if len(lines) > 1 else first

    would_change = untold

    def apply(self, host: Host) -> bool:
        """Run it. KairosError: it ended with another status than 0, with its own words."""
        argv = self.argv or ("/bin/sh", "-c", self.shell)
        for attempt in range(self.retries + 1):
            result = host.processes.run(argv, timeout=self.timeout, env=self.env, stdin=self.stdin)
            if result.code == 0 and not result.timed_out:
                if result.output.strip() and not self.secret:
                    host.heard(f"{self._shown()}:\n{result.output.rstrip()}")
                return True
            if attempt == self.retries:
                break
        tries = f" ({self.retries + 1} tries)" if self.retries else ""
        said = "" if self.secret or not result.output.strip() else f"\n{masked(result.output.strip())}"
        raise KairosError(f"{self._shown()}: {result.explain(self.timeout)}{tries}{said}", self.where)
