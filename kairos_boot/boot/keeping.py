"""The persistent directories of a boot: where each is kept, and that it is in step with the image before it is bound (D7)."""

from __future__ import annotations

import os

from kairos_boot.actions.mounts import Bind
from kairos_boot.boot import persist
from kairos_boot.errors import KairosError, reason
from kairos_boot.records import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kairos_boot.boot.image import BootDisk
    from kairos_boot.boot.report import Report
    from kairos_boot.boot.root import Part
    from kairos_boot.system.host import Host


class Keeping:
    """Keeps the directories of *node* below its directory *store*, as the image on *disk* has them; *sync* makes a file system durable."""

    def __init__(self, node: Host, report: Report, disk: BootDisk, sync: Callable[[str], None], store: str) -> None:
        self.node, self.report, self.disk, self.sync, self.store = node, report, disk, sync, store

    def in_step(self, parts: Sequence[Part]) -> list[Part]:
        """Bring the persistent directories of *parts* in step, and return what of *parts* is to be mounted, each directory bound from where
        its store is now: the persistent partition may have a link there.
        """
        there: list[Part] = []
        trees: list[persist.Tree] = []
        for part in parts:
            if not part.name:
                there.append(part)
                continue
            kept = self._kept(part)
            if part.behind and not os.path.isdir(kept) and _filled(self.node.path(part.behind)):
                self.report.log(6, f"{part.where} needs no directory of its own: what is there is persistent with the directory that it lies in", kind="part")
                continue
            there.append(replace(part, action=Bind(kept, part.action.target)))
            trees += [persist.Tree(part.name, part.action.target, kept)] if kept else []
        if trees:
            self.report.part(f"Kept {len(trees)} persistent directories in step with the image",
                             lambda: self._synchronise(trees, self._safe(f"{self.store}/.manifest")), what="sync", where=self.store)
        return there

    def _kept(self, part: Part) -> str:
        """Where the store of a persistent directory is; empty where a link of some user leads it astray."""
        try:
            return self._safe(f"{self.store}/{part.name}.bind")
        except KairosError as error:
            self.report.log(3, f"{part.where}: {error}", kind="failure")
            return ""

    def _safe(self, path: str) -> str:
        """Where *path* of the node lies here. KairosError: an unprivileged user decides it (C12), or no way leads there."""
        try:
            with self.node.place(path) as place:
                return place.path
        except OSError as error:
            raise KairosError(reason(error), path) from error

    def _synchronise(self, trees: list[persist.Tree], manifests: str) -> None:
        outcomes = persist.synchronise(trees, manifests, image_identity(self.disk), self.sync)
        for outcome in outcomes:
            changes = outcome.changes
            if changes.write or changes.remove:
                self.report.log(6, f"{outcome.name}: {len(changes.write)} written, {len(changes.remove)} removed")
            for path in changes.kept:
                self.report.log(6, f"{outcome.name}: {path or '.'} stays as the user left it; the image has another one now")
        wrong = [f"{outcome.name}: {outcome.error}" for outcome in outcomes if outcome.error]
        if wrong:
            raise KairosError("; ".join(wrong), hint="is the persistent partition full?")


def _filled(path: str) -> bool:
    """Whether *path* is a directory with something in it."""
    try:
        return bool(os.listdir(path))
    except OSError:
        return False


def image_identity(disk: BootDisk) -> str:
    """A name for the content of the image: its file's inode, size and times, and its superblock, which counts what was ever written.
    An upgrade writes a new file; a change in place sets its times. Empty without an image, and then nothing is taken for unchanged.
    """
    try:
        now = os.stat(disk.image)
        with open(disk.image, "rb") as file:
            file.seek(1024)
            block = file.read(1024)
    except OSError:
        return ""
    from hashlib import blake2b

    times = f"{now.st_ino}:{now.st_size}:{now.st_mtime_ns}:{now.st_ctime_ns}"
    return f"1:{disk.image}:{times}:{blake2b(block, digest_size=16).hexdigest()}"
