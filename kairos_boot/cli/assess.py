"""kairos-boot assess

Judges this boot: a good one takes the boot loader's count of its starts away. One that is on trial after a reset or an upgrade, and is not good, says so on
every console and restarts after 30 s. Run by kairos-boot-assess.service, unless stage network has judged it already.

Exit code: 0 good, or nothing to judge; 1 not good.
"""

from __future__ import annotations

import os
import time

from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import UsageError
from kairos_boot.errors import KairosError
from kairos_boot.system.host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.stages.ledger import Ledger
    from kairos_boot.stages.runner import Log

WAIT = 30.0
ABOUT = "the judgement of this boot"
ACTION_SECONDS = 1800.0
"""Seconds to wait for an action, such as an upgrade that this boot does, before what was judged is noted."""
JUDGED = "/run/kairos-boot/judged"
"""Is there when stage network has judged this boot; then the unit has nothing to do (its ConditionPathExists=)."""


def run(words: list[str]) -> int:
    if words:
        raise UsageError(f"it takes no words: {words[0]}")
    wiring.need_root("/")
    from kairos_boot.lifecycle import assessment
    from kairos_boot.lifecycle.writable import writable_state
    from kairos_boot.node import grubenv
    from kairos_boot.node.mode import STATE_MOUNT, boot_word, one_file

    host = Host("/")
    if one_file(host):
        return _of_one_file(host)
    tries = assessment.TRIES.get(boot_word(host), "")
    if not tries or not host.is_directory(STATE_MOUNT):
        return 0
    environment = grubenv.load(f"{STATE_MOUNT}/grubenv")
    boot = assessment.boot_of(host)
    trial = assessment.trial_of(environment, tries, boot)
    ledger, log = wiring.ledger_of(host), wiring.logger()
    verdict = assessment.judge(host, host.read(ledger.path) or b"", trial=bool(trial), known=assessment.known_failures(STATE_MOUNT))
    ledger.write("assessment", result="good" if verdict.good else "not good", trial=trial, reasons=list(verdict.reasons))
    if verdict.good:
        with writable_state(host, ABOUT, ACTION_SECONDS, log):
            assessment.settle(STATE_MOUNT, tries, verdict, boot)
        log(6, f"this boot is good{f': the trial after the {trial} is over' if trial else ''}", kind="assessment")
        return 0
    log(3, f"this boot is not good: {'; '.join(verdict.reasons)}", kind="failure")
    ledger.keep(host)
    if trial:
        _restart(host, trial, verdict.reasons)
    return 1


def at_once(host: Host, ledger: Ledger, log: Log) -> None:
    """Judge a plain boot in the process of its last stage: a good one, without a trial, beside no action. Whatever else it is, the unit judges it.

    Most boots are plain, and the end of each would wait for another start of the program, which takes longer than the judgement.
    """
    from kairos_boot.boot.resume import MARKER
    from kairos_boot.lifecycle import assessment
    from kairos_boot.node import grubenv
    from kairos_boot.node.mode import STATE_MOUNT, boot_word, one_file

    tries = assessment.TRIES.get(boot_word(host), "")
    if not tries or one_file(host) or not host.is_directory(STATE_MOUNT) or host.exists(f"{STATE_MOUNT}/{MARKER}"):
        return
    boot = assessment.boot_of(host)
    try:
        if assessment.trial_of(grubenv.load(f"{STATE_MOUNT}/grubenv"), tries, boot):
            return
        record = host.read(ledger.path) or b""
        if b'"kind": "assessment"' in record:  # once in a boot, whoever restarts the stage
            return
        verdict = assessment.judge(host, record, trial=False, known=None)
        if not verdict.good:
            return
        from kairos_boot.lifecycle.writable import writable_state

        with writable_state(host, ABOUT, 0.0, log):
            assessment.settle(STATE_MOUNT, tries, verdict, boot)
        ledger.write("assessment", result="good", trial="", reasons=[])
        log(6, "this boot is good", kind="assessment")
        os.close(os.open(JUDGED, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    except Exception:  # noqa: BLE001
        return  # the unit does it again, and says what is wrong


def _of_one_file(host: Host) -> int:
    """Judge a boot whose starts systemd-boot counts: boot-complete.target needs this to end well, and only behind that the entry is blessed.

    What is not good keeps its count; on trial, which is while an entry has a count, it restarts, so that the next try or the next entry comes.
    """
    from kairos_boot.boot import failures
    from kairos_boot.lifecycle import assessment
    from kairos_boot.node.mode import boot_word
    from kairos_boot.system import efi

    mode = boot_word(host).removesuffix("_boot")
    trial = "installation of its entry" if mode in failures.ENTRIES and efi.text("LoaderBootCountPath") else ""
    ledger, log = wiring.ledger_of(host), wiring.logger()
    verdict = assessment.judge(host, host.read(ledger.path) or b"", trial=bool(trial), known=None)
    ledger.write("assessment", result="good" if verdict.good else "not good", trial=trial, reasons=list(verdict.reasons))
    if verdict.good:
        log(6, f"this boot is good{': systemd-boot stops counting its tries' if trial else ''}", kind="assessment")
        return 0
    log(3, f"this boot is not good: {'; '.join(verdict.reasons)}", kind="failure")
    ledger.keep(host)
    if trial:
        _restart(host, trial, verdict.reasons, mode)
    return 1


def _restart(host: Host, trial: str, reasons: tuple[str, ...], mode: str = "active") -> None:
    """Tell every console, keep the reason where the next system finds it, and restart."""
    from kairos_boot.boot import failures
    from kairos_boot.boot.cmdline import Cmdline
    from kairos_boot.boot.report import tell
    from kairos_boot.system import power

    message = f"the system on trial after the {trial} is not good: {'; '.join(reasons)}"
    try:
        entry = failures.ENTRIES[mode]
        failures.keep("/oem", {"kind": "failed-boot", "entry": entry, "mode": mode, "where": "", "message": message,
                               "hint": f"see its log; kairos-boot bootentry --select {entry} tries it again", "booted": round(time.time())})
    except KairosError as error:
        wiring.logger()(4, str(error), kind="warning")
    consoles = Cmdline(wiring.cmdline_of(host)).consoles
    tell(consoles, f"\n  {message}\n  In {WAIT:g} s this node restarts.\n")
    time.sleep(WAIT)
    power.reboot(host)
