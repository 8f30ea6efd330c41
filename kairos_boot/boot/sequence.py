"""The initrd's program: what is done in a boot, from top to bottom.

`IMAGE` runs before sysroot.mount, `ROOT` after it. Each line is a step and the boots that it belongs to. A step that fails makes the
node degraded, and the next one is done; a FatalError ends the program, since the node cannot boot.
"""

from __future__ import annotations

import os

from kairos_boot.boot.report import FatalError
from kairos_boot.errors import KairosError
from kairos_boot.system.identity import started

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kairos_boot.boot.build import Builder
    from kairos_boot.boot.cmdline import Cmdline
    from kairos_boot.boot.devices import Devices
    from kairos_boot.boot.failures import Environment
    from kairos_boot.boot.report import Report
    from kairos_boot.boot.state import BootState
    from kairos_boot.cloudconfig.model import Document
    from kairos_boot.facts import Facts
    from kairos_boot.stages.breakpoints import Guide
    from kairos_boot.system.host import Host

    Load = Callable[[], list[Document]]

SYSROOT, READY = "/sysroot", "/run/kairos-boot/ready"
"""Where the root is mounted, and the file without which the initrd is not left."""
ENTERED = "/run/kairos-boot/recovery-keys"
"""Label and node of each container that the TPM did not open, and somebody's key did: a line each, by kairos-boot-crypt."""
SEAL = "systemd-cryptenroll --wipe-slot=tpm2 {node} && systemd-cryptenroll --tpm2-device=auto --tpm2-pcrs=7 {node}"
"""What lets the TPM open one again, as the machine is now. In one call nothing would be done where the registers are those of before, as with another TPM."""


class Boot:
    """One boot, as its steps share it.

    *sources* gives for a host and directories (none: the default ones and the kernel command line) what loads their documents;
    *facts* gives the facts of a host; *environment* reads and writes the boot loader's variables; *restart* restarts the machine;
    *guide* gives what the kernel command line says about stages and steps, if anything.
    """

    def __init__(self, host: Host, cmdline: Cmdline, state: BootState, report: Report, devices: Devices,
                 sources: Callable[[Host, Sequence[str]], Load], facts: Callable[[Host], Facts], environment: Environment,
                 restart: Callable[[Host], None] | None = None, guide: Callable[[Host, Cmdline, Report], Guide | None] = lambda *_: None) -> None:
        self.host, self.cmdline, self.state, self.report, self.devices = host, cmdline, state, report, devices
        self.sources, self.facts, self.environment, self.restart, self.guide = sources, facts, environment, restart, guide
        self.process = started(host)
        """When this process began: the stage initramfs runs in a fork of it."""
        self._builder: Builder | None = None

    @property
    def builder(self) -> Builder:
        if self._builder is None:
            from kairos_boot.boot.build import Builder
            from kairos_boot.boot.devices import boot_disk
            from kairos_boot.system.mounts import sync_filesystem

            self._builder = Builder(self.host, SYSROOT, self.report, self.devices, self.cmdline, boot_disk(self.host), sync_filesystem)
        return self._builder

    def run(self, program: Sequence[tuple[Callable[[BootState], bool], Callable[[Boot], None]]]) -> int:
        """Do the steps of *program* that this boot has; 1 if the node is degraded."""
        for belongs, step in program:
            if belongs(self.state):
                step(self)
        return 1 if self.report.failed else 0


def with_extensions(state: BootState) -> bool:
    """Boots that extensions are enabled for: not a reset, which starts nothing of the node's (D8), no medium, and no system whose every part is signed: nobody checks them."""
    return not state.reduced and not state.one_file and state.mode in ("active", "passive", "recovery")


def every_boot(_state: BootState) -> bool:
    return True


def of_an_image(state: BootState) -> bool:
    """The root is the image, and we lay it out."""
    return not state.reduced


def of_a_medium(state: BootState) -> bool:
    """The root is a file on a live medium, or on the recovery partition, with memory above it."""
    return state.medium


def of_others(state: BootState) -> bool:
    """Somebody else makes the root: a network, a memory file system, or as the kernel command line says."""
    return state.reduced and not state.medium and not state.one_file


def of_a_state_partition(state: BootState) -> bool:
    """The root is an image file on a partition."""
    return not state.reduced and not state.one_file


def of_one_file(state: BootState) -> bool:
    """The root is in this initrd, which is part of one signed EFI program."""
    return state.one_file


def of_one_file_on_a_disk(state: BootState) -> bool:
    """That, started from the node's own disk."""
    return state.one_file and state.uki == "boot"


def of_one_file_on_a_medium(state: BootState) -> bool:
    """That, started from a medium that installs."""
    return state.one_file and state.uki == "install"


def with_a_system(state: BootState) -> bool:
    """The root is what we found."""
    return state.medium or state.one_file or not state.reduced


def but_live(state: BootState) -> bool:
    """Every boot that has a configuration on a disk."""
    return state.mode != "live"


