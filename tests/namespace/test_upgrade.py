"""An upgrade, for real, on loop devices: what it leaves, what it refuses, what a cut does (G9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.root

HOOKS = """
#cloud-config
stages:
  before-upgrade:
  - commands: ['echo "before ${KAIROS_RESUMED:-0}" >>/oem/order']
  after-upgrade-chroot:
  - files: [{path: /etc/inside, content: inside}, {path: /oem/chroot, content: chroot}]
  after-upgrade:
  - commands: ['echo "after ${KAIROS_RESUMED:-0} $(cat /oem/chroot)" >>/oem/order']
"""
START = """
from upgrade_node import *
from kairos_boot.lifecycle.upgrading import upgrade, plan_of, settle
from kairos_boot.lifecycle import marker
from kairos_boot.errors import KairosError
from kairos_boot.node import grubenv
def kept(node, name):
    return with_state(node.node_disk.persistent.node, home, lambda place: text(f"{place}/{name}"))
def left(node):
    place = node.state_place
    images = {name: node.inside(name) for name in ("active", "passive")}
    digests = [digest(f"{place}/cOS/{name}.img") == (text(f"{place}/cOS/{name}.img.sha256") or "x").split()[0] for name in images]
    return {"active": images["active"].get("etc/version"), "passive": images["passive"].get("etc/version"), "labels": [image[""] for image in images.values()],
            "inside": images["active"].get("etc/inside"), "digests": digests, "names": sorted(os.listdir(place + "/cOS")), "state": {name: value for name, value in grubenv.load(place + "/grubenv").items() if name != "trial_boot"},
            "oem": grubenv.load("/oem/grubenv"), "marker": marker.load(place) is None, "order": text("/oem/order"), "menu": text(place + "/grub2/grub.cfg"),
            "readonly": "ro" in mounts.at(COS, mounts.mounted()).super_options, "old": kept(node, "old"), "events": kept(node, ".kairos-state")}
"""
NAMES = ["active.img", "active.img.sha256", "active.img.source", "passive.img", "passive.img.sha256"]


def test_an_upgrade_of_the_active_system(unshared: Callable[..., Any]) -> None:
    """The new one is active, what ran is passive under its second name, data is kept, the hooks ran in order."""
    outcome, seen, same = unshared(START + f"""
node = UpgradeNode(home, steps={HOOKS!r})
before = digest(COS + "/cOS/active.img")
outcome = upgrade(node, {{"source": "dir:" + node.new, "reboot": True}})
tell([[outcome.failures, outcome.then], left(node), before == digest(COS + "/cOS/passive.img")])
node.close()
""")
    assert outcome == [[], "reboot"]
    assert (seen["active"], seen["passive"], seen["inside"]) == ("2", "active", "inside")
    assert seen["labels"] == ["COS_ACTIVE", "COS_ACTIVE"]  # a label is never rewritten inside an image that boots
    assert same
    assert seen["digests"] == [True, True]
    assert seen["names"] == NAMES
    assert seen["state"] == {"trial": "upgrade"}
    assert (seen["marker"], seen["menu"], seen["old"]) == (True, "menuentry x --id cos {}\n", "old")
    assert seen["order"] == "before 0\nafter 0 chroot\n"
    assert 'last-active-upgrade: "2' in seen["events"]
    assert 'last-active-source: "dir://' in seen["events"]


def test_an_upgrade_by_hand_makes_untrue_what_a_plan_noted(unshared: Callable[..., Any]) -> None:
    """A Plan of the image before it must not be taken for done; of the recovery system it stays true."""
    names = unshared(START + """
node = UpgradeNode(home)
for entry in ("active", "recovery"):
    node.write(f"/oem/.kairos/suc-upgrade-{entry}", "1 2\\nboot\\n")
upgrade(node, {"source": "dir:" + node.new})
tell([name for name in os.listdir("/oem/.kairos") if name.startswith("suc-")])
node.close()
""")
    assert names == ["suc-upgrade-recovery"]


@pytest.mark.parametrize(("boot", "passive"), [("active", "active"), ("recovery", "active"), ("passive", "passive")])
def test_what_becomes_passive(unshared: Callable[..., Any], boot: str, passive: str) -> None:
    """What was active, booted and good; from the passive system, which is what runs, passive stays."""
    seen = unshared(START + f"""
