"""What an image needs before it can boot, and what must not be baked into it (the checks of Kairos' own validation, without their blind spots)."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kairos_boot.reports.examined import Examined, Fault

RELEASE = ("ID", "ID_LIKE", "NAME", "VERSION", "ARCH", "TARGETARCH", "FLAVOR", "FLAVOR_RELEASE", "FAMILY", "MODEL", "VARIANT", "RELEASE")
"""Keys of /etc/kairos-release, behind KAIROS_, that programs and configurations ask for."""
PACKED = ("usr/bin/python3", "usr/bin/kairos-boot", "usr/lib/systemd/system/kairos-boot-image.service", "usr/lib/systemd/system/kairos-boot-initrd.service")
PACKED_PROGRAMS = ("sh", "mount", "umount", "e2fsck", "blkid", "udevadm", "systemctl", "modprobe", "cat", "grep", "mkdir", "sleep", "test")
"""What steps of stage rootfs call, which run in the initrd."""
NEEDED = ("sh", "systemctl", "udevadm", "e2fsck", "mkfs.ext4", "sfdisk", "mount", "umount", "chroot")
DIRECTORIES = ("/oem", "/usr/local", "/system/oem", "/run", "/tmp", "/home", "/opt", "/root", "/srv", "/var", "/var/lock", "/etc", "/proc", "/sys", "/dev")
KEY = re.compile(r"ssh_host_\w+_key$")
IDENTITY = re.compile(r"[0-9a-f]{32}\s*")
SECRET = {"/etc/shadow": 0o027, "/etc/gshadow": 0o027, "/root": 0o022}
"""Paths, and the bits of a mode that would open them to others."""
IDS = ("cos", "fallback", "recovery", "statereset")
CLOCKS = ("systemd-timesyncd.service", "chrony.service", "chronyd.service", "ntpd.service", "ntp.service", "ntpsec.service", "openntpd.service")
UNIT_DIRECTORIES = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")


def kernel(examined: Examined) -> Iterator[Fault]:
    """A kernel under the name that the boot loader asks for, and its modules."""
    path = "/boot/vmlinuz"
    status, target = examined.status(path), examined.link(path)
    modules = next((path for path in ("/usr/lib/modules", "/lib/modules") if examined.names(path)), "/lib/modules")
    versions = [name for name in examined.names(modules) if examined.status(f"{modules}/{name}/modules.dep")]
    if not status:
        yield ("error", path, f"it leads to {target}, which is not there" if target else "there is no kernel", "install a kernel and link it there")
    elif not status.st_size:
        yield "error", path, "the kernel is empty", "install it again"
    if not versions:
        yield "error", modules, "there are no modules of any kernel", "install the kernel's modules, and run depmod"
    version = target.rpartition("/")[2].removeprefix("vmlinuz-") if target else ""
    if status and version and versions and version not in versions:
        yield "error", path, f"it is kernel {version}, and there are modules for {', '.join(versions)}", "install the modules of that kernel"
    if len(versions) > 1 and version not in versions:
        yield "warning", modules, f"modules of {', '.join(versions)}: which kernel is meant cannot be told", "leave one, or let /boot/vmlinuz be a link to vmlinuz-VERSION"


def initrd(examined: Examined) -> Iterator[Fault]:
    """One with our half in it, and the programs that its stage calls."""
    path = "/boot/initrd"
    if not examined.status(path):
        target = examined.link(path)
        yield ("error", path, f"it leads to {target}, which is not there" if target else "there is no initrd", "kairos-boot-image makes it; by hand: dracut --add kairos-boot")
        return
    names = examined.packed(path)
    missing = [name for name in PACKED if name not in names]
    missing += [name for name in PACKED_PROGRAMS if not {f"{directory}/{name}" for directory in ("usr/bin", "usr/sbin", "bin", "sbin")} & names]
    if missing:
        yield "error", path, f"it lacks {', '.join(missing)}", "make it with dracut --add kairos-boot"


def release(examined: Examined) -> Iterator[Fault]:
    """What the image says of itself."""
    path = "/etc/kairos-release"
    text = examined.text(path)
    if not text:
        yield "warning", path, "there is none: the list of releases, and configurations that ask which image this is, have no answer", "write it when the image is built"
    else:
        given = {key: value.strip().strip("\"'") for key, _, value in (line.partition("=") for line in text.splitlines())}
        if missing := [f"KAIROS_{key}" for key in RELEASE if not given.get(f"KAIROS_{key}")]:
            yield "warning", path, f"it does not say {', '.join(missing)}", "add them"
    if not examined.text("/etc/os-release"):
        yield "error", "/etc/os-release", "there is none: no image without it is taken by install and upgrade", "install the package of the distribution that has it"


def program(examined: Examined) -> Iterator[Fault]:
    """Ours, under all of its names, and what it calls."""
    if not examined.program("/usr/bin/kairos-boot"):
        yield "error", "/usr/bin/kairos-boot", "the program is not there, or cannot be run", "install kairos-boot"
    for name in ("kairos-agent", "kairos"):
        if not examined.program(f"/usr/bin/{name}"):
            yield "warning", f"/usr/bin/{name}", "this name of the program is missing; published configurations use it", "link it to kairos-boot"
    for name in NEEDED:
        if not examined.program(name):
            yield "error", name, "the program is in no directory of the PATH", "install it: boots, installations, upgrades or resets call it"
    if not examined.program("skopeo"):
        yield "warning", "skopeo", "the program is in no directory of the PATH", "install it where nodes fetch images: upgrades from a registry, unpack_images, bundles"


def mount_points(examined: Examined) -> Iterator[Fault]:
    """The root is read-only: what something is mounted on must be there."""
    for path in DIRECTORIES:
        if not examined.host.is_directory(path) and not (path == "/var/lock" and examined.link(path)):
            yield "error", path, "the directory is missing, and on a read-only root it cannot be made", "make it when the image is built"


def identity(examined: Examined) -> Iterator[Fault]:
    """An image is many nodes: none of their secrets may be in it."""
    if examined.runs:
        return
    for name in examined.names("/etc/ssh"):
        if KEY.match(name):
            yield "error", f"/etc/ssh/{name}", "a host key is baked in: every node of this image would have it", "remove it; nodes make their own at the first boot"
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        if not examined.link(path) and IDENTITY.fullmatch(examined.text(path)):
            yield "error", path, "a machine id is baked in: every node of this image would have it", f"empty it (: > {path})"
    if not examined.status("/etc/machine-id"):
        yield "warning", "/etc/machine-id", "there is none: on a read-only root it cannot be made before /etc is writable", "add an empty file"
    if examined.status("/var/lib/systemd/random-seed"):
        yield "warning", "/var/lib/systemd/random-seed", "a random seed is baked in", "remove it"


def modes(examined: Examined) -> Iterator[Fault]:
    """Who can write what the boot executes, and read secrets."""
    for path, bits in SECRET.items():
        status = examined.status(path)
        if status and status.st_mode & bits:
            yield "error", path, f"its mode {status.st_mode & 0o7777:04o} opens it to others", f"chmod {status.st_mode & 0o7777 & ~bits:04o} {path}"
    status = examined.status("/tmp")
    if status and status.st_mode & 0o1777 != 0o1777:
        yield "warning", "/tmp", f"its mode is {status.st_mode & 0o7777:04o}", "chmod 1777 /tmp"
    for directory in ("/system/oem", "/oem", "/usr/local/cloud-config"):
        for path in (directory, *(f"{directory}/{name}" for name in examined.names(directory))):
            status = examined.status(path)
            if status and status.st_mode & 0o002:
                yield "error", path, f"its mode {status.st_mode & 0o7777:04o} lets everybody write what root executes", f"chmod o-w {path}"


def boot_menu(examined: Examined) -> Iterator[Fault]:
    """The entries that resets, upgrades and fallbacks choose by their ids."""
    path = "/etc/cos/grub.cfg"
    text = examined.text(path)
    if not text:
        yield "error", path, "there is no menu: install puts the image's own on the disk", "kairos-boot-image brings ours; one of your own has the entries cos, fallback, recovery and statereset"
        return
    missing = [name for name in IDS if not re.search(rf"--id[= ]['\"]?{name}\b", text)]
    if missing:
        yield "error", path, f"there is no entry with the id {', '.join(missing)}", "menuentry … --id NAME { … }: reset, upgrade and the fallback choose them by name"
    if "bootargs.cfg" in text and not examined.text("/etc/cos/bootargs.cfg"):
        yield "error", "/etc/cos/bootargs.cfg", "the menu reads it from each image, and it is not there", "add it: it sets the kernel's command line"


def time_keeping(examined: Examined) -> Iterator[Fault]:
    """Certificates and records need the right time."""
    if not any(examined.status(f"{directory}/{name}") for directory in UNIT_DIRECTORIES for name in CLOCKS):
        yield "warning", "", "nothing keeps the time: no systemd-timesyncd, chrony or ntp", "install one; a clock that is wrong fails every certificate"
