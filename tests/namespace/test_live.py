"""The root of a live system, mounted for real: a squashfs in a file on a medium, and memory above it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.root
GENERATOR = Path(__file__).resolve().parents[2] / "dracut/50kairos-boot/live-generator"
GENERATE = f"""
import subprocess
from kairos_boot.system import mounts
def generate(cmdline):
    import shutil
    open(home + "/cmdline", "w").write(cmdline)
    mounts.mount(home + "/cmdline", "/proc/cmdline", flags=mounts.BIND)
    shutil.rmtree(home + "/early", ignore_errors=True)
    os.mkdir(home + "/early")
    subprocess.run([{str(GENERATOR)!r}, home + "/normal", home + "/early", home + "/late"], check=True)
    mounts.unmount("/proc/cmdline")
    unit = home + "/early/sysroot.mount"
    if not os.path.exists(unit):
        return os.listdir(home + "/early")
    assert os.path.samefile(unit, home + "/early/initrd-root-fs.target.requires/sysroot.mount")
    return dict(line.split("=", 1) for line in open(unit).read().splitlines() if "=" in line)
"""


def test_the_system_on_the_medium_can_be_written_above_and_stays_as_it_is(unshared: Callable[..., Any]) -> None:
    """As systemd mounts it by the generator's unit."""
    told = unshared(GENERATE + """
from boot_node import make_file_system
from kairos_boot.boot import live
from kairos_boot.boot.cmdline import Cmdline
from kairos_boot.boot.devices import Devices
from kairos_boot.boot.report import Report
from kairos_boot.boot.state import detect
from kairos_boot.system import loop
from kairos_boot.system.host import Host
from kairos_boot.system.udev import Partition

os.makedirs(home + "/tree/etc"), os.makedirs(home + "/medium")
open(home + "/tree/etc/name", "w").write("of the medium")
subprocess.run(["mksquashfs", home + "/tree", home + "/medium/rootfs.squashfs", "-quiet", "-no-progress"], check=True, stdout=subprocess.DEVNULL)
node = loop.attach(make_file_system(home + "/medium.img", "COS_LIVE", home + "/medium"))

class Here(Devices):
    def wait(self, find, limit, disk=""):
        return find([Partition(node, "loop", "COS_LIVE", "ext4")])

class Ledger:
    def write(self, kind, **fields):
        pass

line = "root=live:CDLABEL=COS_LIVE rd.live.dir=/ rd.live.squashimg=rootfs.squashfs"
unit = generate(line)
disk = None
try:
    disk = live.make(Cmdline(line), detect(Cmdline(line)), Here(Host()), Report(Ledger(), lambda *a, **k: None, "/dev/null"), 1, home)
    os.mkdir(home + "/sysroot")
    options = unit["Options"].replace("=/run/", "=" + home + "/run/").split(",")
    mounts.mount(unit["What"], home + "/sysroot", unit["Type"], options)
    open(home + "/sysroot/etc/name", "w").write("changed")
    told = [unit["Where"], open(home + "/sysroot/etc/name").read(), open(home + live.BASE + "/etc/name").read(), os.stat(home + "/sysroot").st_mode & 0o777]
    mounts.unmount(home + "/sysroot"), mounts.unmount(home + live.BASE), mounts.unmount(home + live.LAYER)
finally:
    if disk:
        loop.detach(disk.loop)
        mounts.unmount(home + live.MEDIUM)
    loop.detach(node)
tell(told)
""")
    assert told == ["/sysroot", "changed", "of the medium", 0o755]


@pytest.mark.parametrize(("cmdline", "ours"), [
    ("root=live:CDLABEL=COS_LIVE", True), ("quiet root=live:LABEL=COS_RECOVERY", True), ("root=live:/dev/sr0", True), ("root=LABEL=COS_ACTIVE", False), ("netboot", False),
    ("root=live:http://192.0.2.1/x", False), ("root=live:CDLABEL=COS_LIVE root=LABEL=COS_ACTIVE", False), ("", False), ("xroot=live:CDLABEL=COS_LIVE", False),
])
def test_a_root_that_is_no_file_on_a_medium_is_left_to_others(unshared: Callable[..., Any], cmdline: str, ours: bool) -> None:
    told = unshared(f"{GENERATE}\ntell(generate({cmdline!r}))")
    assert bool(told) is ours
