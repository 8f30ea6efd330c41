"""A boot whose whole system is one signed EFI program (trusted boot): kernel, initrd, and in it the root as a read-only image.

What the firmware checked is all that runs. So there is no state partition: the disk is that of the ESP which the boot loader was started from.
"""

from __future__ import annotations

import os

from kairos_boot.actions.mounts import Mount
from kairos_boot.boot import fstab
from kairos_boot.boot.cmdline import DEVICE_SECONDS
from kairos_boot.boot.image import BootDisk
from kairos_boot.boot.report import FatalError
from kairos_boot.boot.root import MEMORY, READ_ONLY, Part
from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kairos_boot.boot.build import Builder
    from kairos_boot.boot.cmdline import Cmdline
    from kairos_boot.boot.image import Kernel
    from kairos_boot.boot.report import Report
    from kairos_boot.boot.state import BootState
    from kairos_boot.system.udev import Partition

SYSTEM = "/kairos-boot/system.squashfs"
"""The root, in the initrd; a rule for udev beside it makes root=LABEL=COS_UKI lead to it."""
EFI, EFI_OPTIONS = "/efi", ("ro", "umask=0077")
OEM, OEM_OPTIONS = "/oem", ("size=10%", "mode=0770")
BUILD_AGAIN = "build the file again (packaging/image/uki.py), or boot another entry"


def need_secure_boot(cmdline: Cmdline, *, on: bool) -> None:
    """FatalError: the firmware starts anything, so nobody knows whether this is what was signed."""
    if not on and not cmdline.has("rd.immucore.securebootdisabled"):
        raise FatalError("Secure Boot is off, and this system is to be started by firmware that checks its signature",
                         hint="turn Secure Boot on in the firmware's setup; rd.immucore.securebootdisabled in the signed command line does without")


def attach(state: BootState, kernel: Kernel, report: Report, seconds: float, path: str = SYSTEM) -> BootDisk:
    """Attach the root, and find the disk of this node; on an installation medium there is none. FatalError: this boot cannot have a root."""
    disk = ""
    if state.uki == "boot":
        found: list[Partition] = []
        report.part("Found the EFI system partition", lambda: found.append(_esp(kernel, seconds)))
        disk = found[0].disk
    loops: list[str] = []

    def loop() -> None:
        if not os.path.isfile(path):
            raise FatalError("there is no system in this initrd", path, BUILD_AGAIN)
        try:
            loops.append(kernel.attach(path, read_only=True))
        except KairosError as error:
            raise FatalError(error.message, error.where, error.hint or BUILD_AGAIN) from error

    report.part(f"Attached {path} to a loop device", loop, what=path)
    return BootDisk(disk, "", "squashfs", path, loops[0])


def _esp(kernel: Kernel, seconds: float) -> Partition:
    guid = kernel.esp()
    part = kernel.wait(lambda partitions: find_esp(partitions, guid), seconds)
    if part is None:
        seen = ", ".join(p.node for p in kernel.partitions()) or "no disk at all"
        raise FatalError(f"the EFI system partition that this boot was started from, PARTUUID={guid.lower()}, did not appear within {seconds:g} s; there are: {seen}",
                         hint="check that the disk is connected and that the initrd has its driver")
    return part


def find_esp(partitions: Sequence[Partition], guid: str) -> Partition | None:
    """The partition with this GUID, or None. FatalError: several have it, and the data of one of them would be taken by chance (D9)."""
    found = [part for part in partitions if guid and part.partuuid == guid.lower()]
    if len(found) > 1:
        raise FatalError(f"several partitions are PARTUUID={guid.lower()}: {', '.join(part.node for part in found)}", hint="detach the disk that is not this node's")
    return found[0] if found else None


def mount_efi(builder: Builder, guid: str) -> bool:
    """Mount the ESP at /efi, read-only: whoever writes there remounts it for as long as that takes."""
    part = find_esp(builder.devices.partitions(), guid)
    if part is None:  # the first half saw it
        builder.report.missing("the EFI system partition", EFI, KairosError(f"PARTUUID={guid.lower()} is gone: {EFI} is not mounted", hint="is the disk attached?"))
        return False
    place = builder.resolve(EFI)[len(builder.sysroot):] or "/"
    line = fstab.Line(fstab.device(part), place, "vfat", (*EFI_OPTIONS, *fstab.waiting(DEVICE_SECONDS)))
    return builder.do(Part(Mount(part.node, f"{builder.sysroot}{place}", "vfat", EFI_OPTIONS), EFI, place, READ_ONLY, line))


def keep_oem(builder: Builder) -> bool:
    """A medium has no COS_OEM, and its root is read-only: the configuration that is found beside it is kept in memory."""
    place = builder.resolve(OEM)[len(builder.sysroot):] or "/"
    line = fstab.Line("tmpfs", place, "tmpfs", (*OEM_OPTIONS, *fstab.INITRD))
    return builder.do(Part(Mount("tmpfs", f"{builder.sysroot}{place}", "tmpfs", OEM_OPTIONS), OEM, place, MEMORY, line))
