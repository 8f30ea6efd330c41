"""The systems of a node that are signed files on its ESP, and how one takes another's place there, whenever the power fails.

FAT has no journal, and a rename changes two places of a directory: a cut between them leaves one file under two names, and whoever removes one of them later
frees the other's content, too. So nothing here is renamed or written over. A system has a name of its own, made of its content; an entry of the menu leads
to it, and is the file that is changed last:

1. the new program is written, made durable, and read back from the disk; no entry leads to it yet;
2. a new entry of the role is written beside the old one, under another name (another counter), and made durable. Until then the role starts the old program;
3. the old entry is removed. Between 2 and 3 the role has two entries, and each leads to a whole program;
4. a program that no entry leads to any more is removed, and its room is given back only when the directory says so on the disk.

A cut leaves at worst a file that nobody uses, or room that nobody has (fsck.fat finds it), never an entry without its program.
"""

from __future__ import annotations

import os

from kairos_boot.actions.image_file import no_progress
from kairos_boot.errors import Explained, KairosError
from kairos_boot.node import loader
from kairos_boot.records import record
from kairos_boot.system.copying import digest
from kairos_boot.system.fat import settle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.copying import Progress
    from kairos_boot.system.host import Host

FOLDER = "/EFI/kairos"
"""Where on the ESP the programs lie."""
DIGITS = 12
CHUNK = 1 << 20
CHECK = "check the EFI system partition: umount /efi, fsck.fat -a"


@record
class Role:
    """A system that is in the menu: its *entry*, the lines of it, its *program* on the ESP, and the *size* of that; -1 where it is not there."""

    entry: loader.Entry
    lines: dict[str, str]
    program: str
    size: int


def known(host: Host) -> dict[str, Role]:
    """The systems in the menu by their names. KairosError: it cannot be read, or a system has two entries."""
    found: dict[str, Role] = {}
    for entry in loader.entries(host):
        if entry.name in found:
            raise KairosError(f"the entry {entry.name!r} is ambiguous: {found[entry.name].entry.file}, {entry.file}", host.path(loader.ENTRIES), "remove all but one of them")
        lines = loader.read(host, entry)
        path = loader.program(lines)
        found[entry.name] = Role(entry, lines, path, size_of(host, path) if path else -1)
    return found


def name_of(role: str, digest: str) -> str:
    """Where the program of that content is kept for *role*."""
    return f"{FOLDER}/{role}-{digest[:DIGITS]}.efi"


def is_ours(name: str) -> bool:
    """Whether a file in the folder has such a name."""
    stem, dot, end = name.lower().rpartition(".")
    _, hyphen, digits = stem.rpartition("-")
    return end == "efi" and bool(dot and hyphen) and len(digits) == DIGITS and not digits.strip("0123456789abcdef")


@record
class WriteProgram:
    """The program *source* (SHA-256 *digest*) is at *target* on the ESP, to which no entry leads yet."""

    source: str
    target: str
    digest: str
    progress: Progress = no_progress

    def describe(self) -> str:
        """Both names."""
        return f"write {self.source} to {loader.EFI}{self.target}, make it durable, and read it back"

    def would_change(self, host: Host) -> bool | None:
        """Whether an entry leads there already."""
        return self.target.lower() not in loader.used(host)

    def apply(self, host: Host) -> bool:
        """Write it. KairosError: no room, the disk fails, or it does not keep what was written; nothing is left of it then."""
        target = host.path(loader.EFI + self.target)
        if not self.would_change(host):
            self._must_be_kept(target)
            return False
        write_program(host.path(self.source), target, self.digest, self.progress)
        return True

    def _must_be_kept(self, target: str) -> None:
        must_be_kept(target, self.digest)


@record
class PointEntry:
    """The entry *name* starts the program at *program*, has all its tries, and is the only one of that name. *lines* are those of an older one."""

    name: str
    program: str
    title: str
    lines: dict[str, str]

    def describe(self) -> str:
        """Both, and the order."""
        return f"let the entry {self.name} start {self.program}, with {loader.TRIES} tries: the new file of the entry is on the disk before the old one goes"

    def would_change(self, host: Host) -> bool | None:
        """Whether it starts another one, or nothing."""
        found = self._found(host)
        return [path for _, path in found] != [self.program.lower()]

    def apply(self, host: Host) -> bool:
        """Write a new entry beside the old one, then remove that. KairosError: no room, or the disk fails; the role is bootable all the while."""
        found = self._found(host)
        directory = host.path(loader.ENTRIES)
        new = next((file for file, path in found if path == self.program.lower()), "")
        changed = not new
        with Explained("the entry cannot be written", directory, "make room on the EFI system partition"):
            if not new:
                new = self._free({file.lower() for file, _ in found})
                with open(f"{directory}/{new}", "xb") as file:
                    file.write(loader.text(host, self.name, self.title, self.program, self.lines).encode())
                    file.flush()
                    os.fsync(file.fileno())
                settle(directory)
            for old, _ in found:
                if old != new:
                    remove(f"{directory}/{old}")
                    changed = True
        return changed

    def _found(self, host: Host) -> list[tuple[str, str]]:
        return [(entry.file, loader.program(loader.read(host, entry)).lower()) for entry in loader.entries(host) if entry.name == self.name]

    def _free(self, taken: set[str]) -> str:
        """A name of the entry that no file has: of what is there nothing is written over."""
        return next(name for name in (f"{self.name}+{loader.TRIES}{made}{loader.SUFFIX}" for made in ("", *(f"-{'0' * count}" for count in range(1, 9)))) if name.lower() not in taken)


