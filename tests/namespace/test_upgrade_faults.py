"""What an upgrade says of the images when something fails, and what is said of an image that is written anew (G2, G9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.root

START = """
from upgrade_node import *
from kairos_boot.actions.image_file import CopyImage
from kairos_boot.lifecycle.upgrading import upgrade, settle
from kairos_boot.lifecycle import marker
from kairos_boot.errors import KairosError
from kairos_boot.node import grubenv
def writable():
    mounts.mount("", COS, options=("remount", "rw"))
def archive(node):
    import oci_images
    os.environ["TMPDIR"] = home + "/fetched"
    os.makedirs(home + "/fetched", exist_ok=True)
    oci_images.archive(home + "/image.tar", oci_images.image(oci_images.layer(node.new)))
    return "ocifile:" + home + "/image.tar"
def failing(work):
    try:
        work()
    except KairosError as error:
        return f"{type(error).__name__}: {error}"
"""


def test_an_image_that_is_written_anew_is_not_said_to_be_made_of_what_the_old_one_was(unshared: Callable[..., Any]) -> None:
    """Else an upgrade to the image that the node had before a reset would find nothing to do."""
    names, version, said = unshared(START + """
node = UpgradeNode(home)
source = archive(node)
upgrade(node, {"source": source})
writable()
CopyImage(COS + "/cOS/passive.img", COS + "/cOS/active.img", "COS_ACTIVE").apply(node.host)
names = sorted(os.listdir(COS + "/cOS"))
node.lines.clear()
upgrade(node, {"source": source})
tell([names, node.inside("active")["etc/version"], [line for line in node.lines if "nothing to do" in line]])
node.close()
""")
    assert "active.img.sha256" in names
    assert "active.img.source" not in names
    assert (version, said) == ("2", [])


@pytest.mark.parametrize(("boot", "tries", "refused"), [("passive", "xx", True), ("active", "xx", False), ("passive", "x", False)])
def test_a_system_that_was_started_in_vain_is_not_called_done(unshared: Callable[..., Any], boot: str, tries: str, refused: bool) -> None:
    """The system that runs may be in its second start; it is not one that came up in vain."""
    said, lines = unshared(START + f"""
node = UpgradeNode(home)
source = archive(node)
upgrade(node, {{"source": source}})
writable()
grubenv.save(COS + "/grubenv", {{"boot_tries": {tries!r}}})
os.rename("/run/cos/active_mode", "/run/cos/{boot}_mode")
node.lines.clear()
tell([failing(lambda: upgrade(node, {{"source": source}})), node.lines])
node.close()
""")
    assert bool(said and "started in vain" in said and "bootentry --select cos" in said) == refused
    assert any("nothing to do" in line for line in lines) != refused


def test_what_was_fetched_and_cannot_be_removed_is_told_and_the_upgrade_is_done(unshared: Callable[..., Any]) -> None:
    outcome, version, lines = unshared(START + """
node = UpgradeNode(home)
os.makedirs("/usr/local/tmp/.kairos-boot/source/busy")
mounts.mount("tmpfs", "/usr/local/tmp/.kairos-boot/source/busy", "tmpfs")
outcome = upgrade(node, {"source": "dir:" + node.new, "reboot": True})
tell([outcome.then, node.inside("active")["etc/version"], node.lines])
mounts.unmount("/usr/local/tmp/.kairos-boot/source/busy")
node.close()
""")
    assert (outcome, version) == ("reboot", "2")
    assert [line for line in lines if line.startswith("4 what was fetched cannot be removed")]
    assert any("Upgrade completed" in line for line in lines)


LOST = {
    "a step that takes the kernel away": "node.emit = lambda stage, root: os.unlink(root + '/boot/vmlinuz') if root != '/' else ''\nnode.steps = lambda stage, root: 1",
    "a stage that is killed": "node.emit = lambda stage, root: killed() if root != '/' else ''\nnode.steps = lambda stage, root: 1",
    "an error of the system": "node.emit = lambda stage, root: os.stat('/nowhere') if root != '/' else ''\nnode.steps = lambda stage, root: 1",
}


@pytest.mark.parametrize("entry", ["recovery", "active"])
@pytest.mark.parametrize("fault", LOST)
def test_a_new_image_that_is_lost_ends_also_an_upgrade_whose_hooks_may_fail(unshared: Callable[..., Any], fault: str, entry: str) -> None:
    """Else the digest of the lost image would be said to be that of the old one."""
    said, same, names, lines = unshared(START + f"""
