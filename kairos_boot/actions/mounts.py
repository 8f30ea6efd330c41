"""Mounts as data: what is already mounted at the place stays."""

from __future__ import annotations

import os

from kairos_boot.errors import Explained, KairosError, reason
from kairos_boot.records import record
from kairos_boot.system import mounts
from kairos_boot.system.host import Host


@record
class Mount:
    """A file system at *target*, a directory (made when missing, with *mode*)."""

    source: str
    target: str
    fstype: str
    options: tuple[str, ...] = ()
    mode: int = 0o755

    def describe(self) -> str:
        """Source, place and options."""
        return f"mount {self.source} at {self.target} ({self.fstype}{', ' if self.options else ''}{','.join(self.options)})"

    def would_change(self, host: Host) -> bool | None:
        """Whether nothing that can be seen is mounted there, or another device."""
        now = mounts.visible(host.path(self.target))
        return now is None or (self.source.startswith("/dev/") and os.path.realpath(now.source) != os.path.realpath(self.source))

    def apply(self, host: Host) -> bool:
        """Mount it. KairosError: the directory cannot be made, or the kernel refuses."""
        if not self.would_change(host):
            return False
        target = host.path(self.target)
        try:
            _directory(target, self.mode)
            mounts.mount(self.source, target, self.fstype, self.options)
        except OSError as error:
            hint = "" if self.source == self.fstype else "see dmesg; check the file system with the tools of its kind, such as e2fsck"
            raise KairosError(f"cannot mount {self.source}: {reason(error)}", self.target, hint) from error
        return True


@record
class Overlay:
    """A writable layer over *target*: what is written goes to *store*, which holds `upper` and `work`."""

    target: str
    store: str

    @property
    def upper(self) -> str:
        """Where changed files lie."""
        return f"{self.store}/upper"

    @property
    def work(self) -> str:
        """The kernel's own directory, on the same file system."""
        return f"{self.store}/work"

    def describe(self) -> str:
        return f"overlay {self.target}, changes in {self.store}"

    def would_change(self, host: Host) -> bool | None:
        now = mounts.visible(host.path(self.target))
        return now is None or now.fstype != "overlay"

    def apply(self, host: Host) -> bool:
        """Mount it, its root with the owner and mode that the directory has. KairosError: the kernel refuses."""
        if not self.would_change(host):
            return False
        target = host.path(self.target)
        upper, work = host.path(self.upper), host.path(self.work)
        with Explained("cannot mount the overlay", self.target):
            like = os.stat(target)
            for directory in (upper, work):
                _directory(directory, 0o755)
            os.chown(upper, like.st_uid, like.st_gid)
            os.chmod(upper, like.st_mode & 0o7777)
            words = [f"{name}={_escaped(path)}" for name, path in (("lowerdir", target), ("upperdir", upper), ("workdir", work))]
            mounts.mount("overlay", target, "overlay", words)
        return True


@record
class Bind:
    """The directory *source* also at *target*."""

    source: str
    target: str

    def describe(self) -> str:
        return f"bind {self.source} to {self.target}"

    def would_change(self, host: Host) -> bool | None:
        try:
            ours, theirs = os.stat(host.path(self.source)), os.stat(host.path(self.target))
        except OSError:
            return True
        return (ours.st_dev, ours.st_ino) != (theirs.st_dev, theirs.st_ino)

    def apply(self, host: Host) -> bool:
        """Bind it. KairosError: one of them is missing, or the kernel refuses."""
        if not self.would_change(host):
            return False
        with Explained(f"cannot bind {self.source}", self.target):
            mounts.mount(host.path(self.source), host.path(self.target), options=("bind",))
        return True


def _directory(path: str, mode: int) -> None:
    if not os.path.isdir(path):
        os.makedirs(path, mode=mode, exist_ok=True)


def _escaped(path: str) -> str:
    """As overlayfs wants it: a colon parts directories, a comma options."""
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")
