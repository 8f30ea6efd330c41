"""The boot loader's files on COS_STATE: the menu comes from the image that it starts, and variables are set as GRUB reads them (G2)."""

from __future__ import annotations

from kairos_boot.errors import Explained, KairosError, reason
from kairos_boot.node import grubenv
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kairos_boot.system.host import Host

MENU, IN_IMAGE, EXTRA = "grub2/grub.cfg", "/etc/cos/grub.cfg", "/etc/kairos/branding/grubmenu.cfg"
OLD = ".old"


@record
class InstallMenu:
    """The menu of the image *image* as the boot loader's menu below *state*; the one before it stays beside it."""

    image: str
    state: str

    def describe(self) -> str:
        """Both places."""
        return f"write {self.state}/{MENU} as {self.image} has it"

    def would_change(self, host: Host) -> bool | None:  # noqa: ARG002
        """The image has to be mounted to know."""
        return None

    def apply(self, host: Host) -> bool:
        """Compare, and replace. KairosError: the image has no menu, or the disk fails."""
        from contextlib import contextmanager

        from kairos_boot.actions.image_tree import mounted
        from kairos_boot.system.host import Host as Tree

        with contextmanager(mounted)(host.path(self.image), read_only=True) as place, Explained("the image's menu cannot be read", self.image, "build the image again"):
            menu, extra = (Tree(place).read(path) for path in (IN_IMAGE, EXTRA))  # links of the image lead inside it
        if not menu:
            raise KairosError(f"the image has no menu for the boot loader: {IN_IMAGE}", self.image, "build the image with it")
        changed = _put(host.path(f"{self.state}/{MENU}"), menu)
        return (_put(host.path(f"{self.state}/grubmenu"), extra) if extra else False) or changed


@record
class SetVariables:
    """Variables of the environment block *path*; None takes one away."""

    path: str
    changes: Mapping[str, str | None]

    def describe(self) -> str:
        """The names, and what they become."""
        return f"in {self.path}: " + ", ".join(f"{name}={value}" if value is not None else f"{name} removed" for name, value in self.changes.items())

    def check(self, host: Host) -> None:
        """KairosError: the block is damaged, or has no room for them."""
        grubenv.possible(host.path(self.path), self.changes)

    def would_change(self, host: Host) -> bool | None:
        """Whether one of them is another one now."""
        now = grubenv.load(host.path(self.path))
        return any(now.get(name) != value for name, value in self.changes.items())

    def apply(self, host: Host) -> bool:
        """Set them. KairosError: they do not fit, or the disk fails."""
        if not self.would_change(host):
            return False
        grubenv.save(host.path(self.path), self.changes)
        return True


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20)
    except FileNotFoundError:
        return b""


def _put(path: str, content: bytes) -> bool:
    from kairos_boot.system.atomic import write_file
    from kairos_boot.system.checkpoint import replaced

    try:
        old = _read(path)
        if old == content:
            return False
        if old and _read(path + OLD) != old:
            # Between the journal's commit and its checkpoint GRUB may find neither: the copy that it takes then has to be there before.
            replaced(path + OLD, lambda: write_file(path + OLD, old, 0o644))
        replaced(path, lambda: write_file(path, content, 0o644))
    except OSError as error:
        raise KairosError(f"cannot be written: {reason(error)}", path) from error
    return True
