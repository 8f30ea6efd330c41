"""Which tests run where: by their marks, by who runs them and on what machine; and what tests of several folders share."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPLETE = "KAIROS_BOOT_COMPLETE" in os.environ
"""Set by `make test`, which installs all that is needed: then a missing program is a failure and no reason to skip."""
NEEDED = {
    "vm": ("qemu-system-x86_64", "qemu-img", "qemu-io", "mmdebstrap", "grub-mkimage", "mcopy", "mkfs.fat", "mke2fs", "sfdisk", "zstd", "cpio", "ssh", "mksquashfs", "xorriso"),
    "container": ("systemd-nspawn", "mmdebstrap", "unshare"),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with the reason, what cannot run here; run virtual machines last, since they take longest and prove most."""
    items.sort(key=lambda item: "vm" in item.keywords)
    for item in items:
        if reason := obstacle(item):
            item.add_marker(pytest.mark.skip(reason=reason))


def obstacle(item: pytest.Item) -> str:
    """Why *item* cannot run here, or nothing."""
    kinds = [kind for kind in ("root", "vm", "container") if kind in item.keywords]
    if kinds and os.geteuid() != 0:
        return "needs root"
    missing = [program for kind in kinds for program in NEEDED.get(kind, ()) if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")]
    if missing and not COMPLETE:
        return f"{', '.join(missing)} not installed; `make test` installs it"
    return ""


@pytest.fixture(scope="module")
def memory(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A directory on a file system in memory, for disks that are written again and again; thrown away behind the module."""
    place = Path("/dev/shm") / f"kairos-boot-{request.path.stem}-{os.getpid()}"
    place.mkdir()
    yield place
    shutil.rmtree(place)