@record
class RemoveUnused:
    """No program of this program's making, and none of *olds*, is on the ESP that no entry leads to."""

    olds: tuple[str, ...] = ()

    def describe(self) -> str:
        """What goes."""
        return f"remove from {loader.EFI}{FOLDER} what no entry starts" + "".join(f", {path}" for path in self.olds)

    def would_change(self, host: Host) -> bool | None:
        """Whether there is such a file."""
        return bool(self.unused(host))

    def apply(self, host: Host) -> bool:
        """Remove them. KairosError: the disk fails."""
        unused = self.unused(host)
        with Explained("what nobody starts any more cannot be removed", loader.EFI + FOLDER, CHECK):
            for path in unused:
                remove(host.path(loader.EFI + path))
        return bool(unused)

    def unused(self, host: Host) -> list[str]:
        """Their places on the ESP. KairosError: the menu cannot be read, so nobody knows."""
        try:
            names = sorted(os.listdir(host.path(loader.EFI + FOLDER)))
        except FileNotFoundError:
            names = []
        mine = [f"{FOLDER}/{name}" for name in names if is_ours(name)] + [path for path in self.olds if size_of(host, path) >= 0]
        used = loader.used(host)
        return [path for path in dict.fromkeys(mine) if path.lower() not in used]


@record
class SelectEntry:
    """The next boot takes the entry *name*, once, whatever the menu's default is; *entry* is it where it is in no menu of this system."""

    name: str
    entry: loader.Entry | None = None

    def describe(self) -> str:
        """The entry."""
        return f"let the next boot take the entry {self.name}, once"

    def would_change(self, host: Host) -> bool | None:
        """Whether another one, or none, is chosen."""
        return loader.next_once(host) != self.name

    def apply(self, host: Host) -> bool:
        """Set the variable. KairosError: the firmware refuses."""
        loader.select(host, self.entry or loader.find(host, self.name))
        return True


@record
class DropDefault:
    """The menu has no default that is the active system's entry: its first one is started, and not one that has no tries left."""

    file: str = f"{loader.EFI}/loader/loader.conf"

    def describe(self) -> str:
        """The file."""
        return f"make a default of {self.file} that names the active system a comment"

    def would_change(self, host: Host) -> bool | None:
        """Whether there is one."""
        return self._at(host.read(self.file) or b"") >= 0

    def apply(self, host: Host) -> bool:
        """Change the word in its place, in one sector: the file keeps its length. KairosError: the disk fails."""
        changed = False
        with Explained("the boot menu cannot be written", self.file, CHECK):
            while (at := self._at(host.read(self.file) or b"")) >= 0:
                fd = os.open(host.path(self.file), os.O_WRONLY | os.O_CLOEXEC)
                try:
                    os.pwrite(fd, b"# once:", at)
                    os.fsync(fd)
                finally:
                    os.close(fd)
                changed = True
        return changed

    @staticmethod
    def _at(content: bytes) -> int:
        """Where the word begins; -1 where there is none."""
        at = 0
        for line in content.splitlines(keepends=True):
            words = line.split()
            entry = loader.parse(words[1].decode("utf-8", "replace")) if len(words) == 2 and words[0] == b"default" else None
            if entry is not None and entry.name == "active":
                return at + line.index(b"default")
            at += len(line)
        return -1


def write_program(source: str, target: str, digest: str, progress: Progress) -> None:
    """The program *source* (SHA-256 *digest*) as the new file *target*, durable. KairosError: it cannot be written, or is not kept; nothing is left of it then."""
    with Explained("the new system cannot be written", target, "make room on the EFI system partition"):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            with open(source, "rb") as old, open(target, "xb") as new:
                size, done = os.fstat(old.fileno()).st_size, 0
                while data := old.read(CHUNK):
                    new.write(data)
                    done += len(data)
                    progress(done, size)
                new.flush()
                os.fsync(new.fileno())
            settle(os.path.dirname(target))
            must_be_kept(target, digest)
        except BaseException:
            remove(target)
            raise


def must_be_kept(path: str, digest: str) -> None:
    """KairosError: the disk does not have the content with that SHA-256 at *path*."""
    if file_digest(path, fresh=True) != digest:
        raise KairosError("the disk does not keep what was written to it", path, CHECK)


def remove(path: str) -> None:
    """Remove a file of the ESP, if it is there: its name first, its room when the name is gone from the disk. OSError: the disk fails."""
    try:
        held = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.unlink(path)
        settle(os.path.dirname(path))
    finally:
        os.close(held)
    settle(os.path.dirname(path))


def file_digest(path: str, *, fresh: bool = False) -> str:
    """The SHA-256 of a file; with *fresh* of what the disk has. OSError."""
    with open(path, "rb") as file:
        if fresh:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return digest(file.fileno())


def size_of(host: Host, program: str) -> int:
    """The bytes of a program on the ESP; -1 where it is not there."""
    try:
        return os.stat(host.path(loader.EFI + program)).st_size
    except OSError:
        return -1
