"""Extensions that systemd really merges: what the verbs lay down, what the initrd links, and what is refused before it is kept."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.root, pytest.mark.skipif(not shutil.which("mksquashfs"), reason="needs mksquashfs")]
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-sysext"), reason="needs systemd-sysext")

START = """
import io, shutil, subprocess
from contextlib import redirect_stderr, redirect_stdout
from oci_images import *
from kairos_boot.boot import extensions as initrd
from kairos_boot.cli import extensions as verb
from kairos_boot.cli.actions import Wired
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import extensions
from kairos_boot.system import mounts
from kairos_boot.system.host import Host
SHARED = 1 << 20
mounts.mount("", "/", flags=SHARED | mounts.REC)  # systemd merges in a namespace of its own, and hands it over
for place in ("/run", "/var/lib", "/etc/cos"):
    os.makedirs(place, exist_ok=True)
    mounts.mount("tmpfs", place, "tmpfs")
os.makedirs("/run/cos")
open("/run/cos/active_mode", "w").close()
os.environ["TMPDIR"] = home + "/work"
os.makedirs(home + "/work")
HOST, SYSEXT = Host("/"), initrd.SYSEXT
HERE = dict(line.strip().replace('"', "").split("=", 1) for line in open("/etc/os-release") if "=" in line)
OURS = "ID=" + HERE["ID"] + "\\nVERSION_ID=" + HERE.get("VERSION_ID", "") + "\\n"
def extension(name, release=OURS, called=None, kind="squashfs"):
    top = f"{home}/trees/{name}"
    shutil.rmtree(top, ignore_errors=True)
    write(f"{top}/usr/bin/of-{name}", b"#!/bin/sh\\necho hello\\n", 0o755)
    if release is not None:
        write(f"{top}/usr/lib/extension-release.d/extension-release.{called or name}", release.encode())
    path = f"{home}/{name}.raw"
    if os.path.exists(path):
        os.unlink(path)
    if kind == "squashfs":
        subprocess.run(["mksquashfs", top, path, "-quiet", "-no-progress", "-noappend"], check=True, stdout=subprocess.DEVNULL)
    else:
        subprocess.run(["mkfs.ext4", "-q", "-d", top, path, "2M"], check=True, stdout=subprocess.DEVNULL)
    return path
def call(*words, kind=SYSEXT):
    said, complained = io.StringIO(), io.StringIO()
    with redirect_stdout(said), redirect_stderr(complained):
        try:
            code = verb.run(kind, list(words))
        except KairosError as error:
            return [3, said.getvalue(), complained.getvalue() + str(error)]
    return [code, said.getvalue(), complained.getvalue()]
def listed():
    return {each["name"]: each for each in json.loads(call("list", "--json")[1])}
def kept():
    return sorted(os.path.relpath(f"{folder}/{name}", SYSEXT.store) for folder, _, names in os.walk(SYSEXT.store) for name in names)
def boot(mode):
    shutil.rmtree("/run/extensions", ignore_errors=True)
    warned = []
    return [initrd.link(HOST, mode, warned.append), warned]
"""


@needs_systemd
def test_what_is_enabled_for_a_boot_is_merged_by_systemd_in_that_boot(unshared: Callable[..., Any]) -> None:
    """Installed, enabled for active: the initrd's links are what systemd-sysext lists and merges; the passive system has none of it."""
    found, active, merged, hello, seen, passive = unshared(START + """
assert call("install", "file:" + extension("one"))[0] == 0
assert call("install", "file:" + extension("both", kind="ext4"))[0] == 0
assert call("enable", "--active", "one")[0] == call("enable", "--common", "both.raw")[0] == 0
active = boot("active")
environment = {**os.environ, "SYSTEMD_SYSEXT_HIERARCHIES": "/usr/bin:/usr/share"}
found = subprocess.run(["systemd-sysext", "list", "--json=short"], env=environment, capture_output=True, text=True, check=True).stdout
subprocess.run(["systemd-sysext", "merge"], env=environment, check=True, capture_output=True)
merged = sorted(extensions.merged(SYSEXT, mounts.mounted()))
hello = [subprocess.run([f"/usr/bin/of-{name}"], capture_output=True, text=True).stdout for name in ("one", "both")]
seen = {name: [each["enabled"], each["merged"], each["fits"], each["why"]] for name, each in listed().items()}
subprocess.run(["systemd-sysext", "unmerge"], env=environment, check=True, capture_output=True)
tell([json.loads(found), active, merged, hello, seen, boot("passive")])
""")
    assert sorted(each["path"] for each in found) == ["/run/extensions/both.raw", "/run/extensions/one.raw"]
    assert active == [["/run/extensions/one.raw", "/run/extensions/both.raw"], []]
    assert merged == ["both", "one"]
    assert hello == ["hello\n", "hello\n"]
    assert seen == {"one.raw": [["active"], True, True, ""], "both.raw": [["common"], True, True, ""]}
    assert passive == [["/run/extensions/both.raw"], []]


