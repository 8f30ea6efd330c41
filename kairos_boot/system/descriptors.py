"""Descriptors: closed when their work is done, written to the end."""

from __future__ import annotations

import os


class Held:
    """`with Held(os.open(…)) as fd:` it is closed at the end."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> int:
        return self._fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of *data*: one write(2) may take less."""
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left):]
