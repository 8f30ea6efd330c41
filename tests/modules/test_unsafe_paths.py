"""Unsafe path transitions (C12): no unprivileged user decides where root writes, whatever the key.

Each key that takes a path is led astray in each way, on the system itself and below --root; then, each key whose paths are fixed.
"""

from __future__ import annotations

import os
import socket
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.facts import Facts
from kairos_boot.records import replace
from kairos_boot.stages.execution import placed
from kairos_boot.stages.planning import Planned
from tests.modules.conftest import Node, Recorder

if TYPE_CHECKING:
    from kairos_boot.cloudconfig.model import Step
    from tests.modules.conftest import MakeStep

pytestmark = pytest.mark.root
USER, OTHER = 2000, 2001
PASSWD = f"root:x:0:0::/root:/bin/sh\nu:x:{USER}:{USER}::HOME:/bin/sh\n"
KEYS: dict[str, Callable[[str], Mapping[str, Any]]] = {
    "files": lambda path: {"files": [{"path": path, "content": "new", "owner": USER, "group": USER}]},
    "files append": lambda path: {"files": [{"path": path, "content": "new", "append": True}]},
    "files defer": lambda path: {"files": [{"path": path, "content": "new", "defer": True}]},
    "directories": lambda path: {"directories": [{"path": path, "owner": USER, "permissions": 0o777}]},
    "downloads": lambda path: {"downloads": [{"path": path, "url": "http://127.0.0.1:1/x", "owner": USER}]},
    "git": lambda path: {"git": {"url": "file:///nowhere", "path": path, "branch": "main"}},
    "unpack_images": lambda path: {"unpack_images": [{"source": "IMAGE", "target": path}]},
    "unpack_images source": lambda path: {"unpack_images": [{"source": path, "target": "SRV"}]},
    "users": lambda path: {"users": {"new": {"homedir": path}}},
    "authorized_keys": lambda path: {"authorized_keys": {"u": ["ssh-ed25519 AAAA new"]}},
    "environment": lambda path: {"environment": {"A": "new"}, "environment_file": path},
    "ensure_entities": lambda path: {"ensure_entities": [{"path": path, "entity": "kind: group\ngroup_name: new\ngid: 7"}]},
    "delete_entities": lambda path: {"delete_entities": [{"path": path, "entity": "kind: group\ngroup_name: victim"}]},
    "dns": lambda path: {"dns": {"nameservers": ["192.0.2.1"], "path": path}},
}
DIRECTORIES = {"directories", "git", "unpack_images", "users", "authorized_keys"}
FIXED: dict[str, dict[str, Any]] = {
    "/etc/hosts": {"hostname": socket.gethostname()},
    "/etc/hostname": {"hostname": socket.gethostname()},
    "/etc/environment": {"environment": {"A": "new"}},
    "/etc/resolv.conf": {"dns": {"nameservers": ["192.0.2.1"]}},
    "/etc/systemd/timesyncd.conf.d/10-yip.conf": {"timesyncd": {"NTP": "192.0.2.1"}},
    "/etc/systemd/system/x.service.d/override-yip.conf": {"systemctl": {"overrides": [{"service": "x.service", "content": "[Service]\n"}]}},
    "/etc/apt/preferences.d/99-yip-pins": {"package_pins": {"x": "1"}},
    "/etc/group": {"ensure_entities": [{"entity": "kind: group\ngroup_name: new\ngid: 7"}]},
}


class Ground:
    """Where a test plays: `/base` of the document lies at `real`; `home` there is the user's, `sticky` is everybody's."""

    def __init__(self, node: Node, base: str, real: Path) -> None:
        self.node, self.base, self.real = node, base, real
        for name, mode, user in (("home", 0o755, USER), ("sticky", 0o1777, 0), ("srv", 0o755, 0)):
            (real / name).mkdir(parents=True, exist_ok=True)
            (real / name).chmod(mode)
            os.chown(real / name, user, user)

    def victim(self, *, directory: bool) -> str:
        """What the user is after."""
        path = self.real / "srv/victim"
        path.mkdir() if directory else path.write_text("victim:x:5:\n", encoding="ascii")
        return f"{self.base}/srv/victim"

    def link(self, name: str, target: str, user: int = USER) -> str:
        """A link of *user*."""
        os.symlink(target, self.real / name)
        os.chown(self.real / name, user, user, follow_symlinks=False)
        return f"{self.base}/{name}"

    def directory(self, name: str, user: int = USER) -> str:
        """A directory of *user*."""
        (self.real / name).mkdir()
        os.chown(self.real / name, user, user)
        return f"{self.base}/{name}"


def by_link(ground: Ground, victim: str) -> str:
    """The user's link, in the user's directory."""
    return ground.link("home/x", victim)


def by_relative_link(ground: Ground, victim: str) -> str:
    """The same, without a slash at its start."""
    return ground.link("home/x", os.path.relpath(victim, f"{ground.base}/home"))