node = UpgradeNode(home, {boot!r})
grubenv.save("/oem/grubenv", {{"saved_entry": "fallback", "next_entry": "x"}})
upgrade(node, {{"source": "dir:" + node.new}})
seen = left(node)
tell(seen)
node.close()
""")
    assert (seen["active"], seen["passive"], seen["marker"], seen["state"]) == ("2", passive, True, {"trial": "upgrade"})
    assert seen["oem"] == {}  # the default is the new system again (G10)
    assert seen["readonly"]
    assert 'last-active-upgrade: "2' in seen["events"]


@pytest.mark.parametrize("variable", ["trial=reset", "boot_tries=x"])
def test_a_system_that_has_not_proved_itself_never_becomes_passive(unshared: Callable[..., Any], variable: str) -> None:
    name, _, value = variable.partition("=")
    seen, notes = unshared(START + f"""
node = UpgradeNode(home)
mounts.mount("", COS, options=("remount", "rw"))
grubenv.save(COS + "/grubenv", {{{name!r}: {value!r}}})
notes = [line for phase in plan_of(node, {{"source": "dir:" + node.new}}) for line in phase["does"]]
upgrade(node, {{"source": "dir:" + node.new}})
tell([left(node), notes])
node.close()
""")
    assert (seen["active"], seen["passive"]) == ("2", "passive")
    assert "passive.img stays: the active system has not proved itself yet" in notes
    assert seen["state"] == {"trial": "upgrade"}


def test_a_second_upgrade_without_a_boot_between_keeps_what_is_proved(unshared: Callable[..., Any]) -> None:
    seen = unshared(START + """
node = UpgradeNode(home)
upgrade(node, {"source": "dir:" + node.new})
node.write(node.new + "/etc/version", "3")
upgrade(node, {"source": "dir:" + node.new})
tell(left(node))
node.close()
""")
    assert (seen["active"], seen["passive"], seen["names"]) == ("3", "active", NAMES)


def test_a_node_that_kairos_installed_keeps_its_own_system_under_its_label(unshared: Callable[..., Any]) -> None:
    """Its initrd mounts by label alone: passive is a copy that bears the label, made before the switch."""
    seen, same, plan = unshared(START + """
node = UpgradeNode(home, ours=False)
with open(COS + "/cOS/active.img", "rb") as file:
    file.seek(2048)
    before = file.read()
plan = [phase["does"] for phase in plan_of(node, {"source": "dir:" + node.new}) if phase["phase"] == "passive"]
upgrade(node, {"source": "dir:" + node.new})
with open(node.state_place + "/cOS/passive.img", "rb") as file:
    file.seek(2048)
    same = file.read() == before
tell([left(node), same, plan])
node.close()
""")
    assert (seen["active"], seen["passive"], seen["labels"]) == ("2", "active", ["COS_ACTIVE", "COS_PASSIVE"])
    assert same
    assert "write /run/initramfs/cos-state/cOS/passive.img (COS_PASSIVE) from /run/initramfs/cos-state/cOS/active.img" in plan[0]
    assert seen["digests"] == [True, True]


@pytest.mark.parametrize("boot", ["active", "recovery"])
def test_the_recovery_system_alone_is_upgraded(unshared: Callable[..., Any], boot: str) -> None:
    seen, recovery = unshared(START + f"""
node = UpgradeNode(home, {boot!r}, steps={HOOKS!r}, image_mib=64)
upgrade(node, {{"source": "dir:" + node.new, "recovery": True}})
seen = left(node)
def look(place):
    return [content(place + "/cOS/recovery.img"), sorted(os.listdir(place + "/cOS")), digest(place + "/cOS/recovery.img") == text(place + "/cOS/recovery.img.sha256").split()[0]]
