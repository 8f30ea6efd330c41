"""kairos-boot initrd image|root

  image   find the boot disk, check the state image and attach it (before sysroot.mount)
  root    stage rootfs, the immutable layout below /sysroot, stage initramfs in it (after sysroot.mount)

Exit code: 0 done, 1 the node is degraded and boots, 3 it cannot boot.
"""

from __future__ import annotations

import os

from kairos_boot.boot.cmdline import STATE_SECONDS, Cmdline
from kairos_boot.boot.report import LOG, Report, TextLog
from kairos_boot.boot.state import BootState, detect, efivar, write_sentinels
from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import UsageError
from kairos_boot.errors import KairosError, reason
from kairos_boot.system.host import Host
from kairos_boot.system.udev import Partition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kairos_boot.system.udev import Udev

SENTINELS = "/run/cos"
DISK_FILE, PARTITIONS_FILE = "/run/kairos-boot/boot-disk", "/run/kairos-boot/partitions"
FATAL = 3


class Node:
    """The running system, as boot.image and boot.root want it."""

    def __init__(self, host: Host) -> None:
        self.processes = host.processes
        self._udev: Udev | None = None
        self._seen = _parse_partitions((host.read(PARTITIONS_FILE) or b"").decode("utf-8", "surrogateescape"))

    @property
    def udev(self) -> Udev:
        """udev, asked when it is first needed."""
        if self._udev is None:
            from kairos_boot.system.udev import Udev

            self._udev = Udev()
        return self._udev

    def wait(self, find: Callable[[list[Partition]], Partition | None], limit: float, disk: str = "") -> Partition | None:
        """See Udev.wait; what the first half saw, and is still there, needs no udev."""
        found = find(self._seen)
        return found if found is not None and os.path.exists(found.node) else self.udev.wait(find, limit, disk)

    def partitions(self) -> list[Partition]:
        """What udev knows; what the first half saw while nobody needed more."""
        return self.udev.partitions() if self._udev else list(self._seen)

    def mount(self, source: str, target: str, fstype: str, options: Sequence[str]) -> None:
        """Mount, once: what is mounted there already stays."""
        from kairos_boot.system import mounts

        if mounts.at(target, mounts.mounted()):
            return
        try:
            mounts.mount(source, target, fstype, options)
        except OSError as error:
            raise KairosError(reason(error), target) from error

    def attach(self, path: str, *, read_only: bool) -> str:
        """See loop.attach."""
        from kairos_boot.system import loop

        return loop.attach(path, read_only=read_only)

    def esp(self) -> str:
        """The GUID of the ESP that the firmware started."""
        return efivar("LoaderDevicePartUUID")


def run(words: list[str]) -> int:
    """Do one half."""
    if len(words) != 1 or words[0] not in ("image", "root"):
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
        if words[0] == "image":
            return _image(cmdline, state, Node(host), report)
        from kairos_boot.cli.initrd_root import root

        return root(host, cmdline, state, report)
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


def _image(cmdline: Cmdline, state: BootState, node: Node, report: Report) -> int:
    from kairos_boot.boot.image import attach

    report.ledger.write("boot", mode=state.mode, image=cmdline.image, cmdline_reduced=state.reduced)
    if state.reduced:
        report.say(f"The root file system of this boot ({state.mode}) is made by others")
        return 0
    disk = attach(cmdline, state, node, report, STATE_SECONDS)
    os.makedirs(os.path.dirname(DISK_FILE), exist_ok=True)
    seen = "".join("\t".join(getattr(part, name) for name in part.__match_args__) + "\n" for part in node.partitions())
    for path, text in ((DISK_FILE, disk.text()), (PARTITIONS_FILE, seen)):
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
    return 1 if report.failed else 0


def _parse_partitions(text: str) -> list[Partition]:
    """What the first half noted: a partition a line, its fields in the record's order."""
    lines = [line.split("\t") for line in text.splitlines() if line.count("\t") == len(Partition.__match_args__) - 1]
    return [Partition(*fields) for fields in lines]
