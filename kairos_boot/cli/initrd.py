"""kairos-boot initrd image|root|fatal [shell]

  image   find the boot disk, check the state image and attach it (before sysroot.mount)
  root    stage rootfs, the immutable layout below /sysroot, stage initramfs in it (after sysroot.mount)
  fatal   end a boot that cannot go on: the reason on every console and for the next boot, then the next entry;
          with the word shell somebody at the console has asked for one

Exit code: 0 done, 1 the node is degraded and boots, 3 it cannot boot.
"""

from __future__ import annotations

import os

from kairos_boot.boot.cmdline import Cmdline
from kairos_boot.boot.devices import Devices
from kairos_boot.boot.report import LOG, Report, TextLog
from kairos_boot.boot.sequence import IMAGE, READY, ROOT, Boot
from kairos_boot.boot.state import detect, write_sentinels
from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import UsageError
from kairos_boot.errors import KairosError, reason
from kairos_boot.node import grubenv
from kairos_boot.system import efi
from kairos_boot.system.host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kairos_boot.boot.failures import Medium
    from kairos_boot.boot.state import BootState
    from kairos_boot.cloudconfig.model import Document
    from kairos_boot.stages.breakpoints import Guide

SENTINELS = "/run/cos"
DEGRADED, FATAL = 1, 3
PROGRAMS = {"image": IMAGE, "root": ROOT}


def run(words: list[str]) -> int:
    """Do one half, or what comes after it failed."""
    if words not in (["image"], ["root"], ["fatal"], ["fatal", "shell"]):
        raise UsageError("say which half: image or root, or fatal, which ends a boot")
    wiring.need_root("/")
    host = Host("/")
    cmdline = Cmdline(wiring.cmdline_of(host))
    state = detect(cmdline, efi.text)
    ledger = wiring.ledger_of(host)
    ends = words[0] == "fatal"  # on the console, where only the banner is to be seen
    log = TextLog(LOG, None if ends else wiring.logger(), debug=cmdline.has("rd.immucore.debug"))
    report = Report(ledger, log, quiet=cmdline.has("quiet"))
    try:
        if ends:
            return end(host, cmdline, state, report, shell=len(words) > 1)
        write_sentinels(state, SENTINELS)
        code = Boot(host, cmdline, state, report, Devices(host), sources, wiring.facts_of, grubenv, restart, guide).run(PROGRAMS[words[0]])
        return told(host, code, report.failed)
    except KairosError as error:
        return stopped(report, error)
    except OSError as error:
        return stopped(report, KairosError(f"the initrd cannot go on: {reason(error)}", str(error.filename or ""), "is /run full?"))
    except Exception as error:  # noqa: BLE001
        import traceback

        log(3, "".join(traceback.format_exception(error)).rstrip(), kind="failure")
        return stopped(report, KairosError(f"a defect of kairos-boot: {type(error).__name__}: {error}", hint="boot the fallback entry, and report it with the log"))
    finally:
        ledger.close()


def told(host: Host, code: int, failed: int) -> int:
    """*code*; that of a degraded node is told to who logs in, too."""
    if code:
        from kairos_boot.cli.login import tell

        tell(host, "the initrd", failed, look=False)
    return code


def stopped(report: Report, error: KairosError) -> int:
    """A half that did not come to its end: fatal, unless the root is complete already."""
    if os.path.exists(READY):
        report.missing("the end of the initrd", "", error)
        return DEGRADED
    report.fatal(error)
    return FATAL


def sources(host: Host, directories: Sequence[str]) -> Callable[[], list[Document]]:
    """What loads the documents of *directories*, else the default ones and the kernel command line; it keeps what it parsed."""
    return wiring.sources_of(host, directories, keep=True).load


def guide(host: Host, cmdline: Cmdline, report: Report) -> Guide | None:
    """What the command line says about stages and steps; nothing is looked up where it says nothing."""
    if not wiring.is_guided(cmdline.text):
        return None
    from kairos_boot.cli.guide import guide_of

    return guide_of(host, cmdline, report.log, report.ledger)


def restart(host: Host) -> None:
    from kairos_boot.system import power

    power.restart(host)


def end(host: Host, cmdline: Cmdline, state: BootState, report: Report, *, shell: bool) -> int:
    """End this boot; returns only to a shell."""
    import time

    from kairos_boot.boot.devices import boot_disk
    from kairos_boot.boot.ending import Ending
    from kairos_boot.boot.failures import media
    from kairos_boot.system import power

    def find() -> list[Medium]:
        return media(cmdline, state, boot_disk(host), Devices(host).udev.partitions())

    def quiet() -> None:
        power.quiet(host)

    Ending(host, cmdline, state, report, grubenv, find, quiet, time.sleep, lambda: restart(host)).run(shell=shell)
    return FATAL
