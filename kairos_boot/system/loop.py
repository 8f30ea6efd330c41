"""Loop devices: an image file becomes a block device in one ioctl (LOOP_CONFIGURE, Linux 5.8)."""

from __future__ import annotations

import errno
import fcntl
import os
import sys

from kairos_boot.errors import Explained
from kairos_boot.system.descriptors import Held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_CONFIGURE, _GET_FREE, _CLEAR, _STATUS = 0x4C0A, 0x4C82, 0x4C01, 0x4C05
_READ_ONLY, _AUTOCLEAR, _DIRECT = 1, 4, 16
_TRIES = 64
"""Another process may take the free device that the kernel named; so often we ask again."""


def attach(path: str, *, read_only: bool = True) -> str:
    """Attach the file *path* for good and return the device's node; a device that has it already is used again, unless it must be writable and is not.

    Partitions inside it are not looked for. KairosError: no loop driver, or the file cannot be used.
    """
    node, device = _taken(path, read_only=read_only)
    os.close(device)
    return node


def held(path: str, *, read_only: bool = True) -> Iterator[str]:
    """The same for as long as it is needed, and then the device is given back. For `contextlib.contextmanager`.

    It is open all the while: whoever else gives back the device that both of them use, before it is mounted here, would take it away, and the
    next one to attach a file would get its name.
    """
    node, device = _taken(path, read_only=read_only)
    try:
        yield node
    finally:
        try:
            _clear(device)
        finally:
            os.close(device)


def _taken(path: str, *, read_only: bool) -> tuple[str, int]:
    """The node, and a descriptor that holds the device."""
    present = _present(path, writable=not read_only)
    if present:
        return present
    with Explained("cannot open the image", path):
        file = os.open(path, (os.O_RDONLY if read_only else os.O_RDWR) | os.O_CLOEXEC)
    with Held(file), Explained("cannot attach the image to a loop device", path, "the initrd needs the kernel module loop"):
        return _attach(file, path, read_only=read_only)


def _attach(file: int, path: str, *, read_only: bool) -> tuple[str, int]:
    with Held(os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)) as control:
        for _ in range(_TRIES):
            node = f"/dev/loop{fcntl.ioctl(control, _GET_FREE)}"
            with Held(os.open(node, os.O_RDWR | os.O_CLOEXEC)) as device:
                try:
                    fcntl.ioctl(device, _CONFIGURE, _request(file, path, read_only=read_only))
                except OSError as error:
                    if error.errno != errno.EBUSY:
                        raise
                else:  # it is held for reading: a kernel may refuse to mount what somebody has open for writing
                    return node, os.open(node, os.O_RDONLY | os.O_CLOEXEC)
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))


def _request(file: int, path: str, *, read_only: bool) -> bytes:
    """Struct loop_config: descriptor, block size (0: chosen by the kernel), loop_info64, 64 bytes to spare.

    An image that is read is in memory once, as files of its file system, and not a second time as its own blocks. A file system that
    cannot do that (tmpfs), or a disk of larger blocks, is read as ever: the kernel takes the flag for a wish.
    """
    order = sys.byteorder
    flags = _READ_ONLY | _DIRECT if read_only else 0
    name = os.fsencode(path)[-63:]
    head = file.to_bytes(4, order) + bytes(4)
    info = bytes(5 * 8) + bytes(3 * 4) + flags.to_bytes(4, order) + name.ljust(64, b"\0") + bytes(64 + 32 + 16)
    return head + info + bytes(64)


def attached(path: str, *, writable: bool = False) -> str:
    """The node of the loop device that has *path*, of a *writable* one, or nothing.

    Files are told apart by device and inode: the name that the kernel kept may be another file's in another mount namespace.
    """
    found = _present(path, writable=writable)
    if found is None:
        return ""
    os.close(found[1])
    return found[0]


def _present(path: str, *, writable: bool) -> tuple[str, int] | None:
    """That node, and a descriptor that holds the device from before the look at it."""
    try:
        wanted = os.stat(path)
    except OSError:
        return None
    name = os.path.basename(os.path.realpath(path))
    for loop in sorted(os.listdir("/sys/block")):
        if loop.startswith("loop"):
            try:
                with open(f"/sys/block/{loop}/loop/backing_file", encoding="utf-8", errors="surrogateescape") as file:
                    if not file.read().rstrip("\n").endswith(name):
                        continue
                device = os.open(f"/dev/{loop}", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
            if _has(device, wanted, writable=writable):
                return f"/dev/{loop}", device
            os.close(device)
    return None


def _has(device: int, wanted: os.stat_result, *, writable: bool) -> bool:
    """Whether the open *device* has that file, and stays when others are done with it."""
    try:
        info = fcntl.ioctl(device, _STATUS, bytes(232))
    except OSError:
        return False
    unfit = _AUTOCLEAR | (_READ_ONLY if writable else 0)  # somebody gave it back already: what is in it may be older than the file
    return _backing(info) == (_encoded(wanted.st_dev), wanted.st_ino) and not _flags(info) & unfit


def within(device: int) -> list[str]:
    """The nodes of the loop devices whose file lies on the file system of the block device with that number, be it mounted nowhere any more.

    A process that was killed leaves them: they keep the file system, and the device below it, in use.
    """
    found = []
    for name in sorted(os.listdir("/sys/block")):
        if name.startswith("loop"):
            try:
                with Held(os.open(f"/dev/{name}", os.O_RDONLY | os.O_CLOEXEC)) as fd:
                    info = fcntl.ioctl(fd, _STATUS, bytes(232))
            except OSError:
                continue  # a device without a file
            if _backing(info)[0] == _encoded(device):
                found.append(f"/dev/{name}")
    return found


def _flags(info: bytes) -> int:
    return int.from_bytes(info[52:56], sys.byteorder)


def _backing(info: bytes) -> tuple[int, int]:
    """Device and inode of the file behind a loop device: the first two fields of its struct loop_info64."""
    return int.from_bytes(info[:8], sys.byteorder), int.from_bytes(info[8:16], sys.byteorder)


def _encoded(number: int) -> int:
    """A device number as the kernel encodes it there."""
    minor = os.minor(number)
    return minor & 0xFF | os.major(number) << 8 | (minor & ~0xFF) << 12


def detach(node: str) -> None:
    """Give the device back; it goes when its last user does."""
    with Held(os.open(node, os.O_RDONLY | os.O_CLOEXEC)) as device:
        _clear(device)


def _clear(device: int) -> None:
    try:
        fcntl.ioctl(device, _CLEAR)
    except OSError as error:
        if error.errno != errno.ENXIO:  # it went already
            raise
