"""A place that cannot be made read-only again stays writable, and that is said: what was done there is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.root


@pytest.mark.parametrize("busy", [False, True])
def test_a_state_partition_that_stays_writable_is_told(unshared: Callable[..., Any], *, busy: bool) -> None:
    """A file that is open for writing keeps the kernel from it."""
    told = unshared(f"""
from kairos_boot.lifecycle.writable import writable_state
from kairos_boot.node.mode import STATE_MOUNT
from kairos_boot.system import mounts
from kairos_boot.system.host import Host
mounts.mount("tmpfs", "/run", "tmpfs")
os.makedirs(STATE_MOUNT)
mounts.mount("tmpfs", STATE_MOUNT, "tmpfs")
mounts.mount("", STATE_MOUNT, options=("remount", "ro"))
said = []
with writable_state(Host("/"), "a test", 1.0, lambda priority, text, **about: said.append([priority, text]), home + "/lock"):
    file = open(STATE_MOUNT + "/x", "w")
    if not {busy}:
        file.close()
tell([said, "ro" not in mounts.at(STATE_MOUNT, mounts.mounted()).options])
""")
    if busy:
        [[priority, text]], stays = told
        assert (priority, stays) == (4, True)
        assert text.startswith("/run/initramfs/cos-state stays writable until the next boot: cannot be remounted")
    else:
        assert told == [[], False]


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("before", ["ro", "rw"])
def test_a_place_is_left_as_an_action_found_it(unshared: Callable[..., Any], before: str, *, busy: bool) -> None:
    """One that was writable stays so, and nothing is said of it."""
    writable, said, after = unshared(f"""
from functools import partial
from kairos_boot.lifecycle.writable import Remounted
from kairos_boot.system import mounts
from kairos_boot.system.host import Host
place = home + "/esp"
os.mkdir(place)
mounts.mount("tmpfs", place, "tmpfs")
mounts.mount("", place, options=("remount", {before!r}))
said = []
def log(priority, text, **about):
    said.append([priority, text.partition(":")[0].removeprefix(place), about])
with Remounted(Host("/"), place, partial(log, stage="reset")):
    file = open(place + "/x", "w")
    writable = "ro" not in mounts.at(place, mounts.mounted()).options
    if not {busy}:
        file.close()
tell([writable, said, "ro" if "ro" in mounts.at(place, mounts.mounted()).options else "rw"])
""")
    assert writable
    if before == "ro" and busy:
        assert (said, after) == ([[4, " stays writable until the next boot", {"kind": "warning", "stage": "reset"}]], "rw")
    else:
        assert (said, after) == ([], before)
