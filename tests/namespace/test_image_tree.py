"""Images filled and worked in: what is in the file is complete when the work is over, whoever else has it mounted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.root

START = """
import signal, subprocess, time
from contextlib import contextmanager
from kairos_boot.actions import image_tree
from kairos_boot.actions.image_file import BuildImage
from kairos_boot.errors import KairosError
from kairos_boot.system import mounts
from kairos_boot.system.host import Host
from reset_node import digest
mounts.mount("tmpfs", "/run", "tmpfs")
def tree():
    for number in range(40):
        os.makedirs(f"{home}/tree/d{number}")
        with open(f"{home}/tree/d{number}/file", "wb") as file:
            file.write(os.urandom(50000))
def fsck(path):
    return subprocess.run(["e2fsck", "-f", "-n", path], capture_output=True).returncode
"""


def test_an_image_is_complete_though_another_namespace_has_it_mounted(unshared: Callable[..., Any]) -> None:
    """A service that starts meanwhile gets a copy of every mount, and keeps it."""
    code, same, held = unshared(START + """
tree()
BuildImage(f"{home}/tree", f"{home}/image", "COS_ACTIVE", 32 << 20).apply(Host("/"))
ready, go = os.pipe()
with contextmanager(image_tree.mounted)(f"{home}/image") as place:
    child = os.fork()
    if not child:
        mounts.leave_namespace()
        os.write(go, b"x")
        time.sleep(1000)
    os.read(ready, 1)
    subprocess.run(["cp", "-a", f"{home}/tree", f"{place}/more"], check=True)
before, code = digest(f"{home}/image"), fsck(f"{home}/image")
held = any(mount.target == image_tree.MOUNT for mount in mounts.mounted(f"/proc/{child}/mountinfo"))
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
os.sync()
tell([code, before == digest(f"{home}/image"), held])
""")
    assert (code, same, held) == (0, True, True)


def test_what_still_writes_to_an_image_is_an_error(unshared: Callable[..., Any]) -> None:
    """A program that a hook left behind; nothing stays mounted, and the error says what to look for."""
    said, hint, left = unshared(START + """
tree()
BuildImage(f"{home}/tree", f"{home}/image", "COS_ACTIVE", 32 << 20).apply(Host("/"))
try:
    with contextmanager(image_tree.mounted)(f"{home}/image") as place:
        file = open(place + "/open", "w")
except KairosError as error:
    tell([str(error), error.hint, any(mount.target == image_tree.MOUNT for mount in mounts.mounted())])
file.close()
""")
    assert "cannot be completed" in said
    assert "lsof" in hint
    assert not left