@needs_systemd
@pytest.mark.parametrize(("release", "fits"), [
    ("OURS", True), ("'ID=_any\\n'", True), ("OURS.replace('VERSION_ID=', 'VERSION_ID=9')", False), ("'ID=other\\n'", False), ("'VERSION_ID=1\\n'", False),
    ("OURS + 'ARCHITECTURE=alpha\\n'", False), ("OURS + 'SYSEXT_SCOPE=portable\\n'", False), ("OURS + 'SYSEXT_LEVEL=3\\n'", True), ("OURS.partition('VERSION')[0]", False),
])
def test_what_is_said_of_an_image_is_what_systemd_does_with_it(unshared: Callable[..., Any], release: str, fits: bool) -> None:
    """The rule of os-release(5), held against the program itself."""
    said, merged, installed = unshared(START + f"""
installed = call("install", "file:" + extension("one", {release}))
call("enable", "--active", "one")
boot("active")
said = listed()["one.raw"]["fits"]
subprocess.run(["systemd-sysext", "merge"], env={{**os.environ, "SYSTEMD_SYSEXT_HIERARCHIES": "/usr/bin"}}, capture_output=True)
merged = "one" in extensions.merged(SYSEXT, mounts.mounted())
tell([said, merged, installed])
""")
    assert said == merged == fits
    assert installed[0] == 0
    assert ("systemd would not merge it into this system" in installed[2]) == (not fits)


@needs_systemd
@pytest.mark.parametrize(("make", "words"), [
    ("extension('one', None)", "it has no /usr/lib/extension-release.d/extension-release.one"),
    ("extension('one', OURS, 'other')", "call it other.raw"),
    ("shutil.copy('/etc/passwd', home + '/one.raw')", "no image"),
    ("home + '/none.raw'", "not there"),
    ("shutil.copy(extension('one'), home + '/one')", "NAME.raw"),
])
def test_what_is_no_extension_is_refused_and_nothing_of_it_stays(unshared: Callable[..., Any], make: str, words: str) -> None:
    before, said, after, devices = unshared(START + f"""
call("install", "file:" + extension("one"))
before = open(SYSEXT.store + "/one.raw", "rb").read()
path = {make}
said = call("install", "file:" + path)
left = [m.target for m in mounts.mounted() if "kairos-boot/extension" in m.target]
tell([kept(), said, kept() if open(SYSEXT.store + "/one.raw", "rb").read() == before else ["another one"], left])
""")
    assert said[0] == 3
    assert words in said[2]
    assert before == after == ["one.raw"]
    assert devices == []


@needs_systemd
def test_a_second_call_changes_nothing_and_removing_leaves_nothing(unshared: Callable[..., Any]) -> None:
    first, again, links, off, typo, several, removed, left, gone = unshared(START + """
path = extension("one")
os.chmod(path, 0o666)
call("install", "file:" + path)
first = os.stat(SYSEXT.store + "/one.raw")
again = [call("install", "file:" + path)[1], os.stat(SYSEXT.store + "/one.raw").st_ino == first.st_ino, oct(first.st_mode)]
on = call("enable", "--active", "--passive", "^on")
links = [on, call("enable", "--active", "one")[1], kept(), os.readlink(SYSEXT.store + "/active/one.raw")]
off = [call("disable", "--active", "one")[1], call("disable", "--active", "one")[:2]]
typo = call("enable", "--active", "onne")
call("install", "file:" + extension("once"))
several = call("enable", "--active", "on")
removed = call("remove", "one")
left = kept()
os.symlink(SYSEXT.store + "/lost.raw", SYSEXT.store + "/active/lost.raw")
gone = [listed()["lost.raw"], boot("active")]
tell([oct(first.st_mode), again, links, off, typo, several, removed, left, gone])
""")
    assert again == ["one.raw is installed already\n", True, "0o100644"]
    assert first == "0o100644"
    assert links[0][1] == "one.raw is enabled for active\none.raw is enabled for passive\n"
    assert links[1] == "one.raw is already enabled for active\n"
    assert links[2:] == [["active/one.raw", "one.raw", "passive/one.raw"], "/var/lib/kairos/extensions/one.raw"]
    assert off == ["one.raw is disabled for active\n", [0, "one is not enabled for active\n"]]
    assert (typo[0], "did you mean" in typo[2]) == (3, True)
    assert (several[0], "once.raw, one.raw" in several[2]) == (3, True)
    assert removed[1] == "one.raw is removed, which was enabled for passive\n"
    assert left == ["once.raw"]
    assert [gone[0]["enabled"], gone[0]["fits"], gone[0]["why"]] == [["active"], False, "the image is not there"]
    assert gone[1][0] == []
    assert "the sysext is not there, and is not merged" in gone[1][1][0]


