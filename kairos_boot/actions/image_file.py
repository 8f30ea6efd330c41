"""Images of a node as files: written to a new name, checked, and renamed, with their digest beside them (G2).

At every instant the name leads to the whole old image or to the whole new one; the label is the final one from the start.
"""

from __future__ import annotations

import errno
import os

from kairos_boot.actions.base import always, never
from kairos_boot.errors import Explained, KairosError, reason
from kairos_boot.records import record
from kairos_boot.system import ext4
from kairos_boot.system.atomic import sync_directory
from kairos_boot.system.descriptors import Held
from kairos_boot.system.ext4 import DIGEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kairos_boot.system.copying import Progress
    from kairos_boot.system.host import Host

CHECK_SECONDS = 1800.0
NEW = ".new"
"""Behind a file's name while it is being written; what a cut run left there goes first."""
ORIGIN = ".source"
"""Behind an image's name: the file that says what the image was made of."""


def no_progress(done: int, total: int) -> None:
    """Tell nobody."""


@record
class CopyImage:
    """The image file *target*: all of *source*, an image too, under the label *label*."""

    source: str
    target: str
    label: str
    progress: Progress = no_progress

    def describe(self) -> str:
        return f"write {self.target} ({self.label}) from {self.source}"

    would_change = always

    def apply(self, host: Host) -> bool:
        """Write, check, rename. KairosError: no room, the source or the new image is damaged; the old one is untouched then."""
        target = host.path(self.target)
        with Explained("the image cannot be read", self.source):
            source = os.open(host.path(self.source), os.O_RDONLY | os.O_CLOEXEC)
        with Held(source):
            put(host, self.target, target, lambda new: self._write(source, new))
        return True

    def _write(self, source: int, new: str) -> str:
        from kairos_boot.system.copying import copy_file

        head = os.pread(source, ext4.START + ext4.SIZE, 0)
        head = head[:ext4.START] + ext4.relabelled(head[ext4.START:], self.label)
        with Held(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)) as fd:
            return copy_file(source, fd, self.progress, head)


@record
class BuildImage:
    """The image file *target* of the tree *source*: an ext4 file system of *size* bytes under the label *label*."""

    source: str
    target: str
    label: str
    size: int
    places: tuple[str, ...] = ()
    """Directories that the image has besides those of the tree."""

    def describe(self) -> str:
        return f"write {self.target} ({self.label}, {self.size >> 20} MiB) from the tree {self.source}"

    would_change = always

    def apply(self, host: Host) -> bool:
        """Make the file system, fill it, check, rename. KairosError: no room, or a tool fails; the old image is untouched then."""
        put(host, self.target, host.path(self.target), lambda new: self._write(host, new))
        return True

    def _write(self, host: Host, new: str) -> str:
        from kairos_boot.actions.image_tree import fill
        from kairos_boot.system.copying import digest

        with Held(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)) as fd:
            os.ftruncate(fd, self.size)
            _tool(host, ("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", "-L", self.label, new), self.target)
            fill(host, host.path(self.source), new, self.places)
            os.fsync(fd)
            return digest(fd)


@record
class CheckImage:
    """The image *path* is whole: its size, its file system, and its digest where one lies beside it."""

    path: str
    progress: Progress = no_progress

    def describe(self) -> str:
        return f"check {self.path}"

    would_change = never

    def apply(self, host: Host) -> bool:
        """Read all of it. KairosError: it is damaged."""
        path = host.path(self.path)
        try:
            ext4.check(path)
            expected = digest_of(path)
            check_file_system(host, path, self.path)
            if expected:
                compare(path, self.path, expected, self.progress)
        except OSError as error:
            raise KairosError(f"the image cannot be read: {reason(error)}", self.path) from error
        except KairosError as error:
            raise KairosError(f"the image is damaged: {error.message}", self.path, error.hint or "write a good image there, or install the node anew") from error
        return False


FULL = (errno.ENOSPC, errno.EDQUOT)


def put(host: Host, name: str, target: str, write: Callable[[str], str]) -> None:
    """Let *write* make the file beside *target* and give its digest; check it, and rename it.

    KairosError: up to the rename the old file is as it was; where *write* took it, nothing is left, nor said of it.
    """
    from kairos_boot.system.checkpoint import checkpoint, replaced

    new, directory = target + NEW, os.path.dirname(target)
    try:
        for stale in (new, target + DIGEST + NEW):
            if os.path.lexists(stale):
                os.unlink(stale)
        os.makedirs(directory, exist_ok=True)
        summed = write(new)
        check_file_system(host, new, name)
        forget(target)
        replaced(target, lambda: os.rename(new, target))
        write_digest(target, summed)
        checkpoint(directory)
    except OSError as error:
        _abandon(new, target)
        raise KairosError(f"the image cannot be written: {reason(error)}", name, "make room on its partition" if error.errno in FULL else "") from error
    except BaseException:
        _abandon(new, target)
        raise


def digest_of(path: str) -> str:
    """The digest that lies beside the image *path*, or nothing. KairosError: what lies there is none."""
    try:
        with open(path + DIGEST, encoding="ascii", errors="replace") as file:
            text = file.read(256).split()[:1]
    except FileNotFoundError:
        return ""
    if not text or len(text[0]) != 64 or text[0].strip("0123456789abcdef"):
        raise KairosError("the file with its digest holds none", hint=f"remove {os.path.basename(path)}{DIGEST}, or write it with sha256sum")
    return text[0]


def write_digest(path: str, digest: str) -> None:
    """Put *digest* beside the image *path*, in the form of sha256sum."""
    from kairos_boot.system.atomic import write_file

    write_file(path + DIGEST, f"{digest}  {os.path.basename(path)}\n".encode(), 0o644)


def compare(path: str, name: str, expected: str, progress: Progress = no_progress) -> None:
    """KairosError: the digest of *path*, called *name*, is another one than *expected*."""
    from kairos_boot.system.copying import digest

    with Held(os.open(path, os.O_RDONLY | os.O_CLOEXEC)) as fd:
        found = digest(fd, progress)
    if found != expected:
        raise KairosError(f"its content has the digest {found}, and {expected} is expected", name)


def check_file_system(host: Host, path: str, name: str) -> None:
    """Have e2fsck look at an image file, which it does not change. KairosError: it finds faults."""
    _tool(host, ("e2fsck", "-f", "-n", path), name)


def forget(target: str) -> None:
    """What is said of an image goes before it does: a cut between the two leaves an image of which nothing is said, never something wrong."""
    for said in (target + DIGEST, target + ORIGIN):
        if os.path.lexists(said):
            os.unlink(said)
    sync_directory(os.path.dirname(target))


def _abandon(new: str, target: str) -> None:
    """Remove the new file. A digest without an image would be taken for that of the next one which gets its name."""
    _discard(new)
    if not os.path.lexists(target):
        _discard(target + DIGEST)
        _discard(target + ORIGIN)


def _discard(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return


def _tool(host: Host, argv: tuple[str, ...], name: str) -> None:
    result = host.processes.run(argv, timeout=CHECK_SECONDS, env={"LC_ALL": "C"})
    if result.code or result.timed_out:
        words = [line for line in result.output.strip().splitlines() if line.strip()]
        raise KairosError(f"{argv[0]}: {result.explain(CHECK_SECONDS)}: {'; '.join(words[1:4] or words)}", name)
