"""What is in an initrd: the names out of its archives, no file of it is laid down (the kernel's buffer format: cpio archives in a row, plain or compressed)."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError, reason
from kairos_boot.system.descriptors import Held, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any

    from kairos_boot.system.process import ProcessRunner

PLAIN = (b"070701", b"070702")
HEADER, TRAILER = 110, "TRAILER!!!"
BLOCK = 1 << 16
LONGEST = 4096
"""Bytes that a name may have."""
LIMIT = 1 << 30
"""Bytes that an archive may unpack to."""
ZSTD, LZ4 = b"\x28\xb5\x2f\xfd", b"\x02\x21\x4c\x18"
SECONDS = 300.0


class NoProgramError(KairosError):
    """What it is packed with cannot be read on this machine."""


def names(path: str, processes: ProcessRunner, part: tuple[int, int] | None = None) -> set[str]:
    """The paths of what the initrd *path* of this machine has, without a slash in front; of a file that has one within, its *part* (offset, size). KairosError: it
    cannot be read, or is no initrd. NoProgramError: it cannot be unpacked here.

    *processes* runs the programs zstd and lz4 where it is packed with one of them.
    """
    try:
        with Held(os.open(path, os.O_RDONLY | os.O_CLOEXEC)) as fd:
            start, size = part or (0, os.fstat(fd).st_size)
            found = set(_archives(processes, fd, start, start + size))
    except (OSError, ValueError, EOFError) as error:
        raise KairosError(f"it cannot be read as an initrd: {reason(error) if isinstance(error, OSError) else error}", path, "make it again") from error
    if not found:
        raise KairosError("it is an initrd without a file", path, "make it again")
    return found


def _archives(processes: ProcessRunner, fd: int, at: int, size: int) -> Iterator[str]:
    """The names of the archives from byte *at* up to byte *size*."""
    while at < size:
        start = os.pread(fd, 8, at)
        if start.startswith(PLAIN):
            at = yield from _archive(fd, at, size)
        elif start.startswith(b"\0"):  # filling
            block = os.pread(fd, BLOCK, at)
            at += len(block) - len(block.lstrip(b"\0"))
        else:
            with Held(os.memfd_create("initrd")) as plain:
                at = _unpack(processes, fd, at, start, plain)
                yield from _archives(processes, plain, 0, os.fstat(plain).st_size)


def _archive(fd: int, at: int, size: int) -> Generator[str, None, int]:
    """The names of the archive that begins at *at*; where it ends. Numbers are eight hexadecimal digits, names and contents are filled up to four bytes."""
    start = at
    while at < size:
        header = os.pread(fd, HEADER, at)
        if not header.startswith(PLAIN) or len(header) < HEADER:
            raise ValueError(f"the archive ends in the middle, at byte {at}")
        content, length = int(header[54:62], 16), int(header[94:102], 16)
        if not 0 < length <= LONGEST:
            raise ValueError(f"a name of {length} bytes")
        name = os.fsdecode(os.pread(fd, length, at + HEADER).rstrip(b"\0"))
        at += HEADER + length
        at += -(at - start) % 4 + content
        at += -(at - start) % 4
        if at > size:
            raise ValueError(f"the archive ends in the middle, in {name}")
        if name == TRAILER:
            break
        yield name.removeprefix("./").lstrip("/")
    return at


def _unpack(processes: ProcessRunner, fd: int, at: int, start: bytes, plain: int) -> int:
    """Unpack what begins at *at* into the file *plain*; where it ends."""
    if start.startswith(ZSTD):
        return _by_program(processes, fd, at, _end_of_zstd(fd, at), plain, "zstd")
    if start.startswith(LZ4):
        return _by_program(processes, fd, at, _end_of_lz4(fd, at), plain, "lz4")
    if start.startswith(b"\x1f\x8b"):
        import zlib

        return _by_library(fd, at, plain, zlib.decompressobj(31), zlib.error)
    if start.startswith(b"BZh"):
        import bz2

        return _by_library(fd, at, plain, bz2.BZ2Decompressor(), OSError)
    if start.startswith((b"\xfd7zXZ\0", b"\x5d\0\0")):
        import lzma

        return _by_library(fd, at, plain, lzma.LZMADecompressor(memlimit=128 << 20), lzma.LZMAError)
    raise ValueError(f"at byte {at} there is neither an archive nor compressed data")


def _by_library(fd: int, at: int, plain: int, packed: Any, damaged: type[Exception]) -> int:
    written = 0
    while not packed.eof:
        data = os.pread(fd, BLOCK, at)
        if not data:
            raise ValueError("its compressed data ends too early")
        at += len(data)
        try:
            out = packed.decompress(data)
        except damaged as error:
            raise ValueError(f"its compressed data is damaged: {error}") from error
        written += len(out)
        _put(plain, out, written)
    return at - len(packed.unused_data)


def _put(plain: int, data: bytes, written: int) -> None:
    if written > LIMIT:
        raise ValueError(f"an archive in it unpacks to more than {LIMIT >> 20} MiB")
    write_all(plain, data)


def _by_program(processes: ProcessRunner, fd: int, at: int, end: int, plain: int, program: str) -> int:
    with Held(os.memfd_create("packed")) as packed:
        for place in range(at, end, BLOCK):
            _put(packed, os.pread(fd, min(BLOCK, end - place), place), place - at)
        ours = f"/proc/{os.getpid()}/fd"
        script = f'{program} -q -d -c <"$1" | head -c {LIMIT} >"$2"'
        result = processes.run(("sh", "-c", script, "sh", f"{ours}/{packed}", f"{ours}/{plain}"), timeout=SECONDS)
    if "not found" in result.output and not os.fstat(plain).st_size:
        raise NoProgramError(f"an initrd is packed with {program}, which is not installed", hint=f"install {program}")
    if result.code or not os.fstat(plain).st_size:
        raise ValueError(f"{program}, which it is packed with, cannot unpack it: {result.explain(SECONDS)} {result.output.strip()[-200:]}")
    return end


def _end_of_zstd(fd: int, at: int) -> int:
    """Where the zstd frame at *at* ends: a header, blocks that say how long they are, a check sum (RFC 8878, 3.1.1)."""
    describes = _bytes(fd, 1, at + 4)[0]
    single = describes & 0x20
    at += 5 + (not single) + (0, 1, 2, 4)[describes & 3] + ((1 if single else 0), 2, 4, 8)[describes >> 6]
    while True:
        header = int.from_bytes(_bytes(fd, 3, at), "little")
        at += 3 + (1 if header >> 1 & 3 == 1 else header >> 3)  # a block that repeats one byte has only that
        if header & 1:
            return at + (4 if describes & 4 else 0)


def _end_of_lz4(fd: int, at: int) -> int:
    """Where the blocks of lz4's legacy format, which kernels read, end: at the end of the file, a zero, or another beginning."""
    at += 4
    while True:
        word = os.pread(fd, 4, at)
        size = int.from_bytes(word, "little")
        if len(word) < 4 or not size or word.startswith((LZ4, b"07")):
            return at
        at += 4 + size


def _bytes(fd: int, size: int, at: int) -> bytes:
    data = os.pread(fd, size, at)
    if len(data) < size:
        raise ValueError("its compressed data ends too early")
    return data
