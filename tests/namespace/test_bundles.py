"""Bundles for real: laid over a directory and nowhere else, scripts run, at the installation onto the new node's partitions, at the first boot once."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.root, pytest.mark.skipif(not shutil.which("skopeo"), reason="needs skopeo")]

BUNDLES = """
from oci_images import *
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import bundles
from kairos_boot.lifecycle import first_boot as first_boot_module
from kairos_boot.lifecycle.bundles import BringBundle, bundle
from kairos_boot.lifecycle.first_boot import first_boot, is_due
from kairos_boot.system import mounts
from kairos_boot.system.host import Host
def image_at(path, members, *upper):
    archive(path, image(small(members), *(small(layer) for layer in upper)))
    return f"container://{path}"
def script(text):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo("run.sh")
        member.mode, member.size = 0o755, len(text)
        tar.addfile(member, io.BytesIO(text.encode()))
    return gzip.compress(out.getvalue(), 1)
KUBO = {"usr/": 0, "usr/lib/": 0, "usr/lib/extension-release.d/": 0, "usr/lib/extension-release.d/extension-release.kubo": b"ID=_any\\n", "usr/bin/": 0, "usr/bin/ipfs": b"0.41.0"}
"""
START = BUNDLES + """
for place in ("/run", "/usr/local"):
    mounts.mount("tmpfs", place, "tmpfs")
os.makedirs("/run/cos")
open("/run/cos/active_mode", "w").close()
HOST = Host("/")
def bring(target, root="", **how):
    try:
        return BringBundle(bundle(target, root, local=True, **how)).apply(HOST)
    except KairosError as error:
        return str(error)
class Machine:
    host, lines = HOST, []
    def log(self, priority, message, **how):
        self.lines.append(f"{priority} {message}")
    class ledger:
        write = staticmethod(lambda *a, **k: None)
"""


def test_a_bundle_is_laid_over_its_directory_and_leaves_directories_as_they_are(unshared: Callable[..., Any]) -> None:
    """What is there keeps its mode; a link in the way is not replaced, and nothing lands behind it; twice changes nothing."""
    told = unshared(START + """
top = home + "/top"
os.makedirs(top + "/private")
os.chmod(top + "/private", 0o700)
write(top + "/private/mine", b"mine")
os.makedirs(home + "/outside")
target = image_at(home + "/a.tar", {"private/": 0, "private/new": b"new", "fresh/": 0, "fresh/x": b"x"})
first, second = bring(target, top), bring(target, top)
os.symlink(home + "/outside", top + "/way")
astray = bring(image_at(home + "/b.tar", {"way/": 0, "way/x": b"x"}), top)
whole = bring(image_at(home + "/d.tar", {"private": b"a file"}), top)
out = bring(image_at(home + "/c.tar", {"../out": b"x"}), top)
tell([first, second, oct(os.stat(top + "/private").st_mode), oct(os.stat(top + "/fresh").st_mode), sorted(os.listdir(top + "/private")), whole, astray, out, os.path.islink(top + "/way"),
      os.listdir(home + "/outside"), os.path.exists(home + "/out")])
""")
    assert told[:5] == [True, False, "0o40700", "0o40755", ["mine", "new"]]
    assert "a directory where it is unpacked" in told[5]
    assert "no directory where it is unpacked" in told[6]
    assert "leads out of it" in told[7]
    assert told[8:] == [True, [], False]


def test_over_the_root_of_a_read_only_image_comes_what_lies_in_writable_places(unshared: Callable[..., Any]) -> None:
    """The root is the default, and most of it is read-only: directories that are there are not touched, so the rest arrives."""
    told = unshared(START + """
mounts.mount("tmpfs", "/var/tmp", "tmpfs")  # skopeo unpacks archives there
mounts.mount("", "/", flags=mounts.REMOUNT | mounts.BIND | mounts.RDONLY)
os.environ["TMPDIR"] = "/usr/local/tmp"
good = bring(image_at(home + "/a.tar", {"usr/": 0, "usr/local/": 0, "usr/local/bin/": 0, "usr/local/bin/tool": b"tool"}))
bad = bring(image_at(home + "/b.tar", {"usr/": 0, "usr/none-of-it": b"x"}))
tell([good, good is True and open("/usr/local/bin/tool").read(), bad])
""")
    assert told[:2] == [True, "tool"]
    assert "Read-only file system" in told[2]


def test_the_script_of_a_bundle_knows_its_image_and_its_directory_goes(unshared: Callable[..., Any]) -> None:
    told = unshared(START + """
