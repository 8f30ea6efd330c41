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
    """A service that starts meanwhile gets a copy of every mount, and keeps it; the image can be worked in once more all the same."""
    code, same, held = unshared(START + """
tree()
BuildImage(f"{home}/tree", f"{home}/image", "COS_ACTIVE", 32 << 20).apply(Host("/"))
ready, go = os.pipe()
with contextmanager(image_tree.mounted)(f"{home}/image") as place:
    child = os.fork()
    if not child:
        mounts.leave_namespace()
        os.write(go, b"x"), os.close(1), os.close(2)
        time.sleep(60)
    os.read(ready, 1)
    subprocess.run(["cp", "-a", f"{home}/tree", f"{place}/more"], check=True)
with contextmanager(image_tree.mounted)(f"{home}/image") as place:
    subprocess.run(["cp", "-a", f"{home}/tree", f"{place}/again"], check=True)
before, code = digest(f"{home}/image"), fsck(f"{home}/image")
with open(f"/proc/{child}/mountinfo") as file:
    held = any(mount.target.startswith(image_tree.MOUNT) for mount in mounts.parse(file.read()))
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
    tell([str(error), error.hint, any(mount.target.startswith(image_tree.MOUNT) for mount in mounts.mounted())])
file.close()
""")
    assert "cannot be completed" in said
    assert "lsof" in hint
    assert not left


def test_a_tree_keeps_what_its_files_have_besides(unshared: Callable[..., Any]) -> None:
    """SELinux labels, capabilities, owners, times and second names, in an image built of it."""
    seen = unshared(START + """
tree()
first, link = f"{home}/tree/d0/file", f"{home}/tree/d0/link"
os.link(first, f"{home}/tree/d1/second")
os.symlink("file", link)
os.chown(first, 12, 34)
os.chmod(first, 0o4750)
os.utime(first, (1_600_000_000, 1_600_000_000))
given = {"security.selinux": b"system_u:object_r:shadow_t:s0\\0", "user.note": b"mine", "trusted.note": b"root's",
         "security.capability": bytes.fromhex("0100000200040000000000000000000000000000")}
os.setxattr(f"{home}/tree/d0", "security.selinux", b"system_u:object_r:etc_t:s0\\0")
for name, value in list(given.items()):
    try:
        os.setxattr(first, name, value)
    except OSError:
        del given[name]
BuildImage(f"{home}/tree", f"{home}/image", "COS_ACTIVE", 32 << 20).apply(Host("/"))
with contextmanager(image_tree.mounted)(f"{home}/image", read_only=True) as place:
    now = os.stat(f"{place}/d0/file")
    tell([sorted(given), {name: os.getxattr(f"{place}/d0/file", name) == value for name, value in given.items()}, os.getxattr(f"{place}/d0", "security.selinux").decode(),
          [now.st_uid, now.st_gid, now.st_mode & 0o7777, int(now.st_mtime), now.st_nlink], os.readlink(f"{place}/d0/link"), os.path.samefile(f"{place}/d0/file", f"{place}/d1/second")])
""")
    names, kept, label, status, link, same = seen
    assert "security.selinux" in names
    assert all(kept.values()), kept
    assert label == "system_u:object_r:etc_t:s0\0"
    assert status == [12, 34, 0o4750, 1_600_000_000, 2]
    assert (link, same) == ("file", True)


def test_what_is_mounted_in_a_tree_does_not_come_into_the_image(unshared: Callable[..., Any]) -> None:
    """A node's /oem has secrets, /home is its users': wherever it is mounted, at the top or below, only its place is in the image."""
    found, size, without = unshared(START + """
tree()
for place in ("oem", "home", "usr/local"):
    os.makedirs(f"{home}/tree/{place}")
without = image_tree.size_for(f"{home}/tree")
for place in ("oem", "home", "usr/local"):
    mounts.mount("tmpfs", f"{home}/tree/{place}", "tmpfs")
    with open(f"{home}/tree/{place}/secret", "wb") as file:
        file.write(bytes(8 << 20))
BuildImage(f"{home}/tree", f"{home}/image", "COS_ACTIVE", 32 << 20).apply(Host("/"))
with contextmanager(image_tree.mounted)(f"{home}/image", read_only=True) as place:
    tell([{name: os.listdir(f"{place}/{name}") for name in ("oem", "home", "usr/local")}, image_tree.size_for(f"{home}/tree"), without])
""")
    assert found == {"oem": [], "home": [], "usr/local": []}
    assert size == without


@pytest.mark.parametrize("part", ["boot", "etc", "usr"])
def test_a_tree_with_a_part_of_the_system_mounted_is_refused(unshared: Callable[..., Any], part: str) -> None:
    """As the root of a node that runs: the image would lack it."""
    said = unshared(START + f"""
from kairos_boot.actions.image_layers import must_be_system
from reset_node import FILES
def fill():
    for path, text in FILES.items():
        os.makedirs(os.path.dirname(f"{{home}}/tree/{{path}}"), exist_ok=True)
        with open(f"{{home}}/tree/{{path}}", "w") as file:
            file.write(text)
fill()
must_be_system(Host("/"), f"{{home}}/tree", "it")
mounts.mount("tmpfs", f"{{home}}/tree/{part}", "tmpfs")
fill()
try:
    must_be_system(Host("/"), f"{{home}}/tree", "it")
except KairosError as error:
    tell([error.where, error.message])
""")
    assert said == ["it", f"/{part} is a file system of its own, and what is mounted in a tree is no part of it"]


