"""The second half of the initrd, without its stages: check the root, mount what belongs to it, write its fstab."""

from __future__ import annotations

import os

from kairos_boot.actions.mounts import Bind, Mount
from kairos_boot.boot import fstab, order, root
from kairos_boot.boot.cmdline import DEVICE_SECONDS
from kairos_boot.boot.disk import by_name, elsewhere, find_label, find_spec, find_state
from kairos_boot.boot.image import RECOVER, STATE_DIRECTORY, check_file_system
from kairos_boot.boot.keeping import Keeping
from kairos_boot.boot.report import FatalError
from kairos_boot.errors import Explained, KairosError, reason
from kairos_boot.records import replace
from kairos_boot.system.atomic import replace_file
from kairos_boot.system.host import Host
from kairos_boot.system.udev import CRYPT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Protocol

    from kairos_boot.boot.cmdline import Cmdline
    from kairos_boot.boot.image import BootDisk
    from kairos_boot.boot.layout import RootLayout
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
LOCKED = "its key is asked for at the next boot; see journalctl -b -u kairos-boot-crypt, and docs/encryption.md. An initrd without the module kairos-boot-crypt opens nothing"
CHECK = "is the disk attached, and is this the name that blkid shows?"


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
            self.lines.append(fstab.Line(spec, STATE_DIRECTORY, self.disk.fstype or "auto", (mode, *fstab.waiting(DEVICE_SECONDS))))

    def _remount(self) -> None:
        from kairos_boot.system import mounts

        with Explained("cannot remount", self.sysroot):
            mounts.mount("", self.sysroot, options=("remount", "rw"))

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
        place, fstype = self._locate("/oem"), part.fstype or "ext4"
        line = fstab.Line(fstab.device(part), place, fstype, ("rw", *fstab.waiting(self.cmdline.oem_seconds)))
        return self.do(root.Part(Mount(part.node, f"{self.sysroot}{place}", fstype, ("rw",)), "/oem", place, root.VOLUME, line))

    def _find(self, what: str, where: str, find: Callable[[list[Partition]], Partition | None], seconds: float, *, anywhere: bool = False) -> Partition | None:
        """The partition *what*, waited for; unless it may be *anywhere*, its disk is there and waiting for others is in vain."""
        try:
            part = self.devices.wait(find, seconds, "" if anywhere else self.disk.disk)
        except KairosError as error:
            self.report.missing(what, where, error)
            return None
        if part is not None and part.fstype == CRYPT:
            self.report.missing(what, where, KairosError(f"{part.node} is encrypted and nobody opened it: {where} is not mounted", hint=LOCKED))
            return None
        if part is None:
            others = elsewhere(self.devices.partitions(), self.disk.disk, by_name(what).partition("=")[2] or what)
            hint = f"{others} has that label, but is on another disk than the one that was booted from" if others else LOST.get(where, CHECK)
            self.report.missing(what, where, KairosError(f"{what} is missing: {where} is not mounted", hint=hint))
        return part

    def lay(self, layout: RootLayout) -> None:
        """Mount what the layout asks for, parents first, the persistent directories brought in step with the image before they are bound."""
        for problem in layout.problems:
            self.report.missing("the layout", "", KairosError(problem, hint=order.REMEDY))
        if not layout.found:
            self.report.missing("the layout", "", KairosError(
                "no stage wrote /run/cos/cos-layout.env: nothing is persistent in this boot", hint="a step of stage rootfs has to write it"))
        parts = root.Parts(layout, self._locate, self.sysroot, self.run)
        memory = self._base(parts, layout)
        found = {volume.spec: self._volume(volume.spec, volume.path, DEVICE_SECONDS) for volume in layout.volumes}
        wanted = parts.all(found, DEVICE_SECONDS)
        mounted = [part for part in self.parts if part.where != root.BASE]
        plan = order.arrange(wanted, parts.store, mounted, self._in_image, memory=memory, told=parts.held)
        for where, text in (*parts.problems, *plan.problems):
            self.report.missing("the layout", where, KairosError(text, hint=order.REMEDY))
        for _, text in plan.warnings:
            self.report.warn(text)
        for _, text in plan.notes:
            self.report.log(6, text, kind="part")
        for part in plan.first:
            self.do(part)
        bound = sum(self.do(part, shown=not part.name) and bool(part.name) for part in Keeping(self.node, self.report, self.disk, self.sync, parts.store).in_step(plan.rest))
        if bound:
            self.report.say(f"Bound {bound} persistent directories")

    def _locate(self, path: str) -> str:
        """Where *path* leads in the node, links followed inside it."""
        return self.resolve(path)[len(self.sysroot):] or "/"

    def _in_image(self, place: str) -> bool:
        return os.path.isdir(f"{self.sysroot}{place}")

    def _base(self, parts: root.Parts, layout: RootLayout) -> bool:
        """Mount what holds the layers; whether it is memory. A size or a device that does not work is replaced by the default, since a
        slip must cost no boot.
        """
        device = None
        if layout.overlay.startswith(("LABEL=", "UUID=", "PARTUUID=", "/dev/")):
            device = self._volume(layout.overlay, root.BASE, DEVICE_SECONDS)
        elif not layout.overlay.startswith("tmpfs:"):
            self.report.missing(layout.overlay, root.BASE, KairosError(f"OVERLAY={layout.overlay} is neither tmpfs:SIZE nor a device; memory is used",
                                                                        hint="write tmpfs:25% or LABEL=…"))
        part = parts.base(device)
        default = root.Parts(replace(layout, overlay="tmpfs:20%", state_paths=()), self._locate, self.sysroot, self.run).base(None)
        if part == default or not self.do(replace(part, fatal=False)):
            self.do(default)
            return True
        return device is None

    def _volume(self, spec: str, where: str, seconds: float) -> Partition | None:
        ours = by_name(spec).partition("=")[2].startswith("COS_")
        return self._find(spec, where, lambda parts: find_spec(parts, self.disk.disk, spec), seconds, anywhere=not ours)

    def _make(self, part: Part) -> bool:
        """Whether the place of a mount is there, or could be made. Links of the image were followed when the mounts were ordered; one of
        a file system that is mounted by now may lead anywhere, so it is not followed, and no user leads a mount astray (C12).
        """
        try:
            with self.node.place(part.place) as place:
                astray = "" if place.path == part.action.target else f"{part.place} leads elsewhere by a link on a file system that is mounted above it"
                if not astray:
                    place.make_directory(0o755, None, None)
        except KairosError as error:
            astray = error.message
        except OSError as error:
            text = f"{part.where} is not there and cannot be made ({reason(error)}): it is left out"
            if part.optional:
                self.report.warn(text)
            else:
                self.report.missing(part.what, part.where, KairosError(text, hint="the image needs that directory, or a layer above it (RW_PATHS)"))
            return False
        if astray:
            self.report.missing(part.what, part.where, KairosError(f"{part.where} is not mounted: {astray}", hint="remove the link"))
            return False
        return self._is_directory(part)

    def _is_directory(self, part: Part) -> bool:
        if os.path.isdir(part.action.target):
            return True
        self.report.warn(f"{part.where} is no directory: it is left out")
        return False

    def do(self, part: Part, *, shown: bool = True) -> bool:
        """Make one mount and remember it; where it fails, what is to be there instead. FatalError: the node cannot boot without it."""
        if part.where != root.BASE and not self._make(part):
            return False
        if part.needless:
            self.report.log(6, part.needless, kind="part")
            return False
        done = self._mount(part, shown=shown)
        if done:
            self.parts.append(part)
            self.lines += [part.line] if part.line else []
        elif part.instead:
            self.do(part.instead)
        return done

    def _mount(self, part: Part, *, shown: bool) -> bool:
        action = part.action
        if isinstance(action, Bind) and not os.path.isdir(action.source):
            self.report.missing(part.what, part.where, KairosError(f"{part.where} is not persistent: its directory could not be made",
                                                                     hint="is the persistent partition full, or read-only after an error? see dmesg"))
            return False
        if isinstance(action, Mount) and action.source.startswith("/dev/"):
            check_file_system(action.source, action.fstype, self.cmdline.fsck if "rw" in action.options else (), self.host.processes, self.report)

        def apply() -> None:
            try:
                action.apply(self.host)
            except KairosError as error:
                if part.fatal:
                    raise FatalError(f"the root overlay failed: {error.message}", error.where, RECOVER) from error
                raise

        options = part.line.options if part.line else ()
        return self.report.part(part.text, apply, what=part.what, where=part.where, fstype=part.fstype, options=options, shown=shown)

    def write_fstab(self) -> None:
        def write() -> None:
            with Explained("cannot write it", "/etc/fstab", "/etc belongs into RW_PATHS"), self.node.place("/etc/fstab") as place:
                replace_file(place, fstab.render(self.lines).encode("utf-8", "surrogateescape"), 0o644, 0, 0)

        self.report.part("Wrote /etc/fstab", write, what="fstab", where="/etc/fstab")

    def verify(self) -> None:
        """Record what was mounted and is not what a program sees there (D6)."""
        for part in self.parts:
            if part.action.would_change(self.host):
                self.report.missing(part.what, part.where, KairosError(
                    f"{part.where} is not mounted as planned ({part.action.describe()})", hint="something was mounted over it, or it was unmounted: see findmnt"))


def link_sources(names: Iterable[str], sysroot: str) -> None:
    """The node's configuration directories where the initrd's stage looks for them; what is there already stays."""
    for name in names:
        if not os.path.lexists(name):
            os.symlink(f"{sysroot}{name}", name)


def name_the_system(sysroot: str, path: str = "/etc/os-release") -> None:
    """The system's own os-release where the conditions and the commands of the initrd's stage look for it.

    dracut puts an own one there. On Debian 13 it has nothing but dracut's name in it, so that a step for Debian would be left out.
    """
    for name in ("/etc/os-release", "/usr/lib/os-release"):
        found = os.path.realpath(f"{sysroot}{name}")
        if found.startswith(f"{sysroot}/") and os.path.isfile(found):
            os.symlink(found, f"{path}.new")
            os.replace(f"{path}.new", path)
            return
