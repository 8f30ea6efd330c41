"""GRUB reads a file system without replaying its journal: what was saved must be where it looks (G2)."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.root, pytest.mark.skipif(not shutil.which("grub-fstest"), reason="grub-fstest (package grub-common) is not here")]
SCRIPT = """
import subprocess
from boot_node import make_file_system
from kairos_boot.node import grubenv
from kairos_boot.system import checkpoint, loop, mounts

def seen():
    return subprocess.run(["grub-fstest", image, "cat", "/grubenv"], capture_output=True).stdout[:60].decode()

image = make_file_system(home + "/oem.img", "COS_OEM")
node = loop.attach(image, read_only=False)
os.makedirs(home + "/oem")
mounts.mount(node, home + "/oem", "ext4")
told = {}
try:
    grubenv.save(home + "/oem/grubenv", {"next_entry": "cos"})
    told["first"] = seen()
    {more}
finally:
    mounts.unmount(home + "/oem", detach=True)
    loop.detach(node)
tell(told)
"""


def test_grub_sees_what_was_saved_while_the_file_system_is_mounted(unshared: Callable[..., Any]) -> None:
    told = unshared(SCRIPT.replace("{more}", """
    grubenv.save(home + "/oem/grubenv", {"next_entry": "fallback"})
    told["second"] = seen()"""))
    assert "next_entry=cos\n" in told["first"]
    assert "next_entry=fallback\n" in told["second"]


@pytest.mark.skipif(tuple(map(int, os.uname().release.split(".")[:2])) < (5, 14), reason="this kernel's ext4 empties no journal when it is asked to")
def test_the_file_system_is_never_frozen(unshared: Callable[..., Any]) -> None:
    """Whoever is killed while it is, be it for want of memory, leaves it so: nobody writes to COS_STATE any more, nor has the disk of an image."""
    told = unshared(SCRIPT.replace("{more}", """
    import fcntl
    asked, ioctl = [], fcntl.ioctl
    def recorded(fd, request, *more):
        asked.append(request)
        return ioctl(fd, request, *more)
    fcntl.ioctl = recorded
    grubenv.save(home + "/oem/grubenv", {"next_entry": "fallback"})
    fcntl.ioctl = ioctl
    told["second"], told["asked"] = seen(), asked"""))
    assert "next_entry=fallback\n" in told["second"]
    assert told["asked"]
    assert 0xC0045877 not in told["asked"]


def test_without_the_checkpoint_it_would_not(unshared: Callable[..., Any]) -> None:
    """The fault that the checkpoint is for: all was synchronised, and GRUB still reads the old one or none."""
    told = unshared(SCRIPT.replace("{more}", """
    checkpoint.checkpoint = lambda directory: None
    grubenv.save(home + "/oem/grubenv", {"next_entry": "fallback"})
    told["second"] = seen()"""))
    assert "next_entry=fallback" not in told["second"]


def test_a_file_system_that_cannot_be_frozen_is_synchronised(unshared: Callable[..., Any]) -> None:
    told = unshared("""
from kairos_boot.node import grubenv
grubenv.save(home + "/grubenv", {"a": "1"})
tell(grubenv.load(home + "/grubenv"))
""")
    assert told == {"a": "1"}
