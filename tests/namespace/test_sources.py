"""Where systems come from: what comes out of a source is what is in it, and what is wrong with one is said before anything is changed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.root
needs_skopeo = pytest.mark.skipif(not shutil.which("skopeo"), reason="needs skopeo")

START = """
import json, subprocess
from contextlib import contextmanager
from oci_images import *
from kairos_boot.actions import image_tree
from kairos_boot.actions.image_file import BuildImage
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import sources
from kairos_boot.lifecycle.phases import Engine
from kairos_boot.system import mounts
from kairos_boot.system.host import Host
mounts.mount("tmpfs", "/run", "tmpfs")
os.environ["TMPDIR"] = home + "/work"
os.makedirs(home + "/work")
HOST = Host("/")
class Silent:
    def write(self, *a, **k): pass
def progress(title):
    return lambda done, total: None
def bring(text, **how):
    return sources.bring(Engine("test", HOST, Silent(), lambda *a, **k: None), sources.find(HOST, text, "key", fetch=True, **how), progress)
def said(text, **how):
    try:
        bring(text, **how)
    except KairosError as error:
        return str(error)
    return ""
def differences(one, other):
    return [[name, one.get(name), other.get(name)] for name in sorted({*one, *other}) if one.get(name) != other.get(name)]
def laid(*layers):
    archive(home + "/a.tar", image(*layers, small({name: text.encode() for name, text in SYSTEM.items()})))
    place = bring(f"ocifile:{home}/a.tar").path
    return {where: os.readlink(path) if os.path.islink(path) else "" for folder, folders, files in os.walk(place) for name in folders + files
            for path in [f"{folder}/{name}"] for where in [os.path.relpath(path, place)] if where not in SYSTEM and not any(f"{known}/".startswith(where + "/") for known in SYSTEM)}
"""


@pytest.mark.parametrize("kind", ["dir", "ocifile", "saved", "packed", pytest.param("oci", marks=needs_skopeo)])
def test_an_image_of_a_node_equals_its_source(unshared: Callable[..., Any], kind: str) -> None:
    """Content, owners, modes, times, links, attributes, ACLs, capabilities, devices, odd names; holes stay holes. Compared both ways."""
    differ, count, blocks, digest = unshared(START + f"""
kind = {kind!r}
top = tree(home + "/tree")
if kind == "dir":
    source = bring("dir:" + top)
elif kind == "oci":
    source = bring(f"oci:{{Registry(image(layer(top))).name}}/node:1", insecure=True)
elif kind == "saved":
    saved(home + "/a.tar", layer(top, gz=False))
    source = bring(f"ocifile:{{home}}/a.tar")
else:
    archive(home + "/a.tar", image(layer(top)))
    if kind == "packed":
        subprocess.run(["gzip", home + "/a.tar"], check=True)
    source = bring(f"ocifile:{{home}}/a.tar" + (".gz" if kind == "packed" else ""))
BuildImage(source.path, home + "/image", "COS_ACTIVE", source.size).apply(HOST)
with contextmanager(image_tree.mounted)(home + "/image", read_only=True) as place:
    after = seen(place)
    blocks = os.stat(place + "/srv/odd/holes").st_blocks
