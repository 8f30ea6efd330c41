"""The second half of the initrd, without its stages: check the root, mount what belongs to it, keep it in step, write its fstab."""

from __future__ import annotations

import os
import stat

from kairos_boot.actions.files import replace_file
from kairos_boot.actions.mounts import Bind, Mount
from kairos_boot.boot import fstab, persist, root
from kairos_boot.boot.disk import elsewhere, find_label, find_spec, find_state
from kairos_boot.boot.image import RECOVER, STATE_DIRECTORY, check_file_system
from kairos_boot.boot.report import FatalError
from kairos_boot.errors import KairosError, reason
from kairos_boot.records import replace
from kairos_boot.system.host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Protocol

    from kairos_boot.boot.cmdline import Cmdline
    from kairos_boot.boot.image import BootDisk
    from kairos_boot.boot.layout import Layout
    from kairos_boot.boot.report import Report
    from kairos_boot.boot.root import Part
    from kairos_boot.system.udev import Partition

    class Devices(Protocol):
        """Where partitions come from."""

        def wait(self, find: Callable[[list[Partition]], Partition | None], limit: float, disk: str = "") -> Partition | None:
            """See system.udev.Udev.wait."""

        def partitions(self) -> list[Partition]:
            """What is there now."""

PROGRAMS = ("/sbin/init", "/usr/lib/systemd/systemd", "/lib/systemd/systemd", "/init")

LOST = {
    "/oem": "this boot has none of its configuration",
    "/usr/local": "what is written there and to the persistent directories is kept in memory, until the node is switched off",
}
"""What a missing partition means for whoever reads of it."""


