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


@pytest.mark.parametrize("fails", [False, True])
def test_a_boot_that_resets_by_itself_comes_again_after_a_cut_and_its_entry_goes_at_the_end(unshared: Callable[..., Any], *, fails: bool) -> None:
    """What it ended like is noted for the unit that follows it: a login where it failed, nothing where it is done."""
    told = unshared(f"""{NODE}
from kairos_boot.lifecycle import ending, entries
try:
    node = make()
    entries.select(node.host, "statereset")
    (NODE / "run/cos/autoreset_mode").write_text("1")
    made = node.entries
    from kairos_boot.node import loader
    chosen = []
    emit = node.emit
    def stage(name, root):
        chosen.append(loader.next_once(node.host))
        return emit(name, root)
    node.emit = stage
    def progress(_):
        chosen.append(loader.next_once(node.host))
        def tell(done, total):
            chosen.append(loader.next_once(node.host))
            if {fails}:
                raise KairosError("the disk fails")
        return tell
    node.progress = progress
    try:
        uki_resetting.reset(node, {{}})
    except KairosError:
        pass
    found = ending.failure(node.host, "/nowhere")
    tell([made, chosen[-1], "statereset" in chosen, loader.next_once(node.host), node.entries, found and [found[0].message, found[1]]])
finally:
    close()
""")
    made, last, seen, after, entries, found = told
    assert made == ["active.conf", "passive.conf", "recovery.conf", "statereset+0.conf"]
    assert seen is True
    if fails:
        assert (after, entries, found[1]) == ("statereset", made, False)
        assert "the disk fails" in found[0]
    else:
        assert (last, after, entries, found) == ("active", "active", ["active+3.conf", "passive.conf", "recovery.conf"], None)


def test_the_state_directories_alone_are_removed_in_recovery_only(unshared: Callable[..., Any]) -> None:
    told = unshared(f"""{NODE}
from kairos_boot.lifecycle import resetting
try:
    node = make()
    mounts.mount(devices["persistent"], str(NODE / "usr/local"), "ext4")
    (NODE / "usr/local/.state").mkdir()
    removed = resetting.remove_state(node, ["kairos", "state"])
    left = [(NODE / "usr/local/.state").exists(), (NODE / "usr/local/old").exists()]
    (NODE / "run/cos/recovery_mode").unlink()
    (NODE / "run/cos/active_mode").write_text("1")
    try:
        resetting.remove_state(node, ["state"])
    except KairosError as error:
        left.append(error.message)
    tell([len(removed), left])
finally:
    close()
""")
    assert told == [1, [False, True, "the state directories are in use in this system"]]
