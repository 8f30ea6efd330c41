"""Cheap variants of a cached node disk: a qcow2 overlay, edited where it differs, without mounting anything."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import disk
from common import CACHE, MIB, SECTOR, cached, hold, locked, make_ext4, run, stable_uuid, write_tree
from node import OEM

SSH_KEY = CACHE / "ssh/id_ed25519"
BLOCK = 4096
ACCESS = """\
name: "Access for tests"
stages:
  initramfs:
    - name: "Open root's account for the key of this machine's cache"
      authorized_keys:
        root:
          - "{key}"
"""


def base(system_oem: Path = OEM, images: tuple[str, ...] = ("active", "passive", "recovery")) -> Path:
    """The cached raw disk with these default configurations and images; never write to it. `vmlinuz` and `initrd` lie beside it."""
    chosen = list(images)
    raw = cached("disk", disk.key(system_oem, chosen), lambda draft: disk.build(draft, system_oem, chosen), keep=4, rest=300) / "node.raw"
    hold(raw)
    return raw


def access() -> dict[str, str]:
    """A configuration that lets SSH_KEY in, under the name of its file; the key is made once."""
    with locked(SSH_KEY.parent / ".lock"):
        if not SSH_KEY.exists():
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "kairos-boot tests", "-f", SSH_KEY)
    return {"90_access.yaml": ACCESS.format(key=SSH_KEY.with_suffix(".pub").read_text().strip())}


class Overlay:
    """A qcow2 overlay of a raw disk."""

    def __init__(self, raw: Path, path: Path) -> None:
        """Make the overlay *path*; all that is written goes there."""
        self.raw, self.path = raw, path
        run("qemu-img", "create", "-q", "-f", "qcow2", "-b", raw.resolve(), "-F", "raw", path)
        table = json.loads(run("sfdisk", "--json", raw))["partitiontable"]
        self.parts = {part["name"]: part for part in table["partitions"]}

    def write_oem(self, files: Mapping[str, str | bytes], grubenv: Mapping[str, str] | None = None) -> None:
        """Make COS_OEM anew with *files* and an environment block."""
        variables = "".join(f"{name}={value}\n" for name, value in (grubenv or {}).items())
        block = b"# GRUB Environment Block\n" + variables.encode()
        self.fill("oem", "COS_OEM", {"grubenv": block.ljust(1024, b"#"), **files})

    def fill(self, name: str, label: str, files: Mapping[str, str | bytes]) -> None:
        """Make the partition *name* anew with *files*."""
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch) / name
            write_tree(root, files)
            part = self.parts[name]
            image = Path(scratch) / f"{name}.img"
            make_ext4(image, part["size"] * SECTOR, label, root)
            self.write(image, part["start"] * SECTOR)

    def drop_persistent(self) -> None:
        """Take COS_PERSISTENT out of the partition table and wipe its beginning."""
        self.table(without="persistent")
        self.zero(self.parts["persistent"]["start"] * SECTOR, MIB)

    def table(self, *, without: str = "", owner: str = "") -> None:
        """Write the partition table anew, without one of the partitions, or with another *owner*'s identifiers."""
        size, ends = self.raw.stat().st_size, 34 * SECTOR
        with tempfile.TemporaryDirectory() as scratch:
            table = Path(scratch) / "table"
            with self.raw.open("rb") as whole, table.open("wb") as file:
                file.truncate(size)
                for offset in (0, size - ends):
                    whole.seek(offset)
                    file.seek(offset)
                    file.write(whole.read(ends))
            quiet = ["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel"]
            if owner:
                run(*quiet, "--disk-id", table, stable_uuid(owner + "disk"))
                for name in self.parts:
                    run(*quiet, "--part-uuid", table, str(self.number(name)), stable_uuid(owner + name))
            if without:
                run(*quiet, "--delete", table, str(self.number(without)))
            for offset, length in ((SECTOR, 33 * SECTOR), (size - 33 * SECTOR, 33 * SECTOR)):
                with table.open("rb") as file:
                    file.seek(offset)
                    self.write_bytes(file.read(length), offset)

    def number(self, partition: str) -> int:
        """The number of a partition."""
        return list(self.parts).index(partition) + 1

    def damage(self, partition: str, path: str, *, skip: int = 0, length: int = 65536) -> None:
        """Overwrite *length* bytes of a file of the disk with zeros, from its byte *skip* on."""
        start = self.parts[partition]["start"] * SECTOR
        for number in range(skip // BLOCK, (skip + length + BLOCK - 1) // BLOCK):
            block = run("debugfs", "-R", f"bmap {path} {number}", f"{self.raw}?offset={start}").strip()
            if not block.isdecimal():
                raise SystemExit(f"no such file on {partition}: {path}")
            if int(block):  # else a hole, which is zeros
                self.zero(start + int(block) * BLOCK, BLOCK)

    def edit(self, partition: str, path: str, old: str, new: str) -> None:
        """Replace text by another one of the same length in the first block of a file, or of a directory, which has the names."""
        start = self.parts[partition]["start"] * SECTOR
        at = start + int(run("debugfs", "-R", f"bmap {path} 0", f"{self.raw}?offset={start}")) * BLOCK
        with self.raw.open("rb") as file:
            file.seek(at)
            block = file.read(BLOCK)
        self.write_bytes(block.replace(old.encode(), new.encode()), at)

    def write(self, source: Path, offset: int) -> None:
        """Write a file at *offset*; its holes become zeros that take no room."""
        self._io(f"write -q -s {source} {offset} {source.stat().st_size}")

    def write_bytes(self, data: bytes, offset: int) -> None:
        """Write *data* at *offset*."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            self.write(Path(file.name), offset)

    def zero(self, offset: int, length: int) -> None:
        """Write zeros."""
        self._io(f"write -q -z {offset} {length}")

    def _io(self, command: str) -> None:
        run("qemu-io", "-f", "qcow2", "-c", command, self.path)
