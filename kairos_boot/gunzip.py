"""gzip as the whole program reads it: all members in a row, each checked to its end (RFC 1952, 2.2)."""

from __future__ import annotations

import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAGIC = b"\x1f\x8b"
BLOCK = 1 << 18
LIMIT = 64 * 1024 * 1024
"""Bytes that a text of a document may unpack to."""


def blocks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """What *read*, which gives so many bytes or none at the end, unpacks to. ValueError: it is damaged, or ends too early."""
    data = read(BLOCK)
    while True:
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            taken = data or read(BLOCK)
            try:
                out = member.decompress(taken, BLOCK)
            except zlib.error as error:
                raise ValueError(f"the gzip data is damaged: {error}") from error
            if out:
                yield out
            elif not taken:
                raise ValueError("the gzip data ends too early")
            data = member.unconsumed_tail
        data = member.unused_data.lstrip(b"\0")
        while len(data) < len(MAGIC) and (more := read(BLOCK)):
            data = (data + more).lstrip(b"\0")  # tapes fill up with zeros
        if not data:
            return
        if not data.startswith(MAGIC):
            raise ValueError("the gzip data is followed by something else")


def gunzip(data: bytes, limit: int = LIMIT) -> bytes:
    """*data* unpacked. ValueError: it is damaged, ends too early, or unpacks to more than *limit* bytes."""
    view = memoryview(data)
    place = 0

    def read(size: int) -> bytes:
        nonlocal place
        part = bytes(view[place:place + size])
        place += len(part)
        return part

    whole = bytearray()
    for block in blocks(read):
        whole += block
        if len(whole) > limit:
            raise ValueError(f"unpacked it is larger than {limit} bytes")
    return bytes(whole)
