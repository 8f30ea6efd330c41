"""Packed files: whole, within the memory that there is, and gone where they are not."""

from __future__ import annotations

import io
import lzma
from typing import TYPE_CHECKING

import pytest

from kairos_boot.actions.packed import MEMORY, keep, unpacked
from kairos_boot.errors import KairosError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def content(data: bytes) -> Iterator[bytes]:
    """What *data* unpacks to."""
    found = unpacked(io.BytesIO(data))
    assert found is not None
    return found


@pytest.mark.parametrize("made", [
    lzma.compress(b"one") + bytes(8) + lzma.compress(b"two"), lzma.compress(b"onetwo", preset=9), lzma.compress(b"") + lzma.compress(b"onetwo")])
def test_all_streams_of_an_xz_file_are_read(made: bytes) -> None:
    """Also what xz -9 packed, which is the most that it asks for without being told."""
    assert b"".join(content(made)) == b"onetwo"


@pytest.mark.parametrize("made", [lzma.compress(b"x" * 9999)[:-9], b"\xfd7zXZ\0", lzma.compress(b"x") + b"more"])
def test_a_damaged_xz_file_is_an_error_and_leaves_nothing(tmp_path: Path, made: bytes) -> None:
    with pytest.raises(KairosError, match="cannot be read"):
        keep(content(made), f"{tmp_path}/plain", "it.xz")
    assert list(tmp_path.iterdir()) == []


def test_what_wants_more_memory_than_there_is_is_refused(tmp_path: Path) -> None:
    made = lzma.compress(b"x", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": MEMORY + (16 << 20)}])
    with pytest.raises(KairosError, match="needs more than 80 MiB of memory"):
        keep(content(made), f"{tmp_path}/plain", "it.xz")
    assert list(tmp_path.iterdir()) == []
