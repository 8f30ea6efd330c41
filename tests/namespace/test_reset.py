"""A reset, for real, on loop devices: what it leaves, what it refuses, what a cut does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.root

HOOKS = """
#cloud-config
stages:
  before-reset:
  - commands: ['ls /run/cos/state/cOS >/oem/before; echo "before ${KAIROS_RESUMED:-0}" >>/oem/order']
  after-reset-chroot:
  - files: [{path: /etc/inside, content: inside}, {path: /oem/chroot, content: chroot}]
  after-reset:
  - commands: ['echo after >>/oem/order; echo written >/usr/local/written; ls -A /usr/local >/oem/after']
"""
START = """
from reset_node import *
from kairos_boot.lifecycle.resetting import reset, plan_of
from kairos_boot.lifecycle import marker
from kairos_boot.errors import KairosError
from kairos_boot.node import grubenv
STATE = "/run/cos/state"
"""


def test_a_reset_makes_untrue_what_a_plan_noted_of_the_active_system(unshared: Callable[..., Any]) -> None:
    names = unshared(START + """
node = ResetNode(home)
for entry in ("active", "recovery"):
    node.write(f"/oem/.kairos/suc-upgrade-{entry}", "1 2\\nboot\\n")
reset(node, {})
tell([name for name in os.listdir("/oem/.kairos") if name.startswith("suc-")])
node.close()
""")
    assert names == ["suc-upgrade-recovery"]


def test_a_reset_makes_the_node_anew_and_keeps_oem(unshared: Callable[..., Any]) -> None:
    seen = unshared(START + f"""
node = ResetNode(home, steps={HOOKS!r})
grubenv.save("/oem/grubenv", {{"default_menu_entry": "Brand"}})
outcome = reset(node, {{"reboot": True}})
tell([outcome.failures, outcome.then, content(STATE + "/cOS/active.img"), content(STATE + "/cOS/passive.img"), text("/oem/order"), text("/oem/kept"),
      text("/usr/local/old"), text("/usr/local/written"), text(STATE + "/grub2/grub.cfg"), grubenv.load(STATE + "/grubenv"), marker.load(STATE) is None,
      text("/usr/local/.kairos-state"), os.listdir("/usr/local/.state/var-log.bind/kairos-boot"), grubenv.load("/oem/grubenv"),
      digest(STATE + "/cOS/active.img") == text(STATE + "/cOS/active.img.sha256").split()[0], sorted(os.listdir(STATE + "/cOS"))])
node.close()
""")
    failures, then, active, passive, order, kept, old, written, menu, environment, clear, state, records, oem, digests, names = seen
    assert (failures, then) == ([], "reboot")
    assert active.pop("") == "COS_ACTIVE"
    assert passive.pop("") == "COS_PASSIVE"
    assert active == passive
    assert active.pop("etc/inside") == "inside"
    assert active["boot/vmlinuz"] == "kernel"
    assert order == "before 0\nafter\n"
    assert (kept, old, written) == ("kept", None, "written\n")
    assert menu == "menuentry x --id cos {}\n"
    assert environment == {"trial": "reset"}
    assert clear
    assert "last-reset-source: " in state
    assert records
    assert oem == {"default_menu_entry": "Brand"}
    assert digests
    assert names == ["active.img", "active.img.sha256", "passive.img", "passive.img.sha256"]


def test_the_plan_is_what_the_record_says_was_done(unshared: Callable[..., Any]) -> None:
    planned, done = unshared(START + """
from kairos_boot.stages.ledger import read
node = ResetNode(home)
planned = [(phase["phase"], phase["title"]) for phase in plan_of(node, {})]
reset(node, {})
with open("/run/cos/ledger/boot.jsonl", "rb") as file:
    records, _ = read(file.read())
