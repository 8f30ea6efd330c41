"""Names on a FAT file system that nobody has mounted, taken away without giving back the room of their files.

FAT has no journal. A cut inside a rename may leave two names of one chain of clusters, and one inside a write a name whose chain the table calls free.
Whoever removes or rewrites such a file through the kernel gives clusters back that are another file's. So only the name goes, by one byte of each of its
entries in the directory; the room is then nobody's, until fsck.fat finds it.
"""

from __future__ import annotations

import errno
import os
import struct

from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record
from kairos_boot.system.descriptors import Held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ENTRY = 32
END, DELETED = 0x00, 0xE5
"""First bytes of an entry: of the first one behind the last, and of one that is gone."""
LABEL, FOLDER, LONG = 0x08, 0x10, 0x0F
"""Attributes: a label of the file system, a directory, a part of a long name."""


@record
class Named:
    """What a directory has: its *names* (long and short, in small letters), where on the device its entries lie, the last one first, and its first cluster."""

    names: frozenset[str]
    places: tuple[int, ...]
    cluster: int
    folder: bool


def forget(node: str, groups: Sequence[Sequence[str]]) -> list[str]:
    """Take the names of each group away whose first one is on the FAT file system of *node*; the paths that were there.

    What is no FAT file system, or not there, has none. KairosError: it is mounted, or the disk fails.
    """
    try:
        with Held(os.open(node, os.O_RDONLY | os.O_CLOEXEC)) as fd:
            if not _found(fd, groups):
                return []
        with Held(os.open(node, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)) as fd:  # of a block device: nobody has it mounted
            found = _found(fd, groups)
            for at in (0, 1):  # the entry that counts before the parts of its long name, which are nothing without it
                for places in found.values():
                    for place in places[:1] if at == 0 else places[1:]:
                        os.pwrite(fd, bytes((DELETED,)), place)
                os.fsync(fd)
            return list(found)
    except FileNotFoundError:
        return []
    except OSError as error:
        hint = f"unmount it: findmnt {node}" if error.errno == errno.EBUSY else "see dmesg"
        raise KairosError(f"what a cut left of the boot loader's files cannot be taken away: {reason(error)}", node, hint) from error


def _found(fd: int, groups: Sequence[Sequence[str]]) -> dict[str, tuple[int, ...]]:
    """Of each path that goes the places of its entries."""
    try:
        volume = Volume(fd)
    except ValueError:
        return {}
    found = {}
    for first, *others in groups:
        if volume.find(first):
            for path in (first, *others):
                named = volume.find(path)
                if named:
                    found[path] = named.places
    return found


class Volume:
    """The FAT file system on the open device *fd*. ValueError: it is none."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        head = os.pread(fd, 512, 0)
        if len(head) < 512 or head[510:] != b"\x55\xaa":
            raise ValueError
        sector, per_cluster, reserved, tables, roots, small, _, per_table = struct.unpack_from("<HBHBHHBH", head, 11)
        large, per_large, self.root = struct.unpack_from("<II4xI", head, 32)
        if sector not in (512, 1024, 2048, 4096) or not per_cluster or not tables:
            raise ValueError
        self.cluster, self.table = sector * per_cluster, reserved * sector
        self.fixed = self.table + tables * (per_table or per_large) * sector
        self.roots = roots
        self.data = self.fixed + -(-roots * ENTRY // sector) * sector
        self.count = ((small or large) * sector - self.data) // self.cluster
        self.bits = 32 if not per_table else 12 if self.count < 4085 else 16

    def find(self, path: str) -> Named | None:
        """What has that *path*, whatever the case of its letters."""
        found = None
        for part in path.lower().strip("/").split("/"):
            if found is not None and not found.folder:
                return None
            found = next((named for named in self._list(0 if found is None else found.cluster) if part in named.names), None)
            if found is None:
                return None
        return found

    def _list(self, cluster: int) -> Iterator[Named]:
        """What is in the directory at *cluster*, 0 for the top one."""
        parts: list[tuple[int, bytes]] = []
        for place, entry in self._entries(cluster):
            if entry[0] == END:
                return
            if entry[0] == DELETED:
                parts = []
            elif entry[11] & 0x3F == LONG:
                parts.append((place, entry))
            else:
                short = entry[:11]
                mine = [(at, part) for at, part in parts if part[13] == _sum(short)]  # a part of another name is no part of this one
                parts = []
                if not entry[11] & LABEL:
                    first = int.from_bytes(entry[26:28], "little") | (int.from_bytes(entry[20:22], "little") << 16 if self.bits == 32 else 0)
                    long = b"".join(part[1:11] + part[14:26] + part[28:32] for _, part in reversed(mine)).decode("utf-16-le", "replace").partition("\0")[0]
                    name, ending = (text.decode("latin-1").rstrip() for text in (short[:8], short[8:]))
                    names = {long.lower(), (f"{name}.{ending}" if ending else name).lower()} - {""}
                    yield Named(frozenset(names), (place, *(at for at, _ in reversed(mine))), first, bool(entry[11] & FOLDER))

    def _entries(self, cluster: int) -> Iterator[tuple[int, bytes]]:
        """Each entry of a directory, with its place on the device."""
        fixed = not cluster and self.bits != 32
        for at in [self.fixed] if fixed else self._chain(cluster or self.root):
            data = os.pread(self.fd, self.roots * ENTRY if fixed else self.cluster, at)
            for place in range(0, len(data) - ENTRY + 1, ENTRY):
                yield at + place, data[place:place + ENTRY]

    def _chain(self, cluster: int) -> Iterator[int]:
        """Where the clusters of a chain lie. It ends where the table does, or goes round."""
        for _ in range(self.count):
            if not 2 <= cluster < self.count + 2:
                return
            yield self.data + (cluster - 2) * self.cluster
            cluster = self._next(cluster)

    def _next(self, cluster: int) -> int:
        size = 4 if self.bits == 32 else 2
        found = int.from_bytes(os.pread(self.fd, size, self.table + cluster * self.bits // 8), "little")
        if self.bits == 12:
            return found >> 4 if cluster & 1 else found & 0xFFF
        return found & 0x0FFFFFFF


def _sum(short: bytes) -> int:
    """What ties the parts of a long name to the short one."""
    total = 0
    for byte in short:
        total = ((total & 1) << 7) + (total >> 1) + byte & 0xFF
    return total
