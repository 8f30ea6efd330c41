"""Persistent copies of image directories, kept in step three ways: the image of the last time, the image now, the user (D7).

What the user changed, added or deleted stays so; a default that the user left alone follows the image, also when the image drops it.
The image of the last time is a manifest beside the copies. Without one, all that differs from the image counts as the user's.

A power cut leaves every file old or new: new entries are staged beside the copies, made durable, and renamed into place; a second
manifest (`NAME.next`), durable before the first rename, tells a later run what an interrupted one was about to do.
"""

from __future__ import annotations

import errno
import os
import stat

from kairos_boot.boot import manifest
from kairos_boot.boot.entries import describe, place, stage, walk
from kairos_boot.errors import Explained, reason
from kairos_boot.records import record
from kairos_boot.system.atomic import make_directories
from kairos_boot.system.trees import remove as remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kairos_boot.boot.entries import Entry

_EMPTY: Entry = ("d", 0o755, 0, 0, 0, "", "")
"""The directory that a path gets which the image does not have."""


@record
class Tree:
    """A directory of the image, and its persistent copy; *name* is the file name of its manifest."""

    name: str
    image: str
    store: str


@record
class Changes:
    """Paths below the copy: to be written as the image has them, to be removed, and the user's that stay though the image changed:
    they differ from the old default, or hold files of the user's.
    """

    write: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


@record
class Outcome:
    """What became of a tree: *error* is why it is as it was."""

    name: str
    changes: Changes = Changes()
    error: str = ""
    skipped: bool = False


def decide(old: Mapping[str, Entry], new: Mapping[str, Entry], user: Callable[[str], Entry | None],
           pending: Mapping[str, Entry] | None = None) -> Changes:
    """What has to change in a copy. *old* and *new* are the image then and now; *user* looks into the copy, and is only asked for
    paths whose parents are directories there; *pending* is what an interrupted run was writing.
    """
    write: list[str] = []
    remove: list[str] = []
    kept: list[str] = []
    there, will = {""}, {""}  # the directories that the copy has now, and afterwards
    before = {**(pending or {}), **old}
    for path in sorted({*before, *new}, key=lambda p: p.split("/")):
        parent = path.rpartition("/")[0]
        if path and parent not in there and parent not in will:
            continue
        u = user(path) if not path or parent in there else None
        o, n, p = old.get(path), new.get(path), (pending or {}).get(path)
        ours = u is not None and u in (o, p)
        action: list[str] | None = None
        if n is None:
            action = remove if ours else None
        elif u is None:
            action = None if _deleted(o, p, interrupted=pending is not None) else write
        elif u != n and (ours or (pending is not None and _between(u, o, p))):
            action = write
        elif u != n and o is not None and o != n:
            action = kept
        if action is not None:
            action.append(path)
        for known, entry in ((there, u), (will, n if action is write else u)):
            (known.add if entry is not None and entry[0] == "d" else known.discard)(path)
    return Changes(tuple(write), tuple(reversed(remove)), tuple(kept))


def _deleted(old: Entry | None, pending: Entry | None, *, interrupted: bool) -> bool:
    """Whether a default that is not in the copy was deleted by the user, not by an interrupted run."""
    if old is None:
        return False
    return not interrupted or (pending is not None and pending[0] == old[0])


def _between(user: Entry, old: Entry | None, pending: Entry | None) -> bool:
    """Whether a directory is half way from one of our states to the other: its mode, owner and attributes are set one by one."""
    if user[0] != "d" or old is None or pending is None:
        return False
    return all(u in (o, p) for u, o, p in zip(user, old, pending, strict=True))


