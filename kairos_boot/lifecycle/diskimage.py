"""The disk of a node as a file, made on a machine that builds images: a loop device stands for the disk, and nobody sees its mounts."""

from __future__ import annotations

import os

from kairos_boot.actions.partitioning import MIB
from kairos_boot.errors import KairosError, reason
from kairos_boot.lifecycle.layout import Images, compute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kairos_boot.lifecycle.layout import Wishes

NEW = ".new"
PERSISTENT_MIB = 1024
"""MiB of the persistent partition where nobody says how large the disk is; it grows on the machine."""
TAIL = 2 * MIB
"""Bytes at the end of a disk for the second copy of its table."""
RELEASE = 10.0
"""Seconds for whoever looks at one of the partitions in this moment."""
UNITS = {"": MIB, "M": MIB, "G": MIB << 10, "T": MIB << 20}


def size_of(text: str, least: Callable[[], int]) -> int:
    """Bytes of a size that somebody wrote: `8192` (MiB), `8G`, `8GiB`; `+1G` is on top of the *least*. KairosError: it is none."""
    number = text.removeprefix("+").removesuffix("iB").removesuffix("B")
    digits = number.rstrip("MGT")
    if not digits.isdecimal() or number[len(digits):] not in UNITS:
        raise KairosError(f"not a size: {text!r}", "--size", "write it like 8G, 8192M or +1G")
    size = int(digits) * UNITS[number[len(digits):]]
    return size + least() if text.startswith("+") else size


def least(images: Images, wanted: Wishes) -> int:
    """Bytes of a disk that holds what is *wanted*, with some room for persistent data."""
    room = 1 << 50
    last = compute("the disk image", room, images, wanted).places[-1]
    rest = last.start + last.size > room - MIB  # it took all that was left
    return last.start + (PERSISTENT_MIB * MIB if rest else last.size) + TAIL


def made(path: str, size: int, *, keep: bool = True) -> Iterator[str]:
    """A loop device over a new sparse file of *size* bytes, which has the name *path* when all went well, where it is to be kept. For
    `contextlib.contextmanager`.

    KairosError: it cannot be made.
    """
    from kairos_boot.system import loop
    from kairos_boot.system.atomic import sync_directory

    new = f"{path}.{os.getpid()}{NEW}"  # a file of that name is never somebody else's, nor that of another build
    try:
        with open(new, "xb") as file:
            file.truncate(size)
    except OSError as error:
        raise KairosError(f"the disk image cannot be made: {reason(error)}", path) from error
    try:
        node = loop.attach(new, read_only=False)
        try:
            yield node
        finally:
            _release(node)
        if not keep:
            os.unlink(new)
            return
        _durable(new)
        os.rename(new, path)
        sync_directory(os.path.dirname(os.path.abspath(path)))
    except BaseException:
        if os.path.exists(new):
            os.unlink(new)
        raise


def _release(node: str) -> None:
    """Give the device back, its partitions first."""
    import time

    from kairos_boot.system import blockdev, loop

    _durable(node)
    end = time.monotonic() + RELEASE
    while True:
        try:
            blockdev.tell(node, {})
            break
        except KairosError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
    loop.detach(node)


def _durable(path: str) -> None:
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