def record_the_boot(boot: Boot) -> None:
    boot.report.ledger.write("boot", mode=boot.state.mode, image=boot.cmdline.image, cmdline_reduced=boot.state.reduced)


def say_that_others_make_the_root(boot: Boot) -> None:
    boot.report.say(f"The root file system of this boot ({boot.state.mode}) is made by others")


def attach_the_image(boot: Boot) -> None:
    """Find the boot disk, check the image on it and attach it, so that systemd finds root=LABEL=…."""
    from kairos_boot.boot.cmdline import STATE_SECONDS
    from kairos_boot.boot.devices import remember
    from kairos_boot.boot.image import attach

    disk = attach(boot.cmdline, boot.state, boot.devices, boot.report, STATE_SECONDS)
    remember(disk, boot.devices.partitions())


def make_the_live_root(boot: Boot) -> None:
    """Mount the medium and what is on it, so that systemd can mount the root (unless dracut's own module for live media is here)."""
    from kairos_boot.boot import live
    from kairos_boot.boot.cmdline import STATE_SECONDS
    from kairos_boot.boot.devices import remember

    if boot.host.exists(live.OTHERS):
        say_that_others_make_the_root(boot)
        return
    disk = live.make(boot.cmdline, boot.state, boot.devices, boot.report, STATE_SECONDS)
    if but_live(boot.state):  # a medium is not the node's disk
        remember(disk, boot.devices.partitions())


def need_secure_boot(boot: Boot) -> None:
    """What says that it is trusted was started by firmware that checks signatures."""
    from kairos_boot.boot import uki
    from kairos_boot.system import efi

    uki.need_secure_boot(boot.cmdline, on=efi.secure_boot())


def attach_the_system(boot: Boot) -> None:
    """Attach the root that lies in this initrd, so that systemd finds root=LABEL=…; find the disk that the boot was started from."""
    from kairos_boot.boot import uki
    from kairos_boot.boot.cmdline import STATE_SECONDS
    from kairos_boot.boot.devices import remember

    disk = uki.attach(boot.state, boot.devices, boot.report, STATE_SECONDS)
    remember(disk, boot.devices.partitions() if disk.disk else ())


def mount_efi(boot: Boot) -> None:
    from kairos_boot.boot import uki

    uki.mount_efi(boot.builder, boot.devices.esp())


def keep_oem_in_memory(boot: Boot) -> None:
    from kairos_boot.boot import uki

    uki.keep_oem(boot.builder)


def find_the_root(_boot: Boot) -> None:
    """It is mounted by systemd, before us."""
    from kairos_boot.system import mounts

    if mounts.at(SYSROOT, mounts.mounted()) is None:
        raise FatalError("the root file system is not mounted", SYSROOT, "see journalctl -u sysroot.mount; boot the fallback or the recovery entry")


def check_the_root(boot: Boot) -> None:
    """A file system without a system is noticed here, not by a dead PID 1."""
    boot.builder.check(boot.state.image_label)


def mount_oem(boot: Boot) -> None:
    boot.builder.oem()


def hand_on_to_a_reset(boot: Boot) -> None:
    """A reset that is to be ended is not this system's work: the boot loader is told again, and the node restarts before any stage works on it."""
    from kairos_boot.boot import resume
    from kairos_boot.boot.image import STATE_DIRECTORY

    try:
        why = resume.asked_for(boot.state, boot.cmdline, STATE_DIRECTORY)
        if not why or boot.restart is None:
            return
        if resume.hand_on(boot.environment, f"{SYSROOT}/oem/grubenv"):
            boot.report.say(f"{why[0].upper()}{why[1:]}: the node restarts with the entry {resume.ENTRY}")
            boot.restart(boot.host)
        else:
            boot.report.missing("the reset", "", resume.refused(why))
    except KairosError as error:
        boot.report.missing("the reset", "", error)


def tell_of_recovery_keys(boot: Boot) -> None:
    """A node that needs somebody at each boot is worth a look, long before the next one."""
    for line in (boot.host.read(ENTERED) or b"").decode("utf-8", "replace").splitlines():
        label, _, node = line.partition(" ")
        boot.report.warn(f"the TPM did not open {label} ({node}): its recovery key was entered, and each boot asks for it until the TPM is told", SEAL.format(node=node))


def link_the_sources(_boot: Boot) -> None:
    """Stage rootfs runs in the initrd, and finds the node's configuration at the paths it has in the node, and what system it is."""
    from kairos_boot.boot.build import link_sources, name_the_system

    link_sources(("/system", "/oem"), SYSROOT)
    name_the_system(SYSROOT)


def run_rootfs(boot: Boot) -> None:
    """It may write the layout."""
    boot.report.failed += stage("rootfs", boot, boot.host)


def lay_out_the_root(boot: Boot) -> None:
    from kairos_boot.boot import layout

    boot.builder.lay(layout.load(boot.host.read, boot.cmdline, recovery=boot.state.recovery))