made = ["'lost+found'", *(f"'{{name}}'" for name, _ in image_tree.PLACES), "'usr'"]
before = seen(top)
odd = [found for found in differences(before, after) if found[0].replace("b'", "'") not in made and found[0] != "b'.'"]
root = differences({{"": before["b'.'"][:3]}}, {{"": after["b'.'"][:3]}})
tell([odd + root, len(before), blocks, source.digest])
""")
    assert differ == []
    assert count > 40
    assert blocks < 1000
    assert digest.startswith("sha256:") == (kind != "dir")


def test_upper_layers_hide_what_lower_ones_have(unshared: Callable[..., Any]) -> None:
    """White-outs, opaque directories wherever they stand in their layer, what replaces another kind, and files below a lower layer's link."""
    found = unshared(START + """
lower = small({"a/": 0, "a/gone": b"1", "a/stays": b"1", "b/": 0, "b/old": b"1", "b/sub/": 0, "b/sub/old": b"1", "c/": 0, "c/x": b"1", "d": b"1", "e": "usr/e", "usr/": 0, "usr/e/": 0,
               "usr/e/low": b"1", "abs": "/usr/e", "f": "a"})
upper = small({"a/.wh.gone": b"", "b/sub/": 0, "b/sub/new": b"2", "b/.wh..wh..opq": b"", "b/new": b"2", "c": b"2", "d/": 0, "d/y": b"2", "e/high": b"2", "abs/far": b"2",
               "g/.wh.none": b"", "f/": 0, "f/own": b"2", "a/.wh..wh.plnk/x": b""})
tell(laid(lower, upper))
""")
    assert sorted(name for name in found if not name.startswith("usr/lib")) == sorted([
        "a", "a/stays", "a/.wh..wh.plnk", "a/.wh..wh.plnk/x", "abs", "b", "b/new", "b/sub", "b/sub/new", "c", "d", "d/y", "e", "f", "f/own", "usr/e", "usr/e/far", "usr/e/high",
        "usr/e/low"])
    assert (found["e"], found["abs"], found["f"]) == ("usr/e", "/usr/e", "")


def test_nothing_of_an_image_leaves_its_tree(unshared: Callable[..., Any]) -> None:
    outside, errors = unshared(START + """
os.makedirs(home + "/outside")
errors = []
for layers in ([small({"../outside/x": b"1"})], [small({"out": home + "/outside"}), small({"out/x": b"1"})], [small({"f": b""}), small({"f/x": b"1"})]):
    try:
        laid(*layers)
    except KairosError as error:
        errors.append(str(error))
tell([os.listdir(home + "/outside"), errors])
""")
    assert outside == []
    assert "leads out of the image" in errors[0]
    assert all("no directory in it" in error for error in errors[1:])


@pytest.mark.parametrize(("change", "words"), [
    ("data[100:140] = b'x' * 40", "no archive of a container image"),
    ("data = data[:len(data) // 2]", ""),
    ("at = data.index(b'\\x1f\\x8b'); data[at + 500] ^= 1", "is damaged"),
    ("data = bytearray(b'nothing')", "no archive of a container image"),
])
def test_a_damaged_archive_is_refused_with_the_reason(unshared: Callable[..., Any], change: str, words: str) -> None:
    error, left = unshared(START + f"""
archive(home + "/a.tar", image(layer(tree(home + "/tree"))))
data = bytearray(open(home + "/a.tar", "rb").read())
{change}
open(home + "/a.tar", "wb").write(data)
tell([said(f"ocifile:{{home}}/a.tar"), os.path.exists(sources.work(HOST) + "/tree")])
""")
    assert error
    assert words in error
    assert not left


def test_what_is_no_system_is_refused_and_removed(unshared: Callable[..., Any]) -> None:
    error, left = unshared(START + """
archive(home + "/a.tar", image(small({name: b"x" for name in SYSTEM if name != "sbin/init"})))
tell([said(f"ocifile:{home}/a.tar"), os.listdir(sources.work(HOST))])
""")
    assert "lacks /sbin/init" in error
    assert left == []


@needs_skopeo
def test_an_interrupted_pull_goes_on_where_it_stopped(unshared: Callable[..., Any]) -> None:
    """The registry stops half-way; what is whole is not fetched again, what is damaged meanwhile is, and a tag that moved meanwhile changes nothing of what is known."""
    error, first, again, healed = unshared(START + """
large = small({"usr/large": os.urandom(300_000)})
system = small({name: text.encode() for name, text in SYSTEM.items()})
registry = Registry(image(system, large))
name = f"oci:{registry.name}/node:1"
registry.cut = 100_000
error = said(name, insecure=True)
first = digest(system) in registry.blobs_asked()
registry.asked.clear()
registry.cut = 0
bring(name, insecure=True)
again = [one for one in (digest(system), digest(large)) if one in registry.blobs_asked()] == [digest(large)]
path = f"{sources.work(HOST)}/layers/blobs/sha256/{digest(system)[7:]}"
data = bytearray(open(path, "rb").read())
data[50] ^= 1
open(path, "wb").write(data)
registry.asked.clear()
bring(name, insecure=True)
tell([error, first, again, [one for one in (digest(system), digest(large)) if one in registry.blobs_asked()] == [digest(system)]])
""")
    assert "stopped half-way" in error
    assert "what was fetched is kept" in error
    assert (first, again, healed) == (True, True, True)