mounts.unmount(COS)
tell([seen, with_state(node.recovery.node, home, look)])
node.close()
""")
    image, names, summed = recovery
    assert (image["etc/version"], image[""], image["etc/inside"]) == ("2", "COS_SYSTEM", "inside")
    assert (names, summed) == (["recovery.img", "recovery.img.sha256", "recovery.img.source"], True)
    assert (seen["active"], seen["passive"], seen["state"], seen["order"]) == ("active", "passive", {}, "before 0\nafter 0 chroot\n")
    assert 'last-recovery-upgrade: "2' in seen["events"]
    assert seen["marker"]


def test_the_plan_is_what_the_record_says_was_done(unshared: Callable[..., Any]) -> None:
    planned, done = unshared(START + """
from kairos_boot.stages.ledger import read
node = UpgradeNode(home)
planned = [(phase["phase"], phase["title"]) for phase in plan_of(node, {"source": "dir:" + node.new})]
upgrade(node, {"source": "dir:" + node.new})
with open("/run/cos/ledger/boot.jsonl", "rb") as file:
    records, _ = read(file.read())
tell([planned, [(r["phase"], r["title"]) for r in records if r["kind"] == "phase" and r["event"] == "end"]])
node.close()
""")
    assert planned == done
    assert [name for name, _ in done] == ["before-upgrade", "room", "system", "after-upgrade-chroot", "boot-loader", "passive", "switch", "trial", "after-upgrade", "finish"]


def test_documents_say_what_to_upgrade_to_and_what_to_leave_out(unshared: Callable[..., Any]) -> None:
    image, oem = unshared(START + """
node = UpgradeNode(home)
node.write("/oem/1.yaml", "#cloud-config\\nupgrade:\\n  system: {source: 'dir:" + node.new + "'}\\n  excluded-paths: [usr/lib/gone, /none]\\n  extra-dirs-rootfs: [/data/x]\\n  grub-entry-name: Mine\\n")
node.write(node.new + "/usr/lib/gone/file", "x")
os.makedirs(node.new + "/data")
upgrade(node, {})
from kairos_boot.actions.image_tree import mounted
from contextlib import contextmanager
with contextmanager(mounted)(node.state_place + "/cOS/active.img", read_only=True) as place:
    tell([[os.path.exists(place + path) for path in ("/usr/lib/gone", "/data/x", "/usr/lib/kairos-boot")], grubenv.load("/oem/grubenv")])
node.close()
""")
    assert image == [False, True, True]
    assert oem == {"default_menu_entry": "Mine"}


def test_where_a_third_image_does_not_fit_passive_becomes_what_runs_first(unshared: Callable[..., Any]) -> None:
    """So two entries boot at every instant."""
    order, seen = unshared(START + """