tell([planned, [(r["phase"], r["title"]) for r in records if r["kind"] == "phase" and r["event"] == "end"]])
node.close()
""")
    assert planned == done
    assert [name for name, _ in done] == ["before-reset", "room", "active", "passive", "boot-loader", "after-reset-chroot", "persistent", "after-reset", "finish"]


@pytest.mark.parametrize("phase", range(1, 10))
@pytest.mark.parametrize("moment", ["begins", "ends"])
def test_a_reset_that_was_cut_goes_on_where_it_was(unshared: Callable[..., Any], phase: int, moment: str) -> None:
    """Each phase is killed at its start and at its end; the next run ends in a reset node, and a hook that was done does not run again."""
    seen = unshared(START + f"""
node = ResetNode(home, steps={HOOKS!r})
from kairos_boot.lifecycle.marker import Marker
class Cut(Marker):
    count = 0
    def begin(self, name):
        Cut.count += 1
        super().begin(name)
        if {moment!r} == "begins" and Cut.count == {phase}:
            os._exit(0)
    def end(self, name, failure=""):
        if {moment!r} == "ends" and Cut.count == {phase}:
            os._exit(0)
        super().end(name, failure)
child = os.fork()
if not child:
    marker.Marker = Cut
    reset(node, {{"reboot": True}})
    os._exit(1)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
armed = grubenv.load(STATE + "/grubenv").get("resume_entry")
outcome = reset(node, {{}})
tell([code, armed, outcome.then, content(STATE + "/cOS/active.img"), content(STATE + "/cOS/passive.img")[""], text("/oem/order"), text("/usr/local/old"),
      text("/usr/local/written"), grubenv.load(STATE + "/grubenv"), marker.load(STATE) is None])
node.close()
""")
    code, armed, then, active, passive, order, old, written, environment, clear = seen
    assert (code, active[""], passive, old, written) == (0, "COS_ACTIVE", "COS_PASSIVE", None, "written\n")
    gone = phase == 9 and moment == "ends"  # the marker is the last thing that goes
    assert armed == (None if gone else "statereset")
    assert then == ("" if gone else "reboot")
    assert (environment, clear) == ({"trial": "reset"}, True)
    lines = order.split("\n")
    assert lines[0] in {"before 0", "before 1"}
    if phase == 1:
        assert lines[:-2][-1] == ("before 1")
    elif not gone:
        assert lines.count("before 0") == 1
        assert "before 1" not in lines


def test_a_step_of_a_reset_cannot_reset(unshared: Callable[..., Any]) -> None:
    """It shares the lock of a run, as all that a run starts does, but an action in an action would never end (G6)."""
    said = unshared(START + """
import subprocess
node = ResetNode(home)
free = node.lock()
again = "import sys; sys.path[:] = sys.argv[1:]; from kairos_boot.cli.actions import Wired; Wired('reset').lock()"
done = subprocess.run([sys.executable, "-c", again, *sys.path], capture_output=True, text=True)
free()
after = subprocess.run([sys.executable, "-c", again, *sys.path], capture_output=True, text=True)
tell([done.returncode, done.stderr.splitlines()[-1], after.returncode])
node.close()
""")
    assert said[0] == 1
    assert "another action is running, and this is called by one of its steps" in said[1]
    assert said[2] == 0


REFUSALS = {
    "an image that was cut off": ("os.truncate(node.image, 1 << 20)", "cut off"),
    "a wrong digest": ('node.write(node.image + ".sha256", "0" * 64 + "  recovery.img")', "digest"),
    "a damaged file system": ('f = open(node.image, "r+b"); f.seek(8192); f.write(bytes(range(256)) * 256); f.close(); os.unlink(node.image + ".sha256")', "damaged"),
    "a full state partition": ('with_state(node.state.node, home, lambda place: (node.write(place + "/cOS/passive.img", ""), fill(place)))', "no room"),
    "documents that contradict each other": ('node.write("/oem/1.yaml", "#cloud-config\\nreset: {reboot: true}\\n"); node.write("/oem/2.yaml", "#cloud-config\\nreset: [x]\\n")',
                                             "cannot merge"),
    "a hook that fails": ('node.write("/oem/1.yaml", "stages:\\n  before-reset:\\n  - commands: [\'exit 7\']\\n")', "before-reset failed"),
    "a hook that hangs": ('node.write("/oem/1.yaml", "stages:\\n  before-reset:\\n  - timeout: 1\\n    commands: [sleep 60]\\n")', "before-reset failed"),
    "a damaged environment of the boot loader": ('node.write("/oem/grubenv", "garbage" * 20)', "no environment block"),
    "no recovery system": ('os.rename("/run/cos/recovery_mode", "/run/cos/active_mode")', "recovery system"),
}


@pytest.mark.parametrize("fault", REFUSALS)
def test_nothing_is_destroyed_before_a_refusal(unshared: Callable[..., Any], fault: str) -> None:
    do, message = REFUSALS[fault]
    said, hint, old, same, environment, left = unshared(START + f"""
