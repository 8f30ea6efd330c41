"""How much of a file system what is unpacked may take: a few bytes may unpack to any number, and a full disk is everybody's trouble."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError
from kairos_boot.system.layer_stream import LIMIT, TooLargeError

KEPT = 256 << 20
"""Bytes that are left to others, or a twentieth of a small file system."""
_BLOCK = 4096


def room(directory: str) -> int:
    """Bytes that may be taken where *directory* is, at most `LIMIT`."""
    found = os.statvfs(directory)
    return max(0, min(LIMIT, found.f_bavail * found.f_frsize - min(KEPT, found.f_blocks * found.f_frsize // 20)))


def block(size: int) -> int:
    """Bytes that a file of *size* takes, about."""
    return -(-size // _BLOCK) * _BLOCK


def too_large(where: str = "") -> KairosError:
    """It takes more."""
    return TooLargeError("unpacked it takes more room than there is for it", where, "make room, or name another place with TMPDIR; if it should not be that large, ask who made it")