archive(home + "/a.tar", image(script(f"#!/bin/sh\\necho $BUNDLE_TARGET $(ls $CONTAINERDIR) > {home}/said\\n")))
archive(home + "/b.tar", image(script("#!/bin/sh\\necho it broke\\nexit 7\\n")))
good = bring(f"run://{home}/a.tar")
bad = bring(f"run://{home}/b.tar")
none = bring("run" + image_at(home + "/c.tar", {"x": b""}).removeprefix("container"))
tell([good, open(home + "/said").read(), home, bad, none, [name for _, _, names in os.walk("/usr/local/tmp") for name in names]])
""")
    assert told[:2] == [True, f"{told[2]}/a.tar run.sh\n"]
    assert "exit status 7: it broke" in told[3]
    assert "there is no run.sh" in told[4]
    assert told[5] == []


def test_the_first_boot_brings_each_bundle_once_and_a_failed_one_again_in_the_next(unshared: Callable[..., Any]) -> None:
    """A package of luet is named and is no reason to come back; recovery and a node without its partition do nothing."""
    told = unshared(START + """
machine = Machine()
archive(home + "/count.tar", image(script(f"#!/bin/sh\\necho once >> {home}/count\\n")))
data = {"bundles": [{"local_file": True, "targets": [f"run://{home}/count.tar", f"container://{home}/late.tar"], "rootfs_path": "/usr/local/late"}, {"targets": ["package://utils/edgevpn"]}]}
first = [is_due(HOST), first_boot(machine, data), is_due(HOST)]
image_at(home + "/late.tar", {"x": b"late"})
second = [first_boot(machine, data), is_due(HOST)]
named = [line for line in machine.lines if "luet" in line]
os.unlink(first_boot_module.FIRST)
os.rename("/run/cos/active_mode", "/run/cos/recovery_mode")
tell([first, second, open(home + "/count").read(), open("/usr/local/late/x").read(), named, is_due(HOST)])
""")
    (due, failures, still), (later, done), count, late, named, recovery = told
    assert (due, still, done, recovery) == (True, True, False, False)
    assert [len(failures), "late.tar" in failures[0], "luet" in failures[1]] == [2, True, True]
    assert [len(later), "luet" in later[0]] == [1, True]
    assert (count, late) == ("once\n", "late")
    assert named[0].startswith("4 bundles[1].targets[0]: packages of luet are not in this version: 'package://utils/edgevpn'")


INSTALL = BUNDLES + """
from install_node import *
from kairos_boot.lifecycle.installing import plan_of
from kairos_boot.lifecycle.phases import Broken
def installed(node):
    return node.look(node.own[0], 5, lambda p: sorted(os.path.relpath(f"{folder}/{name}", p) for folder, _, names in os.walk(p) for name in names if not name.startswith(".kairos-state") and "/ledger" not in folder and "kairos-boot" not in folder))
"""


def test_an_installation_brings_bundles_to_the_partitions_of_the_new_node(unshared: Callable[..., Any]) -> None:
    """Where the node will find them; what lies where it keeps nothing is told; the machine that installs is as it was."""
    failures, found, ours, plan, left, listed = unshared(INSTALL + """
node = InstallNode(home, 700)
kubo, tool = image_at(home + "/kubo.tar", KUBO), image_at(home + "/tool.tar", {"usr/": 0, "usr/local/": 0, "usr/local/bin/": 0, "usr/local/bin/tool": b"1", "srv/": 0, "srv/lost": b"1"})
archive(home + "/run.tar", image(script("#!/bin/sh\\necho ran > /usr/local/ran\\n")))
text = f"  bind_mounts: [/srv/data]\\n  bundles:\\n  - {{local_file: true, rootfs_path: /var/lib/extensions/kubo, targets: ['{kubo}']}}\\n  - {{local_file: true, targets: ['{tool}', 'run://{home}/run.tar']}}\\n  - {{local_file: true, rootfs_path: /srv/data/x, targets: ['{kubo}']}}\\n"
config = f"{USER}install:\\n{SMALL}{text}"
outcome = node.install(config)
found = installed(node)
ours = [os.path.exists(path) for path in ("/srv/lost", "/usr/local/bin/tool", "/usr/local/ran", "/srv/data")]
left = [m.target for m in mounts.mounted() if "kairos-boot/bundle" in m.target or "/run/cos/" in m.target]
node.write(f"{home}/plan.yaml", config)
plan = [line for phase in plan_of(node, node.collector().given(f"{home}/plan.yaml", ""), Asked(node.own[0], f"dir:{home}/tree", firmware="bios")) for line in phase["does"] if phase["phase"].startswith("bundle")]
def extensions(place):
    mounts.mount(place + "/.state/var-lib-extensions.bind", "/var/lib/extensions", "", flags=mounts.BIND)
    try:
        return subprocess.run(["systemd-sysext", "list", "--json=short"], capture_output=True, text=True).stdout if __import__("shutil").which("systemd-sysext") else '[{"name": "kubo"}]'
    finally:
        mounts.unmount("/var/lib/extensions")
