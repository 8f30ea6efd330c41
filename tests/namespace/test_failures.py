"""Where a boot that failed leaves its reason: on a partition that may be mounted, read-only, or not at all (D13)."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.root, pytest.mark.skipif(not shutil.which("grub-fstest"), reason="grub-fstest (package grub-common) is not here")]
SCRIPT = """
import subprocess
from boot_node import make_file_system
from kairos_boot.boot.cmdline import Cmdline
from kairos_boot.boot.ending import Ending
from kairos_boot.boot.failures import Medium, Opened, kept
from kairos_boot.boot.report import Report
from kairos_boot.boot.state import detect
from kairos_boot.errors import KairosError
from kairos_boot.node import grubenv
from kairos_boot.system import loop, mounts
from kairos_boot.system.host import Host
from kairos_boot.system.udev import Partition

class Notes:
    def write(self, kind, **fields):
        pass

def disk(label, fstype="ext4"):
    image = make_file_system(home + "/" + label, label)
    node = loop.attach(image, read_only=False)
    loops.append(node)
    return image, Medium(label, home + "/run/" + label, Partition(node, "vda", label, fstype))

def seen(image, path):
    # As GRUB sees it, without the journal.
    return subprocess.run(["grub-fstest", image, "cat", path], capture_output=True).stdout.decode().rstrip("#")

def options(medium):
    return [(m.target.removeprefix(home), m.super_options[0]) for m in mounts.mounted() if m.source == medium.partition.node]

loops, told = [], {}
os.makedirs(home + "/state")
try:
{steps}
finally:
    for mount in reversed(mounts.mounted()):
        if mount.target.startswith(home + "/"):
            mounts.unmount(mount.target, detach=True)
    for node in loops:
        loop.detach(node)
tell(told)
"""


def run(unshared: Callable[..., Any], steps: str) -> dict[str, Any]:
    """What *steps* told."""
    told = unshared(SCRIPT.replace("{steps}", "\n".join(f"    {line}" for line in steps.splitlines())))
    assert isinstance(told, dict)
    return told


END = """
did = []
line = Cmdline("root=LABEL=COS_ACTIVE console=none")
host = Host(home)
report = Report(Notes(), lambda *words, **more: None, "/dev/null")
report.banner = lambda error, consoles, more: told.update(more)
Ending(host, line, detect(line), report, grubenv, lambda: media, lambda: did.append("quiet"), lambda seconds: did.append(seconds), lambda: did.append("restart")).run()
told["did"] = did
"""


def test_the_reason_and_the_next_entry_are_where_grub_reads_them_and_nothing_stays_mounted(unshared: Callable[..., Any]) -> None:
    told = run(unshared, f"""
image, medium = disk("COS_OEM")
media = [medium]
{END}
told["grub"], told["left"] = seen(image, "/grubenv"), options(medium)
told["reason"] = seen(image, "/.kairos/failed-boots")
""")
    assert told["grub"] == "# GRUB Environment Block\nnext_entry=fallback\nfailed_entries=cos\n"
    assert '"entry": "cos"' in told["reason"]
    assert (told["Kept"].split(",")[0], told["did"], told["left"]) == ("on COS_OEM", ["quiet", 30, "restart"], [])


def test_an_oem_partition_that_cannot_be_mounted_leaves_it_to_the_read_only_state_partition(unshared: Callable[..., Any]) -> None:
    """COS_OEM is encrypted, or damaged; COS_STATE is in use by the image, read-only, and is so again afterwards."""
    told = run(unshared, f"""
oem, state = disk("COS_OEM", "crypto_LUKS"), disk("COS_STATE")
media = [oem[1], state[1]]
mounts.mount(state[1].partition.node, home + "/state", "ext4", ("ro",))
{END}
told["grub"], told["mounted"] = seen(state[0], "/grubenv"), options(state[1])
told["kept"] = [failure["entry"] for failure in kept(home + "/state")]
""")
    assert told["grub"] == "# GRUB Environment Block\nnext_entry=fallback\nfailed_entries=cos\n"
    assert told["mounted"] == [["/state", "ro"]]
    assert (told["kept"], told["Kept"].split(",")[0]) == (["cos"], "on COS_STATE")
