"""The boot loader itself: what an image brings of it, and how it comes onto a disk, at installation and again with every new image.

For BIOS it is boot code in the first sector, which names where GRUB's core lies; for UEFI files on the ESP, a shim first where the image has one.
"""

from __future__ import annotations

import os

from kairos_boot.actions.layout import BIOS_BOOT, ESP
from kairos_boot.errors import KairosError, reason
from kairos_boot.lifecycle.phases import Phase
from kairos_boot.node.state import secure_boot
from kairos_boot.records import NOTHING, record
from kairos_boot.system import fat, grub

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kairos_boot.system.host import Host
    from kairos_boot.system.partitions import Slot, Table

MADE = "/usr/share/kairos-boot/grub"
"""Where an image has GRUB ready made: `boot.img` and `core.img` for BIOS, `bootx64.efi` or `bootaa64.efi`."""
MACHINES = {"x86_64": ("x86_64-efi", "x64"), "aarch64": ("arm64-efi", "aa64")}
"""GRUB's name of the platform, and the firmware's short name of the machine."""
KERNEL = "/boot/vmlinuz"
SIGNED = {
    "shim": ("/usr/lib/shim/shim{m}.efi.signed.latest", "/usr/lib/shim/shim{m}.efi.signed", "/usr/share/efi/{u}/shim.efi", "/usr/lib64/efi/shim.efi",
             "/boot/efi/EFI/fedora/shim{m}.efi", "/boot/efi/EFI/centos/shim{m}.efi", "/boot/efi/EFI/redhat/shim{m}.efi", "/boot/efi/EFI/rocky/shim{m}.efi",
             "/boot/efi/EFI/almalinux/shim{m}.efi", "/boot/efi/EFI/openEuler/shim{m}.efi"),
    "grub": ("/usr/lib/grub/{p}-signed/grub{m}.efi.signed", "/usr/share/efi/{u}/grub.efi", "/usr/lib64/efi/grub.efi", "/boot/efi/EFI/fedora/grub{m}.efi",
             "/boot/efi/EFI/centos/grub{m}.efi", "/boot/efi/EFI/redhat/grub{m}.efi", "/boot/efi/EFI/rocky/grub{m}.efi", "/boot/efi/EFI/almalinux/grub{m}.efi",
             "/boot/efi/EFI/openEuler/grub{m}.efi"),
    "manager": ("/usr/lib/shim/mm{m}.efi.signed", "/usr/lib/shim/mm{m}.efi", "/usr/share/efi/{u}/MokManager.efi", "/boot/efi/EFI/fedora/mm{m}.efi",
                "/boot/efi/EFI/centos/mm{m}.efi", "/boot/efi/EFI/redhat/mm{m}.efi"),
}
"""Where distributions have what Secure Boot accepts: {m} is the machine's short name, {p} GRUB's platform, {u} the kernel's name."""


@record
class BootFiles:
    """What boots a disk: boot code and core for BIOS, files of the ESP in the order in which they are written, the one that firmware starts last."""

    boot: bytes = b""
    core: bytes = b""
    efi: Mapping[str, bytes] = NOTHING


def places(table: Table) -> dict[str, Slot]:
    """Where on a disk the boot loader of each firmware lies: the first partition of its kind."""
    kinds = {"bios": BIOS_BOOT, "efi": ESP}
    found = {firmware: next((slot for slot in table.slots if slot.type.upper() == kind), None) for firmware, kind in kinds.items()}
    return {firmware: slot for firmware, slot in found.items() if slot is not None}


def must_have_place(host: Host, disk: str, firmware: str) -> None:
    """KairosError: the partitioned *disk* has none for the boot loader of *firmware* (`bios`, `efi` or `both`)."""
    from kairos_boot.system.partitions import read_table

    table = read_table(host, disk)
    found = places(table) if table else {}
    for wanted, kind in (("bios", "BIOS boot"), ("efi", "EFI system, with a file system vfat")):
        if firmware in (wanted, "both") and wanted not in found:
            other = f"; it has one for {', '.join(found)}, and install.firmware says which is meant" if found else ""
            raise KairosError(f"the disk has no partition for the boot loader of {'BIOS' if wanted == 'bios' else 'UEFI'}", disk,
                              f"make one of the type {kind} (layout: bootable: true){other}")


