"""What actions work on: a root directory, a process runner and a clock."""

from __future__ import annotations

import errno
import os
import stat
import time

from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kairos_boot.system.place import Place
    from kairos_boot.system.process import ProcessRunner

MAX_LINKS = 40
NULL = os.makedev(1, 3)
"""/dev/null, a link to which stands for an empty file."""


class Host:
    """A node, or its tree below another directory.

    *root* is the directory that paths of documents start at; *processes* runs programs there; *clock* gives the time in
    seconds since the epoch. *online* is whether this is the running system (kernel settings, PID 1), not a tree on a disk.
    """

    def __init__(self, root: str = "/", processes: ProcessRunner | None = None, clock: Callable[[], float] = time.time,
                 *, online: bool | None = None) -> None:
        from kairos_boot.system.process import Processes

        self.root = root.rstrip("/") or "/"
        self.processes = processes or Processes(self.root)
        self.clock = clock
        self.online = self.root == "/" if online is None else online
        self.heard: Callable[[str], None] = lambda text: None  # noqa: ARG005
        """Is told what a command of the user said that succeeded."""

    def view(self, heard: Callable[[str], None]) -> Host:
        """The same host for one step, which is told what its commands say."""
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__)
        view.heard = heard
        return view

    @property
    def environment(self) -> Mapping[str, str]:
        """What its programs inherit: of a runner that has none of its own, what this process has."""
        own: Mapping[str, str] | None = getattr(self.processes, "environment", None)
        return os.environ if own is None else own

    def place(self, path: str, *, follow: bool = True, owner: int | None = None) -> Place:
        """The place to write, own or remove *path* at; what `path`, `entry` and `real` say is for looking only.

        See `chase`. KairosError: an unprivileged user has a hand in where the path leads (C12). OSError: there is no way there.
        """
        from kairos_boot.system.chase import chase

        return chase(self.root, path, follow=follow, owner=owner)

    def path(self, path: str) -> str:
        """Where *path* of the node lies here, links followed inside the root, the last one too.

        KairosError: too many links. What does not exist is taken as written.
        """
        if self.root == "/":
            return _checked(path)
        return self._resolve(path, follow_last=True)

    def entry(self, path: str) -> str:
        """Like `path`, but a link at the end stays a link."""
        if self.root == "/":
            return _checked(path)
        return self._resolve(path, follow_last=False)

    def real(self, path: str) -> str:
        """Like `path`, with every link resolved also below /: the file that a rename must replace."""
        return self._resolve(path, follow_last=True)

    def _resolve(self, path: str, *, follow_last: bool) -> str:
        _checked(path)
        base = "" if self.root == "/" else self.root
        todo = [p for p in reversed(path.split("/")) if p not in ("", ".")]
        done: list[str] = []
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                if done:
                    done.pop()
                continue
            here = f"{base}/{'/'.join([*done, part])}"
            if todo or follow_last:
                try:
                    link = os.readlink(here)
                except OSError:
                    done.append(part)
                    continue
                links += 1
                if links > MAX_LINKS:
                    raise KairosError(f"{path}: too many levels of symbolic links")
                if link.startswith("/"):
                    done = []
                todo.extend(p for p in reversed(link.split("/")) if p not in ("", "."))
            else:
                done.append(part)
        return f"{base}/{'/'.join(done)}"

    def read(self, path: str) -> bytes | None:
        """The content of *path*, or None if there is no such file. OSError: it is no file; a FIFO would never end."""
        try:
            fd = os.open(self.path(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            return None
        now = os.fstat(fd)
        if not stat.S_ISREG(now.st_mode) and now.st_rdev != NULL:
            os.close(fd)
            raise OSError(errno.EINVAL, "not a regular file", path)
        with open(fd, "rb") as file:
            return file.read()

    def exists(self, path: str) -> bool:
        """Whether something is at *path*, links followed."""
        try:
            os.stat(self.path(path))
        except OSError:
            return False
        return True

    def is_directory(self, path: str) -> bool:
        """Whether *path* is a directory or a link to one."""
        try:
            return stat.S_ISDIR(os.stat(self.path(path)).st_mode)
        except OSError:
            return False


def _checked(path: str) -> str:
    if "\0" in path:
        raise KairosError(f"no path holds a NUL character: {path!r}")
    return path
