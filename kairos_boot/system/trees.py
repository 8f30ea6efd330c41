"""Directory trees taken away: never by way of a link, never into another file system, at any depth."""

from __future__ import annotations

import errno
import os

from kairos_boot.system.descriptors import Held

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(name: str, directory: int | None = None) -> None:
    """Remove *name* in the open *directory*, else a path of this system, with all that is in it; nothing there is fine. OSError: see `empty`."""
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        pass
    except IsADirectoryError:
        with Held(os.open(name, DIRECTORY, dir_fd=directory)) as fd:
            empty(fd)
        os.rmdir(name, dir_fd=directory)


def empty(directory: int) -> None:
    """Remove everything in the open *directory*. OSError: something is mounted below it, somebody moves it meanwhile, or the disk fails.

    Only one directory is open at a time, and the way back up is checked: a tree may be deeper than descriptors and stack would reach.
    """
    here, device = os.dup(directory), os.fstat(directory).st_dev
    above: list[tuple[os.stat_result, str, list[str]]] = []
    names = os.listdir(here)
    try:
        while names or above:
            if not names:
                parent, name, names = above.pop()
                here = _enter("..", here)
                if not os.path.samestat(os.fstat(here), parent):
                    raise OSError(errno.ESTALE, "it was moved meanwhile", name)
                os.rmdir(name, dir_fd=here)
                continue
            name = names.pop()
            try:
                os.unlink(name, dir_fd=here)
            except IsADirectoryError:
                above.append((os.fstat(here), name, names))
                here = _enter(name, here)
                if os.fstat(here).st_dev != device:
                    raise OSError(errno.EBUSY, "something is mounted there", name) from None
                names = os.listdir(here)
    finally:
        os.close(here)


def _enter(name: str, here: int) -> int:
    """From the open directory *here*, which is closed, into *name*."""
    fd = os.open(name, DIRECTORY, dir_fd=here)
    os.close(here)
    return fd