class Builder:
    """Makes one root. *run* is put before the paths of the writable layers' store (a test's own directory, else nothing)."""

    def __init__(self, host: Host, sysroot: str, report: Report, devices: Devices, cmdline: Cmdline, disk: BootDisk,
                 sync: Callable[[str], None], run: str = "") -> None:
        self.host, self.sysroot, self.report, self.devices = host, sysroot, report, devices
        self.cmdline, self.disk, self.sync, self.run = cmdline, disk, sync, run
        self.node = Host(sysroot, host.processes, host.clock)
        self.parts: list[Part] = []
        self.lines: list[fstab.Line] = []

    def resolve(self, path: str) -> str:
        """Where *path* of the node lies here."""
        return self.node.path(path)

    def check(self, label: str) -> None:
        """FatalError: there is no system at sysroot. An image that is damaged in its middle is noticed here, not by a dead PID 1."""
        mode = self.cmdline.root_mode
        if not any(self.node.exists(path) for path in PROGRAMS):
            raise FatalError("the root file system has no init: the state image is damaged, or holds no system", self.disk.image or self.sysroot, RECOVER)
        spec = f"/dev/disk/by-label/{label}" if label else self.disk.loop
        self.lines.append(fstab.Line(spec, "/", "auto", (mode,)))
        if mode == "rw":
            self.report.part("Made the root writable (debugrw)", self._remount)
        if self.disk.state:
            state = next((p for p in self.devices.partitions() if p.node == self.disk.state), None)
            spec = fstab.device(state) if state else self.disk.state
            self.lines.append(fstab.Line(spec, STATE_DIRECTORY, self.disk.fstype or "auto", (mode, *fstab.waiting(self.cmdline.device_seconds))))

    def _remount(self) -> None:
        from kairos_boot.system import mounts

        try:
            mounts.mount("", self.sysroot, options=("remount", "rw"))
        except OSError as error:
            raise KairosError(f"cannot remount: {reason(error)}", self.sysroot) from error

    def oem(self) -> bool:
        """Mount the OEM partition; without it the node boots, degraded (D3)."""
        label = self.cmdline.oem_label
        if not self.disk.disk:  # others make the root: no boot disk is known, and the partition is optional
            return self._any_oem(label)
        part = self._find(label, "/oem", lambda parts: find_label(parts, self.disk.disk, label), self.cmdline.oem_seconds)
        return part is not None and self._mount_oem(part)

    def _any_oem(self, label: str) -> bool:
        try:
            part = self.devices.wait(lambda parts: find_state(parts, "", label), self.cmdline.oem_seconds)
        except KairosError as error:
            self.report.warn(str(error))
            return False
        if part is None:
            self.report.warn(f"{label} is missing: /oem is not mounted")
        return part is not None and self._mount_oem(part)

    def _mount_oem(self, part: Partition) -> bool:
        check_file_system(part.node, part.fstype, self.cmdline.fsck, self.host.processes, self.report)
        line = fstab.Line(fstab.device(part), "/oem", part.fstype or "ext4", ("rw", *fstab.waiting(self.cmdline.oem_seconds)))
        return self.do(root.Part(Mount(part.node, self.resolve("/oem"), part.fstype or "ext4", ("rw",)), "/oem", line))

    def _find(self, what: str, where: str, find: Callable[[list[Partition]], Partition | None], seconds: float) -> Partition | None:
        try:
            part = self.devices.wait(find, seconds, self.disk.disk)
        except KairosError as error:
            self.report.missing(what, where, error)
            return None
        if part is None:
            others = elsewhere(self.devices.partitions(), self.disk.disk, what.partition("=")[2] or what)
            hint = f"{others} has that label, but is on another disk than the one that was booted from" if others else LOST.get(where, "")
            self.report.missing(what, where, KairosError(f"{what} is missing: {where} is not mounted", hint=hint))
        return part

    def lay(self, layout: Layout) -> None:
        """Make the layers, mount the volumes, and bind the persistent directories after bringing them in step."""
        seconds = self.cmdline.device_seconds
        for problem in layout.problems:
            self.report.missing("the layout", "", KairosError(problem))
        if not layout.found:
            self.report.missing("the layout", "", KairosError(
                "no stage wrote /run/cos/cos-layout.env: nothing is persistent in this boot", hint="a step of stage rootfs has to write it"))
        store = None
        if layout.overlay.startswith(("LABEL=", "UUID=", "PARTUUID=", "/dev/")):
            store = self._volume(layout.overlay, root.BASE, seconds)
        elif not layout.overlay.startswith("tmpfs:"):
            self.report.missing(layout.overlay, root.BASE, KairosError(f"OVERLAY={layout.overlay} is neither tmpfs:SIZE nor a device; memory is used"))
        tmp, base = root.base(layout, self.sysroot, store, self.run)
        self.do(tmp)
        self._base(base, layout)
        found = {volume.spec: self._volume(volume.spec, volume.path, seconds) for volume in layout.volumes}
        for part in root.layers(layout, found, self.resolve, seconds, self.run):
            if isinstance(part.action, Mount):
                check_file_system(part.action.source, part.action.fstype, self.cmdline.fsck if "rw" in part.action.options else (),
                                  self.host.processes, self.report)
            self.do(part)
        self.bind(layout)

    def _base(self, part: Part, layout: Layout) -> None:
        """What holds the layers; a size or a device that does not work is replaced by the default, since a slip must cost no boot."""
        default = root.base(replace(layout, overlay="tmpfs:20%"), self.sysroot, None, self.run)[1]
        if part == default:
            self.do(part)
        elif not self.do(replace(part, fatal=False)):
            self.parts.remove(replace(part, fatal=False))
            self.do(default)

    def _volume(self, spec: str, where: str, seconds: float) -> Partition | None:
        return self._find(spec, where, lambda parts: find_spec(parts, self.disk.disk, spec), seconds)

    def bind(self, layout: Layout) -> None:
        """Bring the persistent directories in step with the image and bind them."""
        parts, trees, problems = root.binds(layout, self.resolve)
        for problem in problems:
            self.report.missing("bind", "", KairosError(problem))
        there = [(part, tree) for part, tree in zip(parts, trees, strict=True) if self._make(part, tree.image)]
        if not there:
            return
        manifests = self.resolve(f"{layout.state_target}/.manifest")
        self.report.part(f"Kept {len(there)} persistent directories in step with the image",
                         lambda: self._synchronise([tree for _, tree in there], manifests), what="sync", where=layout.state_target)
        bound = sum(self.do(part, shown=False) for part, _ in there)
        self.report.say(f"Bound {bound} persistent directories")

    def _synchronise(self, trees: list[persist.Tree], manifests: str) -> None:
        outcomes = persist.synchronise(trees, manifests, image_identity(self.disk), self.sync)
        for outcome in outcomes:
            changes = outcome.changes
            if changes.write or changes.remove:
                self.report.log(6, f"{outcome.name}: {len(changes.write)} written, {len(changes.remove)} removed")
            for path in changes.kept:
                self.report.log(6, f"{outcome.name}: {path or '.'} stays as the user left it; the image has another one now")
        wrong = [f"{outcome.name}: {outcome.error}" for outcome in outcomes if outcome.error]
        if wrong:
            raise KairosError("; ".join(wrong), hint="is the persistent partition full?")

    def _make(self, part: Part, target: str) -> bool:
        """Whether the place of a mount is there, or could be made."""
        if os.path.isdir(target):
            return True
        try:
            os.makedirs(target)
        except OSError as error:
            text = f"{part.where} is not in the image and cannot be made ({reason(error)}): it is left out"
            if os.path.lexists(target) and not stat.S_ISDIR(os.stat(target).st_mode):
                text = f"{part.where} is no directory in the image: it is left out"
            self.report.warn(text)
            return False
        return True

    def do(self, part: Part, *, shown: bool = True) -> bool:
        """Make one mount and remember it. FatalError: the node cannot boot without it."""
        if part.optional and not self._make(part, part.action.target):
            return False
        if isinstance(part.action, Bind) and not os.path.isdir(part.action.source):
            self.report.missing(part.what, part.where, KairosError(f"{part.where} is not persistent: its directory could not be made"))
            return False
        self.parts.append(part)

        def apply() -> None:
            try:
                part.action.apply(self.host)
            except KairosError as error:
                if part.fatal:
                    raise FatalError(f"the root overlay failed: {error.message}", error.where, RECOVER) from error
                raise

        options = part.line.options if part.line else ()
        done = self.report.part(part.text, apply, what=part.what, where=part.where, fstype=part.fstype, options=options, shown=shown)
        if done and part.line:
            self.lines.append(part.line)
        return done

    def write_fstab(self) -> None:
        """Write /etc/fstab of the node."""
        path = self.resolve("/etc/fstab")

        def write() -> None:
            try:
                replace_file(path, fstab.render(self.lines).encode("utf-8", "surrogateescape"), 0o644, 0, 0)
            except OSError as error:
                raise KairosError(f"cannot write it: {reason(error)}", "/etc/fstab", "/etc belongs into RW_PATHS") from error

        self.report.part("Wrote /etc/fstab", write, what="fstab", where="/etc/fstab")

    def verify(self) -> None:
        """Record what was planned and is not there (D6)."""
        for part in self.parts:
            if part.action.would_change(self.host):
                self.report.missing(part.what, part.where, KairosError(f"{part.where} is not mounted as planned ({part.action.describe()})"))


def image_identity(disk: BootDisk) -> str:
    """A name for the content of the image: its file's inode, size and times, and its superblock, which counts what was ever written.
    An upgrade writes a new file; a change in place sets its times. Empty without an image, and then nothing is taken for unchanged.
    """
    try:
        now = os.stat(disk.image)
        with open(disk.image, "rb") as file:
            file.seek(1024)
            block = file.read(1024)
    except OSError:
        return ""
    from hashlib import blake2b

    times = f"{now.st_ino}:{now.st_size}:{now.st_mtime_ns}:{now.st_ctime_ns}"
    return f"1:{disk.image}:{times}:{blake2b(block, digest_size=16).hexdigest()}"


def link_sources(names: Iterable[str], sysroot: str, base: str = "") -> None:
    """The node's configuration directories where the initrd's stage looks for them; what is there already stays."""
    for name in names:
        if not os.path.lexists(f"{base}{name}"):
            os.symlink(f"{sysroot}{name}", f"{base}{name}")
