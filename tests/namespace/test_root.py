"""The immutable root, mounted: layers, volumes, persistent directories, and what happens when one is missing (D3, D6, D7)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.root
SHIPPED = """
ENV = 'VOLUMES="LABEL=COS_PERSISTENT:/usr/local"\\nOVERLAY="tmpfs:25%"\\nRW_PATHS="/var /etc /srv"\\nPERSISTENT_STATE_PATHS="/etc/ssh /home /var/log"\\n'
from boot_node import Node
from kairos_boot.system import mounts
from kairos_boot.errors import KairosError
"""


def test_an_active_boot_has_its_layers_volumes_and_binds(unshared: Callable[..., Any]) -> None:
    told = unshared(SHIPPED + """
node = Node(home, env=ENV, tree={"etc/ssh/sshd_config": "default", "etc/hosts": "image"})
try:
    builder = node.lay()
    now = {m.target.removeprefix(node.sysroot): (m.fstype, m.root) for m in mounts.mounted() if m.target.startswith(node.sysroot)}
    tell({"mounts": now, "failed": builder.report.failed, "results": node.results(), "fstab": node.read("/etc/fstab"),
          "writable": {p: node.put(p, "x") for p in ("/etc/hosts", "/var/x", "/srv/x", "/home/x", "/usr/local/x", "/oem/x", "/tmp/x", "/opt/x", "/root/x")},
          "lower": open(node.image + ".d/etc/hosts").read()})
finally:
    node.close()
""")
    assert told["failed"] == 0
    assert set(told["results"].values()) == {"done"}
    assert told["mounts"] == {
        "": ["ext4", "/"], "/oem": ["ext4", "/"], "/tmp": ["tmpfs", "/"], "/etc": ["overlay", "/"], "/var": ["overlay", "/"], "/srv": ["overlay", "/"],
        "/usr/local": ["ext4", "/"], "/etc/ssh": ["ext4", "/.state/etc-ssh.bind"], "/home": ["ext4", "/.state/home.bind"], "/var/log": ["ext4", "/.state/var-log.bind"]}
    assert {path for path, done in told["writable"].items() if not done} == {"/opt/x", "/root/x"}
    assert told["lower"] == "image"
    assert "/sysroot" not in told["fstab"]
    assert [line.split()[1] for line in told["fstab"].splitlines() if line[0] != "#"] == [
        "/", "/run/initramfs/cos-state", "/oem", "/run/overlay", "/usr/local", "/etc", "/home", "/srv", "/tmp", "/var", "/var/log", "/etc/ssh"]


def test_the_users_edits_outlive_a_reboot_and_an_upgrade_and_the_rest_follows_the_image(unshared: Callable[..., Any]) -> None:
    told = unshared(SHIPPED + """
node = Node(home, env=ENV, tree={"etc/ssh/sshd_config": "default", "etc/ssh/ssh_config": "default", "etc/ssh/moduli": "1"})
try:
    node.lay()
    node.put("/etc/ssh/sshd_config", "mine"); node.put("/etc/hosts", "gone"); os.unlink(node.sysroot + "/etc/ssh/moduli"); node.put("/home/me", "mine")
    node.leave()
    node.boot(); node.lay()
    again = {p: node.read(p) for p in ("/etc/ssh/sshd_config", "/etc/ssh/ssh_config", "/etc/ssh/moduli", "/etc/hosts", "/home/me")}
    node.leave()
    node.image = node.build_image({"etc/ssh/sshd_config": "new", "etc/ssh/ssh_config": "new", "etc/ssh/moduli": "2", "etc/ssh/extra": "new"}, "next.img")
    node.boot(); node.lay()
    tell([again, {p: node.read(p) for p in ("/etc/ssh/sshd_config", "/etc/ssh/ssh_config", "/etc/ssh/moduli", "/etc/ssh/extra", "/home/me")}])
finally:
    node.close()
""")
    assert told[0] == {"/etc/ssh/sshd_config": "mine", "/etc/ssh/ssh_config": "default", "/etc/ssh/moduli": None, "/etc/hosts": None, "/home/me": "mine"}
    assert told[1] == {"/etc/ssh/sshd_config": "mine", "/etc/ssh/ssh_config": "new", "/etc/ssh/moduli": None, "/etc/ssh/extra": "new", "/home/me": "mine"}


def test_an_installation_of_an_earlier_program_keeps_its_stores(unshared: Callable[..., Any]) -> None:
    """The names of the stores are the published ones; without a manifest nothing of them is overwritten."""
    told = unshared(SHIPPED + """
