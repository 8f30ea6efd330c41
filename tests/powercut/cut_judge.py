"""Judge a state: as the boot loader sees it, before any mount; then after the next boot has gone on with the reset."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

from cut_disk import PARTS
from cut_recording import run

from kairos_boot.node import grubenv

ENTRY = b"statereset"
REMEMBERED = 64
"""Files of partitions, as the boot loader reads them, that are kept: most states share theirs with one just before, and each may be an image."""


class Judge:
    """Knows what the node was and what it is to become. *scratch* is on a memory file system."""

    def __init__(self, before: bytes, scratch: Path) -> None:
        self.scratch = scratch
        self.scratch.mkdir(parents=True, exist_ok=True)
        self._seen: dict[bytes, list[str]] = {}
        self._disk: bytes | None = None
        self._digests: dict[str, bytes] = {}
        self._written: dict[str, bytes] = {}
        self._read: dict[tuple[bytes, str], bytes | None] = {}
        self._sound: dict[bytes, str] = {}
        self.old = {name: self._image(before, "state", name) for name in ("active", "passive")}
        self.source = self.recovery = self._image(before, "recovery", "recovery")
        assert self.source
        self.resumed = 0

    def verdict(self, disk: bytes) -> list[str]:
        """What is wrong with the state; nothing for a good one."""
        name = hashlib.sha256(disk).digest()
        if name not in self._seen:
            self._seen[name] = self._verdict(disk)
        return self._seen[name]

    @property
    def states(self) -> int:
        """How many different states were judged."""
        return len(self._seen)

    def _verdict(self, disk: bytes) -> list[str]:
        faults = self._for_grub(disk)
        path = self.scratch / "state.disk"
        path.write_bytes(disk)
        faults += self._environment(path)
        faults += self._erased_too_early(path) + self._told_too_early(path, disk)
        if self._marked(disk) or self._has_marker(path):
            self.resumed += 1
            told = run(path)
            faults += [f"the resumed reset ended with: {told['error']}"] if "error" in told else []
            faults += self._is_reset(path, path.read_bytes())
        else:
            faults += self._old_or_reset(path, disk)
        return faults

    def _for_grub(self, disk: bytes) -> list[str]:
        """What GRUB sees, which replays no journal.

        Between a journal's commit and its checkpoint a directory may name an inode that is not there yet: GRUB then has no settings, and starts
        its default entry, whose kernel replays the journal. What it reads has to be whole.
        """
        faults = []
        block = self._cat(disk, "state", "/grubenv")
        if block and (len(block) != 1024 or not block.startswith(grubenv.HEADER)):
            faults.append(f"GRUB's environment is damaged: {len(block)} bytes")
        # The boot loader's start takes the copy of the old menu where the menu cannot be read.
        if not any(b"menuentry" in (self._cat(disk, "state", f"/grub2/grub.cfg{end}") or b"") for end in ("", ".old")):
            faults.append("GRUB has no menu")
        good = 0
        for name in ("active", "passive"):
            image = self._image(disk, "state", name)
            whole = image in self._may_be(name) if image else False
            good += whole
            if image and not whole:
                faults.append(f"{name}.img is neither the old nor the new image for GRUB ({len(image)} bytes)")
        if self._image(disk, "recovery", "recovery") != self.recovery:
            faults.append("the recovery image was changed")
        if not good:
            faults.append("neither the active nor the passive image can be booted")
        return faults

    def _erased_too_early(self, path: Path) -> list[str]:
        """Persistent data is there until both new images are."""
        if "old" in self._mounted(path, "persistent", "ls {place}").stdout.split():
            return []
        look = self._mounted(path, "state", "sha1sum {place}/cOS/active.img {place}/cOS/passive.img").stdout.split()
        wanted = [hashlib.sha1(self._labelled(name), usedforsecurity=False).hexdigest() for name in ("active", "passive")]
        return [] if look[::2] == wanted else ["persistent data was erased before the images were in place"]

    def _told_too_early(self, path: Path, disk: bytes) -> list[str]:
        """What the marker calls done is what the boot loader reads: the phases that follow count on it (G2)."""
        look = self._mounted(path, "state", "cat {place}/cOS/action.json").stdout
        try:
            done = json.loads(look).get("done", []) if look else []
        except ValueError:
            return ["the marker of the action is torn"]
        return [f"{name}.img is called done, and GRUB still reads another one" for name in ("active", "passive")
                if name in done and self._image(disk, "state", name) != self._labelled(name)]

    def _environment(self, path: Path) -> list[str]:
        """What the kernel sees of the boot loader's environment."""
        look = self._mounted(path, "state", "base64 {place}/grubenv").stdout
        block = base64.b64decode(look)
        try:
            variables = dict(line.split("=", 1) for line in block.decode().rstrip("#").splitlines()[1:])
        except ValueError:
            return [f"the environment is damaged: {block[:80]!r}"]
        whole = len(block) == 1024 and block.startswith(grubenv.HEADER)
        known = variables.get("resume_entry", "statereset") == "statereset" and variables.get("trial", "reset") == "reset" and len(variables) <= 2
        return [] if whole and known and variables.keys() <= {"resume_entry", "trial"} else [f"the environment has {len(block)} bytes and {variables}"]

    def _may_be(self, name: str) -> set[bytes]:
        """What the image *name* may be at any instant."""
        return {self.old[name], self._labelled(name)}

    def _labelled(self, name: str) -> bytes:
        """The recovery image under another label."""
        from kairos_boot.system import ext4

        head = ext4.relabelled(self.source[1024:2048], {"active": "COS_ACTIVE", "passive": "COS_PASSIVE"}[name])
        return self.source[:1024] + head + self.source[2048:]

    def _marked(self, disk: bytes) -> bool:
        block = self._cat(disk, "state", "/grubenv") or b""
        return b"resume_entry=" + ENTRY in block

    def _has_marker(self, path: Path) -> bool:
        """A system that comes up all the same finds the marker's file."""
        found = self._mounted(path, "state", "test -e {place}/cOS/action.json && ! grep -q '\"failed\": \"[^\"]' {place}/cOS/action.json")
        return bool(found.returncode == 0)

    def _is_reset(self, path: Path, disk: bytes) -> list[str]:
        faults = [f"after the reset {name}.img is not the recovery image under its label" for name in ("active", "passive")
                  if self._image(disk, "state", name) != self._labelled(name)]
        if self._marked(disk) or self._has_marker(path):
            faults.append("after the reset its marker is still there")
        look = self._mounted(path, "persistent", "ls {place}").stdout.split()
        if "old" in look or "after" not in look:
            faults.append(f"after the reset the persistent partition has {look}")
        return faults + self._oem(path) + self._checked(path.read_bytes())

    def _old_or_reset(self, path: Path, disk: bytes) -> list[str]:
        """Without a marker the node is what it was, whole, or it is reset."""
        look = self._mounted(path, "persistent", "ls {place}").stdout.split()
        images = [self._image(disk, "state", name) for name in ("active", "passive")]
        if "old" in look:
            faults = [] if images == [self.old["active"], self.old["passive"]] else ["no marker, and the images were changed already"]
        else:
            faults = self._is_reset(path, disk)
        return faults + self._oem(path)

    def _oem(self, path: Path) -> list[str]:
        look = self._mounted(path, "oem", "grep -c admin {place}/90_custom.yaml && stat -c %s {place}/grubenv").stdout.split()
        return [] if look == ["1", "1024"] else [f"OEM has lost its data: {look}"]

    def _checked(self, disk: bytes) -> list[str]:
        faults = []
        for name, part in PARTS.items():
            piece, digest = self._piece(disk, name)
            if digest not in self._sound:
                done = subprocess.run(["e2fsck", "-f", "-n", str(piece)], capture_output=True, text=True, check=False)
                self._sound[digest] = done.stdout[-300:] if done.returncode else ""
            if self._sound[digest]:
                faults.append(f"the file system of {name} ({part.label}) is damaged: {self._sound[digest]}")
        return faults

    def _piece(self, disk: bytes, name: str) -> tuple[Path, bytes]:
        """A partition as a file of its own, and what stands for its content."""
        if self._disk is not disk:
            self._disk, self._digests = disk, {}
        path = self.scratch / f"{name}.part"
        if name not in self._digests:
            part = PARTS[name]
            content = memoryview(disk)[part.start:part.start + part.size]
            digest = self._digests[name] = hashlib.sha1(content, usedforsecurity=False).digest()
            if self._written.get(name) != digest:
                path.write_bytes(content)
                self._written[name] = digest
        return path, self._digests[name]

    def _cat(self, disk: bytes, part: str, path: str) -> bytes | None:
        """A file as GRUB reads it; None where it cannot."""
        piece, digest = self._piece(disk, part)
        if (digest, path) not in self._read:
            if len(self._read) >= REMEMBERED:
                self._read.pop(next(iter(self._read)))
            done = subprocess.run(["grub-fstest", str(piece), "cat", f"(loop0){path}"], capture_output=True, check=False)
            self._read[digest, path] = done.stdout if done.returncode == 0 and not done.stderr.strip() else None
        return self._read[digest, path]

    def _image(self, disk: bytes, part: str, name: str) -> bytes:
        return self._cat(disk, part, f"/cOS/{name}.img") or b""

    def _mounted(self, path: Path, part: str, shell: str) -> Any:
        """Run shell text with the partition mounted, its journal replayed."""
        place = self.scratch / "look"
        place.mkdir(exist_ok=True)
        where = PARTS[part]
        script = f"mount -o loop,offset={where.start},sizelimit={where.size} {path} {place} && {shell.format(place=place)}"
        return subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script], capture_output=True, text=True, check=False)