@needs_skopeo
@pytest.mark.parametrize(("fault", "words"), [
    ("registry.wrong = True", ["something else than it promises"]),
    ("registry.login = True", ["skopeo login"]),
    ("name = name.replace('node:1', 'none:1')", ["no such image", "check its name"]),
    ("insecure = False", ["does not speak TLS", "--allow-insecure-registries"]),
    ("registry.server.shutdown(); registry.server.server_close()", ["cannot be reached"]),
    ("tls()", ["nobody vouches", "certs.d", "--allow-insecure-registries"]),
    ("mounts.mount('tmpfs', home + '/work', 'tmpfs', ('size=64k',))", ["no room for the image", "TMPDIR"]),
    ("name = name[:-2] + '@sha256:' + '1' * 64", ["no such image"]),
])
def test_what_is_wrong_with_a_registry_is_said_with_its_remedy(unshared: Callable[..., Any], fault: str, words: list[str]) -> None:
    error = unshared(START + f"""
insecure = True
system = small({{**{{name: text.encode() for name, text in SYSTEM.items()}}, "large": os.urandom(200_000)}})
registry = Registry(image(system))
name = f"oci:{{registry.name}}/node:1"
def tls():
    global insecure
    import ssl
    insecure = False
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", home + "/key", "-out", home + "/cert", "-days", "2", "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home + "/cert", home + "/key")
    registry.server.socket = context.wrap_socket(registry.server.socket, server_side=True)
{fault}
tell(said(name, insecure=insecure))
""")
    for word in words:
        assert word in error


@needs_skopeo
def test_an_upgrade_from_a_registry_is_pinned_and_noted(unshared: Callable[..., Any]) -> None:
    """What it was made of is noted with its digest; the same image again is nothing to do; what was fetched is gone; a source that is no system changes nothing."""
    active, origin, plan, again, left, refused, same = unshared("""
from oci_images import *
from oci_images import digest as named
from upgrade_node import *
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle.upgrading import upgrade, plan_of
from kairos_boot.lifecycle import sources
node = UpgradeNode(home)
os.environ["TMPDIR"] = home + "/work"
os.makedirs(home + "/work")
node.write(node.new + "/usr/lib/kairos-boot/x", "")
blobs = image(layer(node.new))
registry = Registry(blobs)
asked = {"source": f"oci:{registry.name}/node:1", "allow-insecure-registries": True}
registry.blobs = image(small({"etc/os-release": b"x"}))
before = digest(COS + "/cOS/active.img")
try:
    upgrade(node, asked)
    refused = ""
except KairosError as error:
    refused = str(error)
same = before == digest(COS + "/cOS/active.img") and not os.path.exists(COS + "/.kairos/action")
registry.blobs = blobs
plan = [phase["phase"] for phase in plan_of(node, asked)]
upgrade(node, asked)
active = node.inside("active").get("etc/version")
origin = open(node.state_place + "/cOS/active.img.source").read().strip().replace(registry.name, "R").replace(named(blobs[""]), "DIGEST")
registry.asked.clear()
assert [phase["phase"] for phase in plan_of(node, asked)] == ["nothing"]
upgrade(node, asked)
tell([active, origin, plan, registry.blobs_asked(), os.listdir(sources.work(node.host)), refused, same])
node.close()
""")
    assert active == "2"
    assert origin == "oci://R/node:1@DIGEST"
    assert plan[:3] == ["fetch", "unpack", "look"]
    assert again == []
    assert left == []
    assert "lacks /boot/vmlinuz" in refused
    assert same


