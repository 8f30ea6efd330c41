"""Which tests run where: by their marks, by who runs them and on what machine; and what tests of several folders share."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ahead import Ahead

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


@pytest.fixture(scope="session", autouse=True)
def ahead(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ahead | None]:
    """The boots that are made ahead (tests/vm/ahead.py), for the tests that were chosen; they begin with the first test of all, whatever it is about."""
    chosen = [boots for item in request.session.items if not item.get_closest_marker("skip")
              for name, boots in getattr(getattr(item, "module", None), "AHEAD", ()) if name in getattr(item, "fixturenames", ())]
    if not any("vm" in item.keywords for item in request.session.items):
        yield None
        return
    from ahead import Ahead

    lane = Ahead(tmp_path_factory.mktemp)
    for boots in chosen:
        lane.begin(boots)
    yield lane
    lane.end()