node = UpgradeNode(home, image_mib=70)
where = COS if {entry!r} == "active" else "/run/seen-recovery"
if where != COS:
    os.makedirs(where)
    mounts.mount(node.recovery.node, where, "ext4", ("ro",))
def state():
    return [[name, digest(f"{{where}}/cOS/{{name}}")] for name in sorted(os.listdir(where + "/cOS")) if name.startswith({entry!r})]
def killed():
    raise KairosError("killed by signal 9")
{LOST[fault]}
before = state()
said = failing(lambda: upgrade(node, {{"source": "dir:" + node.new, "strict": False, "entry": {entry!r}}}))
tell([said, before == state(), os.listdir(where + "/cOS"), node.lines])
node.close()
""")
    assert said is not None
    assert said.startswith("Broken: ")
    assert same
    assert not [name for name in names if name.startswith("transition")]
    assert not any("Upgrade completed" in line for line in lines)


def test_a_step_inside_that_fails_stops_no_upgrade_whose_hooks_may_fail(unshared: Callable[..., Any]) -> None:
    failures, version = unshared(START + """
node = UpgradeNode(home)
node.write(node.new + "/system/oem/1.yaml", "stages:\\n  after-upgrade-chroot:\\n  - commands: ['exit 7']\\n")
outcome = upgrade(node, {"source": "dir:" + node.new, "strict": False})
tell([outcome.failures, node.inside("active")["etc/version"]])
node.close()
""")
    assert (len(failures), version) == (1, "2")


def test_nothing_is_put_in_place_of_an_image_where_there_is_no_new_one(unshared: Callable[..., Any]) -> None:
    """A run that was cut behind the rename finds the new one in place, and says the rest of it."""
    lost, cut, twice = unshared(START + """
from kairos_boot.lifecycle.switching import SwitchImage
from kairos_boot.system.host import Host
os.makedirs(home + "/cOS")
def write(name, text):
    with open(f"{home}/cOS/{name}", "w") as file:
        file.write(text)
def said():
    return [open(f"{home}/cOS/a.img{end}").read().split()[0] for end in (".sha256", ".source")]
write("a.img", "old"), write("a.img.sha256", "1" * 64 + "  a.img"), write("a.img.source", "old"), write("t.img.sha256", "2" * 64 + "  t.img")
switch = SwitchImage(home + "/cOS/t.img", home + "/cOS/a.img", "new")
lost = [failing(lambda: switch.apply(Host("/"))), said()]
os.unlink(home + "/cOS/t.img.sha256")
lost += [failing(lambda: switch.apply(Host("/"))), said()]
os.unlink(home + "/cOS/a.img.sha256"), os.unlink(home + "/cOS/a.img.source"), write("t.img.sha256", "2" * 64 + "  t.img")
switch.apply(Host("/"))
cut = said()
switch.apply(Host("/"))
tell([lost, cut, said()])
""")
    assert "the new image is not there" in lost[0]
    assert "the new image is not there" in lost[2]
    assert lost[1] == lost[3] == ["1" * 64, "old"]
    assert cut == twice == ["2" * 64, "new"]


@pytest.mark.parametrize(("boot", "judged"), [("active", False), ("passive", True), ("recovery", True)])
def test_the_boot_that_upgrades_does_not_end_the_trial_of_the_new_system(unshared: Callable[..., Any], boot: str, judged: bool) -> None:
    """From another system it is not judged at all, so that nothing has to be noted."""
    variables, trial = unshared(START + f"""
