"""The immutable root as mounts: temporary directories, writable layers, further file systems, persistent directories (D3).

Here each is made for itself; `order` tells which of them are done, and when.
"""

from __future__ import annotations

from kairos_boot.actions.mounts import Bind, Mount, Overlay
from kairos_boot.boot import fstab
from kairos_boot.boot.fstab import Line
from kairos_boot.errors import KairosError
from kairos_boot.records import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kairos_boot.boot.layout import RootLayout
    from kairos_boot.system.udev import Partition

BASE = "/run/overlay"
KERNELS = ("/dev", "/proc", "/run", "/sys")
"""Others mount there when the root is entered, over whatever was there."""
MEMORY, LAYER, READ_ONLY, PERSISTENT, VOLUME = range(5)
"""Kinds of mounts. At one place the later kind wins over the earlier: what is written there lasts longer (D11). A read-only volume
keeps nothing that is written; still it is what its owner wants to see there."""


@record
class Part:
    """One mount. `where` is its path as the layout has it, `place` what that leads to in the image."""

    action: Mount | Overlay | Bind
    where: str
    place: str
    kind: int
    line: Line | None = None
    fatal: bool = False
    """Whether the node cannot boot when it fails."""
    optional: bool = False
    """A place that the image does not have and that cannot be made costs a warning only."""
    name: str = ""
    """The name of a persistent directory's store and manifest."""
    behind: str = ""
    """What its place is part of without it and is persistent, too: a path of the node."""
    needless: str = ""
    """Why its directory is all that is needed."""
    instead: Part | None = None
    """What is mounted where this fails."""

    @property
    def text(self) -> str:
        where = self.where if self.where == self.place else f"{self.where} ({self.place})"
        action = self.action
        if isinstance(action, Overlay):
            return f"Made {where} writable"
        if isinstance(action, Bind):
            return f"Bound {where} to its persistent directory"
        return f"Mounted {where} ({action.source})"

    @property
    def what(self) -> str:
        return "overlay" if isinstance(self.action, Overlay) else self.action.source

    @property
    def fstype(self) -> str:
        return self.action.fstype if isinstance(self.action, Mount) else "overlay" if isinstance(self.action, Overlay) else "bind"