node = ResetNode(home)
mounts.mount("", "/run/initramfs/cos-state", options=("remount", "rw"))
{do}
def images(place):
    return [digest(f"{{place}}/cOS/{{name}}.img") for name in ("active", "passive")]
before = with_state(node.state.node, home, images)
try:
    reset(node, {{}})
    said = hint = ""
except KairosError as error:
    said, hint = str(error), error.hint
mounts.unmount(STATE) if os.path.ismount(STATE) else None
after = with_state(node.state.node, home, images)
environment = with_state(node.state.node, home, lambda place: grubenv.load(place + "/grubenv"))
left = with_state(node.state.node, home, lambda place: [n for n in os.listdir(place + "/cOS") if n not in ("active.img", "passive.img")])
tell([said, hint, with_state(node.node_disk.persistent.node, home, lambda place: text(place + "/old")), before == after, environment, left])
node.close()
""")
    assert message in said
    assert hint
    assert (old, same) == ("old", True)
    assert environment == {}
    assert left == []


@pytest.mark.parametrize("system", ["recovery", "active"])
@pytest.mark.parametrize("fault", ["", *(fault for fault in REFUSALS if "hook" not in fault and fault != "no recovery system")])
def test_a_plan_refuses_what_the_reset_would_in_whichever_system_it_is_asked_for(unshared: Callable[..., Any], fault: str, system: str) -> None:
    """Its checks are those of the run: of the recovery image as of the room."""
    do, message = REFUSALS[fault] if fault else ("", "")
    said = unshared(START + f"""
node = ResetNode(home)
mounts.mount("", "/run/initramfs/cos-state", options=("remount", "rw"))
{do}
if {system == "active"}:
    os.rename("/run/cos/recovery_mode", "/run/cos/active_mode")
    mounts.unmount("/run/initramfs/cos-state")
try:
    said = f"{{len(plan_of(node, {{}}))}} phases"
except KairosError as error:
    said = f"{{type(error).__name__}}: {{error}}"
tell(said)
node.close()
""")
    assert message in said
    assert said.endswith(" phases") is (not fault)


@pytest.mark.parametrize("fstype", ["", "btrfs", "ext2"])
def test_a_persistent_partition_is_made_anew_whatever_is_on_it(unshared: Callable[..., Any], fstype: str) -> None:
    if fstype and not _has(f"mkfs.{fstype}"):
        pytest.skip(f"mkfs.{fstype} is not installed")
    old, found, oem = unshared(START + f"""
node = ResetNode(home, persistent={fstype!r}, persistent_mib={120 if fstype == "btrfs" else 16})
reset(node, {{}})
mount = mounts.at("/usr/local", mounts.mounted())
tell([text("/usr/local/old"), mount.fstype, text("/oem/kept")])
node.close()
""")
    assert (old, oem) == (None, "kept")
    assert found == (fstype or "ext4")


def test_where_a_third_image_does_not_fit_passive_goes_first_and_the_plan_says_so(unshared: Callable[..., Any]) -> None:
    """The hook in the image, which needs a third one, comes before passive then, and what it wrote is in both."""
    notes, planned, done, failures, active, passive = unshared(START + f"""