def test_links_of_an_image_never_lead_out_of_it(unshared: Callable[..., Any]) -> None:
    """An absolute link is one of the image's own system: no file of the node is read, no directory made there, nothing mounted over it."""
    menu, extra, made, ours, bound, left, options = unshared(START + """
from kairos_boot.lifecycle import hooks, switching
from kairos_boot.lifecycle.bootloader import EXTRA, IN_IMAGE, InstallMenu
for name in ("node/local", "node/oem", "node/kairos-boot", "state/grub2", "tree/etc/cos", "tree/etc/kairos/branding", "tree/usr-is-here", f"tree/{home}/node/lib"):
    os.makedirs(f"{home}/{name}")
os.rmdir(f"{home}/node/local")
for path in switching.OURS:
    os.makedirs(os.path.dirname(f"{home}/node{path.removeprefix('/usr')}"), exist_ok=True)
    open(f"{home}/node{path.removeprefix('/usr')}", "w").close() if path.endswith(".rules") else os.makedirs(f"{home}/node{path.removeprefix('/usr')}")
with open(f"{home}/node/secret", "w") as file:
    file.write("of the node")
with open(f"{home}/tree/usr-is-here/menu", "w") as file:
    file.write("of the image")
os.symlink("/usr-is-here/menu", f"{home}/tree{IN_IMAGE}")
os.symlink(f"{home}/node/secret", f"{home}/tree{EXTRA}")
os.symlink(f"{home}/node", f"{home}/tree/usr")
os.symlink(f"{home}/node/oem", f"{home}/tree/oem")
host = Host("/")
BuildImage(f"{home}/tree", f"{home}/image", "COS_ACTIVE", 32 << 20).apply(host)
made = os.path.exists(f"{home}/node/local")
InstallMenu(f"{home}/image", f"{home}/state").apply(host)
with open(f"{home}/state/grub2/grub.cfg") as file:
    menu = file.read()
with contextmanager(image_tree.mounted)(f"{home}/image") as place:
    os.makedirs(f"{place}{home}/node/oem")
with contextmanager(image_tree.mounted)(f"{home}/image", read_only=True) as place:
    options = [mount.options for mount in mounts.mounted() if mount.target == place][0]
    with hooks.bound(place, ((f"{home}/state", "/oem"),)):
        bound = [mount.target == f"{place}{home}/node/oem" for mount in mounts.mounted() if mount.target.endswith("oem")]
    left = [mount.target for mount in mounts.mounted() if mount.target.endswith("oem")]
tell([menu, os.path.exists(f"{home}/state/grubenv") or os.path.exists(f"{home}/state/grubmenu"), made, switching.is_ours(host, f"{home}/image"), bound, left, options])
""")
    assert (menu, extra, made, ours) == ("of the image", False, False, False)
    assert (bound, left) == ([True], [])
    assert {"ro", "nodev", "nosuid"} <= set(options)


def test_a_menu_that_is_no_file_is_refused(unshared: Callable[..., Any]) -> None:
    """A FIFO would keep an action waiting for ever."""
    said = unshared(START + """
from kairos_boot.lifecycle.bootloader import IN_IMAGE, InstallMenu
os.makedirs(f"{home}/tree/etc/cos")
os.mkfifo(f"{home}/tree{IN_IMAGE}")
BuildImage(f"{home}/tree", f"{home}/image", "COS_ACTIVE", 32 << 20).apply(Host("/"))
try:
    InstallMenu(f"{home}/image", f"{home}/state").apply(Host("/"))
except KairosError as error:
    tell(error.message)
""")
    assert said == "the image's menu cannot be read: not a regular file"


def test_two_processes_look_into_images_at_places_of_their_own(unshared: Callable[..., Any]) -> None:
    """A plan beside an action covers nothing that the action works in."""
    same, seen = unshared(START + """
tree()
BuildImage(f"{home}/tree", f"{home}/one", "COS_ACTIVE", 32 << 20).apply(Host("/"))
BuildImage(f"{home}/tree", f"{home}/two", "COS_PASSIVE", 32 << 20).apply(Host("/"))
with contextmanager(image_tree.mounted)(f"{home}/one", read_only=True) as place:
    ours, theirs = os.pipe()
    if not os.fork():
        with contextmanager(image_tree.mounted)(f"{home}/two", read_only=True) as other:
            os.write(theirs, other.encode())
        os._exit(0)
    other = os.read(ours, 4096).decode()
    os.wait()
    tell([other == place, os.path.exists(f"{place}/d0/file")])
""")
    assert (same, seen) == (False, True)
