"""The room that a reset needs on COS_STATE, where two images are written beside the old ones, and in which order it is had."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import survey
from kairos_boot.lifecycle.upgrade import SPARE, temporaries
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host


@record
class Room:
    """Bytes on COS_STATE: *free* with what is only a leftover, those of the active and of the passive image; *shared* is whether both are one file.

    Their sum stays what it is from the first phase of a reset to the last, so that the boot after a cut comes to the same order.
    """

    free: int
    active: int = 0
    passive: int = 0
    """Nothing where it is only a second name of the active image: its end would free nothing."""
    shared: bool = False

    @property
    def total(self) -> int:
        """What all images can have together."""
        return self.free + self.active + self.passive

    def is_tight(self, size: int) -> bool:
        """Whether passive has to go before images of *size* are written."""
        beside = self.free - size + (0 if self.shared else self.active)  # the old active one goes when the new one takes its name
        return min(self.free, beside) < size + SPARE

    def is_enough(self, size: int) -> bool:
        """Whether two images of *size* can be written when passive has gone."""
        return min(self.free + self.passive, self.total - size) >= size + SPARE

    def has_third(self, size: int) -> bool:
        """Whether a third image fits beside two new ones, as a hook in the image needs it."""
        return self.total >= 3 * size + SPARE

    def must_be_enough(self, size: int, place: str) -> None:
        """KairosError: the images would not fit."""
        if not self.is_enough(size):
            raise KairosError(f"there is no room for new images: two of {size >> 20} MiB are needed, and {max(self.total, 0) >> 20} MiB can be had", place,
                              "remove what does not belong on COS_STATE")


def look(host: Host, state: str) -> Room:
    """The room where COS_STATE is mounted at *state*."""
    here = host.path(state)
    active, passive = f"{here}/cOS/active.img", f"{here}/cOS/passive.img"
    shared = os.path.exists(active) and os.path.exists(passive) and os.path.samefile(active, passive)
    left = sum(survey.blocks(path) for path in temporaries(here) if os.path.exists(path) and os.stat(path).st_nlink == 1)
    return Room(survey.room(here) + left, survey.blocks(active), 0 if shared else survey.blocks(passive), shared)