node = Node(home, env=ENV, tree={"etc/ssh/sshd_config": "image", "etc/ssh/fresh": "image"})
try:
    mounts.mount(node.partitions_[1].node, "/mnt", "ext4")
    os.makedirs("/mnt/.state/etc-ssh.bind")
    open("/mnt/.state/etc-ssh.bind/sshd_config", "w").write("of the user")
    mounts.unmount("/mnt")
    node.lay()
    tell({p: node.read(p) for p in ("/etc/ssh/sshd_config", "/etc/ssh/fresh")})
finally:
    node.close()
""")
    assert told == {"/etc/ssh/sshd_config": "of the user", "/etc/ssh/fresh": "image"}


@pytest.mark.parametrize("missing", ["persistent", "oem"])
def test_without_a_partition_the_node_boots_degraded_and_all_else_is_mounted(unshared: Callable[..., Any], missing: str) -> None:
    told = unshared(SHIPPED + f"""
node = Node(home, env=ENV, {missing}=False)
try:
    builder = node.lay()
    tell({{"failed": builder.report.failed, "results": node.results(), "home": node.put("/home/x", "x"), "etc": node.put("/etc/x", "x")}})
finally:
    node.close()
""")
    place = {"persistent": "/usr/local", "oem": "/oem"}[missing]
    assert told["failed"] == 1
    results = {where: result for where, result in told["results"].items() if where != place}
    assert set(results.values()) == {"done"}
    assert {"/etc", "/var", "/srv", "/home", "/etc/ssh", "/var/log", "/etc/fstab"} <= set(results)
    assert (told["home"], told["etc"]) == (True, True)


def test_a_partition_of_that_label_on_another_disk_is_not_used_and_is_named(unshared: Callable[..., Any]) -> None:
    told = unshared(SHIPPED + """
node = Node(home, env=ENV, persistent=False)
try:
    node.add("COS_PERSISTENT", "vdb")
    node.lay()
    tell([r for r in node.records if r.get("result") == "missing"] + [node.partitions_[-1].node])
finally:
    node.close()
""")
    assert told[0]["where"] == "/usr/local"
    assert told[0]["hint"].startswith(told[1])


def test_recovery_leaves_the_persistent_partition_alone_and_can_be_worked_in(unshared: Callable[..., Any]) -> None:
    told = unshared(SHIPPED + """
node = Node(home, env=ENV)
try:
    builder = node.lay(recovery=True)
    used = {m.source for m in mounts.mounted()}
    tell({"failed": builder.report.failed, "persistent": node.partitions_[1].node in used,
          "writable": [node.put(f"{p}/x", "x") for p in ("/etc", "/root", "/home", "/opt", "/srv", "/usr/local", "/var", "/tmp")]})
finally:
    node.close()
""")
    assert told == {"failed": 0, "persistent": False, "writable": [True] * 8}


def test_a_path_that_the_image_lacks_and_that_cannot_be_made_is_a_warning(unshared: Callable[..., Any]) -> None:
    told = unshared(SHIPPED + """
node = Node(home, env=ENV.replace("/var /etc", "/var /nowhere /etc").replace("/home", "/usr/share/pki /etc/made"))
try:
    builder = node.lay()
    tell({"failed": builder.report.failed, "warnings": [r["message"] for r in node.records if r["kind"] == "problem"], "made": node.put("/etc/made/x", "x")})
finally:
    node.close()
""")
    assert told["failed"] == 0
    assert [text.split()[0] for text in told["warnings"]] == ["/nowhere", "/usr/share/pki"]
    assert told["made"]


def test_a_layer_that_cannot_be_made_is_fatal(unshared: Callable[..., Any]) -> None:
    told = unshared(SHIPPED + """
from kairos_boot.actions import mounts as actions
node = Node(home, env=ENV)
real = mounts.mount
def refuse(source, target, fstype="", options=(), flags=0):
    if fstype == "overlay":
        raise OSError(19, "No such device", target)
    real(source, target, fstype, options, flags)
try:
    actions.mounts.mount = refuse
    node.lay()
except KairosError as error:
    tell([type(error).__name__, error.message, bool(error.hint)])
finally:
    node.close()
""")
    assert told == ["FatalError", "the root overlay failed: cannot mount the overlay: No such device", True]


def test_a_slip_in_the_size_of_the_layers_costs_no_boot(unshared: Callable[..., Any]) -> None:
    told = unshared(SHIPPED + """
node = Node(home, env=ENV.replace("tmpfs:25%", "tmpfs:a lot"))
try:
    builder = node.lay()
    tell({"failed": builder.report.failed, "results": node.results(), "etc": node.put("/etc/x", "x"), "fstab": node.read("/etc/fstab")})
