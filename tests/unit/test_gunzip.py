"""gzip is read to its end: every member, every checksum."""

from __future__ import annotations

import gzip
import random

import pytest

from kairos_boot.gunzip import BLOCK, blocks, gunzip


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_every_member_counts(size: int) -> None:
    """As gzip(1) and pigz write them one behind the other, with the zeros of a tape at the end."""
    noise, zeros = random.Random(size).randbytes(size), bytes(size)
    packed = gzip.compress(noise) + gzip.compress(b"") + gzip.compress(zeros)
    assert gunzip(packed + bytes(BLOCK + 3)) == noise + zeros


def test_what_is_cut_or_changed_is_told() -> None:
    """Wherever it is: in a header, in the data, in the checksum, in the length behind it."""
    text = random.Random(7).randbytes(300)
    packed = gzip.compress(text) + gzip.compress(text)
    half = len(packed) // 2
    for end in range(len(packed)):
        if end not in (0, half):
            with pytest.raises(ValueError, match="gzip"):
                gunzip(packed[:end])
    for at in range(20, len(packed), 7):
        changed = packed[:at] + bytes([packed[at] ^ 0x55]) + packed[at + 1:]
        try:
            assert gunzip(changed) == text + text, at  # a time stamp, say
        except ValueError as error:
            assert "gzip" in str(error)  # noqa: PT017


@pytest.mark.parametrize("more", [b"x", b"rest", b"\x1f"])
def test_something_behind_it_is_told(more: bytes) -> None:
    with pytest.raises(ValueError, match=r"followed|early"):
        gunzip(gzip.compress(b"text") + more)


def test_nothing_is_no_gzip() -> None:
    with pytest.raises(ValueError, match="early"):
        gunzip(b"")


def test_a_bomb_is_defused() -> None:
    with pytest.raises(ValueError, match="larger than 1000 bytes"):
        gunzip(gzip.compress(bytes(10_000_000)), 1000)


def test_a_stream_is_read_block_by_block() -> None:
    """Memory holds a block, not the whole."""
    data = gzip.compress(bytes(20 * BLOCK))
    parts = [data[:10], data[10:11], data[11:]]
    sizes = [len(block) for block in blocks(lambda _: parts.pop(0) if parts else b"")]
    assert sum(sizes) == 20 * BLOCK
    assert max(sizes) <= BLOCK
