"""The medium that a machine was booted from which is to become a node of one signed file: a disc, on it a FAT image, and in that the signed programs (3.14)."""

from __future__ import annotations

import os

from kairos_boot.actions.mounts import Mount
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle.sources import TREE
from kairos_boot.node import loader
from kairos_boot.system import loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.lifecycle.sources import Source
    from kairos_boot.system.host import Host

LABEL = "UKI_ISO_INSTALL"
"""That of the disc."""
DISC, IMAGE = "/run/initramfs/live", "efiboot.img"
"""Where the disc is mounted, and the FAT image on it, which is mounted at `sources.TREE`."""
HINT = "see lsblk -f; or name another source: --source dir:/PATH, file:/PATH/NAME.efi, oci:IMAGE"


def mounted(host: Host) -> None:
    """Mount what this machine was booted from, read-only, where that is not done. KairosError: it is not there, or cannot be mounted."""
    if os.path.ismount(host.path(TREE)):
        return
    node = host.path(f"/dev/disk/by-label/{LABEL}")
    image = f"{DISC}/{IMAGE}"
    if not host.exists(image):
        if not os.path.exists(node):
            raise KairosError("the medium that this machine was booted from is not there", f"LABEL={LABEL}", HINT)
        Mount(os.path.realpath(node), DISC, "iso9660", ("ro",)).apply(host)
    if not host.exists(image):
        raise KairosError("the medium has no such file, so there is nothing to install on it", image, HINT)
    Mount(loop.attach(host.path(image), read_only=True), TREE, "vfat", ("ro",)).apply(host)


def loader_of(host: Host, source: Source) -> str:
    """The path of the boot loader for a node made of *source*, which has arrived: its own, else that of the medium. KairosError: there is none (G1)."""
    for tree in dict.fromkeys((*((source.path,) if source.is_tree else ()), TREE)):
        for name in loader.LOADERS:
            if host.exists(f"{tree}/{name}"):
                return f"{tree}/{name}"
    raise KairosError(f"there is no boot loader for the new node: {' or '.join(loader.LOADERS)}", str(source.named), "boot a medium that has it, or name a source with it")