@needs_skopeo
def test_releases_are_listed_and_an_image_is_unpacked_by_hand(unshared: Callable[..., Any]) -> None:
    listed, unpacked = unshared(START + """
from kairos_boot.actions.registry import tags
from kairos_boot.actions.images import UnpackImage
registry = Registry(image(small({"etc/x": b"1"})))
listed = tags(HOST, registry.name + "/node", insecure=True)
from kairos_boot.cli.main import run
archive(home + "/a.tar", registry.blobs)
sys.stdout, kept = open(home + "/said", "w"), sys.stdout
code = run(["pull-image", f"ocifile:{home}/a.tar", home + "/target"])
sys.stdout = kept
tell([listed, [code, open(home + "/target/etc/x").read()]])
""")
    assert listed == ["v1.2.0", "v1.10.0", "v1.3.0-rc1", "other"]
    assert unpacked == [0, "1"]


def test_two_runs_never_share_a_directory_of_what_is_fetched(unshared: Callable[..., Any]) -> None:
    """The second one is refused, and removes nothing of the first; another place is another matter."""
    first, left, elsewhere, after = unshared(START + """
archive(home + "/a.tar", image(small({name: text.encode() for name, text in SYSTEM.items()})))
ready, go = os.pipe(), os.pipe()
child = os.fork()
if not child:
    bring(f"ocifile:{home}/a.tar")
    os.write(ready[1], b"x")
    os.read(go[0], 1)
    os._exit(0)
os.read(ready[0], 1)
place = home + "/work/.kairos-boot/source"
first = said(f"ocifile:{home}/a.tar")
sources.forget(HOST, lambda *a, **k: None, "test", layers=True)
left = os.listdir(place)
os.makedirs(home + "/more")
os.environ["TMPDIR"] = home + "/more"
elsewhere = said(f"ocifile:{home}/a.tar")
os.environ["TMPDIR"] = home + "/work"
os.write(go[1], b"x")
os.waitpid(child, 0)
after = said(f"ocifile:{home}/a.tar")
tell([first, sorted(left), elsewhere, after])
""")
    assert "another run of this program fetches or unpacks an image there" in first
    assert "tree" in left
    assert (elsewhere, after) == ("", "")


@pytest.mark.skipif(not shutil.which("umoci"), reason="needs umoci")
@pytest.mark.parametrize("layers", [
    # a lower layer's link, and an upper layer that names what is behind it in both ways: the last one counts
    [{"usr/": 0, "usr/lib/": 0, "usr/lib/old": b"old", "lib": "usr/lib", "lib64": "/lib", "up": "../../usr", "in/": 0, "in/data": "../usr/lib"}, upper]
    for upper in (
        {"lib/x/": 0o700, "lib/x/a": b"a", "usr/lib/x/": 0o711, "usr/lib/x/b": b"b"},
        {"usr/lib/x/": 0o711, "usr/lib/x/b": b"b", "lib/x/": 0o700, "lib/x/a": b"a"},
        {"lib/x": b"one", "usr/lib/x": b"two"}, {"lib64/x/": 0o700, "in/data/x/": 0o750, "up/lib/x/y": b"y"},
        {"lib/old": b"new", "lib64/.wh.old": b""}, {"lib/new": b"new", "usr/lib/.wh..wh..opq": b""}, {"usr/lib/new": b"new", "lib/.wh..wh..opq": b""},
        {"lib/": 0o700, "lib/x": b"x", "usr/lib/x": b"y"}, {"lib": "usr/other", "lib/x": b"x"}, {"up/lib/.wh.old": b"", "in/data/x": b"x"},
        {"lib/x/": 0o700, "lib/x/y/": 0o700, "usr/lib/x/y/": 0o755}, {".wh.lib": b"", "lib/x": b"x"},
    )
])
def test_a_directory_with_two_names_is_what_umoci_makes_of_it(unshared: Callable[..., Any], layers: list[dict[str, object]]) -> None:
    """Links above a path are followed, inside the image, as container runtimes do it; owners, modes and contents are the same."""
    ours, theirs = unshared(START + f"""
made = image(*(small(layer) for layer in {layers!r}), small({{name: text.encode() for name, text in SYSTEM.items()}}))
archive(home + "/a.tar", made)
place = bring(f"ocifile:{{home}}/a.tar").path
for name, data in made.items():
    write(f"{{home}}/layout/blobs/{{(name or 'x').replace(':', '/')}}", data)
write(home + "/layout/oci-layout", b'{{"imageLayoutVersion": "1.0.0"}}')
write(home + "/layout/index.json", json.dumps({{"schemaVersion": 2, "manifests": [{{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(made[""]),
      "size": len(made[""]), "annotations": {{"org.opencontainers.image.ref.name": "node"}}}}]}}).encode())
os.unlink(home + "/layout/blobs/x")
subprocess.run(["umoci", "unpack", "--image", home + "/layout:node", home + "/bundle"], check=True, capture_output=True)
def kept(top):
    return {{name: [values[0], values[7]] for name, values in seen(top).items() if name != "'.'" }}
tell([kept(place), kept(home + "/bundle/rootfs")])
""")
    assert ours == theirs