@needs_systemd
@pytest.mark.skipif(not shutil.which("skopeo"), reason="needs skopeo")
def test_an_image_of_a_registry_is_kept_by_the_file_in_it_and_a_damaged_one_is_not(unshared: Callable[..., Any]) -> None:
    """Fetched by digest, looked into, put in place; nothing of what was fetched stays."""
    good, kept, damaged, none, work = unshared(START + """
one = open(extension("one"), "rb").read()
registry = Registry(image(small({"one.raw": one, "README": b"x"})))
good = call("install", "--allow-insecure-registries", f"oci:{registry.name}/node:1")
stored = [kept(), open(SYSEXT.store + "/one.raw", "rb").read() == one]
registry.wrong = True
damaged = call("install", "--allow-insecure-registries", f"oci:{registry.name}/node:1")
tree = Registry(image(small({"usr/": 0, "usr/x": b"1"})))
none = call("install", "--allow-insecure-registries", f"oci:{tree.name}/node:1")
tell([good, [stored, kept()], damaged, none, [name for folder, _, names in os.walk(home + "/work") for name in names if not name.endswith(".lock")]])
""")
    assert good[0] == 0
    assert kept == [[["one.raw"], True], ["one.raw"]]
    assert (damaged[0], "promises" in damaged[2]) == (3, True)
    assert (none[0], "install-bundle" in none[2]) == (3, True)
    assert work == []


@needs_systemd
def test_now_merges_for_the_system_that_runs_and_for_no_other(unshared: Callable[..., Any]) -> None:
    """`--now` makes the initrd's link and asks for the service; one that systemd does not merge is told, with exit code 1."""
    merged, calls, other, both, refused = unshared(START + """
class Service:
    def __init__(self):
        self.calls = []
    def run(self, argv, **how):
        from kairos_boot.system.process import Result
        self.calls.append(list(argv))
        done = subprocess.run(["systemd-sysext", "refresh"], env={**os.environ, "SYSTEMD_SYSEXT_HIERARCHIES": "/usr/bin"}, capture_output=True, text=True)
        return Result(0)
service = Service()
made = Wired.__init__
def wired(self, name):
    made(self, name)
    self.host.processes = service
Wired.__init__ = wired
call("install", "file:" + extension("one"))
call("install", "file:" + extension("two", "ID=other\\n"))
merged = [call("enable", "--active", "--now", "one"), call("disable", "--active", "--now", "one")]
other = [call("enable", "--passive", "--now", "one"), os.path.lexists("/run/extensions/one.raw")]
both = [call("enable", "--common", "one"), call("enable", "--active", "--now", "one"), call("disable", "--active", "--now", "one")[1].splitlines()[-1],
        os.readlink("/run/extensions/one.raw").rsplit("/", 2)[-2]]
refused = call("enable", "--common", "--now", "two")
tell([merged, service.calls, other, both, refused])
""")
    assert [each[:2] for each in merged] == [[0, "one.raw is enabled for active\none.raw is merged\n"], [0, "one.raw is disabled for active\none.raw is not merged any more\n"]]
    assert calls[0] == ["systemctl", "restart", "systemd-sysext.service"]
    assert other == [[0, "one.raw is enabled for passive\npassive is not the system that runs: nothing was merged now\n", ""], False]
    assert both[2:] == ["one.raw stays merged: it is enabled for common, too", "common"]
    assert refused[0] == 1
    assert "two.raw: systemd would not merge it into this system: it is for ID=other" in refused[2]
    assert "two.raw is not merged: see journalctl -u systemd-sysext.service" in refused[2]


@needs_systemd
def test_what_comes_from_an_address_is_held_against_its_checksum_and_no_cut_leaves_a_part(unshared: Callable[..., Any]) -> None:
    """Another checksum, a body that breaks off, an address without a name of an extension: refused, and nothing is there. Without TLS and checksum it is said."""
    told = unshared(START + """
one = open(extension("one"), "rb").read()
cut = []
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(404 if "none" in self.path else 200)
        self.send_header("Content-Length", str(len(one)))
        self.end_headers()
        self.wfile.write(one[:100] if "cut" in self.path else one)
    def log_message(self, *a): pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
place = f"http://127.0.0.1:{server.server_address[1]}"
wrong = call("install", "--checksum", "sha256:" + "0" * 64, place + "/one.raw")
none = call("install", "--checksum", digest(one), place + "/none/one.raw")
odd = [call("install", "--checksum", digest(one), place + "/one"), call("install", "--checksum", "md5:1", place + "/one.raw"), call("install", "--checksum", digest(one), "file:/x.raw")]
left = kept()
good = call("install", "--checksum", digest(one), place + "/one.raw?token=secret")
plain = call("install", place + "/one.raw")
tell([wrong, none, odd, left, good, plain, kept(), [name for _, _, names in os.walk(home + "/work") for name in names if not name.endswith(".lock")]])
""")
    wrong, none, odd, left, good, plain, kept, work = told
    assert (wrong[0], "does not have the checksum" in wrong[2]) == (3, True)
    assert (none[0], "404" in none[2]) == (3, True)
    assert [each[0] for each in odd] == [3, 3, 3]
    assert left == []
    assert good[:2] == [0, "one.raw is installed: kairos-boot sysext enable --active one.raw\n"]
    assert plain[:2] == [0, "one.raw is installed already\n"]
    assert "nobody vouches for what comes without TLS" in plain[2]
    assert kept == ["one.raw"]
    assert work == []
