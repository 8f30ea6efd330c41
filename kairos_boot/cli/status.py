"""kairos-boot status [--boot N] [--brief|--steps|--drift] [--wait [--timeout SECONDS]] [--check] [--json] [--root DIR]

Tells what ran in a boot, what was skipped and why, and what failed, the culprits first.

      --boot N    N boots ago (0 is this boot), or the beginning of a boot's id; the last ten boots are kept
      --brief     leave out the skipped steps
      --steps     list every step
      --drift     tell what is no longer as the boot made it, as stage reconcile found it last
      --wait      wait until the stages of this boot have ended, then tell
      --timeout SECONDS   wait no longer than so many; without it there is no limit
      --check     exit with 1 if the boot is degraded, or has not ended in the time of --wait
      --json      print it for programs
      --root DIR  read the record below DIR

Exit code: 0, or 3 when there is nothing to tell; with --check also 1.
"""

from __future__ import annotations

import sys
import time

from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import UsageError, parse
from kairos_boot.cli.output import complain, say_data
from kairos_boot.errors import KairosError
from kairos_boot.reports.history import load
from kairos_boot.reports.status import as_data, as_text
from kairos_boot.system.host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kairos_boot.reports.history import Boot

FLAGS = {"boot": True, "brief": False, "steps": False, "drift": False, "wait": False, "timeout": True, "check": False, "json": False, "root": True}
PAUSE = 1.0
"""Seconds between two looks."""
STARTING = ("initializing", "starting")
"""What `systemctl is-system-running` says while jobs of the boot are left."""


def run(words: list[str]) -> int:
    given = parse(words, FLAGS, bare=True)
    given.needs("timeout", "wait")
    if "wait" in given and given.value("boot", "0") != "0":
        raise UsageError("--wait is about this boot, --boot about an earlier one")
    limit = _seconds(given.value("timeout")) if "timeout" in given else float("inf")
    host = Host(wiring.root_of(given))
    ended = "wait" not in given or wait(host, limit)
    if not ended:
        complain(f"kairos-boot status: the stages of this boot have not ended after {limit:g} s\n")
    boot = load(host, given.value("boot", "0"), running=wiring.running(host))
    _show(boot, host, json="json" in given, steps="steps" in given, brief="brief" in given, drift="drift" in given)
    return 1 if "check" in given and (boot.result == "degraded" or not ended) else 0


def _show(boot: Boot, host: Host, *, json: bool, steps: bool, brief: bool, drift: bool) -> None:
    ends = _ends(boot, host)
    if drift:
        from kairos_boot.reports import drift as report

        data, lines = report.as_data(boot), report.as_text(boot, time.time())
    else:
        data, lines = as_data(boot, ends), as_text(boot, time.time(), colour=colourful(), steps=steps, brief=brief, ends=ends)
    if json:
        say_data(data)
    else:
        sys.stdout.write("\n".join(lines) + "\n")


def colourful() -> bool:
    """Whether colours are welcome: on a terminal that has them, unless NO_COLOR is set (no-color.org)."""
    import os

    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def wait(host: Host, limit: float, sleep: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic) -> bool:
    """Wait until the stages of this boot have ended, at most *limit* seconds; whether they have.

    The record says so, or systemd, which has no more jobs of the boot: a stage may be masked.
    """
    end = clock() + limit
    while True:
        try:
            if load(host, running=True).over():
                return True
        except KairosError:
            pass  # nothing is recorded yet
        if host.online and _system(host, "is-system-running").strip() not in (*STARTING, ""):
            return True
        left = end - clock()
        if left <= 0:
            return False
        sleep(min(PAUSE, left))


def _system(host: Host, *words: str) -> str:
    """What systemctl says; nothing where there is none."""
    from kairos_boot.actions.units import BOOTED, PLAIN

    try:
        return host.processes.run(("systemctl", *words), timeout=30, env=PLAIN).output if host.exists(BOOTED) else ""
    except KairosError:
        return ""


def _ends(boot: Boot, host: Host) -> dict[str, str]:
    """Of the units of this boot whose runs were cut off: how they ended, as systemd knows it (`oom-kill`, `timeout`, `signal` …)."""
    units = [run.unit for run in boot.interrupted() if run.unit] if host.online and not boot.ago else []
    return {unit: said for unit in units
            if (said := _system(host, "show", "--property=Result", "--value", "--", unit).strip()) not in ("", "success")}


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 10**9:
        raise UsageError(f"--timeout needs a number of seconds, not {text!r}")
    return value
