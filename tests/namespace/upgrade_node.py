"""A node in any of its systems before an upgrade, inside a mount namespace: what an installation, of ours or of Kairos, left on its partitions."""

from __future__ import annotations

import os
import subprocess

from reset_node import FILES, ResetNode, content, digest, fill, mounts, text, with_state  # type: ignore[import-not-found]  # beside this file

OURS = {"usr/lib/kairos-boot/x": "", "usr/lib/udev/rules.d/61-kairos-boot.rules": ""}
COS = "/run/initramfs/cos-state"
NEW = {"etc/cos/bootargs.cfg": "set kernelcmd=new\n", "etc/version": "2", **OURS}


class UpgradeNode(ResetNode):  # type: ignore[misc]
    """The node below *home*, running its *boot* system (active, passive or recovery); *ours*: the images are this project's, else Kairos' own."""

    def __init__(self, home: str, boot: str = "active", *, ours: bool = True, **how: object) -> None:
        self.ours = ours
        super().__init__(home, **{"state_mib": 200, **how})
        self.name = "upgrade"
        self.new = self.new_tree()
        os.rename("/run/cos/recovery_mode", f"/run/cos/{boot}_mode")
        if boot != "recovery":
            mounts.unmount(COS)
            mounts.mount(self.state.node, COS, "ext4", ("ro",))
            if self.node_disk.persistent is not None:
                mounts.mount(self.node_disk.persistent.node, "/usr/local", "ext4")

    def fill_state(self, place: str, mib: int) -> None:
        super().fill_state(place, mib)
        if self.ours:
            for path, text in OURS.items():
                self.write(f"{self.home}/tree/{path}", text)
        for name, label in (("active", "COS_ACTIVE"), ("passive", "COS_PASSIVE")):
            self.write(f"{self.home}/tree/etc/version", name)
            self.remake(f"{place}/cOS/{name}.img", label, mib)

    def remake(self, path: str, label: str, mib: int) -> None:
        """As mkfs and, for Kairos, tune2fs left it: ext2, no digest beside it."""
        with open(path, "wb") as file:
            file.truncate(mib << 20)
        kind = "ext4" if self.ours else "ext2"
        subprocess.run(["mke2fs", "-q", "-F", "-t", kind, "-L", "COS_ACTIVE", "-d", f"{self.home}/tree", path], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["tune2fs", "-L", label, path], check=True, stdout=subprocess.DEVNULL)
        if self.ours:
            self.write(path + ".sha256", f"{digest(path)}  {os.path.basename(path)}\n")

    def new_tree(self) -> str:
        """What the new system is."""
        for path, said in {**FILES, **NEW}.items():
            self.write(f"{self.home}/new/{path}", said)
        return f"{self.home}/new"

    def inside(self, name: str) -> dict[str, str]:
        """The files of an image on COS_STATE, its label under the empty name."""
        return content(f"{self.state_place}/cOS/{name}.img")  # type: ignore[no-any-return]

    @property
    def state_place(self) -> str:
        """Where COS_STATE is mounted, mounted if it is not."""
        if os.path.exists(f"{COS}/grubenv"):
            return COS
        if not os.path.ismount("/run/seen-state"):
            os.makedirs("/run/seen-state", exist_ok=True)
            mounts.mount(self.state.node, "/run/seen-state", "ext4", ("ro",))
        return "/run/seen-state"


__all__ = ["COS", "NEW", "OURS", "UpgradeNode", "content", "digest", "fill", "mounts", "text", "with_state"]