def synchronise(trees: Sequence[Tree], manifests: str, identity: str, sync: Callable[[str], None]) -> list[Outcome]:
    """Bring the copies in step and return what became of each.

    *identity* names the image: a tree that was in step with the same one is not looked at; an empty one is never the same.
    *manifests* is a directory on the copies' file system; *sync* makes a file system durable. A tree that fails stays as it was
    or is finished by a later run. KairosError: *manifests* cannot be made.
    """
    with Explained("cannot keep persistent directories in step", manifests):
        os.makedirs(manifests, mode=0o700, exist_ok=True)
        remove_tree(f"{manifests}/new")
        os.makedirs(f"{manifests}/new", mode=0o700)
    outcomes, works = [], []
    for tree in trees:
        try:
            work = _Work(tree, manifests, identity)
            works.append(work)
            work.prepare()
        except OSError as error:
            outcomes.append(Outcome(tree.name, error=_why(error)))
            works = [w for w in works if w.tree is not tree]
    busy = [work for work in works if not work.skipped]
    if busy:
        sync(manifests)
    for work in busy:
        try:
            work.change()
        except OSError as error:
            work.error = _why(error)
    if busy:
        sync(manifests)
    for work in busy:
        if not work.error:
            work.finish()
    remove_tree(f"{manifests}/new")
    done = [Outcome(work.tree.name, work.changes, work.error, work.skipped) for work in works]
    return sorted([*outcomes, *done], key=lambda outcome: outcome.name)


def _why(error: OSError) -> str:
    return f"{error.filename}: {reason(error)}" if error.filename else reason(error)


class _Work:
    """One tree on its way."""

    def __init__(self, tree: Tree, manifests: str, identity: str) -> None:
        self.tree, self.identity = tree, identity
        self.path = f"{manifests}/{tree.name}"
        self.staging = f"{manifests}/new/{tree.name}"
        self.changes = Changes()
        self.skipped = False
        self.error = ""
        self.new: dict[str, Entry] = {}
        self.staged: dict[str, str] = {}

    def prepare(self) -> None:
        """Compare, say in the second manifest what will be done, and stage it."""
        there = os.path.isdir(self.tree.store)
        old = manifest.read(self.path) if there else None
        pending = manifest.read(f"{self.path}.next") if there else None
        if old and not pending and self.identity and old.identity == self.identity:
            self.skipped = True
            return
        self.new = walk(self.tree.image) if os.path.isdir(self.tree.image) else {"": self._user("") or _EMPTY}
        if not there:
            parent = os.path.dirname(self.tree.store)
            os.makedirs(parent, mode=0o755, exist_ok=True)
        self.changes = decide(old.entries if old else {}, self.new, self._user, pending.entries if pending else None)
        manifest.write(f"{self.path}.next", manifest.Manifest(self.identity, self.new))
        os.mkdir(self.staging, 0o700)
        links: dict[tuple[int, int], str] = {}
        for number, path in enumerate(self.changes.write):
            if not self._same_directory(path):
                self.staged[path] = f"{self.staging}/{number}"
                if self.new[path] is _EMPTY:
                    make_directories(self.staged[path], 0o755, 0, 0)
                else:
                    stage(_join(self.tree.image, path), self.staged[path], links)

    def _user(self, path: str) -> Entry | None:
        return describe(_join(self.tree.store, path))

    def _same_directory(self, path: str) -> bool:
        """Whether a directory only changes its owner, mode or attributes."""
        try:
            now = os.lstat(_join(self.tree.store, path))
        except (FileNotFoundError, NotADirectoryError):
            return False
        return self.new[path][0] == "d" and stat.S_ISDIR(now.st_mode)

    def change(self) -> None:
        """Remove and rename. What is not empty when its turn comes has something of the user's, and stays."""
        stayed = []
        for path in self.changes.remove:
            target = _join(self.tree.store, path)
            try:
                (os.rmdir if stat.S_ISDIR(os.lstat(target).st_mode) else os.unlink)(target)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.ENOENT, errno.EEXIST):
                    raise
                stayed += [path] if error.errno != errno.ENOENT else []
        for path in self.changes.write:
            if not place(_join(self.tree.image, path), self.staged.get(path, ""), _join(self.tree.store, path)):
                stayed.append(path)
        if stayed:
            write, remove, kept = self.changes.write, self.changes.remove, self.changes.kept
            self.changes = Changes(tuple(p for p in write if p not in stayed), tuple(p for p in remove if p not in stayed), (*kept, *stayed))

    def finish(self) -> None:
        os.rename(f"{self.path}.next", self.path)


def _join(root: str, path: str) -> str:
    return f"{root}/{path}" if path else root
