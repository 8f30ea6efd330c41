"""The first half of the initrd: find the boot disk, check the state image, attach it, so that systemd finds root=LABEL=…."""

from __future__ import annotations

import os

from kairos_boot.boot.disk import find_state
from kairos_boot.boot.report import FatalError
from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record
from kairos_boot.system import ext4

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from kairos_boot.boot.cmdline import Cmdline
    from kairos_boot.boot.report import Report
    from kairos_boot.boot.state import BootState
    from kairos_boot.system.process import ProcessRunner
    from kairos_boot.system.udev import Partition

    class Kernel(Protocol):
        """What this half needs of the running system."""

        processes: ProcessRunner

        def wait(self, find: Callable[[list[Partition]], Partition | None], limit: float) -> Partition | None:
            """See system.udev.Udev.wait."""

        def partitions(self) -> list[Partition]:
            """See system.udev.Udev.partitions."""

        def mount(self, source: str, target: str, fstype: str, options: Sequence[str]) -> None:
            """Mount, once. KairosError: the kernel refuses."""

        def attach(self, path: str, *, read_only: bool) -> str:
            """See system.loop.attach."""

        def esp(self) -> str:
            """The GUID of the ESP that the firmware started, or nothing."""

STATE_DIRECTORY = "/run/initramfs/cos-state"
FSCK_SECONDS = 300.0


@record
class BootDisk:
    """What the second half needs to know of the first: kept in a file of /run, one `NAME=value` a line."""

    disk: str
    state: str
    fstype: str
    image: str
    loop: str

    def text(self) -> str:
        return "".join(f"{name.upper()}={getattr(self, name)}\n" for name in self.__match_args__)

    @classmethod
    def parse(cls, text: str) -> BootDisk:
        """The reverse; what is not there is empty."""
        values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        return cls(*(values.get(name.upper(), "") for name in cls.__match_args__))


def attach(cmdline: Cmdline, state: BootState, kernel: Kernel, report: Report, seconds: float, directory: str = STATE_DIRECTORY) -> BootDisk:
    """Mount the state partition at *directory* and attach the image on it. FatalError: this boot cannot have a root."""
    if not cmdline.image:
        raise FatalError("the kernel command line does not name the image: cos-img/filename=PATH is missing",
                    hint="choose another entry of the boot menu, or add rd.immucore.disable if this is no node")
    found: list[Partition] = []
    report.part(f"Found the partition of {cmdline.image}", lambda: found.append(_find(cmdline, state, kernel, seconds)))
    [part] = found
    check_file_system(part.node, part.fstype, cmdline.fsck, kernel.processes, report)
    mode = cmdline.root_mode

    def mount() -> None:
        try:
            os.makedirs(directory, exist_ok=True)
            kernel.mount(part.node, directory, part.fstype or "ext4", (mode,))
        except (KairosError, OSError) as error:
            raise FatalError(f"the partition with the image cannot be mounted: {error}", part.node, RECOVER) from error

    report.part(f"Mounted {part.node} at {STATE_DIRECTORY}", mount, what=part.node, where=STATE_DIRECTORY, fstype=part.fstype, options=(mode,))
    path = f"{directory}/{cmdline.image.lstrip('/')}"
    report.part(f"Checked {cmdline.image}", lambda: check_image(path, cmdline.fsck, kernel.processes))
    loops: list[str] = []

    def loop() -> None:
        try:
            loops.append(kernel.attach(path, read_only=mode == "ro"))
        except KairosError as error:
            raise FatalError(error.message, error.where, error.hint) from error

    report.part(f"Attached {cmdline.image} to a loop device", loop, what=cmdline.image)
    return BootDisk(part.disk, part.node, part.fstype, path, loops[0])


RECOVER = "boot the fallback or the recovery entry of the boot menu, and upgrade or reset the node from there"


def _find(cmdline: Cmdline, state: BootState, kernel: Kernel, seconds: float) -> Partition:
    partuuid, label = cmdline.state_partuuid, state.partition_label
    if not partuuid and not label:
        raise FatalError("the kernel command line tells neither the partition of the image (kairos.state=PARTUUID=…) nor a label that this program knows",
                    hint="boot with root=LABEL=COS_ACTIVE, COS_PASSIVE or COS_SYSTEM")
    esp = kernel.esp()
    try:
        part = kernel.wait(lambda partitions: find_state(partitions, partuuid, label, esp), seconds)
    except KairosError as error:
        raise FatalError(error.message, hint=error.hint) from error
    if part is None:
        wanted = f"PARTUUID={partuuid}" if partuuid else f"LABEL={label}"
        seen = ", ".join(f"{p.node}{f' ({p.label})' if p.label else ''}" for p in kernel.partitions()) or "no disk at all"
        raise FatalError(f"the partition with the image, {wanted}, did not appear within {seconds:g} s; there are: {seen}",
                    hint="check that the disk is connected and that the initrd has its driver")
    return part


def check_image(path: str, fsck: Sequence[str], processes: ProcessRunner) -> None:
    """FatalError: the image is missing or damaged. The superblock is read, and e2fsck looks at the structure without changing anything;
    it goes through every inode only with fsck.mode=force, which takes seconds per GiB. Its label is not looked at: the boot loader named
    the file, and the passive image may be the one that was active before an upgrade (G9).
    """
    try:
        ext4.check(path)
    except FileNotFoundError as error:
        folder = os.path.dirname(path)
        names = sorted(name for name in os.listdir(folder) if not name.endswith(ext4.DIGEST)) if os.path.isdir(folder) else ["no such directory"]
        there = ", ".join(names)
        raise FatalError(f"the state image is missing; in its directory: {there or 'nothing'}", path, RECOVER) from error
    except OSError as error:
        raise FatalError(f"the state image cannot be read: {reason(error)}", path, RECOVER) from error
    except KairosError as error:
        raise FatalError(f"the state image is damaged: {error.message}", path, RECOVER) from error
    if fsck:
        try:
            result = processes.run(("e2fsck", "-n", *(flag for flag in fsck if flag == "-f"), path), timeout=FSCK_SECONDS)
        except KairosError:
            return  # no e2fsck: the superblock was checked
        if result.code not in (0, 1) or result.timed_out:
            raise FatalError(f"the state image is damaged: e2fsck: {result.explain(FSCK_SECONDS)}\n{result.output.strip()[-600:]}", path, RECOVER)


def check_file_system(node: str, fstype: str, fsck: Sequence[str], processes: ProcessRunner, report: Report) -> None:
    """Check and repair an ext file system before it is mounted, as the kernel command line asks; what it cannot repair is a warning."""
    if not fsck or not fstype.startswith("ext"):
        return
    try:
        result = processes.run(("e2fsck", *fsck, node), timeout=FSCK_SECONDS)
    except KairosError as error:
        report.warn(f"{node} was not checked: {error}")
        return
    if result.timed_out or result.code not in (0, 1):
        report.warn(f"e2fsck of {node}: {result.explain(FSCK_SECONDS)}: {result.output.strip()[-600:]}")
