"""An upgrade of a node that is one signed file on a file system without a journal, FAT where the kernel has it: after a run, and after a kill at each change, the file system is sound and each entry starts a whole system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.root

ESP = """
import pathlib, subprocess
from kairos_boot.lifecycle import uki_upgrading
from kairos_boot.system import loop, mounts
from kairos_boot.system.host import Host
from tests.unit.esp_node import Node, program, word_of
NODE = pathlib.Path(home) / "node"
FAT = "\\tvfat\\n" in open("/proc/filesystems").read()
KIND, MAKE, CHECK, OPTIONS = ("vfat", ("mkfs.fat", "-F", "32", "-s", "1"), ("fsck.fat", "-n"), ("umask=0077",)) if FAT else ("ext4", ("mke2fs", "-q", "-t", "ext2", "-m", "0"), ("e2fsck", "-f", "-n"), ())
def make(mib):
    \"\"\"The node with its ESP on a FAT file system, read-only as in a boot.\"\"\"
    with open(home + "/esp.img", "wb") as file:
        file.truncate(mib << 20)
    subprocess.run([*MAKE, home + "/esp.img"], check=True, capture_output=True)
    NODE.mkdir()
    (NODE / "efi").mkdir()
    device = loop.attach(home + "/esp.img", read_only=False)
    mounts.mount(device, str(NODE / "efi"), KIND, ("rw", *OPTIONS))
    node = Node(NODE)
    mounts.mount(device, str(NODE / "efi"), KIND, ("remount", "ro", *OPTIONS))
    return node, device
def checked(device):
    \"\"\"What fsck says of the partition, taken away before.\"\"\"
    mounts.unmount(str(NODE / "efi"))
    done = subprocess.run([*CHECK, device], capture_output=True, text=True)
    return done.returncode, done.stdout
"""


def test_the_file_system_is_sound_afterwards_and_read_only_again(unshared: Callable[..., Any]) -> None:
    told = unshared(f"""{ESP}
node, device = make(40)
try:
    uki_upgrading.upgrade(node, {{"source": "file:/new.efi"}})
    [now] = [m for m in mounts.mounted() if m.target == str(NODE / "efi")]
    seen = [node.starts("active"), node.starts("passive"), node.entries, "ro" in now.super_options or "ro" in now.options]
    tell([*seen, checked(device)[0]])
finally:
    loop.detach(device)
""")
    assert told == ["two", "one", ["active+3.conf", "passive+3.conf", "recovery+3.conf"], True, 0]


def test_a_system_that_does_not_fit_is_refused_and_where_the_old_passive_one_makes_room_it_goes_first(unshared: Callable[..., Any]) -> None:
    told = unshared(f"""{ESP}
from kairos_boot.lifecycle.phases import Refused
node, device = make(40)
try:
    big = program("two") + bytes(30 << 20)
    node.source.write_bytes(big + bytes(20 << 20))
    try:
        uki_upgrading.upgrade(node, {{"source": "file:/new.efi"}})
    except Refused as error:
        said = error.message
    before = node.starts("active")
    mounts.mount(device, str(NODE / "efi"), KIND, ("remount", "rw", *OPTIONS))
    (node.esp / "EFI/kairos/passive.efi").write_bytes(program("zero") + bytes(20 << 20))
    mounts.mount(device, str(NODE / "efi"), KIND, ("remount", "ro", *OPTIONS))
    node.source.write_bytes(big)
    plan = [phase["phase"] for phase in uki_upgrading.plan_of(node, {{"source": "file:/new.efi"}})]
    uki_upgrading.upgrade(node, {{"source": "file:/new.efi"}})
    tell([said, before, plan, node.starts("active"), node.starts("passive"), checked(device)[0]])
finally:
    loop.detach(device)
""")
    said, before, plan, *after = told
    assert "is bigger than the free space" in said
    assert before == "one"
    assert plan.index("passive") < plan.index("system") < plan.index("switch")
    assert after == ["two", "one", 0]


def test_killed_at_any_change_it_leaves_nothing_that_the_next_boot_cannot_end(unshared: Callable[..., Any]) -> None:
    """The kernel goes on after a kill: what a cut may lose besides is on the page of trusted boot."""
    told = unshared(f"""{ESP}
from tests.unit.test_uki_upgrade import bootable, cut_upgrade
told = []
for at in range(100):
    node, device = make(36)
    try:
        done = cut_upgrade(node, at, "active")
        whole = {{name: sorted(words) for name, words in bootable(node).items()}}
        uki_upgrading.settle(node)
        uki_upgrading.upgrade(node, {{"source": "file:/new.efi"}})
        told.append([whole, node.starts("active"), len(node.entries), len(node.programs), *checked(device)])
    finally:
        loop.detach(device)
    import shutil
    shutil.rmtree(NODE)
    if done:
        break
tell(told)
""")
    assert len(told) > 10
    for whole, active, entries, programs, code, said in told:
        assert set(whole) == {"active", "passive", "recovery"}
        assert (active, entries, programs) == ("two", 3, 3)
        assert code == 0, said


def test_without_a_place_for_the_marker_it_is_refused(unshared: Callable[..., Any]) -> None:
    """An upgrade that a cut ends could not be ended: /oem is the read-only root's own directory where COS_OEM is missing."""
    told = unshared(f"""{ESP}
from kairos_boot.errors import KairosError
node, device = make(36)
try:
    mounts.mount("tmpfs", str(NODE / "oem"), "tmpfs", ("ro",))
    before = node.entries, node.programs
    try:
        uki_upgrading.upgrade(node, {{"source": "file:/new.efi"}})
    except KairosError as error:
        tell([error.message, (node.entries, node.programs) == before, node.emitted])
    checked(device)
finally:
    loop.detach(device)
""")
    assert "COS_OEM is not mounted" in told[0]
    assert told[1:] == [True, []]
