"""The switch from one system to the next: at every instant each name leads to a whole image, and two entries of the menu boot (G9)."""

from __future__ import annotations

import os

from kairos_boot.actions.image_file import NEW, ORIGIN, digest_of, forget, write_digest
from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record
from kairos_boot.system.ext4 import DIGEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host

OURS = ("/usr/lib/kairos-boot", "/usr/lib/udev/rules.d/61-kairos-boot.rules")
"""What an image has whose initrd starts it whatever its label says."""


@record
class LinkImage:
    """The image *target* is the file *source* under a second name: no room is needed, and no label is rewritten inside an image that boots."""

    source: str
    target: str

    def describe(self) -> str:
        """Both names."""
        return f"make {self.target} a second name of {self.source}"

    def would_change(self, host: Host) -> bool | None:
        """Whether they are two files."""
        return not _same(host.path(self.source), host.path(self.target))

    def apply(self, host: Host) -> bool:
        """Link to a new name, and rename it. KairosError: the disk fails."""
        from kairos_boot.system.checkpoint import checkpoint, replaced

        source, target = host.path(self.source), host.path(self.target)
        directory = os.path.dirname(target)
        try:
            # A rename between two names of one file does nothing, and would leave the temporary one for ever.
            _unlink(target + NEW)
            if _same(source, target):
                return False
            os.link(source, target + NEW)
            forget(target)
            replaced(target, lambda: os.rename(target + NEW, target))
            summed, origin = _digest(source), origin_of(source)
            if summed:
                write_digest(target, summed)
            if origin:
                write_origin(target, origin)
            checkpoint(directory)
        except OSError as error:
            raise KairosError(f"the image cannot be given a second name: {reason(error)}", self.target) from error
        return True


@record
class SwitchImage:
    """The finished image *new* takes the name *target*, by one rename; *origin* is what it was made of."""

    new: str
    target: str
    origin: str

    def describe(self) -> str:
        """Both names."""
        return f"rename {self.new} to {self.target}"

    def would_change(self, host: Host) -> bool | None:
        """Whether the new one has no other name yet."""
        return os.path.exists(host.path(self.new)) or os.path.exists(host.path(self.new) + DIGEST)

    def apply(self, host: Host) -> bool:
        """Rename it, its digest and its origin follow; a run that was cut between goes on there. KairosError: there is no new image, or the disk fails."""
        from kairos_boot.system.checkpoint import checkpoint, replaced

        new, target = host.path(self.new), host.path(self.target)
        directory = os.path.dirname(target)
        try:
            summed = _digest(new)
            if os.path.exists(new):
                forget(target)
                replaced(target, lambda: os.rename(new, target))
            elif not self._has_happened(target, summed):
                raise KairosError("the new image is not there", self.new, "run it again")
            if summed:
                write_digest(target, summed)
            write_origin(target, self.origin)
            _unlink(new + DIGEST)
            checkpoint(directory)
        except OSError as error:
            raise KairosError(f"the new image cannot be put in place: {reason(error)}", self.target) from error
        return True

    def _has_happened(self, target: str, summed: str) -> bool:
        """Whether *target* is the new image: of it nothing is said yet, or what is to be said. *summed* is the digest that still lies at the new name."""
        said, origin = _digest(target), origin_of(target)
        if summed:
            return os.path.exists(target) and said in ("", summed)
        return os.path.exists(target) and (origin == self.origin or not (said or origin))


def is_ours(host: Host, image: str) -> bool:
    """Whether the initrd in *image* starts it by its name. KairosError: it cannot be looked into."""
    from contextlib import contextmanager

    from kairos_boot.actions.image_tree import mounted
    from kairos_boot.system.host import Host as Tree

    with contextmanager(mounted)(host.path(image), read_only=True) as place:
        return all(Tree(place).exists(path) for path in OURS)


def origin_of(image: str) -> str:
    """What the image at this path was made of, or nothing where that is not known."""
    try:
        with open(image + ORIGIN, encoding="utf-8", errors="replace") as file:
            return file.read(4096).strip()
    except OSError:
        return ""


def write_origin(image: str, origin: str) -> None:
    """Put *origin* beside the image at this path."""
    from kairos_boot.system.atomic import write_file

    write_file(image + ORIGIN, f"{origin}\n".encode("utf-8", "surrogateescape"), 0o644)


def _digest(image: str) -> str:
    try:
        return digest_of(image)
    except KairosError:
        return ""


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