finally:
    node.close()
""")
    assert (told["failed"], told["etc"], told["results"]["/etc"]) == (1, True, "done")
    assert "tmpfs /run/overlay tmpfs size=20%," in told["fstab"]


def test_an_image_without_a_system_is_fatal(unshared: Callable[..., Any]) -> None:
    told = unshared(SHIPPED + """
node = Node(home)
try:
    node.leave()
    os.unlink(node.image + ".d/sbin/init")
    from boot_node import make_file_system
    node.image = make_file_system(home + "/empty.img", "COS_ACTIVE")
    node.boot()
    node.lay()
except KairosError as error:
    tell([type(error).__name__, error.message])
finally:
    node.close()
""")
    assert told[0] == "FatalError"
    assert "no init" in told[1]


def test_what_is_gone_after_the_layout_is_recorded_as_missing(unshared: Callable[..., Any]) -> None:
    told = unshared(SHIPPED + """
node = Node(home, env=ENV)
try:
    builder = node.lay()
    mounts.unmount(node.sysroot + "/home")
    mounts.unmount(node.sysroot + "/srv")
    builder.verify()
    tell(sorted(r["where"] for r in node.records if r.get("result") == "missing"))
finally:
    node.close()
""")
    assert told == ["/home", "/srv"]


def test_doing_it_twice_changes_nothing(unshared: Callable[..., Any]) -> None:
    told = unshared(SHIPPED + """
node = Node(home, env=ENV)
try:
    node.lay(); before = [(m.target, m.source) for m in mounts.mounted()]
    node.lay()
    tell(before == [(m.target, m.source) for m in mounts.mounted()])
finally:
    node.close()
""")
    assert told is True


def test_links_of_the_image_are_followed_inside_it(unshared: Callable[..., Any]) -> None:
    told = unshared(SHIPPED + """
node = Node(home, env=ENV.replace("/home", "/data"))
try:
    node.leave()
    os.makedirs(node.image + ".d/var/data"); os.symlink("/var/data", node.image + ".d/data")
    node.image = node.build_image({}); node.boot()
    node.lay()
    tell([node.put("/var/data/x", "x"), os.path.exists("/var/data"), [m.root for m in mounts.mounted() if m.target == node.sysroot + "/var/data"]])
finally:
    node.close()
""")
    assert told == [True, False, ["/.state/data.bind"]]


def test_debugging_an_image_makes_the_root_writable(unshared: Callable[..., Any]) -> None:
    told = unshared(SHIPPED + """
node = Node(home, env=ENV)
try:
    node.leave()
    from kairos_boot.system import loop
    loop.detach(node.root_loop)
    node.root_loop = node.attach(node.image, read_only=False)
    mounts.mount(node.root_loop, node.sysroot, "ext4", ("ro",))
    node.lay("rd.immucore.debugrw")
    tell([node.put("/opt/x", "x"), node.read("/etc/fstab").splitlines()[2]])
finally:
    node.close()
""")
    assert told == [True, "/dev/disk/by-label/COS_ACTIVE / auto rw 0 0"]


def test_a_persistent_partition_that_cannot_be_mounted_is_stood_in_for_like_a_missing_one(unshared: Callable[..., Any]) -> None:
    """Host keys and homes can be written in such a boot, and what failed is told once (D3)."""
    told = unshared(SHIPPED + """
node = Node(home, env=ENV)
try:
    with open(node.home + "/vda-COS_PERSISTENT", "r+b") as file:
        file.write(bytes(1 << 20))
    builder = node.lay()
    tell({"failed": builder.report.failed, "results": node.results(), "home": node.put("/home/x", "x"), "keys": node.put("/etc/ssh/key", "x")})
finally:
    node.close()
""")
    assert told["failed"] == 1
    assert (told["home"], told["keys"]) == (True, True)


def test_a_users_link_on_the_persistent_partition_leads_no_mount_astray(unshared: Callable[..., Any]) -> None:
    """Links of the image are followed; one below a mount may be anybody's (C12)."""
    told = unshared(SHIPPED + """
node = Node(home, env=ENV.replace("/srv", "/srv /usr/local/scratch"))
try:
    mounts.mount(node.partitions_[1].node, "/mnt", "ext4")
    os.symlink("/etc/ssh", "/mnt/scratch")
    mounts.unmount("/mnt")
    before = len(mounts.mounted())
    builder = node.lay()
    tell({"missing": [(r["where"], r["error"]) for r in node.records if r.get("result") == "missing"],
          "strays": [m.target for m in mounts.mounted() if m.target == "/etc/ssh" or m.target.endswith("scratch")]})
finally:
    node.close()
""")
    assert [where for where, _ in told["missing"]] == ["/usr/local/scratch"]
    assert "leads elsewhere" in told["missing"][0][1]
    assert told["strays"] == []


