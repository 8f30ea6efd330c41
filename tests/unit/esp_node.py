"""A node that is one signed file, below a directory: its ESP with programs and entries, what firmware tells, and what an action gets from its verb."""

from __future__ import annotations

import struct
import uuid
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from kairos_boot.node.config import Config
from kairos_boot.node.partitions import NodeDisk
from kairos_boot.system import efi
from kairos_boot.system.host import Host

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kairos_boot.system.udev import Partition

CMDLINE = "root=LABEL=COS_UKI rd.immucore.uki panic=5"
ALIGN = 512


def program(word: str, *, cmdline: str = CMDLINE, machine: int = 0x8664, sections: tuple[str, ...] = (".linux", ".initrd"), initrd: str = "") -> bytes:
    """An EFI program that nobody signed, with *word* in its kernel; *initrd* is an archive, where it is to be one."""
    parts = {**{name: f"{name} {word} ".encode() * 100 for name in sections}, **({".initrd": initrd.encode()} if initrd else {}), ".cmdline": cmdline.encode()}
    headers = -(-(64 + 24 + 240 + 40 * len(parts)) // ALIGN) * ALIGN
    table, body, at = b"", b"", 0x1000
    for name, content in parts.items():
        stored = content.ljust(-(-len(content) // ALIGN) * ALIGN, b"\0")
        table += struct.pack("<8sIIIIIIHHI", name.encode(), len(content), at, len(stored), headers + len(body), 0, 0, 0, 0, 0x40000040)
        body += stored
        at += -(-len(stored) // 0x1000) * 0x1000
    optional = struct.pack("<HBBIIIII", 0x20B, 1, 0, 0, len(body), 0, 0x1000, 0x1000) + struct.pack("<QIIHHHHHHIIIIHHQQQQII", 0, 0x1000, ALIGN, 0, 0, 0, 0, 0, 0, 0, at, headers, 0, 10, 0, 0, 0, 0, 0, 0, 16)
    coff = struct.pack("<HHIIIHH", machine, len(parts), 0, 0, 0, len(optional) + 128, 0x22E)
    head = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + b"PE\0\0" + coff + optional + bytes(128) + table
    return head.ljust(headers, b"\0") + body


def signature_list(kind: str, entries: list[bytes]) -> bytes:
    """A list of the firmware's, of entries of one length."""
    each = 16 + len(entries[0])
    return uuid.UUID(kind).bytes_le + struct.pack("<III", 28 + each * len(entries), 0, each) + b"".join(bytes(16) + entry for entry in entries)


class Node:
    """The node below *root*, running its *boot* system; *roles* are entries with the counter in their names and what their programs are made of."""

    def __init__(self, root: Path, boot: str = "active", roles: dict[str, str] | None = None) -> None:
        self.root, self.host, self.emitted = root, Host(str(root)), list[str]()
        self.esp, self.menu, self.variables = root / "efi", root / "efi/loader/entries", root / efi.DIRECTORY.lstrip("/")
        for directory in (self.menu, self.variables, root / "run/cos", root / "oem/.kairos", root / "efi/EFI/kairos", root / "usr/local", root / "tmp"):
            directory.mkdir(parents=True)
        for name in (f"{boot}_mode", "uki_boot_mode"):
            (root / "run/cos" / name).write_text("1")
        for number, (file, word) in enumerate((roles or {"active": "one", "passive": "zero", "recovery+3": "rescue"}).items(), 1):
            name = file.partition("+")[0]
            (self.esp / f"EFI/kairos/{name}.efi").write_bytes(program(word))
            (self.menu / f"{file}.conf").write_text(f"title Node {name}\nefi /EFI/kairos/{name}.efi\nsort-key 000{number}\n")
        self.source = root / "new.efi"
        self.source.write_bytes(program("two"))
        self.fails: dict[str, str] = {}
        self.ledger, self.told = Ledger(), list[str]()
        self.document: dict[str, Any] = {}
        self.commands = ""
        """Of after-reset."""
        self.parts: dict[str, Partition] = {}

    def set(self, name: str, content: bytes, owner: str = efi.LOADER) -> None:
        """A variable of the firmware."""
        (self.variables / f"{name}-{owner}").write_bytes(efi.KEPT + content)

    def entry(self, name: str) -> dict[str, str]:
        """The lines of the only entry of that name."""
        [path] = [path for path in self.menu.iterdir() if path.name.removesuffix(".conf").partition("+")[0] == name]
        return dict(line.split(" ", 1) for line in path.read_text().splitlines() if not line.startswith("#"))

    def starts(self, name: str) -> str:
        """The word in the program that the entry starts."""
        return word_of((self.esp / self.entry(name)["efi"].lstrip("/")).read_bytes())

    @property
    def entries(self) -> list[str]:
        return sorted(path.name for path in self.menu.iterdir())

    @property
    def programs(self) -> list[str]:
        return sorted(word_of(path.read_bytes()) for path in (self.esp / "EFI/kairos").iterdir())

    # What an action gets.

    def log(self, priority: int, message: str, **_: Any) -> None:
        self.told.append(message)

    def progress(self, _: str) -> Callable[[int, int], None]:
        return lambda done, total: None

    def disk(self) -> NodeDisk:
        return NodeDisk("/dev/none", oem=self.parts.get("oem"), persistent=self.parts.get("persistent"))

    def config(self) -> Config:
        return Config()

    def lock(self) -> Callable[[], None]:
        return lambda: None

    def emit(self, stage: str, _: str) -> str:
        self.emitted.append(stage)
        return self.fails.get(stage, "")

    def calls(self, _stage: str, program: str) -> bool:
        return program in self.commands

    def steps(self, _stage: str, _root: str) -> int:
        return 0


class Ledger:
    """A record that keeps what was written."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def write(self, kind: str, **fields: Any) -> None:
        self.entries.append({"kind": kind, **fields})


def word_of(content: bytes) -> str:
    """The word that a program was made with."""
    return content.partition(b".linux ")[2].partition(b" ")[0].decode() if b".linux " in content else "?"


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()