from kairos_boot.lifecycle.assessment import boot_of, trial_of
node = UpgradeNode(home, {boot!r})
upgrade(node, {{"source": "dir:" + node.new}})
variables = grubenv.load(node.state_place + "/grubenv")
tell([variables.get("trial"), trial_of(variables, "boot_tries", boot_of(node.host))])
node.close()
""")
    assert (variables, trial) == ("upgrade", "upgrade" if judged else "")


@pytest.mark.parametrize("same_boot", [True, False])
def test_an_upgrade_that_was_ended_behind_its_switch_is_told_from_one_of_an_earlier_boot(unshared: Callable[..., Any], same_boot: bool) -> None:
    """Killed in this boot, the old system still runs when the rest is done; after a cut it is the new one, on trial from the start."""
    state, trial = unshared(START + f"""
from kairos_boot.lifecycle.assessment import boot_of, trial_of
node = UpgradeNode(home)
writable()
grubenv.save(COS + "/grubenv", {{"boot_tries": "x"}})
boot = boot_of(node.host) if {same_boot} else "earlier"
marker.Marker(COS, "", marker.Begun("upgrade", {{"entry": "active", "origin": "dir:///x", "passive": "link", "boot": boot}}, ("switch",), "trial")).arm()
settle(node)
variables = grubenv.load(COS + "/grubenv")
tell([variables.get("boot_tries"), trial_of(variables, "boot_tries", boot_of(node.host))])
node.close()
""")
    assert (state, trial) == ((None, "") if same_boot else ("x", "upgrade"))


def test_the_systems_partition_is_not_made_writable_beside_an_action(unshared: Callable[..., Any]) -> None:
    """The action would lose it in its midst; who holds it keeps actions from beginning."""
    said, before, within, after = unshared(START + """
from kairos_boot.lifecycle.writable import writable_state
from kairos_boot.system.lock import Lock, holder
node = UpgradeNode(home)
def readonly():
    return "ro" in mounts.at(COS, mounts.mounted()).super_options
def work(limit):
    with writable_state(node.host, "test", limit, lambda _, text, **about: node.lines.append(text), home + "/action"):
        return readonly()
ready, go = os.pipe()
child = os.fork()
if not child:
    Lock(home + "/action").acquire(node.lines.append)
    os.write(go, b"x")
    import time
    time.sleep(60)
    os._exit(0)  # its parent died before it: nobody ends it
os.read(ready, 1)
said, before = failing(lambda: work(0.01)), readonly()
os.kill(child, 9)
os.waitpid(child, 0)
tell([said, before, work(5), readonly()])
node.close()
""")
    assert "an action is running" in said
    assert (before, within, after) == (True, False, True)


def test_in_recovery_persistent_storage_is_that_of_the_disk_while_an_upgrade_lasts(unshared: Callable[..., Any]) -> None:
    """What recovery has in its place lies in memory, and so would what is fetched and what is noted (G7)."""
    seen, after, events, old = unshared(START + """
from kairos_boot.system.scratch import place_of
node = UpgradeNode(home, "recovery")
node.write("/usr/local/memory", "")
seen = []
node.steps = lambda stage, root: seen.append([os.path.exists("/usr/local/old"), place_of(node.host, "x")]) or 0
upgrade(node, {"source": "dir:" + node.new})
after = sorted(os.listdir("/usr/local"))
def kept(name):
    return with_state(node.node_disk.persistent.node, home, lambda place: open(f"{place}/{name}").read())