def by_link_on_the_way(ground: Ground, victim: str) -> str:
    """The user's link in place of a parent."""
    return ground.link("home/x", os.path.dirname(victim)) + "/victim"


def by_chain(ground: Ground, victim: str) -> str:
    """Root's link to a link of the user's."""
    return ground.link("chain", by_link(ground, victim), 0)


def by_root_link(ground: Ground, victim: str) -> str:
    """Root's link in the user's directory: any user can give it another name there."""
    return ground.link("home/x", victim, 0)


def in_sticky(ground: Ground, victim: str) -> str:
    """A link where everybody may make one."""
    return ground.link("sticky/x", victim)


def in_sticky_on_the_way(ground: Ground, victim: str) -> str:
    """The user's directory there, with a link in it."""
    place = ground.directory("sticky/d")
    return ground.link("sticky/d/x", os.path.relpath(os.path.dirname(victim), place)) + "/victim"


def by_directory(ground: Ground, victim: str) -> str:
    """The user's directory leads to one of another user, and on."""
    ground.directory("home/d", OTHER)
    os.rename(f"{ground.node.root.rstrip('/')}{victim}", ground.real / "home/d/victim")
    return f"{ground.base}/home/d/victim"


def by_directory_of_root(ground: Ground, victim: str) -> str:
    """The user's directory leads to one of root's, and on."""
    ground.directory("home/d", 0)
    os.rename(f"{ground.node.root.rstrip('/')}{victim}", ground.real / "home/d/victim")
    return f"{ground.base}/home/d/victim"


WAYS = (by_link, by_relative_link, by_link_on_the_way, by_chain, by_root_link, in_sticky, in_sticky_on_the_way, by_directory, by_directory_of_root)


