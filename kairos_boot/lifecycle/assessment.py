"""Whether a boot was good (G4, G9): the boot loader counts the starts of a system, and a good boot takes the count away.

A system is on trial after it was put there by a reset or an upgrade: then its stages and its health checks decide. Without a trial it is good as soon as
its stages came to their end. What is not good in two starts is not started again by itself; the boot loader takes the other system, whose status says why.
"""

from __future__ import annotations

import os
import stat

from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record
from kairos_boot.stages.ledger import boot_id, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from kairos_boot.system.host import Host

TRIES = {"active_boot": "boot_tries", "passive_boot": "fallback_tries"}
"""The boot loader's count of the starts of each system, on COS_STATE."""
TRIAL = "trial"
"""Why the active system is on trial: `reset` or `upgrade`; its variable is beside the counts."""
SINCE = "trial_boot"
"""The boot that put a system on trial while another one ran: it is not judged by that one."""
NEEDED = ("rootfs", "initramfs", "fs", "boot")
"""Stages without whose end no boot is good; a missing network is no fault of the system."""
UNCOUNTED = ("reconcile",)
CHECKS = ("/etc/kairos/health.d", "/oem/health.d")
CHECK_SECONDS = 300.0
"""Seconds that all health checks may take together."""
KNOWN = "cOS/known-failures"
"""The steps that failed in the last good boot, one a line, on COS_STATE."""


@record
class Verdict:
    """Whether a boot was good; *reasons* say why not. *failing* are the steps that failed."""

    reasons: tuple[str, ...]
    failing: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons


def judge(host: Host, ledger: bytes, *, trial: bool, known: Sequence[str] | None) -> Verdict:
    """Judge the boot with this record. *known* are the steps that failed in the last good boot; None where no boot is known to be good."""
    records, _ = read(ledger)
    ended = {r.get("stage") for r in records if r["kind"] == "stage" and r.get("event") == "end"}
    reasons = [f"stage {stage} did not come to its end" for stage in NEEDED if stage not in ended]
    failing = _failing(records)
    if trial:
        new = [step for step in failing if known is not None and step not in known]
        reasons += [f"step {step} failed, and did not in the last good boot" for step in new]
        reasons += unhealthy(host)
    return Verdict(tuple(reasons), tuple(failing))


def _failing(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """The steps of the boot that failed and were not done later, in order. A run by hand is no part of the boot."""
    results: dict[str, str] = {}
    by_hand: dict[object, bool] = {}
    for entry in records:
        stage = entry.get("stage")
        if entry["kind"] == "stage" and entry.get("event") == "start":
            by_hand[stage] = entry.get("by") == "hand"
        main = str(stage).removesuffix(".before").removesuffix(".after")
        if entry["kind"] == "step" and main not in UNCOUNTED and not by_hand.get(stage):
            results[f"{stage} {entry.get('step')}"] = str(entry.get("result"))
    return [name for name, result in results.items() if result == "failed"]


def unhealthy(host: Host, directories: Sequence[str] = CHECKS, seconds: float = CHECK_SECONDS) -> Iterator[str]:
    """Run the health checks, and tell of those that fail. Only executables of root that nobody else can change are checks."""
    import time

    from kairos_boot.system.trusted import resolved, untrusted

    end = time.monotonic() + seconds
    for directory in directories:
        folder = host.path(directory)
        try:
            names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        except OSError as error:
            yield f"the health checks in {directory} cannot be read: {reason(error)}"
            continue
        for name in names:
            path = f"{directory}/{name}"
            try:
                status = os.stat(host.path(path))
            except OSError as error:
                yield f"the health check {path} cannot be run: {reason(error)}"
                continue
            if not stat.S_ISREG(status.st_mode) or not status.st_mode & 0o111:
                continue
            if why := untrusted(host, path):
                yield f"the health check {path} is not root's alone, and was not run: {why}"
                continue
            left = max(end - time.monotonic(), 1.0)
            try:
                result = host.processes.run((resolved(host, path),), timeout=left)
            except KairosError as error:
                yield f"the health check {path} failed: {error.message}"
                continue
            if result.code or result.timed_out:
                said = result.output.strip().splitlines()
                yield f"the health check {path} failed: {result.explain(left)}{': ' + said[-1] if said else ''}"


def known_failures(state: str) -> list[str] | None:
    """The steps that failed in the last good boot; None where none is known."""
    try:
        with open(f"{state}/{KNOWN}", encoding="ascii", errors="replace") as file:
            return [_name(line) for line in file.read().split("\n") if line]
    except OSError:
        return None


def _line(step: str) -> str:
    """A step's name as a line of its own, whatever is in it."""
    return step.encode("unicode_escape", "backslashreplace").decode("ascii")


def _name(line: str) -> str:
    try:
        return line.encode("ascii", "replace").decode("unicode_escape")
    except UnicodeDecodeError:
        return line


def boot_of(host: Host) -> str:
    """What tells this boot from every other one, as it is noted with a trial."""
    return boot_id(host).replace("-", "")


def trial_of(variables: Mapping[str, str], tries: str, boot: str) -> str:
    """Why the system that *boot* runs, whose starts *tries* counts, is on trial; nothing where it is not."""
    return variables.get(TRIAL, "") if tries == "boot_tries" and variables.get(SINCE) != boot else ""


def settle(state: str, tries: str, verdict: Verdict, boot: str) -> None:
    """The boot was good: its starts count no more, it is on trial no more, and what failed in it is known. *state* is writable. KairosError: the disk fails.

    What *boot* itself put on trial has not been started yet, and its starts and its trial are not those of the system that runs.
    """
    from kairos_boot.node import grubenv
    from kairos_boot.system.atomic import write_file

    if known_failures(state) != list(verdict.failing):
        write_file(f"{state}/{KNOWN}", "".join(f"{_line(step)}\n" for step in verdict.failing).encode("ascii"), 0o600)
    path = f"{state}/grubenv"
    now = grubenv.load(path)
    gone = (tries,) if tries != "boot_tries" else () if now.get(SINCE) == boot else (tries, TRIAL, SINCE)
    changes: dict[str, str | None] = {name: None for name in gone if name in now}
    if changes:
        grubenv.save(path, changes)