tell([seen, after, kept(".kairos-state"), kept("old")])
node.close()
""")
    assert seen == [[True, "/usr/local/tmp/.kairos-boot/x"]]
    assert after == ["memory"]
    assert "last-active-upgrade" in events
    assert old == "old"


@pytest.mark.parametrize("persistent", ["", None])
def test_recovery_upgrades_also_without_persistent_storage(unshared: Callable[..., Any], persistent: str | None) -> None:
    version, lines = unshared(START + f"""
node = UpgradeNode(home, "recovery", persistent={persistent!r})
upgrade(node, {{"source": "dir:" + node.new}})
node.state_place
tell([node.inside("active")["etc/version"], node.lines])
node.close()
""")
    assert version == "2"
    assert any("not noted" in line for line in lines) == (persistent == "")


@pytest.mark.parametrize("tight", [True, False])
def test_an_upgrade_that_fails_says_which_systems_are_left(unshared: Callable[..., Any], tight: bool) -> None:
    """Where a third image does not fit, passive was what runs already; its starts count anew then, and only then."""
    versions, tries, lines = unshared(START + f"""
import reset_node
from image_files import make_file_system
reset_node.FILES["boot/initrd"] = reset_node.initrd("initrd " * (6 << 20))
node = UpgradeNode(home, state_mib={132 if tight else 300}, image_mib=56)
writable()
grubenv.save(COS + "/grubenv", {{"fallback_tries": "xx"}})
mounts.mount("", COS, options=("remount", "ro"))
node.write(node.new + "/system/oem/1.yaml", "stages:\\n  after-upgrade-chroot:\\n  - commands: ['exit 7']\\n")
source = "file:" + make_file_system(home + "/new.img", "X", node.new, 56)
failing(lambda: upgrade(node, {{"source": source}}))
tell([[node.inside(name)["etc/version"] for name in ("active", "passive")], grubenv.load(COS + "/grubenv"), node.lines])
node.close()
""")
    assert versions == (["active", "active"] if tight else ["active", "passive"])
    assert tries == ({} if tight else {"fallback_tries": "xx"})
    [said] = [line for line in lines if "the upgrade failed, and" in line]
    assert ("the old passive system is gone" if tight else "the systems are as they were") in said


def test_a_cut_behind_the_passive_system_is_told_as_it_is(unshared: Callable[..., Any]) -> None:
    cut, within, before = unshared(START + """
node = UpgradeNode(home)
def after(done, started):
    writable()
    marker.Marker(COS, "", marker.Begun("upgrade", {"entry": "active", "origin": "dir:///x", "passive": "link"}, done, started)).arm()
    return settle(node)
tell([after(("room", "passive"), "system"), after(("room",), "passive"), after(("room",), "system")])
node.close()
""")
    assert "the old passive system is gone" in cut
    assert "or the passive one is what was active" in within
    assert before.endswith("the systems are as they were")


def test_the_verb_that_judges_a_boot_leaves_the_trial_that_this_boot_began(unshared: Callable[..., Any]) -> None:
    """A good boot is noted either way, and COS_STATE is read-only again."""
    codes, after, readonly = unshared(START + """
from kairos_boot.cli import assess, wiring
from kairos_boot.lifecycle.assessment import boot_of
node = UpgradeNode(home)
record = wiring.ledger_of(node.host)
for stage in ("rootfs", "initramfs", "fs", "boot"):
    record.write("stage", stage=stage, event="end", result="done")
def judged(boot):
    writable()
    grubenv.save(COS + "/grubenv", {"boot_tries": "x", "trial": "upgrade", "trial_boot": boot})
    mounts.mount("", COS, options=("remount", "ro"))
    code = assess.run([])
    return [code, sorted(grubenv.load(COS + "/grubenv"))]
tell([judged(boot_of(node.host)), judged("earlier"), "ro" in mounts.at(COS, mounts.mounted()).super_options])
node.close()
""")
    assert codes == [0, ["boot_tries", "trial", "trial_boot"]]
    assert after == [0, []]
    assert readonly
