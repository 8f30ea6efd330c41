"""The second half of the initrd, put together: stages rootfs and initramfs around the layout."""

from __future__ import annotations

import os

from kairos_boot.boot import layout
from kairos_boot.boot.build import Builder, link_sources
from kairos_boot.boot.chroot import inside
from kairos_boot.boot.image import BootDisk
from kairos_boot.boot.report import FatalError, Report
from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import Arguments
from kairos_boot.cli.initrd import DISK_FILE, Node
from kairos_boot.errors import KairosError
from kairos_boot.stages.runner import Runner, modules_of
from kairos_boot.system import mounts
from kairos_boot.system.host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.boot.cmdline import Cmdline
    from kairos_boot.boot.state import BootState

SYSROOT, READY = "/sysroot", "/run/kairos-boot/ready"
"""Where the root is mounted, and the file without which the initrd is not left."""


def root(host: Host, cmdline: Cmdline, state: BootState, report: Report) -> int:
    """Do it; 1 if the node is degraded. FatalError: it cannot boot."""
    if mounts.at(SYSROOT, mounts.mounted()) is None:
        raise FatalError("the root file system is not mounted", SYSROOT, "see journalctl -u sysroot.mount; boot the fallback or the recovery entry")
    disk = BootDisk.parse((host.read(DISK_FILE) or b"").decode("utf-8", "surrogateescape"))
    builder = Builder(host, SYSROOT, report, Node(host), cmdline, disk, mounts.sync_filesystem)
    if not state.reduced:
        builder.check(state.image_label)
    if state.mode != "live":
        builder.oem()
    link_sources(("/system", "/oem"), SYSROOT)
    report.failed += stage("rootfs", host, report)
    if not state.reduced:
        builder.lay(layout.load(host.read, cmdline, recovery=state.recovery))
        builder.write_fstab()
        builder.verify()
    _say_ready()
    _import_for_initramfs(host)
    try:
        report.failed += inside(SYSROOT, lambda: min(stage("initramfs", Host("/"), report), 1))
    except KairosError as error:
        report.missing("stage initramfs", SYSROOT, error)
    return 1 if report.failed else 0


def _say_ready() -> None:
    os.makedirs(os.path.dirname(READY), exist_ok=True)
    os.close(os.open(READY, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))


def stage(name: str, host: Host, report: Report) -> int:
    """Run a stage over the default sources and the kernel command line, and return how many failures it had."""
    sources = wiring.Sources(host, (), Arguments(), keep=True)
    runner = Runner(host, wiring.facts_of(host), report.ledger, report.log)
    outcome = runner.emit(name, sources.load)
    failed = f", {outcome.failed} failed" if outcome.failed else ""
    report.say(f"Stage {name}: {outcome.done} done, {outcome.skipped} skipped{failed}", failed=bool(outcome.failed))
    return outcome.failed


def _import_for_initramfs(host: Host) -> None:
    """What the chrooted stage uses comes from the initrd, so it is imported while the initrd's files are in sight.

    Reading the documents also imports what reads documents; their problems are told when the stage itself loads them.
    """
    try:
        words = [path for path in ("/system/oem", "/oem", f"{SYSROOT}/usr/local/cloud-config") if os.path.isdir(path)]
        modules_of(wiring.Sources(host, words, Arguments(), keep=True).load(), "initramfs")
    except KairosError:
        return