import reset_node
from image_files import make_file_system
reset_node.FILES["boot/initrd"] = reset_node.initrd("initrd " * (6 << 20))
node = UpgradeNode(home, state_mib=132, image_mib=56)
source = "file:" + make_file_system(home + "/new.img", "X", node.new, 56)
order = [phase["phase"] for phase in plan_of(node, {"source": source})]
upgrade(node, {"source": source})
tell([order, left(node)])
node.close()
""")
    assert order.index("passive") < order.index("system")
    assert (seen["active"], seen["passive"], seen["labels"], seen["names"]) == ("2", "active", ["COS_ACTIVE", "COS_ACTIVE"], NAMES)


REFUSALS = {
    "no init": ('os.unlink(node.new + "/sbin/init")', "lacks /sbin/init"),
    "no kernel": ('os.unlink(node.new + "/boot/vmlinuz")', "lacks /boot/vmlinuz"),
    "no such source": ('source = "dir:/nowhere"', "not there"),
    "nothing named": ('source = ""', "nothing says what to upgrade to"),
    "an image with a wrong digest": (('source = "file:" + home + "/bad.img"; subprocess.run(["cp", COS + "/cOS/passive.img", home + "/bad.img"]); '
                                     'node.write(home + "/bad.img.sha256", "0" * 64)'), "digest"),
    "no room": ('mounts.mount("", COS, options=("remount", "rw")); fill(COS); mounts.mount("", COS, options=("remount", "ro"))', "no room"),
    "a hook that fails": ('node.write("/oem/1.yaml", "stages:\\n  before-upgrade:\\n  - commands: [\'exit 7\']\\n")', "before-upgrade failed"),
    "a hook inside that fails": ('node.write(node.new + "/system/oem/1.yaml", "stages:\\n  after-upgrade-chroot:\\n  - commands: [\'exit 7\']\\n")', "after-upgrade-chroot failed"),
    "documents that contradict each other": ('node.write("/oem/1.yaml", "#cloud-config\\nupgrade: {reboot: true}\\n"); node.write("/oem/2.yaml", "#cloud-config\\nupgrade: [x]\\n")',
                                             "cannot merge"),
    "live media": ('os.rename("/run/cos/active_mode", "/run/cos/live_mode")', "live media"),
    "paths left out that a system is made of": ('node.write("/oem/1.yaml", "#cloud-config\\nupgrade: {excluded-paths: [/boot]}\\n")', "without /boot it would be no system"),
    "everything left out": ('node.write("/oem/1.yaml", "#cloud-config\\nupgrade: {excluded-paths: [/]}\\n")', "without / it would be no system"),
    "a directory where the system has a file": ('node.write("/oem/1.yaml", "#cloud-config\\nupgrade: {extra-dirs-rootfs: [/sbin/init/x]}\\n")', "cannot be a directory of"),
    "a damaged environment of the boot loader": ('node.write("/oem/grubenv", "garbage" * 20)', "no environment block"),
    "a name that the boot loader has no room for": (('grubenv.save("/oem/grubenv", {"extra_cmdline": "y" * 950}); '
                                                    'node.write("/oem/1.yaml", "#cloud-config\\nupgrade: {grub-entry-name: Kairos of rack seven}\\n")'), "has room for 1024 bytes"),
    "a reset that is to be ended": (('mounts.mount("", COS, options=("remount", "rw")); marker.Marker(COS, "statereset", marker.Begun("reset", {})).arm(); '
                                    'mounts.mount("", COS, options=("remount", "ro"))'), "reset of this node was begun"),
}


@pytest.mark.parametrize("fault", [fault for fault in REFUSALS if "hook" not in fault])
def test_the_plan_refuses_what_the_upgrade_refuses_before_it_begins(unshared: Callable[..., Any], fault: str) -> None:
    do, message = REFUSALS[fault]
    said = unshared(START + f"""
import subprocess
def fill(place):
    with open(place + "/fill", "wb") as file:
        file.write(bytes(os.statvfs(place).f_bavail * os.statvfs(place).f_frsize - (1 << 20)))
node = UpgradeNode(home)
source = "dir:" + node.new
{do}
said = []
for act in (plan_of, upgrade):
    try:
        act(node, {{"source": source}} if source else {{}})
        said.append("")
    except KairosError as error:
        said.append(str(error))
tell(said)
node.close()
""")
    assert [message in each for each in said] == [True, True], said


@pytest.mark.parametrize("fault", REFUSALS)
def test_nothing_is_changed_by_an_upgrade_that_is_refused(unshared: Callable[..., Any], fault: str) -> None:
    do, message = REFUSALS[fault]
    said, before, after, readonly = unshared(START + f"""
import subprocess
node = UpgradeNode(home)
source = "dir:" + node.new
def state():
    return [[name, digest(f"{{COS}}/cOS/{{name}}")] for name in sorted(os.listdir(COS + "/cOS")) if name != "action.json"]
before = state()
{do}
try:
    upgrade(node, {{"source": source}} if source else {{}})
    said = ""
except KairosError as error:
    said = f"{{error}}; {{error.hint}}"
tell([said, before, state(), "ro" in mounts.at(COS, mounts.mounted()).super_options])
node.close()
""")
    assert message in said
    assert (before == after, readonly) == (True, True)


PHASES = 10


@pytest.mark.parametrize("phase", range(1, PHASES + 1))
@pytest.mark.parametrize("moment", ["begins", "ends"])
def test_an_upgrade_that_was_cut_is_ended_or_undone_by_the_next_boot(unshared: Callable[..., Any], phase: int, moment: str) -> None:
    """Before the rename nothing is left of it, after it nothing is missing; the status says which."""
    code, said, seen, again, warnings = unshared(START + f"""
