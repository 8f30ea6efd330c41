"""A reset of a node that is one signed file, for real, on loop devices: what it makes anew, what stays, and stages that take its partitions away (4.6, UKI-26)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.root

NODE = """
import pathlib, subprocess
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import uki_resetting
from kairos_boot.node.partitions import NodeDisk
from kairos_boot.stages.ledger import Ledger
from kairos_boot.system import loop, mounts
from kairos_boot.system.host import Host
from kairos_boot.system.process import Processes
from kairos_boot.system.udev import Partition
from tests.unit.esp_node import Node, program, word_of
NODE = pathlib.Path(home) / "node"
NODE.mkdir()
devices = {}
class ResetNode(Node):
    def disk(self):
        parts = {name: Partition(node, label=f"COS_{name.upper()}", fstype="ext4") for name, node in devices.items()}
        return NodeDisk("/dev/none", **parts)
def make(boot="recovery", **roles):
    node = ResetNode(NODE, boot, {"active": "broken", "passive": "zero", "recovery": "rescue", **roles})
    for name in ("dev", "usr/sbin"):
        (NODE / name).mkdir(parents=True, exist_ok=True)
    mounts.mount("/dev", str(NODE / "dev"), options=("bind",))
    (NODE / "usr/sbin/mkfs.ext4").write_text("")
    for name in ("oem", "persistent"):
        image = f"{home}/{name}.img"
        with open(image, "wb") as file:
            file.truncate(24 << 20)
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-L", f"COS_{name.upper()}", image], check=True)
        devices[name] = loop.attach(image, read_only=False)
        place = NODE / name
        place.mkdir(exist_ok=True)
        mounts.mount(devices[name], str(place), "ext4")
        (place / "old").write_text("old")
        if name == "persistent":
            mounts.unmount(str(place))
    node.host = Host(str(NODE), processes=Processes("/"))
    node.ledger = Ledger(str(NODE / "ledger"), "id")
    return node
def close():
    for name in ("oem", "usr/local", "dev"):
        if os.path.ismount(NODE / name):
            mounts.unmount(str(NODE / name))
    for device in devices.values():
        loop.detach(device)
"""


def test_the_active_system_is_recoverys_and_persistent_data_goes(unshared: Callable[..., Any]) -> None:
    told = unshared(f"""{NODE}
try:
    node = make()
    planned = [phase["phase"] for phase in uki_resetting.plan_of(node, {{}})]
    before = node.entries, list(node.emitted)
    outcome = uki_resetting.reset(node, {{}})
    tell([planned, before, outcome.failures, {{name: node.starts(name) for name in ("active", "passive", "recovery")}}, node.entries, node.emitted,
          (NODE / "oem/old").exists(), (NODE / "usr/local/old").exists(), os.path.ismount(NODE / "usr/local"), node.entry("active")["title"]])
finally:
    close()
""")
    planned, before, failures, starts, entries, emitted, oem, persistent, mounted, title = told
    assert before == [["active.conf", "passive.conf", "recovery.conf"], []]
    assert failures == []
    assert starts == {"active": "rescue", "passive": "zero", "recovery": "rescue"}
    assert entries == ["active+3.conf", "passive.conf", "recovery.conf"]
    assert emitted == ["kairos-uki-reset.pre", "after-reset", "kairos-uki-reset.after"]
    assert (oem, persistent, mounted, title) == (True, False, True, "Node active")
    assert planned.index("active") < planned.index("persistent") < planned.index("note") < planned.index("after-reset")


def test_oem_goes_where_it_is_asked_for_and_persistent_data_stays_where_that_is(unshared: Callable[..., Any]) -> None:
    told = unshared(f"""{NODE}
try:
    node = make()
    uki_resetting.reset(node, {{"reset-oem": True, "reset-persistent": False}})
    tell([(NODE / "oem/old").exists(), os.path.ismount(NODE / "oem"), (NODE / "usr/local/old").exists()])
finally:
    close()
""")
    assert told == [False, True, True]


def test_a_stage_that_takes_the_partitions_away_breaks_nothing(unshared: Callable[..., Any]) -> None:
    """UKI-26"""
    told = unshared(f"""{NODE}
try:
    node = make()
    emit = node.emit
    def stage(name, root):
        if name == "after-reset":
            mounts.unmount(str(NODE / "oem"))
            mounts.unmount(str(NODE / "usr/local"))
        return emit(name, root)
    node.emit = stage
    outcome = uki_resetting.reset(node, {{}})
    tell([outcome.failures, node.emitted, node.starts("active")])
finally:
    close()
""")
    assert told == [[], ["kairos-uki-reset.pre", "after-reset", "kairos-uki-reset.after"], "rescue"]


@pytest.mark.parametrize("how", ["boot", "recovery", "entry"])
def test_what_cannot_be_done_is_refused_before_anything_changes(unshared: Callable[..., Any], how: str) -> None:
    told = unshared(f"""{NODE}
try:
    node = make("active" if "{how}" == "boot" else "recovery")
    if "{how}" == "recovery":
        (NODE / "efi/EFI/kairos/recovery.efi").write_bytes(b"damaged")
    if "{how}" == "entry":
        (NODE / "efi/loader/entries/recovery.conf").unlink()
    before = node.entries
    try:
        uki_resetting.reset(node, {{}})
    except KairosError as error:
        said = error.message
    mounts.mount(devices["persistent"], str(NODE / "usr/local"), "ext4")
    tell([said, node.entries == before, node.emitted, (NODE / "usr/local/old").exists(), (NODE / "oem/old").exists()])
finally:
    close()
""")
    said, *rest = told
    assert {"boot": "recovery system", "recovery": "no EFI program", "entry": "no entry 'recovery'"}[how] in said
    assert rest == [True, [], True, True]