def find(host: Host, tree: Host, firmware: str, *, elsewhere: bool = False) -> BootFiles:
    """What the *tree* of a system brings for *firmware* (`bios`, `efi` or `both`). KairosError: it lacks one of them, or this machine's firmware
    insists on signatures (unless it is for a disk that will be *elsewhere*) and a program on the way to the kernel has none.
    """
    boot, core = _bios(host, tree) if firmware in ("bios", "both") else (b"", b"")
    efi = _efi(host, tree) if firmware in ("efi", "both") else {}
    if efi and not elsewhere and secure_boot(host):
        unsigned = _unsigned(tree, efi)
        if unsigned:
            raise KairosError(f"the firmware starts signed programs only (Secure Boot), and the system's boot loader has no signature: {', '.join(unsigned)}",
                              tree.path("/"), "build the image with shim, a signed GRUB and a signed kernel (Debian: shim-signed, grub-efi-amd64-signed, "
                              "linux-image-amd64), or switch Secure Boot off")
    return BootFiles(boot, core, efi)


def _unsigned(tree: Host, efi: Mapping[str, bytes]) -> list[str]:
    """What of the way from the firmware to the kernel bears no signature: each program checks the next one. MokManager is not on that way."""
    way = {name: content for name, content in efi.items() if name.lower().endswith(".efi") and not os.path.basename(name).startswith("mm")}
    found = [name for name, content in way.items() if not grub.is_signed(content)]
    if len(way) > 1 and tree.exists(KERNEL):  # a GRUB behind a shim asks it about the kernel
        with open(tree.path(KERNEL), "rb") as file:
            found += [] if grub.is_signed(file.read(64 << 10)) else [KERNEL]
    return found


def _bios(host: Host, tree: Host) -> tuple[bytes, bytes]:
    boot, core = tree.read(f"{MADE}/boot.img"), tree.read(f"{MADE}/core.img")
    if boot and core:
        return boot, core
    folder = grub.modules(tree, "i386-pc")
    boot = tree.read(f"{folder}/boot.img") if folder else None
    if not boot:
        raise KairosError("the system has no boot loader for BIOS", tree.path("/"), f"it needs GRUB's modules for i386-pc (Debian: grub-pc-bin), or {MADE}/core.img")
    return boot, grub.make(host, tree.path(folder), "i386-pc", ("biosdisk",))


def _efi(host: Host, tree: Host) -> dict[str, bytes]:
    machine = os.uname().machine
    if machine not in MACHINES:
        raise KairosError(f"no boot loader for UEFI is known for {machine}", tree.path("/"))
    platform, short = MACHINES[machine]
    started = f"EFI/BOOT/BOOT{short.upper()}.EFI"
    signed = {part: _first(tree, paths, m=short, p=platform, u=machine) for part, paths in SIGNED.items()}
    if signed["shim"] and signed["grub"]:
        return _with_shim(tree, signed, short, started)
    made = tree.read(f"{MADE}/boot{short}.efi")
    if not made:
        folder = next((f"{place}/{platform}" for place in grub.FOLDERS if tree.exists(f"{place}/{platform}/moddep.lst")), "")
        if not folder:
            raise KairosError("the system has no boot loader for UEFI", tree.path("/"),
                              f"it needs shim and a signed GRUB, GRUB's modules for {platform} (Debian: grub-efi-amd64-bin), or {MADE}/boot{short}.efi")
        made = grub.make(host, tree.path(folder), platform, ("efi_gop",))
    return {started: made}


def _with_shim(tree: Host, signed: Mapping[str, bytes], short: str, started: str) -> dict[str, bytes]:
    """A signed GRUB reads a file of a name that its distribution built in; each of them leads to the menu."""
    from kairos_boot.system.identity import os_release

    config = (grub.UNMEASURED + grub.EARLY).encode()
    families = dict.fromkeys(("BOOT", os_release(tree).get("ID", "") or "linux", *os_release(tree).get("ID_LIKE", "").split()))
    found = {f"EFI/{name}/grub.cfg": config for name in families}
    found |= {f"EFI/BOOT/mm{short}.efi": signed["manager"]} if signed["manager"] else {}
    return {**found, f"EFI/BOOT/grub{short}.efi": signed["grub"], started: signed["shim"]}


def _first(tree: Host, paths: tuple[str, ...], **words: str) -> bytes:
    """The first that bears a signature; where none does, the first."""
    found = b""
    for path in paths:
        content = tree.read(path.format_map(words)) or b""
        if grub.is_signed(content):
            return content
        found = found or content
    return found


