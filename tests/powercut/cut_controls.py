"""Wrong programs, as controls: the check has to catch each of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kairos_boot.actions import image_file
from kairos_boot.lifecycle import marker
from kairos_boot.node import grubenv
from kairos_boot.system import checkpoint, copying

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
    """The environment block is truncated and written where it is."""
    def save(path: str, changes: Any) -> str:
        with open(path, "rb") as file:
            old = file.read()
        with open(path, "wb") as file:
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

    module: Any = resetting
    phases = module.phases

    def reordered(*values: Any) -> Any:
        found = phases(*values)
        at = next(n for n, phase in enumerate(found) if phase.name == "persistent")
        found.insert(0, found.pop(at))
        return found

    module.phases = reordered