import reset_node
from kairos_boot.stages.ledger import read
reset_node.FILES["boot/initrd"] = reset_node.initrd("initrd " * (1 << 20))
node = ResetNode(home, state_mib=26, image_mib=16, steps={HOOKS!r})
plan = plan_of(node, {{}})
notes = [line for phase in plan for line in phase["does"] if "third image" in line]
failures = reset(node, {{}}).failures
with open("/run/cos/ledger/boot.jsonl", "rb") as file:
    records, _ = read(file.read())
done = [r["phase"] for r in records if r["kind"] == "phase" and r["event"] == "end"]
inside = [content(STATE + f"/cOS/{{name}}.img") for name in ("active", "passive")]
tell([notes, [phase["phase"] for phase in plan], done, failures, *([found[""], found["etc/inside"]] for found in inside)])
node.close()
""")
    assert notes
    assert planned == done
    assert done[1:5] == ["room", "active", "after-reset-chroot", "passive"]
    assert failures == []
    assert (active, passive) == (["COS_ACTIVE", "inside"], ["COS_PASSIVE", "inside"])


def test_without_room_for_both_images_passive_stays(unshared: Callable[..., Any]) -> None:
    """Active is missing: what passive frees is enough for one of the two, so nothing is begun."""
    said, left = unshared(START + """
import reset_node
reset_node.FILES["boot/initrd"] = reset_node.initrd("initrd " * (1 << 20))
node = ResetNode(home, state_mib=26, image_mib=16)
def fill(place):
    os.unlink(place + "/cOS/active.img")
    with open(place + "/fill", "wb") as file:
        file.write(bytes(8 << 20))
with_state(node.state.node, home, fill)
try:
    said = str(reset(node, {}))
except KairosError as error:
    said = str(error)
tell([said, sorted(os.listdir(STATE + "/cOS"))])
node.close()
""")
    assert "there is no room for new images: two of" in said
    assert left == ["passive.img"]


def test_an_empty_state_partition_is_filled(unshared: Callable[..., Any]) -> None:
    """Cloud images have no images but recovery's, and deploy themselves by a reset."""
    active, menu = unshared(START + """
node = ResetNode(home)
import subprocess
subprocess.run(["mkfs.ext4", "-q", "-F", "-L", "COS_STATE", node.state.node], check=True)
reset(node, {})
tell([content(STATE + "/cOS/active.img")[""], text(STATE + "/grub2/grub.cfg")])
node.close()
""")
    assert (active, menu) == ("COS_ACTIVE", "menuentry x --id cos {}\n")


@pytest.mark.parametrize(("asked", "old", "kept"), [({"reset-persistent": False}, "old", "kept"), ({"reset-oem": True}, None, None)])
def test_what_is_kept_and_erased_can_be_chosen(unshared: Callable[..., Any], asked: dict[str, bool], old: str | None, kept: str | None) -> None:
    """The data, and with it what was added to the system: extensions, and what says that a first boot is over, so that its bundles come again."""
    seen = unshared(START + f"""
EXTENSION, FIRST = ".state/var-lib-kairos.bind/extensions/active/a.raw", ".kairos/sentinel_firstboot"
node = ResetNode(home)
with_state(node.node_disk.persistent.node, home, lambda place: [node.write(f"{{place}}/{{name}}", "old") for name in (EXTENSION, FIRST)])
reset(node, {asked!r})
tell([text("/usr/local/old"), text("/oem/kept"), text(f"/usr/local/{{EXTENSION}}"), text(f"/usr/local/{{FIRST}}")])
node.close()
""")
    assert seen == [old, kept, old, old]


def test_a_damaged_oem_partition_is_made_anew(unshared: Callable[..., Any]) -> None:
    assert unshared(START + """
node = ResetNode(home, oem="")
reset(node, {})
tell(mounts.at("/oem", mounts.mounted()).fstype)
node.close()
""") == "ext4"


