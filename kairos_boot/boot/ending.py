"""The end of a boot that cannot go on (D13): somebody learns of it, and the node tries what it has left, never twice round."""

from __future__ import annotations

from kairos_boot.boot import failures
from kairos_boot.boot.image import RECOVER
from kairos_boot.boot.report import FATAL_RECORD, LOG
from kairos_boot.errors import KairosError
from kairos_boot.stages.ledger import DIRECTORY, boot_id, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from kairos_boot.boot.cmdline import Cmdline
    from kairos_boot.boot.failures import Environment, Medium
    from kairos_boot.boot.report import Report
    from kairos_boot.boot.state import BootState
    from kairos_boot.system.host import Host

WAIT = 30.0
"""Seconds that the banner can be read before the node restarts."""


class Ending:
    """One end. *sleep* waits for some seconds; *restart* restarts the machine."""

    def __init__(self, host: Host, cmdline: Cmdline, state: BootState, report: Report, environment: Environment, find: Callable[[], Sequence[Medium]],
                 quiet: Callable[[], None], sleep: Callable[[float], None], restart: Callable[[], None]) -> None:
        self.host, self.cmdline, self.state, self.report = host, cmdline, state, report
        self.environment, self.find, self.quiet, self.sleep, self.restart = environment, find, quiet, sleep, restart
        self.kept_on = self.next = ""
        self.problems: list[str] = []

    def run(self, *, shell: bool = False) -> None:
        """From top to bottom. With *shell* somebody sits at the console, and the machine is left to them."""
        failure = self.failure()
        try:
            self.leave(failure, self.following())
        except Exception as error:  # noqa: BLE001 -- without a banner nobody would learn of anything
            self.problems.append(f"a defect of kairos-boot: {type(error).__name__}: {error}")
        self.quiet()
        self.report.banner(KairosError(failure["message"], failure["where"], failure["hint"]), self.cmdline.consoles, self.what_follows(shell=shell))
        if shell:
            return
        while not self.next and not self.state.counted:
            self.sleep(3600.0)
        self.sleep(WAIT)
        self.restart()

    def failure(self) -> dict[str, Any]:
        """The reason that one of the initrd's halves left; else what systemd knows, since a program that died leaves none."""
        told = read(self.host.read(FATAL_RECORD) or b"")[0]
        about = {"entry": self.entry, "mode": self.state.mode, "booted": round(self.host.clock()), "boot": boot_id(self.host)}
        if told:
            return {"where": "", "message": "", "hint": "", **told[-1], **about}
        try:
            lines = self.host.processes.run(("systemctl", "list-units", "--failed", "--plain", "--no-legend", "--no-pager"), timeout=10).output.splitlines()
        except KairosError:
            lines = []
        units = ", ".join(line.split()[0] for line in lines if line.split()) or "none that failed"
        return {"kind": "failed-boot", "where": "", "message": f"the initrd could not go on; its failed units: {units}", "hint": RECOVER, **about}

    @property
    def entry(self) -> str:
        return failures.ENTRIES.get(self.state.mode, "")

    def following(self) -> list[str]:
        """What GRUB is to try; systemd-boot has its own count."""
        return [] if self.state.one_file else list(failures.FOLLOWING.get(self.entry, ()))

    def leave(self, failure: dict[str, Any], following: list[str]) -> None:
        """Keep the reason, and choose the next entry, at the first medium where each is possible."""
        for medium in self.find():
            try:
                with failures.Opened(medium) as directory:
                    self._keep(medium, directory, failure)
                    self._choose(f"{directory}/grubenv", following)
            except KairosError as error:
                self.problems.append(str(error))
            if self.kept_on and (self.next or not following):
                return

    def _keep(self, medium: Medium, directory: str, failure: dict[str, Any]) -> None:
        if not self.kept_on:
            try:
                failures.keep(directory, failure, self.host.read(LOG) or b"", self.host.read(f"{DIRECTORY}/{boot_id(self.host)}.jsonl") or b"")
                self.kept_on = medium.name
            except KairosError as error:
                self.problems.append(str(error))

    def _choose(self, block: str, following: list[str]) -> None:
        """What failed before, as the list or the boot loader says, and this entry are not tried again until something comes up.

        A reset that was cut off would be started again and again otherwise; recovery is what is left in any case.
        """
        if self.next or self.state.one_file or self.entry not in (*failures.FOLLOWING, "statereset"):
            return
        before = self.environment.load(block).get(failures.LIST, "").split()
        failed = list(dict.fromkeys([*before, *self.cmdline.values("kairos.failed"), self.entry]))
        left = [entry for entry in following if entry not in failed]
        if left:
            self.environment.save(block, {"next_entry": left[0], failures.LIST: " ".join(failed)})
            self.next = left[0]
        else:
            self.environment.save(block, {failures.LIST: " ".join(failed)})
            following.clear()

    def what_follows(self, *, shell: bool) -> list[tuple[str, str]]:
        """The banner's lines on what comes now, and where the reason is."""
        stays = "this node stays here; restart it and choose another entry of the boot menu"
        if self.next:
            entry = f"entry {self.next}, {failures.SYSTEMS[self.next]}"
            now = f"the next start takes {entry}" if shell else f"in {WAIT:g} s this node restarts with {entry}"
        elif shell:
            now = "a shell, as the kernel command line asks for"
        elif self.state.counted:
            now = f"in {WAIT:g} s this node restarts; the boot loader counts the tries of this entry, and takes the next one when none is left"
        elif self.entry in failures.FOLLOWING and self.problems:
            now = f"no other entry could be chosen ({'; '.join(self.problems)}): {stays}"
        else:
            now = f"no other entry is left to try: {stays}"
        why = f" ({self.problems[0]})" if self.problems else ""
        kept = f"on {self.kept_on}, for the status of the system that comes up" if self.kept_on else f"nowhere: it could not be written{why}"
        return [("Next", now), ("Kept", kept), *([("Log", LOG)] if shell else [])]
