"""Packed files, unpacked with limits: of room on the disk, and of memory."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError
from kairos_boot.gunzip import BLOCK, MAGIC, blocks
from kairos_boot.system.room import room, too_large

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from kairos_boot.system.host import Host

XZ, BZIP2, ZSTD = b"\xfd7zXZ\0", b"BZh", b"\x28\xb5\x2f\xfd"
MEMORY = 80 << 20
"""Bytes that xz may take, as `xz -9` needs: the whole process stays below 128 MiB."""
ZSTD_SECONDS = 3600.0


def unpacked(file: IO[bytes]) -> Iterator[bytes] | None:
    """The content of a compressed file; None: it is not compressed, or by zstd."""
    start = file.read(6)
    file.seek(0)
    if start.startswith(MAGIC):
        return blocks(file.read)
    if start.startswith(BZIP2):
        import bz2

        return _reads(bz2.BZ2File(file))
    return _xz(file) if start.startswith(XZ) else None


def _reads(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(1 << 18):
        yield block


def _xz(file: IO[bytes]) -> Iterator[bytes]:
    """All streams of the file, whose padding are zeros. LZMAError, ValueError: it is damaged, or wants more memory than `MEMORY`."""
    import lzma

    data = b""
    while data or (data := file.read(BLOCK).lstrip(b"\0")):
        stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY)
        while not stream.eof:
            if not data and stream.needs_input and not (data := file.read(BLOCK)):
                raise ValueError("the xz data ends too early")
            try:
                out = stream.decompress(data, BLOCK)
            except lzma.LZMAError as error:
                if "limit" in str(error):
                    raise ValueError(f"xz needs more than {MEMORY >> 20} MiB of memory to unpack it; pack it with xz -9 or less") from error
                raise
            data = b""
            if out:
                yield out
        data = stream.unused_data.lstrip(b"\0")


def keep(packed: Iterator[bytes], path: str, source: str) -> None:
    """Write what is unpacked to a new file. KairosError: it is damaged, ends too early, or is larger than its file may be; no file is left then."""
    free = room(os.path.dirname(path))
    try:
        with open(path, "xb") as plain:
            for block in _whole(packed, source):
                free -= len(block)
                _must_have_room(free, source)
                plain.write(block)
    except BaseException:
        if os.path.exists(path):
            os.unlink(path)
        raise


def _must_have_room(free: int, source: str) -> None:
    if free < 0:
        raise too_large(source)


def _whole(packed: Iterator[bytes], source: str) -> Iterator[bytes]:
    while True:
        try:
            block = next(packed, b"")
        except Exception as error:  # zlib, bz2 and lzma raise errors of many kinds, OSError among them
            raise KairosError(f"{source} cannot be read: {error}", hint="copy it again: it is damaged or cut off") from error
        if not block:
            return
        yield block


def by_zstd(host: Host, packed: str, plain: str) -> None:
    """Unpack the file *packed* to the new file *plain*: the program zstd does it, within its limit. KairosError: it is not there, or refuses; no file is left then."""
    free = room(os.path.dirname(plain))
    try:
        # Its file may not grow beyond the room; a window of 64 MiB is the largest one of its levels up to 19.
        argv = ("prlimit", f"--fsize={free}", "zstd", "-q", "-d", "-f", "--memory=64MiB", "-o", plain, packed)
        result = host.processes.run(argv, timeout=ZSTD_SECONDS, env={"LC_ALL": "C"})
    except KairosError as error:
        raise KairosError(f"a layer is packed with zstd: {error.message}", hint="the node needs the programs zstd and prlimit for it, or pack the image with gzip") from error
    if not result.code and not result.timed_out:
        return
    if os.path.exists(plain):
        os.unlink(plain)
    said = result.output.strip()[-300:]
    if result.code == -XFSZ or "File too large" in said:
        raise too_large()
    if "No such file" in said and "prlimit" in said:
        raise KairosError("a layer is packed with zstd, and the program is not there", hint="the node needs the program zstd for it, or pack the image with gzip")
    hint = "pack it with a smaller window: zstd -19 or less, without --long" if "memory" in said.lower() else ""
    raise KairosError(f"a layer cannot be unpacked: zstd: {result.explain(ZSTD_SECONDS)}: {said}", hint=hint)


XFSZ = 25
"""The signal of who writes more than a file may have."""
