"""A node's root and partitions in a directory: image files instead of disks, a host of its own (runs inside the namespace)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from image_files import make_file_system  # type: ignore[import-not-found]  # beside this file

from kairos_boot.boot import layout
from kairos_boot.boot.build import Builder
from kairos_boot.boot.cmdline import Cmdline
from kairos_boot.boot.image import BootDisk
from kairos_boot.boot.report import Report
from kairos_boot.system import loop, mounts
from kairos_boot.system.host import Host
from kairos_boot.system.udev import Partition

if TYPE_CHECKING:
    from collections.abc import Callable

CMDLINE = "root=LABEL=COS_ACTIVE cos-img/filename=/cOS/active.img rd.cos.oemlabel=COS_OEM fsck.mode=skip "


class Node:
    """The parts of a boot. Attached loop devices go with `close`."""

    def __init__(self, home: str, *, persistent: bool = True, oem: bool = True, env: str = "", tree: dict[str, str] | None = None,
                 furnish: Callable[[str], None] | None = None) -> None:
        self.furnish = furnish
        self.home, self.sysroot, self.run = home, f"{home}/sysroot", f"{home}/ram"
        os.makedirs(self.run)
        self.env = env
        self.loops: list[str] = []
        self.records: list[dict[str, Any]] = []
        self.lines: list[str] = []
        self.partitions_: list[Partition] = []
        self.image = self.build_image(tree or {})
        self.boot()
        for there, label in ((oem, "COS_OEM"), (persistent, "COS_PERSISTENT")):
            if there:
                self.add(label, "vda")

    def build_image(self, tree: dict[str, str], name: str = "active.img") -> str:
        """An image with an init, the usual directories and the files of *tree*."""
        folder = f"{self.home}/{name}.d"
        for path in ("sbin", "etc/ssh", "home", "oem", "proc", "run", "sys", "dev", "tmp", "usr/local", "var/log", "srv", "opt", "root", "system/oem"):
            os.makedirs(f"{folder}/{path}", exist_ok=True)
        for path, text in {"sbin/init": "#!", **tree}.items():
            os.makedirs(os.path.dirname(f"{folder}/{path}"), exist_ok=True)
            with open(f"{folder}/{path}", "w", encoding="utf-8") as file:
                file.write(text)
        if self.furnish:
            self.furnish(folder)
        return str(make_file_system(f"{self.home}/{name}", "COS_ACTIVE", folder))

    def boot(self) -> None:
        """Mount the image at sysroot, as systemd does."""
        os.makedirs(self.sysroot, exist_ok=True)
        self.root_loop = self.attach(self.image)
        mounts.mount(self.root_loop, self.sysroot, "ext4", ("ro",))

    def attach(self, path: str, *, read_only: bool = True) -> str:
        node = loop.attach(path, read_only=read_only)
        self.loops.append(node)
        return node

    def add(self, label: str, disk: str) -> None:
        """A partition: an image file behind a writable loop device."""
        node = self.attach(make_file_system(f"{self.home}/{disk}-{label}", label), read_only=False)
        self.partitions_.append(Partition(node, disk, label, "ext4", f"guid-{disk}-{label}"))

    def builder(self, cmdline: str = "") -> Builder:
        """The second half of the initrd for this node."""
        report = Report(self, self.log, "/dev/null")  # type: ignore[arg-type]
        disk = BootDisk("vda", "/dev/vda4", "ext4", self.image, self.root_loop)
        return Builder(Host("/"), self.sysroot, report, self, Cmdline(CMDLINE + cmdline), disk, mounts.sync_filesystem, self.run)

    def lay(self, cmdline: str = "", *, recovery: bool = False) -> Builder:
        """Do it all but the stages."""
        builder = self.builder(cmdline)
        builder.check("COS_ACTIVE")
        builder.oem()
        builder.lay(layout.load(lambda path: self.env.encode() if path == layout.FILE else None, Cmdline(CMDLINE + cmdline), recovery=recovery))
        builder.write_fstab()
        builder.verify()
        return builder

    def wait(self, find: Callable[[list[Partition]], Partition | None], limit: float, disk: str = "") -> Partition | None:
        return find(self.partitions_)

    def partitions(self) -> list[Partition]:
        return self.partitions_

    def write(self, kind: str, **fields: Any) -> None:
        self.records.append({"kind": kind, **fields})

    def log(self, priority: int, message: str, **about: str) -> None:
        self.lines.append(message)

    def results(self) -> dict[str, str]:
        """What became of each place."""
        return {str(r["where"]): str(r["result"]) for r in self.records if r["kind"] == "mount"}

    def read(self, path: str) -> str | None:
        """A file of the node."""
        try:
            with open(f"{self.sysroot}{path}", encoding="utf-8") as file:
                return file.read()
        except OSError:
            return None

    def put(self, path: str, text: str) -> bool:
        """Write a file of the node; False if the place is read-only."""
        try:
            with open(f"{self.sysroot}{path}", "w", encoding="utf-8") as file:
                file.write(text)
        except OSError:
            return False
        return True

    def leave(self) -> None:
        """End this boot: everything is unmounted."""
        for mounted in reversed(mounts.mounted()):
            if mounted.target.startswith((self.sysroot, self.run)):
                mounts.unmount(mounted.target, detach=True)

    def close(self) -> None:
        """Unmount and give the loop devices back."""
        self.leave()
        for node in set(self.loops):
            loop.detach(node)