def write_fstab(boot: Boot) -> None:
    boot.builder.write_fstab()


def verify_the_mounts(boot: Boot) -> None:
    """What was planned is there (D6)."""
    boot.builder.verify()


def link_the_extensions(boot: Boot) -> None:
    """Those that are enabled for this boot; systemd-sysext.service merges them behind the switch."""
    from kairos_boot.boot.extensions import link
    from kairos_boot.system.host import Host

    made = link(Host(SYSROOT), boot.state.mode, boot.report.warn)
    if made:
        boot.report.say(f"Extensions of this boot: {', '.join(os.path.basename(path) for path in made)}")


def tell_of_failed_boots(boot: Boot) -> None:
    """This system comes up: what kept others from it becomes part of its record, and they may be tried again (D13)."""
    from kairos_boot.boot import failures
    from kairos_boot.boot.devices import boot_disk
    from kairos_boot.boot.image import STATE_DIRECTORY
    from kairos_boot.system import mounts

    oem = failures.Medium("COS_OEM", f"{SYSROOT}/oem")
    if boot.state.one_file:
        media = [oem] if mounts.at(oem.directory, mounts.mounted()) else []
    elif not boot.state.recovery:
        media = [oem, failures.Medium("COS_STATE", STATE_DIRECTORY)]
    elif mounts.at(oem.directory, mounts.mounted()):
        media = [oem]
    else:  # recovery does not lie on COS_STATE, which is looked at only when there is nothing else
        media = failures.media(boot.cmdline, boot.state, boot_disk(boot.host), boot.devices.partitions())
    told = failures.take_over(media, boot.environment, boot.report, SYSROOT)
    images = "" if boot.state.recovery else f"{STATE_DIRECTORY}/cOS"
    tried = boot.cmdline.values("kairos.tried")
    for entry in dict.fromkeys(boot.cmdline.values("kairos.failed")):
        if entry not in told:
            boot.report.did_not_boot(failures.worn(entry) if entry in tried else failures.refused(entry, images))


def say_ready(_boot: Boot) -> None:
    """From here on the initrd may be left."""
    from kairos_boot.system.private import private_directory

    private_directory(os.path.dirname(READY))
    os.close(os.open(READY, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))


def run_initramfs(boot: Boot) -> None:
    """It runs in the node's root, by a fork of this process.

    Modules come from the initrd in there, too (see `inside`), but not what they load of libraries: so libcrypt, and by reading the documents
    libyaml, are loaded while the initrd's own are in sight. The documents' problems are told when the stage itself loads them.
    """
    from kairos_boot.boot.chroot import inside
    from kairos_boot.system.host import Host
    from kairos_boot.system.passwords import library

    directories = [path for path in ("/system/oem", "/oem", f"{SYSROOT}/usr/local/cloud-config") if os.path.isdir(path)]
    library()
    try:
        boot.sources(boot.host, directories)()
    except KairosError as error:
        boot.report.log(7, f"documents are read later: {error}")
    try:
        boot.report.failed += inside(SYSROOT, lambda: min(stage("initramfs", boot, Host("/")), 1))
    except KairosError as error:
        boot.report.missing("stage initramfs", SYSROOT, error)


def stage(name: str, boot: Boot, host: Host) -> int:
    """Run a stage over the default sources and the kernel command line, and return how many failures it had."""
    from kairos_boot.stages.culprits import Culprits
    from kairos_boot.stages.runner import Runner

    report = boot.report
    culprits = Culprits(report.ledger)
    runner = Runner(host, boot.facts(host), culprits, report.log, origin={"process": boot.process}, guide=boot.guide(host, boot.cmdline, report))
    outcome = runner.emit(name, boot.sources(host, ()))
    failed = f", {outcome.failed} failed{culprits.first(outcome.failed)}" if outcome.failed else ""
    report.say(f"Stage {name}: {outcome.done} done, {outcome.skipped} skipped{failed}", failed=bool(outcome.failed))
    return outcome.failed


IMAGE = (
    (every_boot, record_the_boot),
    (of_others, say_that_others_make_the_root),
    (of_a_medium, make_the_live_root),
    (of_one_file, attach_the_system),
    (of_one_file, need_secure_boot),
    (of_a_state_partition, attach_the_image),
)
ROOT = (
    (every_boot, find_the_root),
    (with_a_system, check_the_root),
    (of_one_file_on_a_disk, mount_efi),
    (of_one_file_on_a_medium, keep_oem_in_memory),
    (but_live, mount_oem),
    (but_live, tell_of_recovery_keys),
    (of_a_state_partition, hand_on_to_a_reset),
    (every_boot, link_the_sources),
    (every_boot, run_rootfs),
    (of_an_image, lay_out_the_root),
    (of_an_image, write_fstab),
    (of_an_image, verify_the_mounts),
    (with_extensions, link_the_extensions),
    (but_live, tell_of_failed_boots),
    (every_boot, say_ready),
    (every_boot, run_initramfs),
)
