"""A partition's file system made anew, and mounts taken away before it."""

from __future__ import annotations

from kairos_boot.actions.base import always
from kairos_boot.errors import Explained, KairosError
from kairos_boot.records import record
from kairos_boot.system import mounts
from kairos_boot.system.host import Host


@record
class MakeFileSystem:
    """A new, empty file system *fstype* on *node* under *label*; everything on it is lost. Mounts of it go first."""

    node: str
    fstype: str
    label: str

    def describe(self) -> str:
        return f"erase {self.node}: a new {self.fstype}, {self.label}"

    would_change = always

    def apply(self, host: Host) -> bool:
        """Unmount, wipe, format. KairosError: it is in use, its tool is missing or fails."""
        from kairos_boot.system import filesystems
        from kairos_boot.system.blockdev import look_again

        node = host.real(self.node)
        with Explained("cannot be made anew", self.node, "see what uses it: findmnt, lsof"):
            unmount_all(node)
            filesystems.wipe(node)
            filesystems.make(host, node, self.fstype, self.label)
        look_again(host, [node])
        return True


@record
class Unmount:
    """Nothing is mounted at *target* or below it."""

    target: str

    def describe(self) -> str:
        return f"unmount {self.target}"

    def would_change(self, host: Host) -> bool | None:
        return mounts.at(host.path(self.target), mounts.mounted()) is not None

    def apply(self, host: Host) -> bool:
        """Unmount, the newest mount first. KairosError: something uses it."""
        target = host.path(self.target)
        below = [m.target for m in mounts.mounted() if m.target == target or m.target.startswith(f"{target}/")]
        for path in reversed(below):
            _unmount(path)
        return bool(below)


@record
class LetGo:
    """Nothing is mounted at *target* for anybody who looks for it there: unmounted, or detached where somebody holds it longer than a moment.

    What is written has to be durable before. Who looks at a loop device in this moment holds its file, and so the file system below it.
    """

    target: str
    seconds: float = 5.0

    def describe(self) -> str:
        """The place."""
        return f"unmount {self.target}"

    def would_change(self, host: Host) -> bool | None:
        """Whether something is mounted there."""
        return Unmount(self.target).would_change(host)

    def apply(self, host: Host) -> bool:
        """Unmount, or detach. KairosError: the kernel refuses both."""
        import time

        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            try:
                return Unmount(self.target).apply(host)
            except KairosError:
                time.sleep(0.1)
        target = host.path(self.target)
        mounts.sync_filesystem(target)
        with Explained("cannot be unmounted", self.target, "end what uses it; see lsof or fuser"):
            mounts.unmount(target, detach=True)
        return True


@record
class Remount:
    """The file system at *target* is writable, or read-only."""

    target: str
    writable: bool = True

    def describe(self) -> str:
        return f"remount {self.target} {'writable' if self.writable else 'read-only'}"

    def would_change(self, host: Host) -> bool | None:
        now = mounts.at(host.path(self.target), mounts.mounted())
        return now is not None and ("ro" in now.options or "ro" in now.super_options) == self.writable

    def apply(self, host: Host) -> bool:
        """Remount it. KairosError: the kernel refuses."""
        if not self.would_change(host):
            return False
        now = mounts.at(host.path(self.target), mounts.mounted())
        assert now is not None
        options = [word for word in now.options if word not in ("ro", "rw")]
        with Explained("cannot be remounted", self.target):
            mounts.mount(now.source, now.target, now.fstype, [*options, "remount", "rw" if self.writable else "ro"])
        return True


def unmount_all(node: str) -> None:
    """Unmount everything of the device *node*, the newest mount first. KairosError: something uses it."""
    device = mounts.device_of(node)
    for mount in reversed([m for m in mounts.mounted() if m.device == device or m.source == node]):
        _unmount(mount.target)


def _unmount(path: str) -> None:
    with Explained("cannot be unmounted", path, "end what uses it; see lsof or fuser"):
        mounts.unmount(path)
