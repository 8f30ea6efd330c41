"""kairos-boot initrd image|root

  image   find the boot disk, check the state image and attach it (before sysroot.mount)
  root    stage rootfs, the immutable layout below /sysroot, stage initramfs in it (after sysroot.mount)

Exit code: 0 done, 1 the node is degraded and boots, 3 it cannot boot.
"""

from __future__ import annotations

from kairos_boot.boot.cmdline import Cmdline
from kairos_boot.boot.devices import Devices
from kairos_boot.boot.report import LOG, Report, TextLog
from kairos_boot.boot.sequence import IMAGE, ROOT, Boot
from kairos_boot.boot.state import detect, efivar, write_sentinels
from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import Arguments, UsageError
from kairos_boot.errors import KairosError
from kairos_boot.system.host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kairos_boot.cloudconfig.model import Document

SENTINELS = "/run/cos"
FATAL = 3
PROGRAMS = {"image": IMAGE, "root": ROOT}


def run(words: list[str]) -> int:
    """Do one half."""
    if len(words) != 1 or words[0] not in PROGRAMS:
        raise UsageError("say which half: image or root")
    wiring.need_root("/")
    host = Host("/")
    cmdline = Cmdline((host.read("/proc/cmdline") or b"").decode("utf-8", "surrogateescape"))
    state = detect(cmdline, efivar)
    ledger = wiring.ledger_of(host)
    log = TextLog(LOG, wiring.logger(), debug=cmdline.has("rd.immucore.debug"))
    report = Report(ledger, log, quiet=cmdline.has("quiet"))
    try:
        write_sentinels(state, SENTINELS)
        return Boot(host, cmdline, state, report, Devices(host), sources, wiring.facts_of).run(PROGRAMS[words[0]])
    except KairosError as error:
        report.fatal(error, cmdline.consoles)
        return FATAL
    except Exception as error:  # noqa: BLE001
        import traceback

        log(3, "".join(traceback.format_exception(error)).rstrip(), kind="failure")
        report.fatal(KairosError(f"a defect of kairos-boot: {type(error).__name__}: {error}", hint="boot the fallback entry, and report it with the log"),
                     cmdline.consoles)
        return FATAL
    finally:
        ledger.close()


def sources(host: Host, directories: Sequence[str]) -> Callable[[], list[Document]]:
    """What loads the documents of *directories*, else the default ones and the kernel command line; it keeps what it parsed."""
    return wiring.Sources(host, directories, Arguments(), keep=True).load
