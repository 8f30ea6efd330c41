"""Hooks: the stages that an action emits, in the running system and inside the new image."""

from __future__ import annotations

import os

from kairos_boot.actions.image_file import CopyImage, no_progress, put
from kairos_boot.actions.remove import Remove
from kairos_boot.errors import KairosError, reason
from kairos_boot.lifecycle.phases import Fatal
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kairos_boot.system.copying import Progress
    from kairos_boot.system.host import Host

    Emit = Callable[[str, str], str]
    """Emits a stage (name) in a root directory, and gives what failed, or nothing."""
    Steps = Callable[[str, str], int]
    """How many steps the documents of a root directory have for a stage with its substages."""

BINDS = (("/oem", "/oem"), ("/usr/local", "/usr/local"))
"""What of the running system a hook in the image sees besides /dev, /proc, /run and /sys, and where it sees it."""


HOOK_SECONDS = 3600.0


def untold(_: str) -> Progress:
    """The progress of what nobody is told of."""
    return no_progress


@record
class Hook:
    """The stage *stage*, in the running system. *hint* is what helps when it fails."""

    stage: str
    emit: Emit
    hint: str = ""

    def describe(self) -> str:
        """The stage."""
        return f"run stage {self.stage}"

    def would_change(self, host: Host) -> bool | None:  # noqa: ARG002
        """Only doing it tells."""
        return None

    def apply(self, host: Host) -> bool:  # noqa: ARG002
        """Emit it, and make durable what it wrote: the marker says so afterwards. KairosError: a step failed."""
        failed = self.emit(self.stage, "/")
        os.sync()
        if failed:
            raise KairosError(f"stage {self.stage} failed: {failed}", hint=self.hint)
        return True


@record
class RunExecutable:
    """The executable *path* of the running system, where there is one: what an image's maker put at a place that the action knows."""

    path: str

    def describe(self) -> str:
        """Its path."""
        return f"run {self.path}, if it is there"

    def would_change(self, host: Host) -> bool | None:
        """Only doing it tells; nothing where it is not there."""
        return None if host.exists(self.path) else False

    def apply(self, host: Host) -> bool:
        """Run it. KairosError: it failed."""
        if not host.exists(self.path):
            return False
        result = host.processes.run((self.path,), timeout=HOOK_SECONDS)
        if result.code or result.timed_out:
            raise KairosError(f"{result.explain(HOOK_SECONDS)}: {result.output.strip()[-400:]}", self.path)
        return True


@record
class HookInImage:
    """The stage *stage* in a root made of the image *image*. What it writes there is in the image, and in the copies *copies* (file, label).

    It runs in a copy that takes the image's name when it is whole; an image is never changed where it may be booted (G2). With *unborn* no entry
    of the menu leads to the image yet, so that no copy is needed. *directories* are made in it, *removed* is taken out of it. *hint* is what helps when a
    step fails.
    """

    stage: str
    image: str
    copies: tuple[tuple[str, str], ...]
    emit: Emit
    steps: Steps
    binds: tuple[tuple[str, str], ...] = BINDS
    unborn: bool = False
    directories: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    hint: str = ""
    progress: Callable[[str], Progress] = untold
    """Tells how far a copy is, by its title."""

    def describe(self) -> str:
        """The stage and its place."""
        made = [f"{verb} {', '.join(paths)} in {self.image}; " for verb, paths in (("remove", self.removed), ("make", self.directories)) if paths]
        return f"{''.join(made)}run stage {self.stage} in {self.image}, where a step asks for it"

    def would_change(self, host: Host) -> bool | None:  # noqa: ARG002
        """Only doing it tells."""
        return None

    def apply(self, host: Host) -> bool:
        """Run it in a copy, and put the copy in place. KairosError: no room, or the new image is damaged, then the old one stays; or a step
        failed, and what the others did is in place. Fatal: there is no old one, and the new one is lost.
        """
        try:
            changed, failed = self._work(host)
        except (KairosError, OSError) as error:
            if not self.unborn:
                raise
            found = error if isinstance(error, KairosError) else KairosError(reason(error), self.image)
            raise Fatal(found.message, found.where, found.hint) from error
        if failed:
            raise KairosError(f"stage {self.stage} failed: {failed}", hint=self.hint)
        return changed

    def _work(self, host: Host) -> tuple[bool, str]:
        """Whether something was changed, and which steps failed."""
        from contextlib import contextmanager

        from kairos_boot.actions.image_tree import mounted

        mount = contextmanager(mounted)
        path = host.path(self.image)
        failed = ""
        with mount(path, read_only=True) as place, bound(place, self.binds):
            if not self.steps(self.stage, place) and not self.directories and not self.removed:
                return False, ""

        def write(new: str) -> str:
            nonlocal failed
            from kairos_boot.actions.image_layers import must_be_system
            from kairos_boot.actions.selinux import relabel
            from kairos_boot.system.copying import copy_file, digest
            from kairos_boot.system.host import Host

            if self.unborn:
                os.rename(path, new)
                target = os.open(new, os.O_RDWR | os.O_CLOEXEC)
            else:
                target = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            try:
                if not self.unborn:
                    with open(path, "rb") as source:
                        copy_file(source.fileno(), target, self.progress(f"write {os.path.basename(self.image)}"))
                with mount(new) as place:
                    for gone in self.removed:
                        Remove(gone).apply(Host(place))
                    for directory in self.directories:
                        _make(Host(place), directory)
                    with bound(place, self.binds):
                        failed = self.emit(self.stage, place)
                    if self.unborn:
                        must_be_system(host, place, self.image)
                    try:
                        relabel(host, place)
                    except KairosError as error:  # what the steps did stays
                        failed = failed or str(error)
                os.fsync(target)
                return digest(target)
            finally:
                os.close(target)

        put(host, self.image, path, write)
        for copy, label in self.copies:
            CopyImage(self.image, copy, label, self.progress(f"write {os.path.basename(copy)}")).apply(host)
        return True, failed


def _make(host: Host, path: str) -> None:
    try:
        with host.place(path) as place:
            place.make_directory(0o755, 0, 0)
    except OSError as error:
        raise KairosError(f"the directory cannot be made in the image: {reason(error)}", path) from error


class bound:  # noqa: N801
    """The directories *binds* of the running system below *place* while it lasts; links of *place* lead inside it."""

    def __init__(self, place: str, binds: tuple[tuple[str, str], ...] = BINDS) -> None:
        self.place, self.binds = place, binds
        self._mounted: list[str] = []

    def __enter__(self) -> None:
        from kairos_boot.system import mounts
        from kairos_boot.system.host import Host

        inside = Host(self.place)
        try:
            for path, seen in self.binds:
                target = inside.real(seen)
                if os.path.isdir(path) and os.path.isdir(target):
                    mounts.mount(path, target, options=("bind",))
                    self._mounted.append(target)
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        from kairos_boot.system import mounts

        for target in reversed(self._mounted):
            mounts.unmount(target, detach=True)