def test_a_directory_made_for_a_mount_in_a_users_home_is_the_users(unshared: Callable[..., Any]) -> None:
    told = unshared(SHIPPED + """
node = Node(home, env=ENV.replace("/srv", "/srv /home/ada/cache"))
try:
    node.lay()
    os.chown(node.sysroot + "/home/ada", 1000, 1000)
    mounts.unmount(node.sysroot + "/home/ada/cache")
    os.rmdir(node.sysroot + "/home/ada/cache")
    node.leave()
    node.boot(); node.lay()
    made = os.stat(node.sysroot + "/home/ada/cache")
    tell([made.st_uid, made.st_gid])
finally:
    node.close()
""")
    assert told == [1000, 1000]


def test_a_volume_on_another_disk_is_waited_for_as_long_as_its_disk_may_take(unshared: Callable[..., Any]) -> None:
    """That all partitions of the boot disk are there says nothing of other disks (D2)."""
    told = unshared(SHIPPED + """
node = Node(home, env=ENV.replace(":/usr/local", ":/usr/local LABEL=DATA:/srv"))
waits = {}
def wait(find, limit, disk=""):
    found = find(node.partitions_)
    waits[found.label if found else "DATA"] = [limit, disk]
    return found
node.wait = wait
try:
    node.lay()
    tell(waits)
finally:
    node.close()
""")
    assert told == {"COS_OEM": [30, "vda"], "COS_PERSISTENT": [30, "vda"], "DATA": [30, ""]}


@pytest.mark.parametrize(("owner", "link"), [(1000, ".state"), (1000, ".state/home.bind"), (1000, ".state/.manifest"), (0, ".state")])
def test_no_user_leads_the_persistent_directories_astray_and_a_link_of_root_is_followed(unshared: Callable[..., Any], owner: int, link: str) -> None:
    """C12: what is written there would be written elsewhere, by root."""
    told = unshared(SHIPPED + f"""
node = Node(home, env=ENV, tree={{"home/default": "x", "opt/kept": "x"}})
try:
    mounts.mount(node.partitions_[1].node, "/mnt", "ext4")
    os.makedirs("/mnt/elsewhere")
    if "/" in {link!r}:
        os.makedirs("/mnt/.state")
    os.symlink("/usr/local/elsewhere", "/mnt/{link}")
    os.lchown("/mnt/{link}", {owner}, {owner})
    mounts.unmount("/mnt")
    builder = node.lay()
    tell({{"failed": bool(builder.report.failed), "elsewhere": os.listdir(node.sysroot + "/usr/local/elsewhere"), "home": node.put("/home/x", "x"),
          "ssh": node.put("/etc/ssh/x", "x"), "said": node.lines}})
finally:
    node.close()
""")
    assert (told["home"], told["ssh"]) == (True, True)
    assert told["failed"] == bool(owner)
    assert bool(told["elsewhere"]) == (not owner)
    assert not owner or any("is a link of user 1000" in line for line in told["said"]), told["said"]


def test_the_small_layout_that_is_booted_in_a_virtual_machine(unshared: Callable[..., Any]) -> None:
    """`tests/vm/layouts`: nothing fails, and what lasts is what its list says."""
    text = (Path(__file__).resolve().parents[1] / "vm/layouts/40_layout.yaml").read_text()
    values = yaml.safe_load(text)["stages"]["rootfs"][0]["environment"]
    env = "VOLUMES=LABEL=COS_PERSISTENT:/usr/local\n" + "".join(f'{name}="{value}"\n' for name, value in values.items())
    told = unshared(SHIPPED + f"""
from tests.vm.layouts import marks
def furnish(folder):
    for path in ("usr/lib/sysctl.d", "usr/lib/modprobe.d"):
        os.makedirs(f"{{folder}}/{{path}}")
    os.symlink("usr/lib", folder + "/lib")
node = Node(home, env={env!r}, furnish=furnish)
try:
    failed = node.lay().report.failed
    first = inside(node.sysroot, marks.main)
    node.leave()
    node.boot()
    failed += node.lay().report.failed
    tell({{"failed": failed, "first": first, "second": inside(node.sysroot, marks.main), "lasts": marks.LASTS,
          "fstab": [line.split()[1] for line in node.read("/etc/fstab").splitlines() if line[0] != "#"]}})
finally:
    node.close()
""".replace("from tests.vm.layouts import marks", "from tests.vm.layouts import marks\nfrom random_layouts import inside"))
    assert told["failed"] == 0
    assert not any(told["first"].values())
    assert told["second"] == told["lasts"]
    assert len(told["fstab"]) == len(set(told["fstab"]))


