"""The marker of a reset that does not begin, or cannot be read: no boot after it resets the node by mistake (G2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.root

START = """
from reset_node import *
from kairos_boot.lifecycle.resetting import reset
from kairos_boot.lifecycle import marker
from kairos_boot.errors import KairosError
from kairos_boot.node import grubenv
STATE = "/run/cos/state"
"""
UPGRADED = 'marker.Begun("upgrade", {"entry": "active"}, ("new", "switch"), "after-upgrade")'
HALF = 'marker.Begun("reset", {"reset-persistent": False}, ("before-reset",), "room", 0, 1, "no room")'
UNARMED = {
    "a damaged environment of the boot loader": 'with_state(node.state.node, home, lambda place: node.write(place + "/grubenv", "damaged"))',
    "a full environment of the boot loader": 'with_state(node.state.node, home, lambda place: grubenv.save(place + "/grubenv", {"mine": "x" * 980}))',
    "a marker that cannot say what begins": "marker.Marker.begin = fails",
    "an error that is none of ours": "from kairos_boot.lifecycle import resetting; resetting._phases = breaks",
    "a refusal": 'node.write("/oem/1.yaml", "#cloud-config\\nreset: [x]\\n"); node.write("/oem/2.yaml", "#cloud-config\\nreset: {reboot: true}\\n")',
}


@pytest.mark.parametrize("before", ["None", UPGRADED, HALF])
@pytest.mark.parametrize("fault", UNARMED)
def test_a_reset_that_was_refused_leaves_the_marker_as_it_was(unshared: Callable[..., Any], fault: str, before: str) -> None:
    """The next boot neither resets a node that was told that nothing was changed, nor forgets what is left of an upgrade."""
    said, same, entry, on, noted = unshared(START + f"""
from kairos_boot.boot.resume import _begun, MARKER
from kairos_boot.lifecycle.ending import failure
def fails(mark, phase):
    raise KairosError("no room on the disk")
def breaks(*_):
    raise OSError(22, "no such thing")
node = ResetNode(home)
before = {before}
if before:
    with_state(node.state.node, home, lambda place: marker.Marker(place, "", before)._write(before))
{UNARMED[fault]}
try:
    reset(node, {{}})
    said = ""
except KairosError as error:
    said = str(error)
mounts.unmount(STATE)
def seen(place):
    try:
        variables = grubenv.load(place + "/grubenv")
    except KairosError:
        variables = {{}}
    return marker.load(place) == before, variables.get("resume_entry"), _begun(place + "/" + MARKER)
tell([said, *with_state(node.state.node, home, seen), 'without a word' not in str(failure(node.host, STATE)[0])])
node.close()
""")
    assert said
    assert (same, entry, on, noted) == (True, None, False, True)


def test_a_marker_that_cannot_be_read_is_no_reset(unshared: Callable[..., Any]) -> None:
    """Nobody knows whether the persistent data was to be kept. The boot loader does not come back here by itself."""
    said, hint, entry, old, noted = unshared(START + """
from kairos_boot.lifecycle.ending import failure
node = ResetNode(home)
def damage(place):
    node.write(place + "/cOS/action.json", "{")
    grubenv.save(place + "/grubenv", {"resume_entry": "statereset", "resume_tries": "x"})
with_state(node.state.node, home, damage)
try:
    reset(node, {})
    said = hint = ""
except KairosError as error:
    said, hint = str(error), error.hint
tell([said, hint, grubenv.load(STATE + "/grubenv"), with_state(node.node_disk.persistent.node, home, lambda place: text(place + "/old")), 'without a word' not in str(failure(node.host, STATE)[0])])
node.close()
""")
    assert "cannot be read" in said
    assert hint
    assert (entry, old, noted) == ({}, "old", True)


def test_a_state_partition_that_cannot_be_mounted_is_told_to_the_unit_that_ends_the_boot(unshared: Callable[..., Any]) -> None:
    """Without the note the node would stay in the target of the reset, without a login."""
    assert "mkfs.ext4" in unshared(START + """
from kairos_boot.lifecycle.ending import failure
node = ResetNode(home)
import subprocess
subprocess.run(["wipefs", "-aq", node.state.node], check=True)
try:
    reset(node, {})
except KairosError:
    pass
tell(failure(node.host, STATE)[0].hint)
node.close()
""")


@pytest.mark.parametrize("end", ["arm()", "fail('x')", "withdraw(None)", "clear"])
def test_who_goes_on_begins_the_boot_loaders_count_anew(unshared: Callable[..., Any], end: str) -> None:
    """GRUB gives up after six starts that came to nothing; a reset that is cut ten times, with progress each time, is not one of these."""
    do = f"mark.{end}" if end != "clear" else "marker.clear(home)"
    assert unshared(START + f"""
os.makedirs(home + "/cOS")
grubenv.save(home + "/grubenv", {{"resume_entry": "statereset", "resume_tries": "xxxxx"}})
mark = marker.Marker(home, "statereset", marker.Begun("reset", {{}}))
{do}
tell(grubenv.load(home + "/grubenv").get("resume_tries"))
""") is None


def test_a_reset_that_is_reached_counts_no_boots_that_handed_on_to_it(unshared: Callable[..., Any]) -> None:
    """Two of them that found another entry started end it; each cut of a reset that goes on is not one of these."""
    assert unshared(START + """
node = ResetNode(home)
grubenv.save("/oem/grubenv", {"reset_asked": "2"})
from kairos_boot.lifecycle.phases import Engine
def stop(*_):
    raise KairosError("stopped")
Engine.run = stop
try:
    reset(node, {})
except KairosError:
    tell(grubenv.load("/oem/grubenv"))
node.close()
""") == {}


def test_the_question_and_the_plan_tell_the_options_of_the_reset_that_goes_on(unshared: Callable[..., Any]) -> None:
    """One that was asked to erase OEM, too, and was cut, does so when it is called again without a flag."""
    erased, planned = unshared(START + """
from kairos_boot.lifecycle.resetting import plan_of, settled
node = ResetNode(home)
begun = marker.Begun("reset", {"reset-oem": True}, ("before-reset",))
with_state(node.state.node, home, lambda place: marker.Marker(place, "", begun)._write(begun))
tell([settled(node, {}).erase_oem, [phase["phase"] for phase in plan_of(node, {})]])
node.close()
""")
    assert erased
    assert "oem" in planned