node = UpgradeNode(home, steps={HOOKS!r})
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
    upgrade(node, {{"source": "dir:" + node.new}})
    os._exit(1)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
mounts.mount("", COS, options=("remount", "ro"))
said = settle(node)
again = settle(node)
from kairos_boot.stages.ledger import read
with open("/run/cos/ledger/boot.jsonl", "rb") as file:
    warnings = [r["message"] for r in read(file.read())[0] if r["kind"] == "problem"]
tell([code, said, left(node), again, warnings])
node.close()
""")
    done = phase > 7 or (phase == 7 and moment == "ends")
    gone = phase == 10 and moment == "ends"  # the marker is the last thing that goes
    assert (code, again, seen["marker"], seen["readonly"]) == (0, "", True, True)
    assert seen["active"] == ("2" if done else "active")
    assert seen["passive"] == ("active" if done or phase == 7 or (phase == 6 and moment == "ends") else "passive")
    assert seen["digests"] == [True, True]
    assert [name for name in seen["names"] if not name.startswith(("active.img", "passive.img"))] == []
    assert not [name for name in seen["names"] if name.endswith(".new")]
    assert seen["state"] == ({"trial": "upgrade"} if done else {})
    assert said == ("" if gone else warnings[-1])
    assert ("behind its switch" in said or gone) if done else "were removed" in said or "was removed" in said
    if done and phase != 9:
        assert seen["order"] == "before 0\nafter 0 chroot\n"


def test_a_hook_that_ends_every_boot_does_not_do_so_for_ever(unshared: Callable[..., Any]) -> None:
    said, order, told = unshared(START + f"""
node = UpgradeNode(home, steps={HOOKS!r})
mounts.mount("", COS, options=("remount", "rw"))
done = ("before-upgrade", "switch", "trial")
marker.Marker(COS, "", marker.Begun("upgrade", {{"entry": "active", "origin": "dir:///x", "passive": "link"}}, done, "after-upgrade", 4)).arm()
mounts.mount("", COS, options=("remount", "ro"))
tell([settle(node), text("/oem/order"), [line for line in node.lines if "given up" in line]])
node.close()
""")
    assert "behind its switch" in said
    assert "but for the phase after-upgrade" in said
    assert "after-upgrade: given up: 5 boots began it" in told[-1]
    assert order is None


def test_the_count_of_its_starts_stays_where_the_new_system_itself_ends_the_upgrade(unshared: Callable[..., Any]) -> None:
    state = unshared(START + """
node = UpgradeNode(home)
mounts.mount("", COS, options=("remount", "rw"))
grubenv.save(COS + "/grubenv", {"boot_tries": "x"})
marker.Marker(COS, "", marker.Begun("upgrade", {"entry": "active", "origin": "dir:///x", "passive": "link"}, ("switch",), "trial")).arm()
settle(node)
tell(grubenv.load(COS + "/grubenv"))
node.close()
""")
    assert state == {"boot_tries": "x", "trial": "upgrade"}


def test_a_tree_of_layers_is_measured_whole(unshared: Callable[..., Any]) -> None:
    """As the root of a container is: of an overlay, files have the device of the layer that they lie in."""
    plain, layered = unshared("""
from kairos_boot.actions.image_tree import size_for
from kairos_boot.system import mounts
for name in ("lower", "changes", "merged"):
    os.makedirs(f"{home}/{name}")
mounts.mount("tmpfs", home + "/changes", "tmpfs")
for name in ("upper", "work"):
    os.makedirs(f"{home}/changes/{name}")
with open(home + "/lower/file", "wb") as file:
    file.write(bytes(range(256)) * (1 << 16))
mounts.mount("overlay", home + "/merged", "overlay", [f"lowerdir={home}/lower", f"upperdir={home}/changes/upper", f"workdir={home}/changes/work"])
tell([size_for(home + "/lower", 0), size_for(home + "/merged", 0)])
for name in ("merged", "changes"):
    mounts.unmount(f"{home}/{name}")
