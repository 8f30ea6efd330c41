"""A live system inside a mount namespace that installs on a disk: /run, /oem and /usr/local of its own, a small system as source, loop devices as disks."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING, Any

from initrds import HALF, initrd  # type: ignore[import-not-found]  # noqa: F401  # beside this file

from kairos_boot.cli.installer import Installer
from kairos_boot.lifecycle.installing import Asked, install
from kairos_boot.stages.ledger import Ledger
from kairos_boot.system import blockdev, loop, mounts, partitions
from kairos_boot.system.blkid import probe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kairos_boot.lifecycle.wired import Outcome

MENU = "menuentry x --id cos {}\nmenuentry y --id fallback {}\n"
BOOT = bytes(range(256)) * 2
"""Stands for GRUB's boot code and its core; nobody starts them here."""
FILES: dict[str, str | bytes] = {
    "boot/vmlinuz": "kernel", "boot/initrd": initrd(), "etc/os-release": "ID=test\n", "etc/kairos-release": 'KAIROS_GRUB_ENTRY_NAME="Our node"\n', "etc/cos/grub.cfg": MENU,
    "etc/cos/bootargs.cfg": "set kernelcmd=x\n", "etc/kairos/branding/grubmenu.cfg": "menuentry z --id remoterecovery {}\n", "sbin/init": "#!", "system/oem/x": "",
    "usr/local/x": "", "oem/x": "", "proc/x": "", "sys/x": "", "dev/x": "", "run/x": "", "usr/share/kairos-boot/grub/boot.img": BOOT,
    "usr/share/kairos-boot/grub/core.img": b"core" * 300, "usr/share/kairos-boot/grub/bootx64.efi": b"MZ" * 300}
USER = "#cloud-config\nusers: [{name: kairos, groups: [admin]}]\n"
SMALL = "  partitions: {state: {size: 100}, recovery: {size: 100}, oem: {size: 16}, efi: {size: 16}}\n  system: {size: 24}\n"


class InstallNode(Installer):
    """The machine; *disks* are their sizes in MiB. Its source is `dir:HOME/tree`."""

    def __init__(self, home: str, *disks: int, files: Mapping[str, str | bytes | None] | None = None, cmdline: str = "") -> None:
        self.home, self.lines = home, list[str]()
        for place in ("/run", "/oem", "/usr/local", "/system"):
            os.makedirs(place, exist_ok=True)
            mounts.mount("tmpfs", place, "tmpfs")
        for path in ("/run/cos", "/system/oem"):
            os.makedirs(path)
        for path, text in {**FILES, **(files or {})}.items():
            if text is not None:
                self.write(f"{home}/tree/{path}", text)
        self.own: list[str] = []
        for number, size in enumerate(disks):
            with open(f"{home}/disk{number}", "wb") as file:
                file.truncate(size << 20)
            self.own.append(loop.attach(f"{home}/disk{number}", read_only=False))
        super().__init__(cmdline)
        self.ledger = Ledger("/run/cos/ledger", "boot")
        self.log = self.note

    def write(self, path: str, text: str | bytes) -> None:
        """A file with its directories."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())

    def disks(self) -> list[str]:
        """Those of this test: others work on loop devices, too."""
        return self.own

    def note(self, priority: int, message: str, **_: Any) -> None:
        """Remember what was said."""
        self.lines.append(f"{priority} {message}")

    def install(self, text: str = "", disk: str | None = None, **asked: Any) -> Outcome:
        """`manual-install` of a document with a user, the section install of small partitions, and *text*."""
        path = f"{self.home}/config.yaml"
        self.write(path, text if text.startswith("#") else f"{USER}install:\n{SMALL}{text}")
        config = self.collector().given(path, self.cmdline)
        self.take(config)
        return install(self, config, Asked(self.own[0] if disk is None else disk, **{"source": f"dir:{self.home}/tree", "firmware": "bios", **asked}))

    def table(self, disk: str) -> list[tuple[int, str, str, str]]:
        """Number, name, label and file system of each partition."""
        found = partitions.read_table(self.host, disk)
        contents = [(slot, probe(slot.node)) for slot in (found.slots if found else ())]
        return [(slot.number, slot.name, content.label, content.fstype) for slot, content in contents]

    def look(self, disk: str, number: int, work: Any, fstype: str = "ext4") -> Any:
        """What *work* makes of the directory where a partition is mounted meanwhile."""
        return looked(partitions.node_of(disk, number), f"{self.home}/look", work, fstype)

    def inside(self, disk: str, number: int, image: str, work: Any) -> Any:
        """The same inside an image on a partition."""
        def deeper(place: str) -> Any:
            node = loop.attach(f"{place}/{image}")
            try:
                return looked(node, f"{self.home}/deeper", work, "ext4", ("ro",))
            finally:
                loop.detach(node)

        return self.look(disk, number, deeper)

    def close(self) -> None:
        """Give the loop devices back."""
        for mount in reversed([m for m in mounts.mounted() if m.source.startswith(tuple(self.own) or ("/nothing",))]):
            mounts.unmount(mount.target, detach=True)
        for disk in self.own:
            for _ in range(50):
                try:
                    blockdev.tell(disk, {})
                    break
                except Exception:  # noqa: BLE001 -- a device that is just being looked at
                    time.sleep(0.1)
            loop.detach(disk)


def looked(node: str, place: str, work: Any, fstype: str, options: tuple[str, ...] = ()) -> Any:
    """Mount, work, unmount."""
    os.makedirs(place, exist_ok=True)
    mounts.mount(node, place, fstype, options)
    try:
        return work(place)
    finally:
        mounts.unmount(place)


def read(path: str) -> str:
    """A text file."""
    with open(path, encoding="utf-8") as file:
        return file.read()


def digest(path: str) -> str:
    """All of a file."""
    return subprocess.run(["sha256sum", path], check=True, capture_output=True, text=True).stdout.split()[0]
