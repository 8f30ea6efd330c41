"""Loop devices, the chroot of a stage, and copies with owners, devices and attributes: what only the kernel can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.root


def test_an_image_becomes_a_read_only_block_device_once(unshared: Callable[..., Any]) -> None:
    told = unshared("""
from boot_node import make_file_system
from kairos_boot.system import loop, mounts
path = make_file_system(home + "/a.img", "COS_ACTIVE")
node = loop.attach(path)
try:
    os.mkdir(home + "/m")
    mounts.mount(node, home + "/m", "ext4", ("ro",))
    name = os.path.basename(node)
    read = lambda file: open(f"/sys/block/{name}/{file}").read().strip()
    tell([loop.attach(path) == node, loop.attached(path) == node, read("ro"), read("loop/partscan"), read("loop/backing_file") == path,
          [m.options[0] for m in mounts.mounted() if m.source == node]])
    mounts.unmount(home + "/m")
finally:
    loop.detach(node)
assert loop.attached(path) == ""
""")
    assert told == [True, True, "1", "0", True, ["ro"]]


@pytest.mark.parametrize("direct", [True, False])
def test_an_image_that_is_read_is_in_memory_once_where_its_file_system_can(unshared: Callable[..., Any], direct: bool) -> None:
    """Its own blocks are not kept besides its files. One on a tmpfs, which has no direct reads before Linux 6.6, is attached all the same."""
    told = unshared(f"""
from boot_node import make_file_system
from kairos_boot.system import loop, mounts
path = home + "/m/a.img"
os.mkdir(home + "/m")
if not {direct}:
    mounts.mount("tmpfs", home + "/m", "tmpfs")
make_file_system(path, "COS_ACTIVE")
try:
    os.close(os.open(path, os.O_RDONLY | os.O_DIRECT))
    can = "1"
except OSError:
    can = "0"
node = loop.attach(path)
try:
    tell([open("/sys/block/" + os.path.basename(node) + "/loop/dio").read().strip(), can])
finally:
    loop.detach(node)
""")
    assert told[0] == told[1]


def test_a_device_that_cannot_be_written_is_not_used_for_writing(unshared: Callable[..., Any]) -> None:
    """Whoever is to fill an image that is attached read-only gets a device of his own; who only reads takes what is there."""
    told = unshared("""
from boot_node import make_file_system
from kairos_boot.system import loop
path = make_file_system(home + "/a.img", "COS_ACTIVE")
first, second = loop.attach(path), loop.attach(path, read_only=False)
try:
    tell([first != second, [open(f"/sys/block/{os.path.basename(node)}/ro").read().strip() for node in (first, second)],
          loop.attach(path, read_only=False) == second, loop.attach(path) in (first, second)])
finally:
    loop.detach(first)
    loop.detach(second)
""")
    assert told == [True, ["1", "0"], True, True]


def test_another_file_of_the_same_name_is_another_file(unshared: Callable[..., Any]) -> None:
    """In another mount namespace the same path may be anything: the name that the kernel shows is not enough."""
    told = unshared("""
from boot_node import make_file_system
from kairos_boot.system import loop, mounts
os.mkdir(home + "/m")
path = make_file_system(home + "/m/a.img", "ONE")
node = loop.attach(path)
mounts.mount("tmpfs", home + "/m", "tmpfs")
make_file_system(path, "OTHER")
with open(f"/sys/block/{os.path.basename(node)}/loop/backing_file") as file:
    same = file.read().strip() == path
tell([same, loop.attached(path)])
mounts.unmount(home + "/m")
loop.detach(node)
""")
    assert told == [True, ""]


def test_a_device_that_another_user_gives_back_before_it_is_mounted_stays(unshared: Callable[..., Any]) -> None:
    """Two who look into one image share its device; the one who is done first must not take it from the one who has not mounted it yet."""
    told = unshared("""
from contextlib import contextmanager
from boot_node import make_file_system
from kairos_boot.system import loop, mounts
path, other = (make_file_system(f"{home}/{name}.img", name) for name in ("ONE", "OTHER"))
os.mkdir(home + "/m")
found = []
for present in (False, True):   # a device of our own; one that somebody else attached
    if present:
        loop.attach(path)
    with contextmanager(loop.held)(path) as node:
        loop.detach(node)
        next_one = loop.attach(other)
        mounts.mount(node, home + "/m", "ext4", ("ro",))
        found.append([node != next_one, open(f"/sys/block/{os.path.basename(node)}/loop/backing_file").read().strip() == path])
        mounts.unmount(home + "/m")
    loop.detach(next_one)
tell([*found, loop.attached(path)])
""")
    assert told == [[True, True], [True, True], ""]


def test_several_who_attach_at_once_get_a_device_each(unshared: Callable[..., Any]) -> None:
    """The kernel names the same free device to all who ask; who comes second asks again."""
    told = unshared("""
from boot_node import make_file_system
from kairos_boot.system import loop
paths = [make_file_system(f"{home}/{n}.img", f"L{n}", mib=8) for n in range(6)]
ours, theirs = os.pipe()
for path in paths:
    if not os.fork():
        os.write(theirs, (loop.attach(path) + "\\n").encode())
        os._exit(0)
for _ in paths:
    os.wait()
nodes = os.read(ours, 4096).decode().split()
for node in nodes:
    loop.detach(node)
tell([len(nodes), len(set(nodes))])
""")
    assert told == [6, 6]


def test_what_is_no_image_is_an_error_with_its_path(unshared: Callable[..., Any]) -> None:
    told = unshared("""
from kairos_boot.system import loop
from kairos_boot.errors import KairosError
try:
    loop.attach(home + "/none.img")
except KairosError as error:
    tell(str(error).removeprefix(home))
