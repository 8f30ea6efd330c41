"""The room of a reset: refused is what would end without room, and nothing else; a reset that is cut comes to the same answer."""

from __future__ import annotations

import itertools

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.lifecycle.reset_room import Room
from kairos_boot.lifecycle.upgrade import SPARE

MIB = 1 << 20
SIZE = 100 * MIB


def written(room: Room, size: int) -> list[Room]:
    """What a reset with *room* does: the states in between. AssertionError: no room."""
    steps = []
    free, active, passive, shared = room.free, room.active, room.passive, room.shared

    def note() -> None:
        assert free >= 0, "no room"
        steps.append(Room(free, active, passive, shared))

    def without_passive() -> None:
        nonlocal free, passive, shared
        free, passive, shared = free + passive, 0, False
        note()

    if room.is_tight(size):
        without_passive()
    free -= size
    assert free >= 0, "no room for active"
    free, active, passive, shared = (free, size, active, False) if shared else (free + active, size, passive, False)  # passive keeps the old one alive
    note()
    if Room(free, active, passive).is_tight(size):
        without_passive()
    free -= size
    assert free >= 0, "no room for passive"
    free, passive = free + passive, size
    note()
    return steps


@pytest.mark.parametrize(("free", "active", "passive", "shared"), [
    (f * MIB, a * MIB, 0 if shared else p * MIB, shared)
    for f, a, p in itertools.product((0, 60, 104, 150, 210, 320), (0, 50, 100, 140), (0, 50, 100, 140)) for shared in (False, True) if not shared or (a and not p)
])
def test_what_is_not_refused_has_room_to_its_end(free: int, active: int, passive: int, shared: bool) -> None:
    room = Room(free, active, passive, shared)
    if min(free + passive, free + active + passive - SIZE) < SIZE + SPARE:
        with pytest.raises(KairosError, match="no room for new images"):
            room.must_be_enough(SIZE, "/state")
        return
    room.must_be_enough(SIZE, "/state")
    for step in written(room, SIZE):
        assert step.total == room.total, "so that the boot after a cut comes to the same order"
        assert step.is_enough(SIZE) or step.passive == 0 or step.active == SIZE
        assert step.has_third(SIZE) == room.has_third(SIZE)


def test_two_new_images_are_counted_where_active_is_missing() -> None:
    """With room for one: refused before passive is removed."""
    assert not Room(50 * MIB, 0, 120 * MIB).is_enough(SIZE)
    assert Room(50 * MIB, 60 * MIB, 120 * MIB).is_enough(SIZE)


def test_a_second_name_frees_nothing() -> None:
    """Of one file with both names: its end comes only when neither leads to it."""
    assert not Room(50 * MIB, 200 * MIB, shared=True).is_enough(SIZE)
    assert Room(110 * MIB, 100 * MIB, shared=True).is_tight(SIZE)