@record
class InstallBootCode:
    """The boot loader of the image *image* on *disk*: at its first installation, or in place of an older one.

    With *must* the image has to bring what the disk's partitions ask for; else what it does not bring stays as it is. A program of UEFI that is signed
    is not replaced by one that is not.
    """

    image: str
    disk: str
    must: bool = False
    elsewhere: bool = False
    """The disk is for another machine than this one."""
    file: str = ""
    """The file that the disk is made as."""
    firmware: str = ""
    """The one that has to start the disk, where it has partitions for another one, too."""

    def describe(self) -> str:
        """Both."""
        if self.file:
            return f"put the boot loader of {self.image} into {self.file}"
        return f"put the boot loader of {self.image} on {self.disk}, if it is another one; the old one stays until the new one is whole, and a signed one before one that is not"

    def would_change(self, host: Host) -> bool | None:  # noqa: ARG002
        """The image has to be mounted to know."""
        return None

    def apply(self, host: Host) -> bool:
        """Compare, and write. KairosError: the image lacks it (with *must*), it does not fit, or the disk fails."""
        from contextlib import contextmanager

        from kairos_boot.actions.image_tree import mounted
        from kairos_boot.system.host import Host as Tree
        from kairos_boot.system.partitions import read_table

        table = read_table(host, self.disk) if self.must or host.exists(self.disk) else None
        if table is None:
            if self.must:
                raise KairosError("it has no partition table", self.disk)
            return False
        found = places(table)
        if self.must and not found:
            raise KairosError("the disk has no partition for a boot loader", self.disk, "it needs one of the type EFI system, or BIOS boot (layout: bootable: true)")
        changed, faults = False, []
        with contextmanager(mounted)(host.path(self.image), read_only=True) as place:
            for firmware, slot in found.items():
                try:
                    files = find(host, Tree(place), firmware, elsewhere=self.elsewhere)
                except KairosError:
                    if self.must and self.firmware in ("", "both", firmware):
                        raise
                    continue
                try:  # what is wrong with one of them keeps nothing from the other
                    if firmware == "efi":
                        changed = fat.put_files(host, slot.node, files.efi, stays_trusted, must=self.must) or changed
                    else:
                        changed = put_bios(self.disk, slot, table.sector, files) or changed
                except KairosError as error:
                    faults.append(error)
        if faults:
            raise KairosError("; ".join(fault.message for fault in faults), faults[0].where, faults[0].hint)
        return changed


def refreshed(image: str, disk: str) -> Phase:
    """The phase in which a new image brings its boot loader to *disk*: before its menu, which may need it. Where it fails the old one stays, and works."""
    return Phase("boot-code", "refresh the boot loader", (InstallBootCode(image, disk),), again="compared, and written where it is another one", extra=True)


def stays_trusted(old: bytes, new: bytes) -> bool:
    """A signed program is never replaced by one that is not: with Secure Boot nothing would start any more."""
    return grub.is_signed(new) or not grub.is_signed(old)


def put_bios(disk: str, slot: Slot, sector: int, files: BootFiles) -> bool:
    """Write core and boot code; whether they are other ones. KairosError: the core is too large, or the disk fails.

    The partition has two halves. The new core goes where the old one is not, and one sector makes it the one that counts.
    """
    start, half = slot.start * sector, slot.size * sector // 2 // 4096 * 4096
    size = -(-len(files.core) // grub.SECTOR) * grub.SECTOR
    if size > half:
        raise KairosError(f"GRUB's core has {size} bytes, and half of its partition {half}", slot.node, "make the partition bios larger")
    try:
        fd = os.open(disk, os.O_RDWR | os.O_CLOEXEC)
        try:
            now = os.pread(fd, grub.SECTOR, 0)
            at = grub.core_of(now)
            if at in (start, start + half):
                boot, core = grub.core_at(files.boot, files.core, at)
                if now[:grub.BOOT_CODE] == boot and os.pread(fd, len(core), at) == core:
                    return False
            at = start + half if at == start else start
            boot, core = grub.core_at(files.boot, files.core, at)
            os.pwrite(fd, core.ljust(size, b"\0"), at)
            os.fsync(fd)
            os.pwrite(fd, boot + now[grub.BOOT_CODE:], 0)
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise KairosError(f"the boot code cannot be written: {reason(error)}", disk) from error
    return True
