"""Names that appear complete or not at all (C1): the primitive under the files of steps, records and settings. Images and programs, too large to be held, have ways of their own."""

from __future__ import annotations

import errno
import os
import stat
from _thread import LockType, RLock, allocate_lock  # `threading` costs more

from kairos_boot.system.descriptors import Held, give

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kairos_boot.system.place import Place

EDITS = RLock()
"""Held from the look at a file to its replacement: steps beside each other may add to the same one."""
_busy: dict[tuple[int, int, str], LockType] = {}
"""The temporary files of this process: directory and name."""


def replace_file(place: Place, content: bytes, mode: int, user: int, group: int) -> None:
    """Put a complete file of that mode and owner at *place*, whose directory is there; OSError leaves the old one and nothing else.

    The name of the temporary file is always the same, so that the next run removes what a cut run left there.
    """
    put_file(place.directory, place.name, content, mode, user, group, lambda fd: keep_attributes(place, fd))
    sync_place(place)


def put_file(directory: int, name: str, content: bytes, mode: int, user: int, group: int, dress: Callable[[int], None]) -> None:
    """The same at *name* in an open *directory*, where alone names are looked up; *dress* gives the new file what else the old one has."""
    temporary = beside(name)
    here = os.fstat(directory)
    with _busy.setdefault((here.st_dev, here.st_ino, temporary), allocate_lock()):  # another step of this run may write the same file
        _must_be_a_file(name, directory)
        fd = create_file(temporary, directory)
        try:
            with open(fd, "wb") as file:
                file.write(content)
                file.flush()
                dress(fd)
                finish_file(fd, mode, user, group)
            rename_over(temporary, name, directory)
        except BaseException:
            os.unlink(temporary, dir_fd=directory)
            raise


def _must_be_a_file(name: str, directory: int) -> None:
    """OSError: what has the *name* is neither a file nor a link: a device, say, never becomes a file."""
    try:
        mode = os.lstat(name, dir_fd=directory).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode) and not stat.S_ISDIR(mode):  # the kernel refuses a directory by itself
        raise OSError(errno.EINVAL, "not a regular file", name)


def clear(place: Place) -> None:
    """Remove what a cut run left beside *place*, where nothing is to be written now; not what another step of this run writes."""
    if not place.missing:
        here = os.fstat(place.directory)
        clear_name(place.directory, beside(place.name), _busy.get((here.st_dev, here.st_ino, beside(place.name))))


def clear_name(directory: int, temporary: str, busy: LockType | None = None) -> None:
    """Remove the file *temporary* in an open directory, if it is there and nobody is *busy* with it."""
    if busy is not None and not busy.acquire(blocking=False):
        return
    try:
        os.unlink(temporary, dir_fd=directory)
    except OSError:
        pass  # nothing is there, as almost always
    finally:
        if busy is not None:
            busy.release()


def rename_over(temporary: str, name: str, directory: int) -> None:
    """Give what is complete its name in the open *directory*. OSError: it cannot have it, as where something is mounted on the name."""
    try:
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise OSError(errno.EBUSY, "something is mounted on it, so the file below cannot be replaced (see findmnt)", name) from error
        raise


def beside(name: str, ending: str = "kairos-new") -> str:
    """The name of the temporary file for what is to be called *name*: one that is nobody else's, and always the same."""
    return f".{os.fsdecode(os.fsencode(name)[:200])}.{ending}"


def create_file(name: str, directory: int) -> int:
    """A new file of ours in an open directory, for reading and writing, 0600. What a cut run left there goes first.

    Never a file that is there already: in a directory of others it might be a second name of something that is not theirs.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.open(name, flags, 0o600, dir_fd=directory)
    except FileExistsError:
        try:
            os.unlink(name, dir_fd=directory)
        except IsADirectoryError:  # nobody of ours made it; whoever did must not keep root from writing
            os.rename(name, f"{name}.{os.urandom(4).hex()}", src_dir_fd=directory, dst_dir_fd=directory)
        return os.open(name, flags, 0o600, dir_fd=directory)


def keep_attributes(place: Place, fd: int) -> None:
    """Give the open file *fd* what is at *place* has beside content, mode and owner: SELinux label, access list, user attributes.

    Without its label /etc/shadow is unreadable to logins where SELinux is enforced. File capabilities are not kept: they belong
    to the old content. What cannot be kept is left out, as a kernel without that attribute would.
    """
    if not place.is_file:
        return
    try:
        old = place.open()
    except OSError:
        return
    with Held(old):
        copy_attributes(old, fd)


def copy_attributes(old: int, fd: int) -> None:
    """Give the open file *fd* the attributes of *old*, which is open too, or -1 for nothing; see `keep_attributes`."""
    try:
        for name in os.listxattr(old):
            if name not in ("security.capability", "security.ima", "security.evm"):
                try:
                    os.setxattr(fd, name, os.getxattr(old, name))
                except OSError:
                    continue
    except OSError:
        return


def finish_file(fd: int, mode: int, user: int, group: int) -> None:
    """Give an open file its owner and mode, and make its content durable: what is due before its name appears."""
    give(fd, user, group)
    os.fchmod(fd, mode)  # after chown, which clears set-uid
    os.fsync(fd)


def sync_place(place: Place) -> None:
    """Make the names in the directory of *place* durable."""
    sync_directory(".", place.directory)


def sync_descriptor(fd: int) -> None:
    """Make the names in an open directory durable; a file system that cannot is as durable as it gets."""
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def make_directories(path: str, mode: int, user: int | None, group: int | None) -> None:
    """Make *path* of this system and its missing parents, each with exactly *mode* and owner, whatever the umask."""
    from kairos_boot.system.chase import chase

    with chase("/", os.path.abspath(path)) as place:
        place.make_directory(mode, user, group)


def write_file(path: str, content: bytes, mode: int) -> None:
    """Put a complete file of root's at *path* of this system, with its missing directories. KairosError: an unsafe path. OSError."""
    from kairos_boot.system.chase import chase

    with chase("/", os.path.abspath(path)) as place:
        place.make_parents(0o755, None, None)
        replace_file(place, content, mode, os.geteuid(), os.getegid())


def sync_directory(path: str, directory: int | None = None) -> None:
    """Make the names in the directory *path*, of this system or below an open *directory*, durable."""
    with Held(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)) as fd:
        sync_descriptor(fd)
