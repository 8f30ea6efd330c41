"""Judge a state that a cut of an upgrade may leave: as the boot loader sees it, as the kernel does, and after the next boot has ended or undone it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from cut_judge import Judge
from cut_recording import run

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = "POWERCUT_SOURCE"


class UpgradeJudge(Judge):
    """Knows what the node was, and from SOURCE in the environment what it is to become."""

    def __init__(self, before: bytes, scratch: Path) -> None:
        super().__init__(before, scratch)
        self.source = Path(os.environ[SOURCE]).read_bytes()

    def _may_be(self, name: str) -> set[bytes]:
        """Passive is never the new system, which nobody has booted."""
        return {self.old["active"], self._labelled("active")} if name == "active" else {self.old["passive"], self.old["active"]}

    def _verdict(self, disk: bytes) -> list[str]:
        faults = self._for_grub(disk)
        path = self.scratch / "state.disk"
        path.write_bytes(disk)
        before = self._images(path)
        faults += [f"the kernel finds no whole {name}.img" for name in ("active", "passive") if before.get(name) not in self._digests_of(name)]
        faults += self._block(path)
        told = run(path, environment={"POWERCUT_ACTION": "settle"})
        faults += [f"the next boot ended with: {told['error']}"] if "error" in told else []
        self.resumed += bool(told.get("failures"))
        after = self._images(path)
        if after.get("active") != before.get("active"):
            faults.append("the next boot has changed the active image")
        return faults + list(self._ended(path, after)) + self._oem(path) + self._checked(path.read_bytes())

    def _block(self, path: Path) -> list[str]:
        """The boot loader's environment is whole, with whichever variables."""
        look = self._mounted(path, "state", "stat -c %s {place}/grubenv && head -n 1 {place}/grubenv").stdout.splitlines()
        return [] if look == ["1024", "# GRUB Environment Block"] else [f"the environment is damaged: {look}"]

    def _ended(self, path: Path, images: dict[str, str]) -> Iterator[str]:
        """It is the old node, whole, or the upgraded one, complete."""
        new = images.get("active") == _digest(self._labelled("active"))
        wanted = [_digest(self.old["active"])] if new else [_digest(self.old["passive"]), _digest(self.old["active"])]
        if images.get("passive") not in wanted:
            yield f"passive.img is another image than it should be, active being the {'new' if new else 'old'} one"
        look = self._mounted(path, "state", "cd {place}/cOS && ls && cat {place}/grubenv && sha256sum --check --quiet *.sha256 2>&1 && echo SUMS").stdout
        names = {name for name in look.split() if name.startswith(("active.", "passive.", "transition.", "action."))}
        extra = sorted(names - {f"{name}.img{end}" for name in ("active", "passive") for end in ("", ".sha256", ".source")})
        if extra:
            yield f"the next boot leaves {extra}"
        if "SUMS" not in look and any(name.endswith(".sha256") for name in names):
            yield f"a digest is wrong: {look}"
        if ("trial=upgrade" in look) != new:
            yield f"active is the {'new' if new else 'old'} system, and on trial is {'not ' if new else ''}it"
        kept = self._mounted(path, "persistent", "ls -A {place}").stdout.split()
        if "old" not in kept or (new and ("after" not in kept or ".kairos-state" not in kept)):
            yield f"after the next boot the persistent partition has {kept}"

    def _digests_of(self, name: str) -> set[str]:
        return {_digest(image) for image in self._may_be(name)}

    def _images(self, path: Path) -> dict[str, str]:
        """The digests of the images, as the kernel reads them."""
        look = self._mounted(path, "state", "cd {place}/cOS && sha256sum active.img passive.img").stdout.split()
        return {name.removesuffix(".img"): summed for summed, name in zip(look[::2], look[1::2], strict=True)}


def _digest(image: bytes) -> str:
    import hashlib

    return hashlib.sha256(image).hexdigest()
