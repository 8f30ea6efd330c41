"""A layer of a container image, read once from its beginning to its end: unpacked, its digest made on the way, its tar members one by one.

Nothing of it is kept in memory but the member at hand, so a layer may have any number of files of any size.
"""

from __future__ import annotations

import os
import tarfile
from hashlib import sha256

from kairos_boot.errors import KairosError
from kairos_boot.gunzip import MAGIC as GZIP
from kairos_boot.gunzip import blocks
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHUNK = 256 << 10
LIMIT = 64 << 30
"""Bytes that a layer may unpack to, whatever room there is."""
HEADER = 1 << 20
"""Bytes that a header of a tar file may have: `tarfile` reads one into memory whole, and a small layer may unpack to one of any size."""


@record
class Layer:
    """*size* bytes of the file *path* from *at* on; *digest* (`sha256:…`) is theirs, or, if it is *plain*, that of what they unpack to. Empty: not known."""

    path: str
    size: int
    digest: str = ""
    at: int = 0
    plain: bool = False


class TooLargeError(KairosError):
    """What is unpacked takes more than there is for it."""


class Stream:
    """What a layer unpacks to, as `tarfile` reads a file. *seen* is told how many bytes of the layer were read."""

    def __init__(self, fd: int, layer: Layer, seen: Callable[[int], None]) -> None:
        self._fd, self._layer, self._seen = fd, layer, seen
        self._at, self._end = layer.at, layer.at + layer.size
        self._sum = sha256()
        start = os.pread(fd, min(4, layer.size), layer.at)
        packed = start.startswith(GZIP)
        self._blocks = blocks(self._raw) if packed else self._plainly()
        self._sum_plain = layer.plain and packed
        self._block, self._used, self._place, self._last = b"", 0, 0, b""

    def _raw(self, size: int) -> bytes:
        data = os.pread(self._fd, min(size, self._end - self._at), self._at)
        self._at += len(data)
        if not self._sum_plain:
            self._sum.update(data)
        self._seen(len(data))
        return data

    def _plainly(self) -> Iterator[bytes]:
        while data := self._raw(CHUNK):
            yield data

    def _next(self) -> bool:
        self._last = self._block[-1:] or self._last
        self._block, self._used = next(self._blocks, b""), 0
        if self._place > LIMIT:  # zeros take no room, and no end of them is no image either
            raise TooLargeError(f"it unpacks to more than {LIMIT >> 30} GiB", hint="ask who made the image: no system is that large")
        if self._sum_plain:
            self._sum.update(self._block)
        return bool(self._block)

    def piece(self, size: int) -> memoryview | bytes:
        """Up to *size* bytes, as many as are there already; none at the end."""
        if self._used >= len(self._block) and not self._next():
            return b""
        data = memoryview(self._block)[self._used:self._used + size]
        self._used += len(data)
        self._place += len(data)
        return data

    def read(self, size: int) -> bytes:
        """*size* bytes of a header; fewer at the end. ValueError: no header is that large."""
        if size > HEADER:
            raise ValueError(f"a header of the archive has {size} bytes, and {HEADER} are the most")
        if self._used + size <= len(self._block):
            data = self._block[self._used:self._used + size]
            self._used += size
            self._place += size
            return data
        parts = []
        while size and (part := self.piece(size)):
            parts.append(bytes(part))
            size -= len(part)
        return b"".join(parts)

    def tell(self) -> int:
        """How much was read."""
        return self._place

    def seek(self, place: int) -> int:
        """Go forward to *place*; never back."""
        while self._place < place and self.piece(place - self._place):
            pass
        return self._place

    def finish(self) -> None:
        """Read the rest. KairosError: all of it is not what its digest says."""
        while self.piece(CHUNK):
            pass
        expected = self._layer.digest.removeprefix("sha256:")
        if expected and self._sum.hexdigest() != expected:
            raise KairosError(f"a layer is damaged: its digest is sha256:{self._sum.hexdigest()}, and {self._layer.digest} is expected")


def members(stream: Stream) -> Iterator[tarfile.TarInfo]:
    """The members of the tar file in *stream*; their content is read from it before the next one is asked for. `tarfile.TarError` and the like: no tar file."""
    with tarfile.TarFile(fileobj=stream, mode="r", errors="surrogateescape") as tar:  # type: ignore[arg-type]
        while (member := tar.next()) is not None:
            yield member
            tar.members.clear()  # type: ignore[attr-defined]  # else it keeps them all
