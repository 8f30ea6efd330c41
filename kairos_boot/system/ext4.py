"""What an ext2/3/4 superblock tells of an image before anybody mounts it (fields: the kernel's documentation of ext4)."""

from __future__ import annotations

from kairos_boot.errors import KairosError

START, SIZE = 1024, 1024
"""Where the superblock lies in a file system, in bytes."""
_HAS_ERRORS = 2
_METADATA_CSUM = 0x400
_LABEL, _CHECKSUM = 120, 1020
LABEL_BYTES = 16
DIGEST = ".sha256"
"""Behind an image's name: the file with its digest."""


def check(path: str, size: int | None = None) -> str:
    """Check the superblock of *path* and return its label.

    KairosError: no ext file system, a file shorter than its file system (a copy that was cut off), errors that the kernel noted.
    """
    with open(path, "rb") as file:
        if size is None:
            size = file.seek(0, 2)
        file.seek(START)
        block = file.read(SIZE)
    if len(block) < SIZE or block[56:58] != b"\x53\xef":
        raise KairosError("it has no ext4 file system, or its beginning was overwritten", path)

    def number(at: int, length: int) -> int:
        return int.from_bytes(block[at:at + length], "little")

    shift = number(24, 4)
    high = number(0x150, 4) if number(0x60, 4) & 0x80 else 0
    length = (number(4, 4) + (high << 32)) * (1024 << min(shift, 16))
    if shift > 6 or not number(4, 4) or not number(40, 4):
        raise KairosError("its superblock is damaged", path)
    if length > size:
        raise KairosError(f"it was cut off: {size} bytes of a file system of {length}", path)
    if number(58, 2) & _HAS_ERRORS:
        raise KairosError("the kernel noted errors in its file system", path)
    return block[120:136].rstrip(b"\0").decode("utf-8", "replace")


def relabelled(block: bytes, label: str) -> bytes:
    """The superblock *block* with another label and the checksum that belongs to it. KairosError: no superblock, or the label is too long."""
    text = label.encode()
    if len(block) != SIZE or block[56:58] != b"\x53\xef":
        raise KairosError("it has no ext4 file system")
    if len(text) > LABEL_BYTES:
        raise KairosError(f"a label of ext4 has at most {LABEL_BYTES} bytes: {label!r}")
    new = bytearray(block)
    new[_LABEL:_LABEL + LABEL_BYTES] = text.ljust(LABEL_BYTES, b"\0")
    if int.from_bytes(new[0x64:0x68], "little") & _METADATA_CSUM:
        new[_CHECKSUM:] = crc32c(bytes(new[:_CHECKSUM])).to_bytes(4, "little")
    return bytes(new)


def crc32c(data: bytes) -> int:
    """CRC-32C without its final inversion, as ext4 keeps it."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value
