"""Files on a FAT partition: by a mount where the kernel can, else by mtools, as on a machine that builds images."""

from __future__ import annotations

import errno
import os

from kairos_boot.errors import KairosError, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kairos_boot.system.host import Host

PLACE = "/run/kairos-boot/esp"
NEW, OLD = ".new", ".old"
"""Behind a name: what is being written, and what was there before."""


def put_files(host: Host, node: str, files: Mapping[str, bytes], may_replace: Callable[[bytes, bytes], bool] | None = None) -> bool:
    """Put *files* (path on the partition, content) on the FAT file system of *node*, in their order; whether one of them was another one.

    None is written where *may_replace* forbids it for one of them, of its old and its new content. A new content is complete and durable before it takes the name, which is one sector of the directory; the old one stays beside it.
    KairosError: it cannot be written.
    """
    from kairos_boot.system import mounts

    try:
        os.makedirs(PLACE, mode=0o700, exist_ok=True)
        mounts.mount(node, PLACE, "vfat", ("rw", "noatime"))
    except OSError as error:
        if error.errno == errno.ENODEV:  # a kernel without FAT
            return _by_mtools(host, node, files)
        raise KairosError(f"the partition of the firmware cannot be mounted: {reason(error)}", node, f"check it: fsck.fat -n {node}") from error
    try:
        changed = False
        for name, content in files.items():
            old = _read(f"{PLACE}/{name}")
            if may_replace and old is not None and old != content and not may_replace(old, content):
                return False
        for name, content in files.items():
            changed = _put(f"{PLACE}/{name}", content) or changed
    except OSError as error:
        raise KairosError(f"cannot be written: {reason(error)}", str(error.filename or node), "make room on the partition of the firmware") from error
    else:
        return changed
    finally:
        mounts.unmount(PLACE)


def _put(path: str, content: bytes) -> bool:
    from kairos_boot.system.mounts import sync_filesystem

    old = _read(path)
    if old == content:
        return False
    directory = os.path.dirname(path)
    os.makedirs(directory, exist_ok=True)
    for name, data in ((path + OLD, old), (path + NEW, content)):
        if data is not None and _read(name) != data:
            with open(name, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
    sync_filesystem(directory)
    os.rename(path + NEW, path)
    sync_filesystem(directory)
    return True


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _by_mtools(host: Host, node: str, files: Mapping[str, bytes]) -> bool:
    """On a partition that nobody boots from yet: nothing is there to be kept."""
    made: set[str] = set()
    for name, content in files.items():
        folder = ""
        for part in name.split("/")[:-1]:
            folder = f"{folder}/{part}"
            if folder not in made:
                _run(host, node, ("mmd", "-D", "s", "-i", node, f"::{folder}"), fine=(0, 1))
                made.add(folder)
        _run(host, node, ("mcopy", "-o", "-i", node, "-", f"::/{name}"), stdin=content)
    fd = os.open(node, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    return bool(files)


def _run(host: Host, node: str, argv: tuple[str, ...], stdin: bytes = b"", fine: tuple[int, ...] = (0,)) -> None:
    try:
        result = host.processes.run(argv, stdin=stdin, timeout=120, env={"MTOOLS_SKIP_CHECK": "1", "LC_ALL": "C"})
    except KairosError as error:
        raise KairosError(error.message, node, "the kernel has no vfat, and mtools are not installed: install one of them") from error
    if result.code not in fine or result.timed_out:
        raise KairosError(f"{argv[0]}: {result.explain(120)}: {result.output.strip()[-300:]}", node)
