"""Records behave as frozen dataclasses do, at a fraction of their start-up cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kairos_boot.records import NOTHING, record, replace

if TYPE_CHECKING:
    from collections.abc import Callable


@record
class Point:
    """A place."""

    x: int
    y: int = 2

    def sum(self) -> int:
        """A method."""
        return self.x + self.y


@record
class Named(Point):
    """A place with a name."""

    name: str = "here"


def test_fields_come_by_place_by_name_and_by_default() -> None:
    assert Point(1) == Point(x=1, y=2)
    assert Named(1, 5, "there") == Named(x=1, y=5, name="there")
    assert Named(1).sum() == 3


def test_a_missing_an_unknown_and_a_surplus_value_are_type_errors() -> None:
    for values, named in (((), {}), ((1,), {"z": 3}), ((1, 2, 3), {})):
        with pytest.raises(TypeError, match="Point"):
            Point(*values, **named)


def test_a_record_cannot_be_changed() -> None:
    point = Point(1)
    with pytest.raises(AttributeError, match="frozen"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del point.x
    with pytest.raises(AttributeError, match="frozen"):
        point.z = 2  # type: ignore[attr-defined]


def test_a_class_is_made_once() -> None:
    """Each start of the program makes some hundred of them."""
    class Plain:
        x: int = 1

    assert record(Plain) is Plain
    assert Plain(x=1) == Plain()  # type: ignore[call-arg]


def test_equal_records_have_equal_hashes_and_other_types_are_never_equal() -> None:
    assert hash(Named(1)) == hash(Named(1))
    assert Point(1) != Named(1)
    other: object = (1, 2)
    assert Point(1) != other


def test_a_copy_differs_where_it_was_asked_to() -> None:
    assert replace(Named(1), y=9) == Named(1, 9)


def test_the_shared_empty_mapping_cannot_be_filled() -> None:
    with pytest.raises(TypeError):
        NOTHING["a"] = 1  # type: ignore[index]


def test_a_function_as_a_default_stays_one() -> None:
    """It is no method of the record, nor of one that is made from it."""

    def told(done: int, total: int) -> tuple[int, int]:
        return done, total

    @record
    class Copy:
        source: str
        progress: Callable[[int, int], tuple[int, int]] = told

    @record
    class Checked(Copy):
        digest: str = ""

    for made in (Copy("x"), Checked("x"), Copy("x", told)):
        assert made.progress(1, 2) == (1, 2)
        assert made.progress is told
