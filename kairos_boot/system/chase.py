"""The one way to a place that root writes at: no unprivileged user decides where it leads (unsafe path transitions, C12).

The path is walked component by component on descriptors, as systemd's tools do in their safe mode. From what belongs to an
unprivileged user it goes on only to what belongs to that user, and a link of such a user leads to nothing of anybody else.
"""

from __future__ import annotations

import errno
import os
import stat

from kairos_boot.errors import KairosError
from kairos_boot.records import record
from kairos_boot.system.place import Place

MAX_LINKS = 40
REMEDY = "remove it, give it to that user, or choose a path that root alone can change"


@record
class _Link:
    """A link of an unprivileged user that was followed: where it leads has to be that user's, too."""

    user: int
    path: str


@record
class _Step:
    """A directory on the way."""

    fd: int
    status: os.stat_result
    path: str


def chase(root: str, path: str, *, follow: bool = True, owner: int | None = None) -> Place:
    """Where *path* below the directory *root* leads, links resolved inside it; the last one only with *follow*.

    A last component that is no link and has one name may be root's or *owner*'s, the user that it is to belong to, also below
    somebody else's directory: root put it there. KairosError: an unsafe transition, or too many links. OSError: no way there.
    """
    if "\0" in path:
        raise KairosError(f"no path holds a NUL character: {path!r}")
    walk = _Walk(root, path, owner)
    try:
        return walk.end(walk.go(follow=follow))
    finally:
        walk.close()


class _Walk:
    """One walk, from the root directory on."""

    def __init__(self, root: str, path: str, owner: int | None) -> None:
        self.path = path
        self.owner = owner
        self.base = "" if root == "/" else root
        fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        status = os.fstat(fd)
        self.steps = [_Step(fd, status, "")]
        self.trusted = frozenset((0, os.geteuid(), status.st_uid))
        self.missing: list[str] = []

    def close(self) -> None:
        for step in self.steps:
            os.close(step.fd)

    def go(self, *, follow: bool) -> tuple[str, os.stat_result] | None:
        """Walk; the name and status of what the path ends with, if that is no directory."""
        todo: list[str | _Link] = _parts(self.path)
        last = None
        links = 0
        while todo:
            part = todo.pop()
            here = self.steps[-1]
            if isinstance(part, _Link):
                self._leads(part, last[1] if last else here.status)
                continue
            final = not any(isinstance(item, str) for item in todo)
            if part == "..":
                self._up()
                continue
            now = None if self.missing else _lstat(part, here.fd)
            if now is None:
                self.missing.append(part)
            elif stat.S_ISLNK(now.st_mode) and (follow or not final):
                links += 1
                if links > MAX_LINKS:
                    raise KairosError(f"{self.path}: too many levels of symbolic links")
                self._check(here, part, now, final=False)
                target = os.readlink(part, dir_fd=here.fd)
                if now.st_uid not in self.trusted:
                    todo.append(_Link(now.st_uid, f"{here.path}/{part}"))
                todo.extend(_parts(target))
                if target.startswith("/"):
                    self._back(1)
            elif stat.S_ISDIR(now.st_mode):
                fd = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here.fd)
                self.steps.append(_Step(fd, os.fstat(fd), f"{here.path}/{part}"))
                self._check(here, part, self.steps[-1].status, final=final)
            else:
                if not final:
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), f"{here.path}/{part}")
                self._check(here, part, now, final=True)
                last = (part, now)
        return last

    def end(self, last: tuple[str, os.stat_result] | None) -> Place:
        """The place at which the walk ended."""
        name, status = last or ("", None)
        if self.missing:
            name = self.missing.pop()
        elif last is None:  # at a directory: it is a name in the one above it
            name, status = ".", self.steps[-1].status
            if len(self.steps) > 1:
                name = self.steps[-1].path.rpartition("/")[2]
                self._back(len(self.steps) - 1)
        step = self.steps.pop()
        path = "/".join((f"{self.base}{step.path}", *self.missing, *([] if name == "." else [name])))
        return Place(step.fd, name, status, missing=self.missing, path=path or "/", trusted=self.trusted)

    def _up(self) -> None:
        if self.missing:
            self.missing.pop()  # what is not there is taken as written
        elif len(self.steps) > 1:
            step = self.steps[-1]
            self._check(step, "..", self.steps[-2].status, final=False)
            self._back(len(self.steps) - 1)

    def _back(self, count: int) -> None:
        """Go back to the first *count* directories."""
        for step in self.steps[count:]:
            os.close(step.fd)
        del self.steps[count:]

    def _check(self, here: _Step, name: str, now: os.stat_result, *, final: bool) -> None:
        """From a directory to what is in it. KairosError: an unprivileged user may have put it there, and it is not that user's."""
        one = stat.S_ISDIR(now.st_mode) or (now.st_nlink == 1 and not stat.S_ISLNK(now.st_mode))
        if here.status.st_uid in self.trusted:
            if final and not one and here.status.st_mode & stat.S_IWOTH and stat.S_ISREG(now.st_mode):
                raise KairosError(f"unsafe path: {here.path}/{name} has {now.st_nlink} names, and anybody may have made this one", hint=REMEDY)
        elif now.st_uid != here.status.st_uid and not (final and one and (now.st_uid in self.trusted or now.st_uid == self.owner)):
            raise KairosError(f"unsafe path: {here.path} belongs to user {here.status.st_uid}, but leads to {here.path}/{name} of user {now.st_uid}", hint=REMEDY)

    def _leads(self, link: _Link, now: os.stat_result) -> None:
        """To the end of a link. KairosError: it is not its user's; where nothing is, the directory has to be."""
        if now.st_uid != link.user:
            raise KairosError(f"unsafe path: {link.path} is a link of user {link.user} to what belongs to user {now.st_uid}", hint=REMEDY)


def _parts(path: str) -> list[str | _Link]:
    """The components, the first one last."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _lstat(name: str, directory: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