os.makedirs("/var/lib/extensions", exist_ok=True)
listed = [each["name"] for each in json.loads(node.look(node.own[0], 5, extensions))]
node.close()
tell([outcome.failures, found, ours, plan, left, listed])
""")
    assert found == [".state/srv-data.bind/x/usr/bin/ipfs", ".state/srv-data.bind/x/usr/lib/extension-release.d/extension-release.kubo",
                     ".state/var-lib-extensions.bind/kubo/usr/bin/ipfs", ".state/var-lib-extensions.bind/kubo/usr/lib/extension-release.d/extension-release.kubo", "bin/tool", "ran"]
    assert [len(failures), "1 files of it lie where the node keeps nothing, such as /srv/lost" in failures[0]] == [1, True]
    assert ours == [False, False, False, False]
    assert [line.split(" ")[0] for line in plan] == ["unpack", "unpack", "run", "unpack"]
    assert left == []
    assert listed == ["kubo"]


@pytest.mark.parametrize("strict", [False, True])
def test_a_bundle_that_cannot_be_brought_ends_the_installation_only_where_it_counts(unshared: Callable[..., Any], strict: bool) -> None:
    """`fail_on_bundles_errors`: a target of luet is refused before anything is done, a damaged image ends it without a boot loader."""
    luet, damaged, bootable, lines, left = unshared(INSTALL + f"""
strict = {strict!r}
node = InstallNode(home, 700)
def attempt(target):
    try:
        return node.install(f"{{USER}}fail_on_bundles_errors: '{{str(strict).lower()}}'\\ninstall:\\n{{SMALL}}  bundles: [{{{{local_file: true, targets: ['{{target}}']}}}}]\\n").failures
    except KairosError as error:
        return [type(error).__name__, str(error)]
luet = attempt("package://utils/edgevpn")
write(home + "/bad.tar", b"no archive")
for _ in (1,):
    with open(node.own[0], "r+b") as file:
        file.write(bytes(512))
damaged = attempt(f"container://{{home}}/bad.tar")
with open(node.own[0], "rb") as file:
    bootable = any(file.read(440))
left = [m.target for m in mounts.mounted() if "kairos-boot/bundle" in m.target or "/run/cos/" in m.target]
node.close()
tell([luet, damaged, bootable, [line for line in node.lines if "luet" in line], left])
""")
    if strict:
        assert luet[0] == "KairosError"
        assert luet[1].startswith("install.bundles[0].targets[0]: packages of luet are not in this version")
        assert damaged[0] == "Broken"
        assert not bootable
    else:
        assert luet == []
        assert len(damaged) == 1
        assert bootable
        assert len(lines) == 1
    assert "bad.tar" in damaged[-1]
    assert left == []


def test_the_first_boot_sets_the_boot_loaders_options_once(unshared: Callable[..., Any]) -> None:
    """`grub_options` of a document's root; other variables stay. What GRUB has no room for is told, and is a reason to come back."""
    told = unshared(START + """
from kairos_boot.node import grubenv
machine = Machine()
os.makedirs("/oem", exist_ok=True)
nowhere = [first_boot(machine, {"grub_options": {"extra_cmdline": "a"}}), is_due(HOST)]
mounts.mount("tmpfs", "/oem", "tmpfs")
grubenv.save("/oem/grubenv", {"next_entry": "recovery"})
large = [first_boot(machine, {"grub_options": {"extra_cmdline": "x" * 1024}}), is_due(HOST), grubenv.load("/oem/grubenv")]
good = [first_boot(machine, {"grub_options": {"extra_cmdline": "quiet splash", "default_fallback": 1, "saved_entry": None}}), is_due(HOST), grubenv.load("/oem/grubenv")]
tell([nowhere, large, good])
""")
    nowhere, large, good = told
    assert ["no place for the boot loader's settings" in nowhere[0][0], nowhere[1]] == [True, True]
    assert ["has room for 1024 bytes" in large[0][0], *large[1:]] == [True, True, {"next_entry": "recovery"}]
    assert good == [[], False, {"next_entry": "recovery", "extra_cmdline": "quiet splash", "default_fallback": "1"}]


@pytest.mark.parametrize(("matters", "code"), [(True, 1), (False, 0)])
def test_start_does_the_first_boot_and_fails_only_where_a_bundle_matters(unshared: Callable[..., Any], matters: bool, code: int) -> None:
    """What a unit of Kairos or of ours calls: by the node's own documents; a second call has nothing to do."""
    told = unshared(START + f"""
from contextlib import redirect_stdout
from kairos_boot.cli import start
os.makedirs("/oem", exist_ok=True)
mounts.mount("tmpfs", "/oem", "tmpfs")
image_at(home + "/late.tar", {{"x": b"late"}})
def document(fail):
    write("/oem/90_custom.yaml", f"#cloud-config\\nfail_on_bundles_errors: {{str(fail).lower()}}\\nbundles: [{{{{local_file: true, rootfs_path: /usr/local/a, targets: ['container://{{home}}/late.tar', 'container://{{home}}/none.tar']}}}}]\\n".encode())
document({matters})
with redirect_stdout(io.StringIO()):
    codes = [start.run([])]
    image_at(home + "/none.tar", {{"y": b"late"}})
    codes += [start.run([]), is_due(HOST), start.run([])]
tell([codes, sorted(os.listdir("/usr/local/a"))])
""")
    assert told == [[code, 0, False, 0], ["x", "y"]]
