"""Wrong programs, as controls: the check has to catch each of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kairos_boot.actions import image_file
from kairos_boot.lifecycle import marker, switching, upgrading
from kairos_boot.node import grubenv
from kairos_boot.system import checkpoint, copying, ext4

if TYPE_CHECKING:
    from collections.abc import Callable

CONTROLS: dict[str, Callable[[], None]] = {}


def control(function: Callable[[], None]) -> Callable[[], None]:
    """A wrong program by its name."""
    CONTROLS[function.__name__] = function
    return function


def apply(name: str) -> None:
    """Turn this process into that wrong program."""
    CONTROLS[name]()


def _nothing(*_: Any, **__: Any) -> Any:
    return ""


def move(module: Any, name: str, behind: str = "") -> None:
    """Let the phase *name* of the action in *module* come right after the phase *behind*, or first of all."""
    phases = module.phases

    def moved(*values: Any, **named: Any) -> Any:
        found = phases(*values, **named)
        phase = found.pop([phase.name for phase in found].index(name))
        found.insert([phase.name for phase in found].index(behind) + 1 if behind else 0, phase)
        return found

    module.phases = moved


@control
def no_fsync_of_data() -> None:
    """Renamed before its data is durable; the checkpoint that would hide it is left out, too."""
    os.fsync = _nothing
    checkpoint.checkpoint = _nothing


@control
def overwriting_in_place() -> None:
    """The image itself is written, as Kairos does."""
    def put(host: Any, name: str, target: str, write: Callable[[str], str]) -> None:
        write(target)

    def copy(self: image_file.CopyImage, source: int, new: str) -> str:
        fd = os.open(new, os.O_RDWR)
        try:
            return copying.copy_file(source, fd)
        finally:
            os.close(fd)

    image_file.put = put
    image_file.CopyImage._write = copy  # type: ignore[method-assign, unused-ignore]


@control
def unlink_first() -> None:
    """The old image goes before the new one is written, whose data is not made durable."""
    os.fsync = _nothing
    checkpoint.checkpoint = _nothing
    put = image_file.put

    def first(host: Any, name: str, target: str, write: Callable[[str], str]) -> None:
        if os.path.exists(target):
            os.unlink(target)
        put(host, name, target, write)

    image_file.put = first


@control
def no_marker() -> None:
    """Nobody knows that a reset was begun."""
    marker.Marker.arm = _nothing  # type: ignore[method-assign, unused-ignore]
    marker.Marker._write = _nothing  # type: ignore[method-assign, unused-ignore]


@control
def environment_in_place() -> None:
    """The environment block is truncated and written where it is; the journal's commit, which may come at any moment, comes between."""
    def save(path: str, changes: Any) -> None:
        with open(path, "rb") as file:
            old = file.read()
        with open(path, "wb") as file:
            os.fsync(file.fileno())
            file.write(grubenv.changed(old, changes, path))
            file.flush()
            os.fsync(file.fileno())
        return checkpoint.checkpoint(os.path.dirname(path))

    grubenv.save = save


@control
def no_checkpoint() -> None:
    """What GRUB must read is in the journal only."""
    checkpoint.checkpoint = _nothing


@control
def erase_first() -> None:
    """Persistent data goes before the images are in place, as Kairos does it."""
    from kairos_boot.lifecycle import resetting

    move(resetting, "persistent")


RESET = tuple(CONTROLS)
"""The wrong programs of a reset."""
UPGRADE = ("no_fsync_of_data", "environment_in_place", "no_upgrade_marker", "two_renames", "relabelled_in_place", "passive_last")
"""Those of an upgrade."""


@control
def no_upgrade_marker() -> None:
    """Nobody knows that an upgrade was begun, and what it left stays."""
    marker.Marker._write = _nothing  # type: ignore[method-assign, unused-ignore]


@control
def two_renames() -> None:
    """Active becomes passive by a rename, as Kairos does it: for a while there is none."""
    def apply(self: switching.LinkImage, host: Any) -> bool:
        os.rename(host.path(self.source), host.path(self.target))
        checkpoint.checkpoint(os.path.dirname(host.path(self.target)))
        return True

    switching.LinkImage.apply = apply  # type: ignore[method-assign, unused-ignore]


@control
def relabelled_in_place() -> None:
    """The label of the passive image is written inside it, which is the running one."""
    apply = switching.LinkImage.apply

    def relabelled(self: switching.LinkImage, host: Any) -> bool:
        done = apply(self, host)
        with open(host.path(self.target), "r+b") as file:
            file.seek(ext4.START)
            head = ext4.relabelled(file.read(ext4.SIZE), "COS_PASSIVE")
            file.seek(ext4.START)
            file.write(head)
            file.flush()
            os.fsync(file.fileno())
        return done

    switching.LinkImage.apply = relabelled  # type: ignore[method-assign, unused-ignore]


@control
def passive_last() -> None:
    """What becomes passive is what is active after the switch: the new system, which nobody has booted."""
    move(upgrading, "passive", "switch")
