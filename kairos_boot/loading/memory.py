"""What was parsed: one memory for a run, and one record of it for the boot, so that a later start imports no YAML when nothing changed.

One `marshal` record holds all documents by path, each with the stamp of the file it came from, and a sum over all of it. A
record that is torn or damaged, of another version of the program or of Python, or not root's own counts as none: it only saves time.
"""

from __future__ import annotations

import marshal
import stat
import sys

from kairos_boot import __version__
from kairos_boot.cloudconfig.model import Document, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kairos_boot.loading.reader import Reader, Stamp

    Entries = dict[str, tuple[Stamp, Any]]

FORMAT = 2
VERSION = ("kairos-boot documents", FORMAT, __version__, sys.hexversion, marshal.version)
SUM = 8
"""Bytes of the sum: CRC-32 of the record and its length. It sees any flipped bits; who could forge it is root."""
SETTLED = 50_000_000
"""Nanoseconds after its last change in which a file could change again and look the same; it is not kept until then."""


class Memory:
    """The documents loaded through *reader*, and with a *path* the record that the next start reads them from."""

    def __init__(self, reader: Reader, path: str | None = None) -> None:
        self.reader = reader
        self.path = path
        self._entries: Entries = _read(reader, path) if path else {}
        self._changed = False
        self._used: set[str] = set()
        self._passing: dict[str, Document] = {}

    def once(self, source: str, load: Callable[[], Document]) -> Document:
        """What *load* gives for an address or a stream, which is asked once in a run."""
        if source not in self._passing:
            self._passing[source] = load()
        return self._passing[source]

    def get(self, path: str, stamp: Stamp) -> Document | None:
        """The document of *path* if it is the one of *stamp*."""
        self._used.add(path)
        known = self._entries.get(path)
        if known is None or known[0] != stamp:
            return None
        if isinstance(known[1], tuple):
            self._entries[path] = known = (stamp, _thaw(known[1]))
        return known[1]

    def put(self, path: str, stamp: Stamp, document: Document) -> Document:
        """Keep *document*, read from a regular file; give it back."""
        settled = abs(self.reader.now() - max(stamp[4:])) > SETTLED
        if settled and stat.S_ISREG(stamp[0]) and self.reader.stamp(path) == stamp:
            self._entries[path] = (stamp, document)
            self._changed = True
        return document

    def save(self) -> None:
        """Write the record if there is one to write and something new in it; a document that is gone is in it no more."""
        if not self.path:
            return
        gone = [path for path in self._entries if path not in self._used and self._is_gone(path)]
        for path in gone:
            del self._entries[path]
        if self._changed or gone:
            entries = {path: (stamp, _freeze(kept)) for path, (stamp, kept) in self._entries.items()}
            data = marshal.dumps((VERSION, entries))
            self.reader.keep(self.path, _sum(data) + data)
            self._changed = False

    def _is_gone(self, path: str) -> bool:
        try:
            self.reader.stamp(path)
        except OSError:
            return True
        return False


def _freeze(document: Any) -> Any:
    """The plain form of a document; what came out of the record has it already."""
    if isinstance(document, tuple):
        return document
    d = document
    return (d.source, d.name, dict(d.stages), tuple([(p.severity, p.where, p.message, p.hint) for p in d.problems]), d.jobs, d.broken, d.reconcile)


def _thaw(kept: tuple[Any, ...]) -> Document:
    source, name, stages, problems, jobs, broken, reconcile = kept
    return Document(source, name, stages, tuple([Problem(*p) for p in problems]), jobs, broken, reconcile)


def _read(reader: Reader, path: str) -> Entries:
    """The entries of the record, none if it is not ours and whole."""
    data = reader.kept(path)
    if data is None or data[:SUM] != _sum(data[SUM:]):
        return {}
    try:
        version, entries = marshal.loads(data[SUM:])  # noqa: S302
    except (ValueError, EOFError, TypeError):
        return {}
    return entries if version == VERSION and isinstance(entries, dict) else {}


def _sum(data: bytes) -> bytes:
    from zlib import crc32

    return crc32(data).to_bytes(4, "little") + (len(data) & 0xFFFFFFFF).to_bytes(4, "little")