@pytest.fixture(params=["on the node", "below --root"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Ground:
    """The system itself, or a tree below another directory."""
    if request.param == "on the node":
        tmp_path.chmod(0o755)
        return Ground(Node("/", Recorder(), lambda: 0.0), str(tmp_path), tmp_path)
    return below(tmp_path)


def below(tmp_path: Path) -> Ground:
    """A tree with accounts."""
    node = Node(str(tmp_path / "root"), Recorder(), lambda: 0.0)
    for name, text in (("passwd", PASSWD), ("shadow", "root:*:1::::::\n"), ("group", "root:x:0:\n"), ("hosts", "127.0.0.1 localhost\n")):
        node.put(f"/etc/{name}", text)
    return Ground(node, "", tmp_path / "root")


def attempts(step: Step, node: Node, *, plan: bool = False) -> list[str]:
    """What is said when *step* is planned and applied, or only planned, as the runner says it."""
    said: list[str] = []
    for key, action in Planned(step, Facts(read=node.read)):
        assert not isinstance(action, KairosError), action
        for attempt in (action.would_change, *(() if plan else (action.apply,))):
            try:
                attempt(node)
            except KairosError as error:
                said.append(str(placed(error, step, key, action)))
    return said


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("key", KEYS)
def test_no_user_leads_a_key_astray(ground: Ground, step: MakeStep, key: str, way: Callable[[Ground, str], str]) -> None:
    """The item fails with the document's place, before anything is written, and a plan says so."""
    node = ground.node
    if node.root == "/" and key in ("users", "authorized_keys", "ensure_entities", "delete_entities"):
        pytest.skip("it would edit the accounts of this machine: see tests/integration/test_unsafe_accounts.py")
    victim = ground.victim(directory=key in DIRECTORIES)
    path = way(ground, victim)
    with tarfile.open(ground.real / "image.tar", "w") as tar:
        tar.add(__file__, "file")
    if key == "authorized_keys":
        node.put("/etc/passwd", PASSWD.replace("HOME", path))
    keys = {name: replaced(value, IMAGE=f"{ground.base}/image.tar", SRV=f"{ground.base}/srv") for name, value in KEYS[key](path).items()}
    wanted = step(**keys)
    if key == "files defer":
        wanted = replace(wanted, keys=("deferred_files",))
    before = {name: now for name, now in Node(str(ground.real)).state().items() if "/etc" not in name}
    planned, said = attempts(wanted, node, plan=True), attempts(wanted, node)
    for told in (planned, said):
        assert any("unsafe path" in text for text in told), told
        assert all(text.startswith("/oem/a.yaml") for text in told), told
    after = {name: now for name, now in Node(str(ground.real)).state().items() if "/etc" not in name}
    assert after == before


def replaced(value: Any, **words: str) -> Any:
    """Plain data with *words* replaced."""
    if isinstance(value, str):
        for word, text in words.items():
            value = value.replace(word, text)
        return value
    if isinstance(value, dict):
        return {name: replaced(item, **words) for name, item in value.items()}
    return [replaced(item, **words) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("path", FIXED)
def test_no_user_leads_a_key_with_a_path_of_its_own_astray(tmp_path: Path, step: MakeStep, path: str) -> None:
    """Should a user ever own a link in /etc, it is not written through."""
    ground = below(tmp_path)
    node = ground.node
    victim = ground.victim(directory=False)
    node.put("/etc/os-release", "ID=debian\n")
    Path(node.root + path).parent.mkdir(parents=True, exist_ok=True)
    Path(node.root + path).unlink(missing_ok=True)
    ground.link(path[1:], victim)
    said = attempts(step(**FIXED[path]), node)
    assert any("unsafe path" in text for text in said), said
    assert node.text("/srv/victim") == "victim:x:5:\n"
    assert os.readlink(node.root + path) == victim


def test_links_of_root_are_written_through(ground: Ground, step: MakeStep) -> None:
    """As before (C1), and a user's own links to what is that user's, too."""
    victim = ground.victim(directory=False)
    ground.link("srv/link", victim, 0)
    (ground.real / "home/mine").write_text("old")
    os.chown(ground.real / "home/mine", USER, USER)
    ground.link("home/link", "mine")
    ground.link("sticky/link", f"{ground.base}/home/mine")
    for path, target in (("srv/link", "srv/victim"), ("home/link", "home/mine"), ("sticky/link", "home/mine")):
        assert attempts(step(files=[{"path": f"{ground.base}/{path}", "content": path, "owner": USER}]), ground.node) == []
        assert (ground.real / path).is_symlink()
        assert (ground.real / target).read_text() == path


def test_what_root_put_into_a_users_directory_stays_in_reach(ground: Ground, step: MakeStep) -> None:
    """A second run changes nothing: the last component may be root's, or its who is to own it."""
    keys = {"files": [{"path": f"{ground.base}/home/root", "content": "x"}, {"path": f"{ground.base}/home/other", "content": "x", "owner": OTHER}],
            "directories": [{"path": f"{ground.base}/home/d", "owner": 0}]}
    for changed in (True, False):
        assert [action.apply(ground.node) for _, action in Planned(step(**keys), Facts()) if not isinstance(action, KairosError)] == [changed] * 3


def test_what_is_made_below_a_users_directory_is_the_users(ground: Ground, step: MakeStep) -> None:
    """Else the next run would find root's directory in the user's, where it must not go on."""
    keys = {"files": [{"path": f"{ground.base}/home/a/b/file", "content": "x"}],
            "directories": [{"path": f"{ground.base}/home/c/d"}, {"path": f"{ground.base}/home/e/f", "owner": OTHER, "group": 7}]}
    assert attempts(step(**keys), ground.node) == []
    owners = {name: (os.lstat(ground.real / "home" / name).st_uid, os.lstat(ground.real / "home" / name).st_gid)
              for name in ("a", "a/b", "a/b/file", "c", "c/d", "e/f")}
    assert owners == {"a": (USER, USER), "a/b": (USER, USER), "a/b/file": (0, 0), "c": (USER, USER), "c/d": (USER, USER), "e/f": (OTHER, 7)}
    before = ground.node.state() if ground.node.root != "/" else {}
    assert attempts(step(files=keys["files"]), ground.node) == []
    assert before == (ground.node.state() if ground.node.root != "/" else {})


@pytest.mark.parametrize("place", ["home", "sticky"])
def test_a_second_name_of_a_file_is_not_the_users_to_give(ground: Ground, step: MakeStep, place: str) -> None:
    """A hard link in place of the file would hand the file over."""
    ground.victim(directory=False)
    os.link(ground.real / "srv/victim", ground.real / place / "x")
    said = attempts(step(files=[{"path": f"{ground.base}/{place}/x", "content": "victim:x:5:\n", "owner": USER}]), ground.node)
    assert len(said) == 2
    assert all("unsafe path" in text for text in said)
    assert os.stat(ground.real / "srv/victim").st_uid == 0


def test_a_name_swapped_after_the_look_leads_nowhere(ground: Ground) -> None:
    """What is done is done on the descriptor that the walk ended with."""
    ground.victim(directory=False)
    ground.directory("home/d")
    (ground.real / "home/d/victim").write_text("mine")
    os.chown(ground.real / "home/d/victim", USER, USER)
    with ground.node.place(f"{ground.base}/home/d/victim") as place:
        os.rename(ground.real / "home/d", ground.real / "home/gone")
        ground.link("home/d", f"{ground.base}/srv")
        place.own(USER, USER, 0o777)
        os.unlink(ground.real / "home/gone/victim")
        os.symlink(f"{ground.base}/srv/victim", ground.real / "home/gone/victim")
        with pytest.raises(OSError, match=r"symbolic|replaced"):
            place.own(USER, USER, 0o777)
    now = os.stat(ground.real / "srv/victim")
    assert (now.st_uid, now.st_mode & 0o777) == (0, 0o644)