""")
    assert told == "/none.img: cannot open the image: No such file or directory"


CHROOT = """
from kairos_boot.boot.chroot import inside
from kairos_boot.errors import KairosError
from kairos_boot.system import mounts
root = home + "/root"
for name in ("proc", "sys", "dev", "run", "etc"):
    os.makedirs(f"{root}/{name}")
before = [m.target for m in mounts.mounted()]
"""


def test_a_stage_in_the_new_root_sees_the_kernels_file_systems_and_leaves_none_behind(unshared: Callable[..., Any]) -> None:
    told = unshared(CHROOT + """
def work():
    ok = os.path.exists("/proc/self/stat") and os.path.exists("/dev/null") and os.path.isdir("/sys/kernel") and os.path.isdir("/run")
    open("/etc/made", "w").close()
    return 7 if ok and os.getcwd() == "/" and not os.path.exists("/usr") else 1
code = inside(root, work)
tell([code, os.path.exists(root + "/etc/made"), [m.target for m in mounts.mounted()] == before, os.path.exists("/proc/self/stat")])
""")
    assert told == [7, True, True, True]


def test_mounts_that_a_stage_makes_stay(unshared: Callable[..., Any]) -> None:
    told = unshared(CHROOT + """
def work():
    mounts.mount("tmpfs", "/etc", "tmpfs")
    return 0
inside(root, work)
tell([m.fstype for m in mounts.mounted() if m.target == root + "/etc"])
""")
    assert told == ["tmpfs"]


def test_a_link_of_the_new_root_is_one_of_its_own(unshared: Callable[..., Any]) -> None:
    """What is mounted at /run of an image whose /run is a link is mounted in the image, and hides nothing of the node."""
    told = unshared(CHROOT + """
os.rmdir(root + "/run")
os.mkdir(home + "/theirs")
os.symlink(home + "/theirs", root + "/run")
tell([inside(root, lambda: int(len([m for m in mounts.mounted() if m.target == home + "/theirs"]))), os.path.isdir(f"{root}{home}/theirs")])
""")
    assert told == [1, True]  # as it is seen from inside


@pytest.mark.parametrize("death", ["raise ValueError('defect')", "os.kill(os.getpid(), 9)"])
def test_a_stage_that_dies_is_an_error_and_the_mounts_go(unshared: Callable[..., Any], death: str) -> None:
    told = unshared(CHROOT + f"""
def work():
    {death}
try:
    inside(root, work)
except KairosError as error:
    tell([error.message.split(" (")[0], [m.target for m in mounts.mounted()] == before])
""")
    assert told == ["the stage was cut off", True]


def test_copies_keep_owners_devices_attributes_and_links(unshared: Callable[..., Any]) -> None:
    told = unshared("""
import stat
from kairos_boot.boot.persist import Tree, synchronise
mounted = home + "/image"; os.umask(0)
os.makedirs(mounted)
open(mounted + "/file", "w").write("x"); os.chown(mounted + "/file", 12, 34); os.chmod(mounted + "/file", 0o6755)
os.setxattr(mounted + "/file", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
os.symlink("file", mounted + "/link"); os.chown(mounted + "/link", 56, 78, follow_symlinks=False)
os.mknod(mounted + "/null", stat.S_IFCHR | 0o666, os.makedev(1, 3)); os.mkdir(mounted + "/dir"); os.chown(mounted + "/dir", 9, 9); os.chmod(mounted + "/dir", 0o2770)
def sync():
    [outcome] = synchronise([Tree("t", mounted, home + "/store/t.bind")], home + "/store/.manifest", "", lambda path: None)
    return [outcome.error, len(outcome.changes.write), list(outcome.changes.kept)]
first, again = sync(), sync()
def show(name):
    now = os.lstat(f"{home}/store/t.bind/{name}")
    return [oct(now.st_mode), now.st_uid, now.st_gid, now.st_rdev]
shown = {name: show(name) for name in ("file", "link", "null", "dir")}
has = os.getxattr(home + "/store/t.bind/file", "security.capability").hex()
os.chown(mounted + "/dir", 10, 10); os.removexattr(mounted + "/file", "security.capability"); os.chown(mounted + "/file", 1, 1); os.chmod(mounted + "/file", 0o4755)
os.chmod(home + "/store/t.bind/null", 0o600); os.chmod(mounted + "/null", 0o660)
changed = sync()
tell([first, again, shown, has[:8], changed, show("dir"), show("file"), show("null")[0], os.listxattr(home + "/store/t.bind/file")])
""")
    assert told[0] == ["", 5, []]
    assert told[1] == ["", 0, []]
    assert told[2] == {"file": ["0o106755", 12, 34, 0], "link": ["0o120777", 56, 78, 0], "null": ["0o20666", 0, 0, 259], "dir": ["0o42770", 9, 9, 0]}
    assert told[3] == "01000002"
    assert told[4] == ["", 2, ["null"]]
    assert told[5:] == [["0o42770", 10, 10, 0], ["0o104755", 1, 1, 0], "0o20600", []]


def test_what_is_imported_in_another_root_is_this_programs_own(unshared: Callable[..., Any]) -> None:
    """A failure is told with modules that nothing needed before; the other root has none of them, or those of another version."""
    told = unshared("""
from kairos_boot.boot.chroot import inside
root = home + "/root"
for place in ("proc", "sys", "dev", "run", "kairos_boot"):
    os.makedirs(root + "/" + place)
assert "kairos_boot.nearest" not in sys.modules and "colorsys" not in sys.modules
def work():
    import colorsys, kairos_boot.nearest
    return 7 if os.listdir("/") != [] and not os.path.exists("/usr") else 1
tell(inside(root, work))
""")
    assert told == 7
