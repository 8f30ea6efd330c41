"""Media with user data, made without a tool that the tests would not need otherwise."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

from common import MIB, run

BLOCK = 2048


def fat_disc(path: Path, label: str, files: Mapping[str, str]) -> Path:
    """A FAT file system of 16 MiB over a whole device."""
    with path.open("wb") as file:
        file.truncate(16 * MIB)
    run("mkfs.fat", "-n", label, path)
    for directory in dict.fromkeys(str(parent) for name in files for parent in reversed(Path(name).parents) if parent.name):
        run("mmd", "-i", path, f"::{directory}")
    for name, text in files.items():
        run("mcopy", "-i", path, "-", f"::{name}", stdin=text)
    return path


def iso_disc(path: Path, label: str, files: Mapping[str, str]) -> Path:
    """An ISO 9660 image with *files* in its root; the kernel shows their names in lower case.

    ECMA-119: 16 empty blocks, the primary volume descriptor, the end of descriptors, a path table for either byte order, the
    root directory, then the files.
    """
    little, big, root, start = 18, 19, 20, 21
    entries, bodies = [_record(b"\0", root, BLOCK, 2), _record(b"\1", root, BLOCK, 2)], b""
    for name, text in sorted(files.items()):
        body = text.encode()
        entries.append(_record(name.upper().encode() + b".;1", start + len(bodies) // BLOCK, len(body), 0))
        bodies += _block(body)
    directory = _block(b"".join(entries))
    assert len(directory) == BLOCK, "the root directory has one block"
    tables = [struct.pack(f"{order}BBIHBx", 1, 0, root, 1, 0) for order in "<>"]
    size = start + len(bodies) // BLOCK
    volume = b"".join([
        b"\1CD001\1\0", b" " * 32, label.encode().ljust(32), bytes(8), _both("I", size), bytes(32), _both("H", 1), _both("H", 1), _both("H", BLOCK),
        _both("I", 10), struct.pack("<II", little, 0), struct.pack(">II", big, 0), entries[0], b" " * (128 * 4 + 37 * 3), (b"0" * 16 + b"\0") * 4, b"\1\0",
    ])  # fmt: skip
    path.write_bytes(bytes(16 * BLOCK) + _block(volume) + _block(b"\xffCD001\1") + b"".join(_block(table) for table in tables) + directory + bodies)
    return path


def qcow2(source: Path) -> Path:
    """A qcow2 file over the raw image *source*: what a machine writes to the medium is in there, and nowhere else."""
    path = source.with_suffix(".qcow2")
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", source.resolve(), "-F", "raw", path)
    return path


def _record(name: bytes, block: int, size: int, flags: int) -> bytes:
    """A directory record; its date is 2025-01-01."""
    tail = b"" if len(name) % 2 else b"\0"
    fields = bytes((33 + len(name) + len(tail), 0)) + _both("I", block) + _both("I", size) + bytes((125, 1, 1, 0, 0, 0, 0, flags, 0, 0)) + _both("H", 1)
    return fields + bytes((len(name),)) + name + tail


def _both(kind: str, number: int) -> bytes:
    """A number in both byte orders."""
    return struct.pack(f"<{kind}", number) + struct.pack(f">{kind}", number)


def _block(content: bytes) -> bytes:
    """Filled up to whole blocks."""
    return content + bytes(-len(content) % BLOCK)