class Parts:
    """Makes the mounts of a layout. *locate* tells where a path of the node leads in the image; *run* is put before the paths of the
    writable layers' store (a test's own directory, else nothing). `problems` are what the layout asks for and cannot be, as pairs of
    path and text.
    """

    def __init__(self, layout: RootLayout, locate: Callable[[str], str], sysroot: str, run: str = "") -> None:
        self.layout, self.locate, self.sysroot, self.run = layout, locate, sysroot, run
        self.problems: list[tuple[str, str]] = []
        self.store = self._place(layout.state_target) if layout.state_paths else ""
        """Where the persistent directories lie; empty without any."""
        self.held = False
        """Whether there is to be a volume that the store lies on."""

    def _place(self, path: str) -> str:
        """Where *path* leads, or nothing and a problem."""
        try:
            place = self.locate(path)
        except KairosError as error:
            self.problems.append((path, f"{path} leads nowhere ({error.message}): it is left out"))
            return ""
        if place == "/" or f"/{place.split('/')[1]}" in KERNELS:
            self.problems.append((path, f"{path}{f' leads to {place} and' if place != path else ''} is nothing that a layout can change: it is left out"))
            return ""
        return place

    def base(self, device: Partition | None) -> Part:
        """The file system that holds the writable layers: the *device* that OVERLAY names, else memory."""
        store = f"{self.run}{BASE}"
        if device:
            options: tuple[str, ...] = ("rw",)
            line = Line(fstab.device(device), BASE, device.fstype, (*options, *fstab.INITRD))
            return Part(Mount(device.node, store, device.fstype, options, 0o700), BASE, BASE, VOLUME, line, fatal=True)
        kind, _, size = self.layout.overlay.partition(":")
        options = (f"size={size if kind == 'tmpfs' and size else '20%'}", "mode=0700")
        return Part(Mount("tmpfs", store, "tmpfs", options, 0o700), BASE, BASE, MEMORY, Line("tmpfs", BASE, "tmpfs", (*options, *fstab.INITRD)), fatal=True)

    def all(self, devices: Mapping[str, Partition | None], seconds: float) -> list[Part]:
        """Every mount that the layout asks for. *devices* gives the partition of a volume's spec, None for a missing one, which may
        take *seconds* to come in the running node.
        """
        return [*self._temporary(), *self._layers(), *self._volumes(devices, seconds), *self._directories()]

    def _temporary(self) -> Iterable[Part]:
        place = self._place("/tmp")
        options = ("mode=1777", "nosuid", "nodev")
        if place:
            yield Part(Mount("tmpfs", f"{self.sysroot}{place}", "tmpfs", options), "/tmp", place, MEMORY,
                       Line("tmpfs", place, "tmpfs", (*options, *fstab.LATER)), optional=True)

    def _layers(self) -> Iterable[Part]:
        names = _store_names(self.layout.rw_paths)
        for path in self.layout.rw_paths:
            place = self._place(path)
            if place:
                yield self._layer(path, place, names[path])

    def _layer(self, path: str, place: str, name: str) -> Part:
        store = f"{BASE}/{name}/.overlay"
        options = (f"lowerdir={place}", f"upperdir={store}/upper", f"workdir={store}/work", f"x-systemd.requires-mounts-for={BASE}", *fstab.INITRD)
        return Part(Overlay(f"{self.sysroot}{place}", f"{self.run}{store}"), path, place, LAYER, Line("overlay", place, "overlay", options),
                    fatal=True, optional=True)

    def _volumes(self, devices: Mapping[str, Partition | None], seconds: float) -> Iterable[Part]:
        """In the place of a volume that the persistent directories would lie on and that is not there, there is a layer in memory:
        nothing written there lasts, but whoever writes can.
        """
        for volume in self.layout.volumes:
            place = self._place(volume.path)
            if not place:
                continue
            instead = replace(self._layer(volume.path, place, dashed(volume.path)), fatal=False) if holds(place, self.store) else None
            self.held = self.held or instead is not None
            found = devices.get(volume.spec)
            if found:
                fstype = found.fstype or "ext4"
                line = Line(fstab.device(found), place, fstype, (*volume.options, *fstab.waiting(seconds)))
                yield Part(Mount(found.node, f"{self.sysroot}{place}", fstype, volume.options), volume.path, place,
                           VOLUME if "rw" in volume.options else READ_ONLY, line, instead=instead)
            elif instead:
                yield instead

    def _directories(self) -> Iterable[Part]:
        names: dict[str, str] = {}
        for path in sorted(self.layout.state_paths, key=parents_first) if self.store else ():
            name, place = dashed(path), self._place(path)
            if name in names:
                self.problems.append((path, f"{path} is not persistent: its store {name}.bind is that of {names[name]}"))
            elif place:
                names[name] = path
                store = f"{self.store}/{name}.bind"
                yield Part(Bind(f"{self.sysroot}{store}", f"{self.sysroot}{place}"), path, place, PERSISTENT,
                           Line(store, place, "none", ("bind", *fstab.INITRD)), optional=True, name=name,
                           instead=replace(self._layer(path, place, f"{name}.bind"), fatal=False))


def dashed(path: str) -> str:
    """The name of a path's store: existing nodes have these on their disks (immucore's)."""
    return path.strip("/").replace("/", "-")


def _store_names(paths: Iterable[str]) -> dict[str, str]:
    """The names of the layers' stores, `/a/b` and `/a-b` told apart: two layers never share one."""
    plain = [dashed(path) for path in paths]
    return {path: dashed(path.replace("-", "%2d") if plain.count(dashed(path)) > 1 else path) for path in paths}


def parents_first(path: str) -> tuple[int, str, str]:
    """The order of paths: the fewest parts first, then by the last one."""
    parts = path.strip("/").split("/")
    return len(parts), parts[-1], path


def holds(place: str, other: str) -> bool:
    return f"{other}/".startswith(f"{place}/")