@pytest.mark.parametrize(("env", "link", "lasting"), [
    ('VOLUMES="LABEL=COS_PERSISTENT:/usr/local"\nPERSISTENT_STATE_PATHS="/home /opt /root"\n', "", {"/home": True, "/opt": True, "/root": True, "/srv": False, "/usr/local": True}),
    ('VOLUMES="LABEL=COS_PERSISTENT:/usr/local"\nRW_PATHS=/etc\nPERSISTENT_STATE_PATHS="/home /var"\n', "var/home", {"/home": True, "/var": True}),
    ('VOLUMES="LABEL=COS_PERSISTENT:/usr/local"\nRW_PATHS="/etc /home/guest"\nPERSISTENT_STATE_PATHS=/home\n', "", {"/home": True, "/home/guest": False}),
    ('VOLUMES="LABEL=COS_OEM:/oem LABEL=COS_PERSISTENT:/usr/local"\nRW_PATHS=/etc\n', "", {"/oem": True, "/usr/local": True, "/etc": False}),
], ids=["a layer at the place of a bind or volume", "a link of the image", "a layer below a bind", "OEM as a volume"])
def test_layouts_of_which_mounts_hid_each_other_are_right_and_told_as_they_are(unshared: Callable[..., Any], env: str, link: str, lasting: dict[str, bool]) -> None:
    told = unshared(SHIPPED + f"""
from random_layouts import mounts_of
def furnish(folder):
    os.makedirs(folder + "/home/guest")
    if {link!r}:
        os.makedirs(folder + "/" + {link!r})
        os.removedirs(folder + "/home/guest")
        os.symlink({link!r}, folder + "/home")
node = Node(home, env={env!r}, furnish=furnish)
try:
    failed = node.lay().report.failed
    lines = [line.split() for line in node.read("/etc/fstab").splitlines() if line[0] != "#"]
    told = {{line[1]: "ro" not in line[3].split(",") for line in lines}}
    writable = {{place: not read_only for place, (_, _, read_only) in mounts_of(node.sysroot).items()}}
    for path in {list(lasting)!r}:
        node.put(path + "/mark", "x")
    node.leave()
    node.boot(); node.lay()
    tell({{"failed": failed, "lines": len(lines) - len(told), "fstab": [told[place] for place in writable] == list(writable.values()),
          "lasts": {{path: node.read(path + "/mark") == "x" for path in {list(lasting)!r}}}}})
finally:
    node.close()
""")
    assert told == {"failed": 0, "lines": 0, "fstab": True, "lasts": lasting}


def test_each_writable_file_system_is_checked_once_before_it_is_mounted(unshared: Callable[..., Any]) -> None:
    told = unshared(SHIPPED + """
from kairos_boot.boot import layout
from kairos_boot.boot.cmdline import Cmdline
from kairos_boot.system.process import Processes
checked = []
class Recorder(Processes):
    def run(self, argv, **more):
        checked.append(argv[-1])
        return super().run(argv, **more)
node = Node(home, env=ENV)
builder = node.builder("fsck.mode=auto")
builder.host.processes = Recorder()
try:
    builder.oem()
    builder.lay(layout.load(lambda path: node.env.encode() if path == layout.FILE else None, Cmdline("")))
    tell([checked, [p.node for p in node.partitions_], builder.report.failed])
finally:
    node.close()
""")
    assert told == [told[1], told[1], 0]


def test_a_persistent_directory_that_cannot_be_kept_is_in_memory_and_everything_else_is_kept(unshared: Callable[..., Any]) -> None:
    told = unshared(SHIPPED + """
node = Node(home, env=ENV)
try:
    mounts.mount(node.partitions_[1].node, "/mnt", "ext4")
    os.makedirs("/mnt/.state")
    open("/mnt/.state/home.bind", "w").write("somebody's")
    mounts.unmount("/mnt")
    builder = node.lay()
    tell({"missing": [r["where"] for r in node.records if r.get("result") == "missing"], "home": node.put("/home/x", "x"), "ssh": node.put("/etc/ssh/x", "x"),
          "file": node.read("/usr/local/.state/home.bind"), "kept": node.read("/usr/local/.state/etc-ssh.bind/x")})
finally:
    node.close()
""")
    assert told == {"missing": ["/home"], "home": True, "ssh": True, "file": "somebody's", "kept": "x"}