""")
    assert layered == plain > 16 << 20


def test_the_same_image_is_nothing_to_do_unless_what_is_there_is_damaged(unshared: Callable[..., Any]) -> None:
    """By its digest; nothing is written then, and no hook runs."""
    said, same, mended, version = unshared(START + f"""
import oci_images
node = UpgradeNode(home, steps={HOOKS!r})
os.environ["TMPDIR"] = home + "/fetched"
os.makedirs(home + "/fetched")
oci_images.archive(home + "/image.tar", oci_images.image(oci_images.layer(node.new)))
source = "ocifile:" + home + "/image.tar"
upgrade(node, {{"source": source}})
os.unlink("/oem/order")
before = os.stat(COS + "/cOS/active.img").st_ino
node.lines.clear()
upgrade(node, {{"source": source}})
said, same = [line for line in node.lines if "nothing to do" in line], [os.stat(COS + "/cOS/active.img").st_ino == before, text("/oem/order")]
mounts.mount("", COS, options=("remount", "rw"))
with open(COS + "/cOS/active.img", "r+b") as file:
    file.seek(5 << 20)
    file.write(b"x" * 4096)
mounts.mount("", COS, options=("remount", "ro"))
upgrade(node, {{"source": source}})
tell([said, same, os.stat(COS + "/cOS/active.img").st_ino != before, left(node)["active"]])
node.close()
""")
    assert len(said) == 1
    assert same == [True, None]
    assert (mended, version) == (True, "2")


def test_an_upgrade_tells_which_extensions_the_new_system_would_not_have(unshared: Callable[..., Any]) -> None:
    """They stay where they are; one that is made for the new system, and one that no boot takes, are no news."""
    told, failures, stay = unshared(START + """
import shutil, subprocess
from kairos_boot.boot.extensions import SYSEXT
from kairos_boot.lifecycle import extensions
node = UpgradeNode(home)
mounts.mount("tmpfs", "/var/lib", "tmpfs")
node.write(node.new + "/etc/os-release", "ID=test\\nVERSION_ID=2\\n")
for name, version in (("old", "1"), ("new", "2"), ("idle", "1")):
    node.write(f"{home}/{name}/usr/lib/extension-release.d/extension-release.{name}", f"ID=test\\nVERSION_ID={version}\\n")
    os.makedirs(SYSEXT.store, exist_ok=True)
    subprocess.run(["mkfs.ext4", "-q", "-d", f"{home}/{name}", f"{SYSEXT.store}/{name}.raw", "1M"], check=True, stdout=subprocess.DEVNULL)
extensions.enable(node.host, SYSEXT, "old.raw", "active")
extensions.enable(node.host, SYSEXT, "new.raw", "common")
lines = []
log, node.log = node.log, lambda priority, message, **how: (lines.append(message), log(priority, message, **how))
outcome = upgrade(node, {"source": "dir:" + node.new})
tell([[line for line in lines if "sysext" in line], outcome.failures, extensions.names(node.host, SYSEXT, "active")])
node.close()
""")
    assert told == ["the sysext old.raw will not be merged: it is for VERSION_ID=1, and the system has VERSION_ID=2"]
    assert failures == []
    assert stay == ["old.raw"]


def test_what_a_cut_upgrade_left_takes_no_room_from_a_plan(unshared: Callable[..., Any]) -> None:
    """The upgrade removes it first; the plan only counts it."""
    planned, left_there = unshared(START + """
node = UpgradeNode(home)
leftover = COS + "/cOS/transition.img"
mounts.mount("", COS, options=("remount", "rw"))
with open(leftover, "wb") as file:
    file.write(bytes(os.statvfs(COS).f_bavail * os.statvfs(COS).f_frsize - (1 << 20)))
mark = marker.Marker(COS, "", marker.Begun("upgrade", {"entry": "active"}))
mark.begin("system")
mounts.mount("", COS, options=("remount", "ro"))
tell([[phase["phase"] for phase in plan_of(node, {"source": "dir:" + node.new})], os.path.exists(leftover)])
node.close()
""")
    assert "system" in planned
    assert left_there
