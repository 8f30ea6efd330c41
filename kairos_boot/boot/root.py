"""The immutable root as a plan: temporary directories, writable layers, further file systems, persistent directories (D3, D6)."""

from __future__ import annotations

from kairos_boot.actions.mounts import Bind, Mount, Overlay
from kairos_boot.boot import fstab
from kairos_boot.boot.fstab import Line
from kairos_boot.boot.persist import Tree
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kairos_boot.boot.layout import Layout
    from kairos_boot.system.udev import Partition

BASE = "/run/overlay"


@record
class Part:
    """One mount: `where` is its place in the node; a `fatal` one that fails keeps the node from booting."""

    action: Mount | Overlay | Bind
    where: str
    line: Line | None = None
    fatal: bool = False
    optional: bool = False
    """A place that the image does not have and that cannot be made costs a warning only."""

    @property
    def text(self) -> str:
        """What the status line says."""
        action = self.action
        if isinstance(action, Overlay):
            return f"Made {self.where} writable"
        if isinstance(action, Bind):
            return f"Bound {self.where} to its persistent directory"
        return f"Mounted {self.where} ({action.source})"

    @property
    def what(self) -> str:
        """The source, for the ledger."""
        return "overlay" if isinstance(self.action, Overlay) else self.action.source

    @property
    def fstype(self) -> str:
        """The type of the file system."""
        return self.action.fstype if isinstance(self.action, Mount) else "overlay" if isinstance(self.action, Overlay) else "bind"


def dashed(path: str) -> str:
    """The name of a path's store: existing nodes have these on their disks (spec/initramfs.md 3.8)."""
    return path.strip("/").replace("/", "-")


def parents_first(path: str) -> tuple[int, str]:
    """The order in which mounts are made: the fewest parts first, then by the last one."""
    parts = path.strip("/").split("/")
    return len(parts), parts[-1]


def base(layout: Layout, sysroot: str, device: Partition | None, run: str = "") -> list[Part]:
    """`/tmp`, and the file system that holds the writable layers: the *device* that OVERLAY names, else memory."""
    tmp = ("mode=1777", "nosuid", "nodev")
    store = f"{run}{BASE}"
    parts = [Part(Mount("tmpfs", f"{sysroot}/tmp", "tmpfs", tmp), "/tmp", Line("tmpfs", "/tmp", "tmpfs", (*tmp, *fstab.LATER)), optional=True)]
    if device:
        options: tuple[str, ...] = ("rw",)
        line = Line(fstab.device(device), BASE, device.fstype, (*options, *fstab.INITRD))
        return [*parts, Part(Mount(device.node, store, device.fstype, options, 0o700), BASE, line, fatal=True)]
    kind, _, size = layout.overlay.partition(":")
    tmpfs = (f"size={size if kind == 'tmpfs' and size else '20%'}", "mode=0700")
    return [*parts, Part(Mount("tmpfs", store, "tmpfs", tmpfs, 0o700), BASE, Line("tmpfs", BASE, "tmpfs", (*tmpfs, *fstab.INITRD)), fatal=True)]


def layers(layout: Layout, devices: Mapping[str, Partition | None], resolve: Callable[[str], str], seconds: float, run: str = "") -> list[Part]:
    """The writable layers and the volumes, parents first. *devices* gives the partition of a volume's spec, None for a missing one;
    *resolve* gives the place of a node's path here, links of the image followed inside it.

    In the place of a missing volume that the persistent directories would lie on, there is a layer in memory: nothing written there
    lasts, but whoever writes can.
    """
    parts = [_layer(path, resolve, run) for path in layout.rw_paths]
    for volume in layout.volumes:
        found = devices.get(volume.spec)
        if found:
            kind = found.fstype or "ext4"
            line = Line(fstab.device(found), volume.path, kind, (*volume.options, *fstab.waiting(seconds)))
            parts.append(Part(Mount(found.node, resolve(volume.path), kind, volume.options), volume.path, line))
        elif f"{layout.state_target}/".startswith(f"{volume.path}/") and volume.path not in layout.rw_paths:
            parts.append(replaced(_layer(volume.path, resolve, run)))
    return sorted(parts, key=lambda part: parents_first(part.where)[0])


def replaced(part: Part) -> Part:
    """The same, but the node boots without it."""
    return Part(part.action, part.where, part.line, fatal=False, optional=True)


def _layer(path: str, resolve: Callable[[str], str], run: str) -> Part:
    store = f"{BASE}/{dashed(path)}/.overlay"
    action = Overlay(resolve(path), f"{run}{store}")
    options = (f"lowerdir={path}", f"upperdir={store}/upper", f"workdir={store}/work", f"x-systemd.requires-mounts-for={BASE}", *fstab.INITRD)
    return Part(action, path, Line("overlay", path, "overlay", options), fatal=True, optional=True)


def binds(layout: Layout, resolve: Callable[[str], str]) -> tuple[list[Part], list[Tree], list[str]]:
    """The persistent directories, parents first, what has to be brought in step for them, and what cannot be in words."""
    parts, trees, problems = [], [], []
    names: dict[str, str] = {}
    for path in sorted(layout.state_paths, key=parents_first):
        name = dashed(path)
        if name in names:
            problems.append(f"{path} is not persistent: its store {name}.bind is that of {names[name]}")
            continue
        if f"{layout.state_target}/".startswith(f"{path}/"):
            problems.append(f"{path} is not persistent: its store would lie inside it")
            continue
        names[name] = path
        store = f"{layout.state_target}/{name}.bind"
        here = resolve(store)
        line = Line(store, path, "none", ("bind", *fstab.INITRD))
        parts.append(Part(Bind(here, resolve(path)), path, line, optional=True))
        trees.append(Tree(name, resolve(path), here))
    return parts, trees, problems
