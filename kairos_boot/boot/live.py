"""The root that is a squashfs file: that of a live medium, or of a recovery system (`root=live:…`). Memory lies above it, so all of it can be written.

The names of the options and of the places are those of dracut's own module for live media. Where the initrd has that one, it makes the root.
"""

from __future__ import annotations

import os

from kairos_boot.boot.disk import find_state
from kairos_boot.boot.image import BootDisk
from kairos_boot.boot.report import FatalError
from kairos_boot.errors import KairosError
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kairos_boot.boot.cmdline import Cmdline
    from kairos_boot.boot.image import Kernel
    from kairos_boot.boot.report import Report
    from kairos_boot.boot.state import BootState
    from kairos_boot.system.udev import Partition

MEDIUM, BASE, LAYER = "/run/initramfs/live", "/run/rootfsbase", "/run/overlay"
"""Where the medium, the system on it and the memory above that are mounted. The unit that mounts the root names the last two."""
OTHERS = "/usr/sbin/dmsquash-live-root"
"""dracut's module, where the initrd has it."""
KINDS = {"LABEL": "label", "CDLABEL": "label", "UUID": "uuid", "PARTUUID": "partuuid"}
WRITE_AGAIN = "write the medium again, and compare its checksum"


@record
class Medium:
    """What is looked for: a file system by one of its names, and on it the file that is the root."""

    kind: str
    name: str
    file: str

    def __str__(self) -> str:
        return f"{self.kind}={self.name}" if self.kind else self.name

    def has(self, part: Partition) -> bool:
        """Whether *part* bears the name."""
        if not self.kind:
            return self.name in (part.node, os.path.realpath(self.name))
        has: str = getattr(part, KINDS[self.kind])
        return bool(part.fstype) and has.lower() == self.name.lower()


def wanted(cmdline: Cmdline) -> Medium:
    """What the kernel command line asks for."""
    file = os.path.normpath(f"/{cmdline.value('rd.live.dir', default='LiveOS')}/{cmdline.value('rd.live.squashimg', default='squashfs.img')}")
    kind, _, told = cmdline.value("kairos.live").partition("=")
    if kind == "UUID" and told:  # the boot loader saw the medium that it started from; another one may have the same label
        return Medium("UUID", told, file)
    kind, eq, name = cmdline.live_root.partition("=")
    return Medium(kind, name, file) if eq and kind in KINDS else Medium("", cmdline.live_root, file)


def find(partitions: Sequence[Partition], medium: Medium) -> Partition | None:
    """The device with *medium*, or None while it is not there. An image that is written to a stick is seen on the whole stick and on a partition of it:
    the first of one disk counts. KairosError: two disks have the name, and nobody told which was booted.
    """
    found = [part for part in partitions if medium.has(part)]
    disks = {part.disk for part in found}
    if len(disks) > 1 and medium.kind != "UUID":  # two of one number are two copies of one image
        raise KairosError(f"several media are {medium}: {', '.join(part.node for part in found)}", hint="detach the one that was not booted from")
    return found[0] if found else None


def make(cmdline: Cmdline, state: BootState, kernel: Kernel, report: Report, seconds: float, run: str = "") -> BootDisk:
    """Mount the medium and the system on it, and memory for what is written; the root itself is systemd's (sysroot.mount). *run* is put before the
    places (a test's directory). FatalError: this boot cannot have a root.
    """
    medium = wanted(cmdline)
    for option in ("rd.live.ram", "rd.live.check", "rd.live.overlay"):
        if cmdline.has(option):
            report.warn(f"the kernel command line's {option} is not in this version: the medium stays mounted, what is written is kept in memory")
    parts: list[Partition] = []
    report.part(f"Found the medium {medium}", lambda: parts.append(_wait(cmdline, state, medium, kernel, seconds)))
    [part] = parts
    _mount(report, kernel, part.node, f"{run}{MEDIUM}", part.fstype, ("ro",), "the medium cannot be read")
    file, loops = f"{run}{MEDIUM}{medium.file}", list[str]()

    def attach() -> None:
        if not os.path.isfile(file):
            names = ", ".join(sorted(os.listdir(os.path.dirname(file)))) if os.path.isdir(os.path.dirname(file)) else "no such directory"
            raise FatalError(f"the medium {medium} has no {medium.file}; in its directory: {names or 'nothing'}", part.node,
                             "rd.live.dir and rd.live.squashimg of the kernel command line name the file; or boot another entry")
        try:
            loops.append(kernel.attach(file, read_only=True))
        except KairosError as error:
            raise FatalError(error.message, error.where, error.hint) from error

    report.part(f"Attached {medium.file} to a loop device", attach, what=medium.file)
    _mount(report, kernel, loops[0], f"{run}{BASE}", "squashfs", ("ro",), "the system on the medium is damaged")
    size = cmdline.cos("overlay", "tmpfs:50%")
    if not size.startswith("tmpfs:"):
        report.warn(f"{size}: a live system keeps what is written in memory (rd.cos.overlay=tmpfs:SIZE)")
        size = "tmpfs:50%"
    _mount(report, kernel, "tmpfs", f"{run}{LAYER}", "tmpfs", (f"size={size.removeprefix('tmpfs:')}", "mode=0755"), "there is no memory for what is written")
    for name in ("upper", "work"):
        os.makedirs(f"{run}{LAYER}/live/{name}", 0o755, exist_ok=True)
    return BootDisk(part.disk, part.node, part.fstype, file, loops[0])


def _wait(cmdline: Cmdline, state: BootState, medium: Medium, kernel: Kernel, seconds: float) -> Partition:
    def look(partitions: list[Partition]) -> Partition | None:
        if state.recovery and medium.kind == "LABEL":  # it lies on the node's disk, whatever is plugged in besides (D9)
            return find_state(partitions, cmdline.state_partuuid, medium.name, esp)
        return find(partitions, medium)

    esp = kernel.esp()
    try:
        part = kernel.wait(look, seconds)
    except KairosError as error:
        raise FatalError(error.message, hint=error.hint) from error
    if part is None:
        seen = ", ".join(f"{p.node}{f' ({p.label})' if p.label else ''}" for p in kernel.partitions()) or "no disk at all"
        raise FatalError(f"the medium {medium} did not appear within {seconds:g} s; there are: {seen}",
                         hint="is it still plugged in, and has the initrd the driver of its drive? Another port may help")
    return part


def _mount(report: Report, kernel: Kernel, node: str, where: str, fstype: str, options: Sequence[str], fault: str) -> None:
    def mount() -> None:
        try:
            os.makedirs(where, exist_ok=True)
            kernel.mount(node, where, fstype, options)
        except (KairosError, OSError) as error:
            raise FatalError(f"{fault}: {error}", node, WRITE_AGAIN) from error

    report.part(f"Mounted {node} at {where}", mount, what=node, where=where, fstype=fstype, options=options)
