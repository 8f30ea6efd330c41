"""A node in its recovery system, inside a mount namespace: partitions as loop devices over image files, /run, /oem and /usr/local of its own."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
from typing import TYPE_CHECKING, Any

from image_files import make_file_system  # type: ignore[import-not-found]  # beside this file
from initrds import initrd  # type: ignore[import-not-found]

from kairos_boot.cli.actions import Wired
from kairos_boot.node.partitions import NodeDisk
from kairos_boot.stages.ledger import Ledger
from kairos_boot.system import loop, mounts
from kairos_boot.system.udev import Partition

if TYPE_CHECKING:
    from collections.abc import Mapping

MENU = "menuentry x --id cos {}\n"
FILES = {"boot/vmlinuz": "kernel", "boot/initrd": initrd(), "etc/os-release": "ID=test\n", "etc/cos/grub.cfg": MENU, "etc/cos/bootargs.cfg": "set x=y\n", "sbin/init": "#!", "system/oem/x": "",
         "usr/local/x": "", "oem/x": "", "proc/x": "", "sys/x": "", "dev/x": "", "run/x": ""}
GRUBENV = b"# GRUB Environment Block\n".ljust(1024, b"#")


class ResetNode(Wired):
    """The node below *home*. `oem` and `persistent` are the file systems of these partitions, empty for a damaged one, None for a missing one."""

    def __init__(self, home: str, *, oem: str | None = "ext4", persistent: str | None = "ext4", steps: str = "", image_mib: int = 16,
                 state: str = "ext4", state_mib: int = 80, persistent_mib: int = 16, documents: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.lines: list[str] = []
        self.loops: list[str] = []
        for place in ("/run", "/oem", "/usr/local", "/system"):
            os.makedirs(place, exist_ok=True)
            mounts.mount("tmpfs", place, "tmpfs")
        for path in ("/run/cos", "/run/initramfs/cos-state", "/system/oem"):
            os.makedirs(path)
        self.write("/run/cos/recovery_mode", "1")
        self.recovery = self.partition("recovery", "COS_RECOVERY", mib=image_mib * 2 + 8)
        mounts.mount(self.recovery.node, "/run/initramfs/cos-state", "ext4")
        os.makedirs("/run/initramfs/cos-state/cOS")
        self.image = make_file_system("/run/initramfs/cos-state/cOS/recovery.img", "COS_SYSTEM", self.tree(), image_mib)
        self.write(self.image + ".sha256", f"{digest(self.image)}  recovery.img\n")
        mounts.mount("", "/run/initramfs/cos-state", options=("remount", "ro"))
        self.state = self.partition("state", "COS_STATE", state, state_mib)
        with_state(self.state.node, home, lambda place: self.fill_state(place, image_mib), state)
        made_oem = self.partition("oem", "COS_OEM", oem) if oem is not None else None
        made_persistent = self.partition("persistent", "COS_PERSISTENT", persistent, persistent_mib) if persistent is not None else None
        self.node_disk = NodeDisk("/dev/vda", self.state, self.recovery, made_oem, made_persistent)
        if made_oem is not None and oem:
            mounts.mount(made_oem.node, "/oem", oem)
            with open("/oem/grubenv", "wb") as file:
                file.write(GRUBENV)
            self.write("/oem/kept", "kept")
        if steps:
            self.write("/oem/10_hooks.yaml", steps)
        for path, text in (documents or {}).items():
            self.write(path, text)
        if made_persistent is not None and persistent:
            with_state(made_persistent.node, home, lambda place: self.write(f"{place}/old", "old"), persistent)
        super().__init__("reset")
        self.ledger = Ledger("/run/cos/ledger", "boot")
        self.log = self.note

    def write(self, path: str, text: str) -> None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def tree(self) -> str:
        folder = f"{self.home}/tree"
        for path, text in FILES.items():
            self.write(f"{folder}/{path}", text)
        return folder

    def fill_state(self, place: str, mib: int) -> None:
        """What an installation left: two older images and the environment block."""
        os.makedirs(f"{place}/cOS")
        for name, label in (("active", "COS_ACTIVE"), ("passive", "COS_PASSIVE")):
            make_file_system(f"{place}/cOS/{name}.img", label, self.tree(), mib)
        with open(f"{place}/grubenv", "wb") as file:
            file.write(GRUBENV)

    def partition(self, name: str, label: str, fstype: str = "ext4", mib: int = 16) -> Partition:
        path = f"{self.home}/{name}.part"
        with open(path, "wb") as file:
            file.truncate(mib << 20)
        if fstype:
            subprocess.run([f"mkfs.{fstype}", "-q", "-L", label, path], check=True, stdout=subprocess.DEVNULL)
        node = loop.attach(path, read_only=False)
        self.loops.append(node)
        return Partition(node, "vda", label if fstype else "", fstype)

    def note(self, priority: int, message: str, **_: Any) -> None:
        self.lines.append(f"{priority} {message}")

    def disk(self) -> NodeDisk:
        """Known from the start: there is no udev here."""
        return self.node_disk

    def close(self) -> None:
        """Unmount, and give the loop devices back."""
        self.unmount()
        for node in self.loops:
            loop.detach(node)

    def unmount(self) -> None:
        """Unmount all that is the node's."""
        own = [m for m in mounts.mounted() if m.source in self.loops]
        for mount in reversed(own):
            mounts.unmount(mount.target, detach=True)


def with_state(node: str, home: str, work: Any, fstype: str = "ext4") -> Any:
    """Do *work* with the directory where *node* is mounted meanwhile."""
    place = f"{home}/look"
    os.makedirs(place, exist_ok=True)
    mounts.mount(node, place, fstype)
    try:
        return work(place)
    finally:
        mounts.unmount(place)


def fill(place: str) -> None:
    """Leave no room in the file system at *place*."""
    with open(f"{place}/fill", "wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 20))


def text(path: str) -> str | None:
    """What is in the file; None where there is none."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None


def digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content(image: str) -> dict[str, str]:
    """The files of an image file and their text, its label under the empty name."""
    node = loop.attach(image)
    place = f"/run/content-{os.path.basename(image)}"
    os.makedirs(place, exist_ok=True)
    try:
        mounts.mount(node, place, "ext4", ("ro",))
        found = {}
        for folder, _, files in os.walk(place):
            for name in (name for name in files if not os.path.islink(f"{folder}/{name}")):
                with open(f"{folder}/{name}", encoding="utf-8") as file:
                    found[f"{folder}/{name}".removeprefix(f"{place}/")] = file.read()
        mounts.unmount(place)
    finally:
        loop.detach(node)
    found[""] = subprocess.run(["e2label", image], check=True, capture_output=True, text=True).stdout.strip()
    return found


__all__ = ["FILES", "GRUBENV", "MENU", "ResetNode", "content", "digest", "fill", "mounts", "text", "with_state"]
