"""The node's /etc/fstab: what was mounted, written so that systemd adopts it and nothing waits for ever (immucore's, but for the options)."""

from __future__ import annotations

from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from kairos_boot.system.udev import Partition

HEAD = """\
# Written at each boot by kairos-boot, from what the initrd mounted. Changes are lost at the next boot:
# mounts of your own belong into a cloud-config (VOLUMES and PERSISTENT_STATE_PATHS of /run/cos/cos-layout.env).
"""
LATER = ("nofail",)
"""A mount that is gone later must not keep the node from starting."""
INITRD = ("x-initrd.mount", "nofail")
"""Made in the initrd and needed to the end: systemd does not try to unmount it while its users still run."""


@record
class Line:
    """One mount, with the paths of the running node."""

    spec: str
    file: str
    fstype: str
    options: tuple[str, ...] = ()

    def text(self) -> str:
        return f"{_escaped(self.spec)} {_escaped(self.file)} {self.fstype} {_escaped(','.join(self.options)) or 'defaults'} 0 0"


def device(partition: Partition) -> str:
    """How a partition is named that no other disk of the same labels can take the place of."""
    if partition.partuuid:
        return f"/dev/disk/by-partuuid/{partition.partuuid}"
    return f"/dev/disk/by-uuid/{partition.uuid}" if partition.uuid else partition.node


def waiting(seconds: float) -> tuple[str, ...]:
    """The options of a device that may be missing."""
    return ("nofail", f"x-systemd.device-timeout={max(int(seconds), 1)}s")


def render(lines: Iterable[Line]) -> str:
    """The file: each mount point once, the last mount of it, in the order in which they were made."""
    unique: dict[str, Line] = {}
    for line in lines:
        unique.pop(line.file, None)
        unique[line.file] = line
    return HEAD + "".join(line.text() + "\n" for line in unique.values())


def _escaped(text: str) -> str:
    return text.replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011").replace("\n", "\\012")
