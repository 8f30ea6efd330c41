"""The states in which a cut may leave a disk: what was flushed is there, of the rest any part may be (design: every subset that a disk's cache allows)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from cut_recording import FLUSH, Entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BLOCK = 4096
SMALL = 64 * 1024


def epochs(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The writes between flushes."""
    found: list[list[Entry]] = [[]]
    for entry in entries:
        if entry.size:
            found[-1].append(entry)
        if entry.flags & FLUSH:
            found.append([])
    return [epoch for epoch in found if epoch]


def crashes(epoch: Sequence[Entry], seed: int) -> Iterator[tuple[str, list[Entry]]]:
    """Parts of an epoch that may have reached the disk, each with a name."""
    count = len(epoch)
    yield "none", []
    yield "all", list(epoch)
    if count <= 4:
        for bits in range(1, (1 << count) - 1):
            yield f"subset {bits:b}", [entry for at, entry in enumerate(epoch) if bits >> at & 1]
    else:
        for at in _spread(count):
            yield f"first {at}", list(epoch[:at])
        yield "only the last", [epoch[-1]]
        yield "all but the first", list(epoch[1:])
    yield "small ones", [entry for entry in epoch if entry.size <= SMALL]
    yield "large ones", [entry for entry in epoch if entry.size > SMALL]
    for at, entry in enumerate(epoch):
        if entry.data is not None and 512 < entry.size <= SMALL:
            tear = BLOCK if entry.at % (1 << 20) < BLOCK else 512  # a torn superblock of ext4 is a false alarm
            if entry.size > tear:
                yield f"head of {at}", [*epoch[:at], Entry(entry.at, tear, entry.flags, entry.data[:tear])]
                yield f"tail of {at}", [*epoch[:at], Entry(entry.at + tear, entry.size - tear, entry.flags, entry.data[tear:])]
    chance = random.Random(seed)
    pieces = [piece for entry in epoch for piece in _pieces(entry)]
    for share in (0.5, 0.9, 0.1, 0.97):
        yield f"random {share}", [piece for piece in pieces if chance.random() < share]


def _spread(count: int) -> list[int]:
    """Some of the numbers from 1 to *count*, the first and the last of them."""
    step = max(1, count // 12)
    return sorted({*range(1, count, step), count - 1})


def _pieces(entry: Entry) -> Iterator[Entry]:
    if entry.data is None:
        yield entry
        return
    for at in range(0, entry.size, BLOCK):
        data = entry.data[at:at + BLOCK]
        yield Entry(entry.at + at, len(data), entry.flags, data)


def apply(disk: bytearray, writes: Sequence[Entry]) -> None:
    """Let *writes* reach *disk*."""
    for entry in writes:
        disk[entry.at:entry.at + entry.size] = entry.data if entry.data is not None else bytes(entry.size)