def test_what_fails_half_way_is_tried_once_more_and_then_no_more(unshared: Callable[..., Any]) -> None:
    """The image has no menu: the phase of the boot loader fails each time."""
    first, second, environment, kept = unshared(START + """
import reset_node
del reset_node.FILES["etc/cos/grub.cfg"]
node = ResetNode(home)
seen = []
for _ in range(2):
    try:
        reset(node, {})
    except KairosError as error:
        seen.append([str(error), marker.load(STATE).failed, grubenv.load(STATE + "/grubenv").get("resume_entry")])
tell([*seen, grubenv.load(STATE + "/grubenv"), os.listdir("/oem/.kairos/reset")])
node.close()
""")
    assert "no menu" in first[0]
    assert first[1:] == ["", "statereset"]
    assert "no menu" in second[1]
    assert second[2] is None
    assert environment == {}
    assert kept


def test_what_is_cut_short_five_times_in_a_row_is_given_up(unshared: Callable[..., Any]) -> None:
    """This is the start after the fifth cut; at the one before it the reset still went on."""
    said, failed, resume, then = unshared(START + """
node = ResetNode(home)
def begun(cuts):
    with_state(node.state.node, home, lambda place: marker.Marker(place, "statereset", marker.Begun("reset", {}, ("before-reset", "room"), "active", cuts)).arm())
begun(4)
try:
    reset(node, {})
    said = ""
except KairosError as error:
    said = error.message
failed = marker.load(STATE).failed
resume = grubenv.load(STATE + "/grubenv").get("resume_entry")
mounts.unmount(STATE)
begun(3)
tell([said, failed, resume, reset(node, {"reboot": True}).then])
node.close()
""")
    assert said == "it was cut short 5 times in the phase 'active'"
    assert failed.startswith(said)
    assert (resume, then) == (None, "reboot")


def test_a_hook_that_fails_late_stops_nothing_and_is_told(unshared: Callable[..., Any]) -> None:
    """What its other steps did stays, the reset comes to its end, and the verb can say that it was not all done."""
    steps = """
stages:
  after-reset-chroot:
  - commands: ['exit 3']
  - files: [{path: /etc/inside, content: inside}]
  after-reset:
  - commands: ['exit 4']
"""
    failures, inside, clear = unshared(START + f"""
node = ResetNode(home, steps={steps!r})
outcome = reset(node, {{}})
tell([outcome.failures, content(STATE + "/cOS/passive.img").get("etc/inside"), marker.load(STATE) is None])
node.close()
""")
    assert failures[0] == "stage after-reset-chroot: stage after-reset-chroot failed: a step inside the image, see the record"
    assert failures[1].startswith("stage after-reset: stage after-reset failed: /oem/10_hooks.yaml:7:")
    assert "exit status 4" in failures[1]
    assert len(failures) == 2
    assert (inside, clear) == ("inside", True)


def test_a_failed_first_hook_is_told_too_where_it_may_fail(unshared: Callable[..., Any]) -> None:
    steps = "reset: {strict: false}\nstages:\n  before-reset:\n  - commands: ['exit 5']\n"
    failures, old = unshared(START + f"""
node = ResetNode(home, steps="#cloud-config\\n" + {steps!r})
tell([reset(node, {{}}).failures, text("/usr/local/old")])
node.close()
""")
    assert ["exit status 5" in failure for failure in failures] == [True]
    assert old is None


def test_state_directories_can_be_removed_alone(unshared: Callable[..., Any]) -> None:
    removed, rest = unshared(START + """
from kairos_boot.lifecycle.resetting import remove_state
node = ResetNode(home)
with_state(node.node_disk.persistent.node, home, lambda place: [node.write(f"{place}/{name}/x", "x") for name in (".kairos", ".state", "data")])
removed = remove_state(node, ["kairos", "state"])
tell([removed, sorted(os.listdir("/usr/local"))])
node.close()
""")
    assert removed == ["remove /usr/local/.kairos", "remove /usr/local/.state"]
    assert rest == ["data", "lost+found", "old"]


def _has(program: str) -> bool:
    import shutil

    return shutil.which(program) is not None
