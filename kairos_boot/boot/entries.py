"""Files of every kind as values: described, compared, copied with owner, mode, links, devices and extended attributes."""

from __future__ import annotations

import errno
import os
import stat

from kairos_boot.system.descriptors import Held, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    Entry = tuple[str, int, int, int, int, str, str]
    """Kind (`d f l c b p`), mode, user, group, device, content (a digest, or a link's target), digest of the extended attributes."""

_KINDS = ((stat.S_ISREG, "f"), (stat.S_ISDIR, "d"), (stat.S_ISLNK, "l"), (stat.S_ISCHR, "c"), (stat.S_ISBLK, "b"), (stat.S_ISFIFO, "p"))
_PIECE = 1 << 20


def describe(path: str) -> Entry | None:
    """The entry of *path*; None for nothing, and for a socket, which lives as long as its program."""
    try:
        now = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    kind = next((name for test, name in _KINDS if test(now.st_mode)), "")
    if not kind:
        return None
    content = os.readlink(path) if kind == "l" else _digest(path) if kind == "f" else ""
    mode = 0 if kind == "l" else stat.S_IMODE(now.st_mode)
    return kind, mode, now.st_uid, now.st_gid, now.st_rdev if kind in "cb" else 0, content, _attributes_digest(path)


def walk(root: str) -> dict[str, Entry]:
    """Every entry of a directory by its path below it, the directory itself as the empty path."""
    found: dict[str, Entry] = {}
    todo = [""]
    while todo:
        path = todo.pop()
        full = f"{root}/{path}" if path else root
        entry = describe(full)
        if entry is None:
            continue
        found[path] = entry
        if entry[0] == "d":
            todo.extend(f"{path}/{name}" if path else name for name in os.listdir(full))
    return found


def _digest(path: str) -> str:
    from hashlib import blake2b

    total = blake2b(digest_size=16)
    with Held(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)) as fd:
        while data := os.read(fd, _PIECE):
            total.update(data)
    return total.hexdigest()


def _attributes(path: str) -> list[tuple[str, bytes]]:
    """The extended attributes that belong to the file, not to an overlay that shows it."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
        return [(name, os.getxattr(path, name, follow_symlinks=False)) for name in sorted(names) if not name.startswith("trusted.overlay.")]
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.EPERM, errno.ENODATA):
            return []
        raise


def _attributes_digest(path: str) -> str:
    pairs = _attributes(path)
    if not pairs:
        return ""
    from hashlib import blake2b

    total = blake2b(digest_size=16)
    for name, value in pairs:
        total.update(f"{name}\0{len(value)}\0".encode() + value)
    return total.hexdigest()


def stage(source: str, target: str, links: dict[tuple[int, int], str]) -> None:
    """Make *target*, which does not exist, equal to *source*; of a directory only itself. *links* remembers what has several names."""
    now = os.lstat(source)
    key = now.st_dev, now.st_ino
    if not stat.S_ISDIR(now.st_mode) and now.st_nlink > 1 and key in links:
        os.link(links[key], target, follow_symlinks=False)
        return
    links[key] = target
    if stat.S_ISREG(now.st_mode):
        _copy(source, target)
    elif stat.S_ISDIR(now.st_mode):
        os.mkdir(target, 0o700)
    elif stat.S_ISLNK(now.st_mode):
        os.symlink(os.readlink(source), target)
    else:
        os.mknod(target, stat.S_IFMT(now.st_mode) | 0o600, now.st_rdev)
    _dress(source, target, now)


def _copy(source: str, target: str) -> None:
    with (Held(os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)) as ours,
          Held(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)) as theirs):
        while data := os.read(ours, _PIECE):
            write_all(theirs, data)


def _dress(source: str, target: str, now: os.stat_result) -> None:
    """Owner, mode, attributes and time of *source*; chown first, since it clears set-uid and capabilities."""
    os.chown(target, now.st_uid, now.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(now.st_mode):
        os.chmod(target, stat.S_IMODE(now.st_mode))
    wanted = dict(_attributes(source))
    for name, _ in _attributes(target):
        if name not in wanted:
            os.removexattr(target, name, follow_symlinks=False)
    for name, value in wanted.items():
        os.setxattr(target, name, value, follow_symlinks=False)
    if not stat.S_ISDIR(now.st_mode):
        os.utime(target, ns=(now.st_atime_ns, now.st_mtime_ns), follow_symlinks=False)


def place(source: str, staged: str, target: str) -> bool:
    """Rename *staged* over *target*; without one, *target* is a directory that takes over owner and mode of *source*.

    False: a directory of the same place that is not empty stays.
    """
    if not staged:
        _dress(source, target, os.lstat(source))
        return True
    directory = stat.S_ISDIR(os.lstat(staged).st_mode)
    try:
        now = os.lstat(target)
    except FileNotFoundError:
        pass
    else:
        if stat.S_ISDIR(now.st_mode) and not directory:
            try:
                os.rmdir(target)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    return False
                raise
        elif directory and not stat.S_ISDIR(now.st_mode):
            os.unlink(target)
    os.rename(staged, target)
    return True
