"""The disk of a node as a file, made on a machine that builds images: a loop device stands for the disk, and nobody sees its mounts."""

from __future__ import annotations

import os

from kairos_boot.actions.partitioning import MIB
from kairos_boot.errors import Explained, KairosError, reason
from kairos_boot.lifecycle.layout import Images, compute
from kairos_boot.system.descriptors import Held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kairos_boot.lifecycle.layout import Wishes

NEW = ".kairos-boot.new"
"""The end of the file's name while it is made: one name, so that the next build finds what a killed one left, and nobody else's."""
PERSISTENT_MIB = 1024
"""MiB of the persistent partition where nobody says how large the disk is; it grows on the machine."""
TAIL = 2 * MIB
"""Bytes at the end of a disk for the second copy of its table."""
RELEASE = 10.0
"""Seconds for whoever looks at one of the partitions in this moment, such as udev."""
UNITS = {"": MIB, "M": MIB, "G": MIB << 10, "T": MIB << 20}

MOST = 1 << 50
"""Bytes that no file has."""


def size_of(text: str, least: Callable[[], int]) -> int:
    """Bytes of a size that somebody wrote: `8192` (MiB), `8G`, `8GiB`; `+1G` is on top of the *least*. KairosError: it is none."""
    number = text.removeprefix("+").removesuffix("iB").removesuffix("B")
    digits = number.rstrip("MGT")
    if not digits.isdecimal() or number[len(digits):] not in UNITS:
        raise KairosError(f"not a size: {text!r}", "--size", "write it like 8G, 8192M or +1G")
    size = int(digits) * UNITS[number[len(digits):]]
    if size > MOST:
        raise KairosError(f"more than any file holds: {text!r}", "--size", "write it like 8G, 8192M or +1G")
    return size + least() if text.startswith("+") else size


def must_be_elsewhere(path: str, source: str) -> None:
    """KairosError: *path*, which is about to be written, is the *source* of the image, or in it: it would be lost, or be in what it is made of."""
    real, folder = os.path.realpath(source), os.path.realpath(os.path.dirname(path))
    inside = os.path.isdir(folder) and os.path.commonpath((real, folder)) == real and os.stat(folder).st_dev == os.stat(real).st_dev  # other file systems are no part of a tree
    if inside or (os.path.exists(path) and os.path.samefile(path, source)):
        raise KairosError("the image would be written into what it is made of", path, f"name a file outside of {source}")


def least(images: Images, wanted: Wishes) -> int:
    """Bytes of a disk that holds what is *wanted*, with some room for persistent data."""
    room = 1 << 50
    last = compute("the disk image", room, images, wanted).places[-1]
    rest = last.start + last.size > room - MIB  # it took all that was left
    return last.start + (PERSISTENT_MIB * MIB if rest else last.size) + TAIL


def made(path: str, size: int, *, keep: bool = True, patience: float = RELEASE) -> Iterator[str]:
    """A loop device over a new sparse file of *size* bytes, which has the name *path* when all went well, where it is to be kept; *patience* are
    the seconds for whoever looks at one of its partitions at the end. For `contextlib.contextmanager`.

    KairosError: it cannot be made.
    """
    from contextlib import contextmanager

    from kairos_boot.system import loop
    from kairos_boot.system.atomic import sync_directory

    new = path + NEW
    with Held(_begun(new)) as fd:
        try:
            with Explained("the disk image cannot be made", path):
                os.truncate(fd, size)
            with contextmanager(loop.held)(new, read_only=False) as node:
                try:
                    yield node
                finally:
                    _clear(node, patience)
            if not keep:
                os.unlink(new)
                return
            os.fsync(fd)
            os.rename(new, path)
            sync_directory(os.path.dirname(os.path.abspath(path)))
        except BaseException:
            if os.path.exists(new):
                os.unlink(new)
            raise


def _begun(new: str) -> int:
    """The new file, empty, locked and for its owner alone (C5): secrets of a node are written to it. What a killed build left goes first, with its
    loop device. KairosError: another build makes it now, or it cannot be made.
    """
    try:
        if os.path.lexists(new):
            with Held(_locked(new, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)):
                _left(new)
                os.unlink(new)
        return _locked(new, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    except (BlockingIOError, FileExistsError) as error:
        raise KairosError("another build makes this disk image", new, "wait for its end, or name another file") from error
    except OSError as error:
        raise KairosError(f"the disk image cannot be made: {reason(error)}", new) from error


def _locked(path: str, flags: int) -> int:
    """The file, open and locked. BlockingIOError: another process has it, or took it away between the two."""
    import fcntl

    fd = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not (os.path.lexists(path) and os.path.samestat(os.fstat(fd), os.lstat(path))):
            raise BlockingIOError  # noqa: TRY301 -- as flock does
    except BaseException:
        os.close(fd)
        raise
    return fd


def _left(new: str) -> None:
    """Give back the loop device of a build that was killed, and first those of the images that it worked in: nobody else does, and its mounts went with it."""
    from contextlib import contextmanager

    from kairos_boot.system import blockdev, loop, partitions

    if loop.attached(new, writable=True):
        with contextmanager(loop.held)(new, read_only=False) as node:
            for number in blockdev.known(node):
                part = partitions.node_of(node, number)
                for inner in loop.within(os.stat(part).st_rdev) if os.path.exists(part) else ():
                    loop.detach(inner)
            _clear(node)


def _clear(node: str, patience: float = RELEASE) -> None:
    """Take the partitions of the device away, which would outlive the file in it. KairosError: one of them stays in use."""
    from kairos_boot.system import blockdev

    _durable(node)
    try:
        blockdev.tell(node, {}, patience)
    except KairosError as error:
        raise KairosError(f"the disk image cannot be given back, for a partition of it is in use: {error.message}", node,
                          f"end what uses it (lsblk {node}, fuser, findmnt), then: partx -d {node}; losetup -d {node}") from error


def _durable(path: str) -> None:
    with Held(os.open(path, os.O_RDWR | os.O_CLOEXEC)) as fd:
        os.fsync(fd)
