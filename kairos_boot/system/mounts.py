"""The kernel's mounts: mount(2), umount2(2), syncfs(2) and /proc/self/mountinfo."""

from __future__ import annotations

import os

from kairos_boot.records import record
from kairos_boot.system.descriptors import Held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC, SLAVE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 19
DETACH = 2

_FLAGS = {"ro": RDONLY, "nosuid": NOSUID, "nodev": NODEV, "noexec": NOEXEC, "remount": REMOUNT, "bind": BIND, "rbind": BIND | REC,
          "sync": 16, "dirsync": 128, "noatime": 1024, "nodiratime": 2048, "relatime": 1 << 21, "strictatime": 1 << 24}
_WORDS = frozenset(("rw", "suid", "dev", "exec", "async", "defaults", "auto", "noauto", "nofail", "_netdev", "user", "nouser"))
"""Options that are no flags and that no file system knows."""

_loaded: list[Any] = []


@record
class Mounted:
    """A line of mountinfo: `root` is the mounted directory of the file system, `device` its `MAJOR:MINOR`."""

    target: str
    source: str
    fstype: str
    root: str
    device: str
    options: tuple[str, ...]
    super_options: tuple[str, ...]
    number: str = ""
    """The kernel's own for this mount."""


PRIVATE, NEW_NAMESPACE = 1 << 18, 0x20000


def _libc() -> Any:
    if not _loaded:
        import ctypes

        _loaded.append(ctypes.CDLL(None, use_errno=True))
        _loaded.append(ctypes.get_errno)
    return _loaded[0]


def _check(result: int, path: str) -> None:
    if result:
        number = _loaded[1]()
        raise OSError(number, os.strerror(number), path)


def split_options(options: Iterable[str]) -> tuple[int, str]:
    """The flags and the file system's own data of mount *options*; fstab's words for systemd (`x-…`, `nofail`) are neither."""
    flags, data = 0, []
    for option in options:
        if option in _FLAGS:
            flags |= _FLAGS[option]
        elif option and option not in _WORDS and not option.startswith("x-"):
            data.append(option)
    return flags, ",".join(data)


def mount(source: str, target: str, fstype: str = "", options: Iterable[str] = (), flags: int = 0) -> None:
    """Mount *source* at *target*. OSError: the kernel refuses."""
    more, data = split_options(options)
    arguments = [os.fsencode(text) if text else None for text in (source or "none", target, fstype)]
    libc = _libc()
    from ctypes import c_ulong

    _check(libc.mount(*arguments, c_ulong(flags | more), os.fsencode(data) if data else None), target)


def leave_namespace(more: int = 0) -> None:
    """Give this process mounts of its own, which nobody else sees and which go with it; *more* are flags of other namespaces. OSError: not permitted."""
    _check(_libc().unshare(NEW_NAMESPACE | more), "/")
    mount("", "/", flags=PRIVATE | REC)


def unmount(target: str, *, detach: bool = False) -> None:
    """Call umount2(2); *detach* takes the whole tree away now and lets its users finish."""
    _check(_libc().umount2(os.fsencode(target), DETACH if detach else 0), target)


def sync_filesystem(path: str) -> None:
    """Write everything of the file system that *path* lies on to its disk."""
    with Held(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as fd:
        _check(_libc().syncfs(fd), path)


def parse(text: str) -> list[Mounted]:
    """The mounts of a mountinfo file, in the order in which they were made."""
    mounts = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        words, rest = before.split(" "), after.split(" ")
        if len(words) >= 6 and len(rest) >= 2:
            mounts.append(Mounted(_plain(words[4]), _plain(rest[1]), rest[0], _plain(words[3]), words[2], tuple(words[5].split(",")),
                                  tuple(_plain(rest[2]).split(",")) if len(rest) > 2 else (), words[0]))
    return mounts


def mounted() -> list[Mounted]:
    """What is mounted for this process now."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return parse(file.read())


def device_of(node: str) -> str:
    """`MAJOR:MINOR` of the device *node*, by which `Mounted` names it. OSError: there is none."""
    number = os.stat(node).st_rdev
    return f"{os.major(number)}:{os.minor(number)}"


def at(target: str, mounts: Iterable[Mounted]) -> Mounted | None:
    """The uppermost mount at exactly *target*."""
    found = None
    for item in mounts:
        if item.target == target:
            found = item
    return found


def visible(path: str) -> Mounted | None:
    """The mount that begins at the directory *path* and that whoever opens it gets to see; None where another one hides it."""
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None
    with Held(fd), open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
        number = next((line.split()[1] for line in file if line.startswith("mnt_id:")), "")
    return next((item for item in mounted() if item.number == number and item.target == path), None)


def _plain(text: str) -> str:
    """Without the octal escapes of blanks and backslashes."""
    if "\\" not in text:
        return text
    parts = text.split("\\")
    return parts[0] + "".join(chr(int(part[:3], 8)) + part[3:] if part[:3].isdigit() and len(part) > 2 else "\\" + part for part in parts[1:])
