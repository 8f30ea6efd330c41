"""Large files copied: shared blocks where the file system has them, holes kept, and the digest made on the way."""

from __future__ import annotations

import errno
import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Progress = Callable[[int, int], None]
    """Called with the bytes done and the bytes in all."""

CLONE = 0x40049409
"""FICLONE: the target shares the source's blocks (btrfs, xfs)."""
CHUNK = 4 << 20
BEHIND = 6
"""Pieces that may wait for their digest."""
ZERO = bytes(64 << 10)
"""A piece that is all zero becomes a hole."""


def copy_file(source: int, target: int, progress: Progress | None = None, head: bytes = b"") -> str:
    """Copy all of the open file *source* to *target*, which is new, make it durable, and return the SHA-256 of what is in it then.

    *head* replaces the first bytes. Holes stay holes, and zeros become such. OSError: no room, a read or write error.
    """
    size = os.fstat(source).st_size
    if _cloned(source, target):
        os.pwrite(target, head, 0)
        os.fsync(target)
        return digest(target, progress)
    os.ftruncate(target, size)
    summed = _Digest()
    try:
        for at, data in _pieces(source, size, head):
            summed.add(data)
            if not isinstance(data, int):
                _write(target, data, at)
            if progress:
                progress(at + (data if isinstance(data, int) else len(data)), size)
        os.fsync(target)
    finally:
        text = summed.end()
    return text


def _cloned(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, CLONE, source)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT):
            raise
        return False
    return True


class _Digest:
    """A SHA-256 that is made beside the writing, by a thread of its own, at most a few pieces behind."""

    def __init__(self) -> None:
        from hashlib import sha256
        from queue import Queue
        from threading import Thread

        self._summed = sha256()
        self.add: Callable[[bytes | int | None], None]
        queue: Queue[bytes | int | None] = Queue(BEHIND)
        self.add = queue.put
        self._thread = Thread(target=self._work, args=(queue.get,))
        self._thread.start()

    def _work(self, get: Callable[[], bytes | int | None]) -> None:
        while (piece := get()) is not None:
            _add(self._summed, piece)

    def end(self) -> str:
        """Wait for the thread, and give the digest in hexadecimal digits."""
        self.add(None)
        self._thread.join()
        return self._summed.hexdigest()


def _add(summed: object, data: bytes | int) -> None:
    """Add data, or so many zeros."""
    update = summed.update  # type: ignore[attr-defined]
    if isinstance(data, int):
        while data > 0:
            update(memoryview(ZERO)[:min(data, len(ZERO))])
            data -= len(ZERO)
    else:
        update(data)


def _pieces(source: int, size: int, head: bytes) -> Iterator[tuple[int, bytes | int]]:
    """The content as (offset, bytes), a hole as (offset, its length)."""
    at = 0
    while at < size:
        if at >= len(head):
            start = _data(source, at, size)
            if start > at:
                yield at, start - at
                at = start
                continue
        data = os.pread(source, min(CHUNK, size - at), at)
        if not data:
            raise OSError(errno.EIO, "it became shorter while it was copied")
        if at < len(head):
            data = head[at:at + len(data)] + data[max(0, len(head) - at):]
        yield at, data
        at += len(data)


def _data(fd: int, at: int, size: int) -> int:
    """Where the next data begins."""
    try:
        return os.lseek(fd, at, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return size
        if error.errno == errno.EINVAL:  # a file system without holes
            return at
        raise


def _write(target: int, data: bytes, at: int) -> None:
    """Write what is not zero, in pieces as large as they come."""
    step, start = len(ZERO), 0
    for here in range(0, len(data) + step, step):
        if here < len(data) and (data[here] or data[here:here + step] != ZERO[:len(data) - here]):  # the first byte spares most copies
            continue
        view = memoryview(data)[start:here]
        done = 0
        while done < len(view):
            done += os.pwrite(target, view[done:], at + start + done)
        start = here + step


def digest(fd: int, progress: Progress | None = None) -> str:
    """The SHA-256 of the open file *fd* as it is on the disk, in hexadecimal digits."""
    from hashlib import sha256

    summed, size, at = sha256(), os.fstat(fd).st_size, 0
    for at, data in _pieces(fd, size, b""):
        _add(summed, data)
        if progress:
            progress(at + (data if isinstance(data, int) else len(data)), size)
    return summed.hexdigest()