@pytest.mark.parametrize("packed", ["gzip.compress(plain)", "zstd(plain)", "whole"])
def test_what_unpacks_to_more_than_there_is_room_for_is_refused_before_the_disk_is_full(unshared: Callable[..., Any], packed: str) -> None:
    """A few bytes may unpack to any number: some room is left to others, and nothing of it stays."""
    error, left, free = unshared(START + f"""
mounts.mount("tmpfs", home + "/work", "tmpfs", ("size=60m",))
zstd = lambda data: subprocess.run(["zstd", "-q"], input=data, capture_output=True, check=True).stdout
plain = small({{"bomb": b"x" * (80 << 20)}}, gz=False)
if {packed == "whole"}:
    archive(home + "/plain.tar", image(plain))
    with open(home + "/plain.tar", "rb") as file:
        data = gzip.compress(file.read())
    write(home + "/a.tar", data)
else:
    archive(home + "/a.tar", image({packed if packed != "whole" else "plain"}))
error = said(f"ocifile:{{home}}/a.tar")
found = os.statvfs(home + "/work")
tell([error, [name for folder, _, names in os.walk(home + "/work") for name in names if name != "source.lock"], found.f_bavail * found.f_frsize >> 20])
""")
    assert "more room than there is" in error, error
    assert "TMPDIR" in error
    assert left == []
    assert free >= 59


@pytest.mark.parametrize("pack", ["made", "bytes.fromhex(early) + made", "gzip.compress(made)", "lzma.compress(made, check=lzma.CHECK_CRC32)", "by('zstd', '-qc')", "by('lz4', '-lqc')"])
@pytest.mark.parametrize("ours", [True, False])
def test_a_source_whose_initrd_starts_no_node_is_refused(unshared: Callable[..., Any], pack: str, ours: bool) -> None:
    """Before anything of the node is changed, however it is packed, behind early microcode too."""
    if pack.startswith("by") and not shutil.which(pack[4:-1].partition("'")[0]):
        pytest.skip("its program is not here")
    error = unshared(START + f"""
import lzma
made = initrd(names=HALF if {ours} else ("init", "usr/bin/immucore")).encode()
early = initrd(names=("kernel/x86/microcode/GenuineIntel.bin",)).encode().hex()
by = lambda *words: subprocess.run(words, input=made, capture_output=True, check=True).stdout
archive(home + "/a.tar", image(small({{**{{name: text.encode() for name, text in SYSTEM.items()}}, "boot/initrd": {pack}}})))
tell(said(f"ocifile:{{home}}/a.tar"))
""")
    assert ("none that starts a node: it lacks usr/bin/kairos-boot" in error) is not ours
    assert ours is (error == "")
