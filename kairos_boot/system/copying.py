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
CHUNK = 512 << 10
"""Bytes that are in memory at once, twice: few and warm, they cost neither page faults nor much of the processor's cache."""
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
    summed = _Digest(target)
    try:
        for at, data in _pieces(source, size, head):
            if not isinstance(data, int):
                _write(target, data, at)
            done = at + (data if isinstance(data, int) else len(data))
            summed.reached(done)
            if progress:
                progress(done, size)
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
    """The SHA-256 of the file *fd*, made by a thread of its own behind whoever writes it: it reads what is in the file, and goes on while that is made durable."""

    def __init__(self, fd: int) -> None:
        from hashlib import sha256
        from queue import SimpleQueue
        from threading import Thread

        self._fd, self._summed = fd, sha256()
        self._error: OSError | None = None
        written: SimpleQueue[int] = SimpleQueue()
        self.reached: Callable[[int], None] = written.put
        """Say up to where the file is written."""
        self._thread = Thread(target=self._work, args=(written.get,))
        self._thread.start()

    def _work(self, get: Callable[[], int]) -> None:
        buffer, at = memoryview(bytearray(CHUNK)), 0
        try:
            while (end := get()) >= 0:
                for _, data in _pieces(self._fd, end, b"", at, buffer):
                    _add(self._summed, data)
                at = end
        except OSError as error:
            self._error = error

    def end(self) -> str:
        """Wait for the thread, and give the digest in hexadecimal digits. OSError: what was written cannot be read."""
        self.reached(-1)
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._summed.hexdigest()


def _add(summed: object, data: memoryview | int) -> None:
    """Add data, or so many zeros."""
    update = summed.update  # type: ignore[attr-defined]
    if isinstance(data, int):
        while data > 0:
            update(memoryview(ZERO)[:min(data, len(ZERO))])
            data -= len(ZERO)
    else:
        update(data)


def _pieces(source: int, size: int, head: bytes = b"", at: int = 0, buffer: memoryview | None = None) -> Iterator[tuple[int, memoryview | int]]:
    """The content from *at* to *size* as (offset, data in the *buffer*), a hole as (offset, its length)."""
    buffer, end = memoryview(bytearray(CHUNK)) if buffer is None else buffer, 0
    while at < size:
        if at >= end:
            start = min(_data(source, at, size), size) if at >= len(head) else at
            if start > at:
                yield at, start - at
                at = start
                continue
            end = min(max(_hole(source, at, size), len(head)), size)  # a hole below the head is read like data
        count = os.preadv(source, [buffer[:max(1, min(len(buffer), end - at))]], at)
        if not count:
            raise OSError(errno.EIO, "it became shorter while it was copied")
        data = buffer[:count]
        if at < len(head):
            data[:len(head) - at] = head[at:at + count]
        yield at, data
        at += count


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


def _hole(fd: int, at: int, size: int) -> int:
    """Where the data at *at* ends."""
    try:
        return os.lseek(fd, at, os.SEEK_HOLE)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.EINVAL):
            return size
        raise


def _write(target: int, data: memoryview, at: int) -> None:
    """Write what is not zero, in pieces as large as they come."""
    step, start = len(ZERO), 0
    for here in range(0, len(data) + step, step):
        if here < len(data) and (data[here] or bytes(data[here:here + step]) != ZERO[:len(data) - here]):  # the first byte spares most copies
            continue
        done = start
        while done < min(here, len(data)):
            done += os.pwrite(target, data[done:here], at + done)
        start = here + step


def digest(fd: int, progress: Progress | None = None) -> str:
    """The SHA-256 of the open file *fd* as it is on the disk, in hexadecimal digits."""
    from hashlib import sha256

    summed, size, at = sha256(), os.fstat(fd).st_size, 0
    for at, data in _pieces(fd, size):
        _add(summed, data)
        if progress:
            progress(at + (data if isinstance(data, int) else len(data)), size)
    return summed.hexdigest()
