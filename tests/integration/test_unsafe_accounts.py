"""Unsafe path transitions (C12) of the keys that change accounts, on a machine of their own: users, authorized_keys, ensure_entities, delete_entities.

Each is led astray in each way of tests/modules/test_unsafe_paths.py; then come the traps that only these keys can step into.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.modules.test_unsafe_paths import DIRECTORIES, KEYS, OTHER, USER, WAYS, Ground

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.isolated import Isolated

pytestmark = pytest.mark.root
ENTITIES = {
    "passwd": "kind: user\nusername: evil\npassword: x\nuid: 0\ngid: 0\nhomedir: /root\nshell: /bin/sh",
    "shadow": "kind: shadow\nusername: root\npassword: evil",
    "group": "kind: group\ngroup_name: evil\ngid: 7",
    "gshadow": "kind: gshadow\nname: evil\npassword: evil",
}
ACCOUNTS: dict[str, Callable[[str], Any]] = {
    **{key: KEYS[key] for key in ("users", "authorized_keys", "delete_entities")},
    **{f"ensure_entities {name}": lambda path, entity=entity: {"ensure_entities": [{"path": path, "entity": entity}]} for name, entity in ENTITIES.items()},  # type: ignore[misc]
    "delete_entities passwd": lambda path: {"delete_entities": [{"path": path, "entity": "kind: user\nusername: victim"}]},
    "users' keys": lambda path: {"users": {"new": {"homedir": path, "ssh_authorized_keys": ["ssh-ed25519 AAAA new"]}}},
    "users' own group": lambda path: {"users": {"new": {"homedir": path, "uid": "2500", "create_groups": True}}},
}
ON_DIRECTORIES = DIRECTORIES | {"users' keys", "users' own group"}


class Here:
    """What a ground needs to know of a machine."""

    def __init__(self, machine: Isolated) -> None:
        self.root = str(machine.root)


def put_account(machine: Isolated, name: str, number: int, home: str) -> None:
    """An account as an installation left it."""
    for file, line in (("passwd", f"{name}:x:{number}:{number}::{home}:/bin/sh"), ("group", f"{name}:x:{number}:"), ("shadow", f"{name}:!:1::::::")):
        machine.put(f"/etc/{file}", f"{machine.read(f'/etc/{file}')}{line}\n", 0o600 if file == "shadow" else 0o644)


def state(place: Path) -> dict[str, tuple[object, ...]]:
    """Everything below a directory: kind, mode, owner, and content or target."""
    found: dict[str, tuple[object, ...]] = {}
    for path in (place, *sorted(place.rglob("*"))):
        now = path.lstat()
        inside = os.readlink(path) if path.is_symlink() else path.read_bytes() if stat.S_ISREG(now.st_mode) else b""
        found[str(path.relative_to(place))] = (now.st_mode, now.st_uid, now.st_gid, now.st_nlink if not path.is_dir() else 0, inside)
    return found


@pytest.mark.parametrize("key", ACCOUNTS)
def test_no_user_leads_the_accounts_astray(machine: Isolated, key: str) -> None:
    """By link and by directory, by owner and in /tmp: each item fails with its place, the victim and the user's own things are as they were."""
    steps, grounds = [], []
    for number, way in enumerate(WAYS):
        base = f"/srv/{number}"
        ground = Ground(Here(machine), base, Path(f"{machine.root}{base}"))  # type: ignore[arg-type]
        path = way(ground, ground.victim(directory=key in ON_DIRECTORIES))
        keys = ACCOUNTS[key](path)
        if key == "authorized_keys":
            put_account(machine, f"u{number}", USER, path)
            keys = {"authorized_keys": {f"u{number}": ["ssh-ed25519 AAAA new"]}}
        elif "users" in keys:
            keys = {"users": {f"new{number}": keys["users"]["new"]}}
            keys["users"][f"new{number}"].pop("uid", None)
        steps.append({"name": way.__name__, **keys})
        grounds.append(ground)
    machine.put("/oem/a.yaml", json.dumps({"stages": {"boot": steps}}))
    before = [state(ground.real) for ground in grounds]
    system = {name: machine.read(f"/etc/{name}") for name in ("passwd", "group", "shadow", "gshadow")} if "users" not in key else {}
    for words in (("plan", "boot", "/oem"), ("run-stage", "boot", "/oem"), ("run-stage", "boot", "/oem")):
        code, said = machine.kairos(*words)
        assert code == 1, said
        for number, way in enumerate(WAYS):
            told = [line for line in said.splitlines() if f"stages.boot[{number}]." in line or (words[0] == "plan" and f"/srv/{number}/" in line)]
            assert any("unsafe path" in line for line in told), f"{way.__name__}: {said}"
            assert state(grounds[number].real) == before[number], way.__name__
    assert all(machine.read(f"/etc/{name}") == text for name, text in system.items())


def traps(machine: Isolated) -> dict[str, tuple[str, str]]:
    """What users lay out for root: the home, and what is told of it."""
    root = machine.root
    (root / "srv/victim").mkdir(mode=0o755)
    (root / "srv/victim/authorized_keys").write_text("root's\n")
    (root / "tmp").chmod(0o1777)

    def home(path: str, owner: int = USER) -> Path:
        (root / path.lstrip("/")).mkdir(parents=True)
        os.chown(root / path.lstrip("/"), owner, owner)
        return root / path.lstrip("/")

    def owned(path: Path, owner: int = USER) -> None:
        os.chown(path, owner, owner, follow_symlinks=False)

    place = home("/home/a") / ".ssh"
    place.symlink_to("/srv/victim")
    owned(place)
    place = home("/home/b") / ".ssh"
    place.mkdir()
    owned(place)
    (place / "authorized_keys").symlink_to("/srv/victim/authorized_keys")
    owned(place / "authorized_keys")
    place = home("/home/c") / ".ssh"
    place.mkdir()
    owned(place)
    os.mkfifo(place / "authorized_keys")
    owned(place / "authorized_keys")
    place = home("/home/d") / ".ssh"
    place.mkdir()
    owned(place)
    (root / "home/roots").write_text("root's\n")
    os.link(root / "home/roots", place / "authorized_keys")
    place = home("/home/e") / ".ssh"
    place.write_text("a file")
    owned(place)
    home("/tmp/f", OTHER)
    home("/tmp/g", OTHER)
    (root / "tmp/g/home").symlink_to("/srv/victim")
    owned(root / "tmp/g/home", OTHER)
    place = home("/home/h") / ".ssh"
    place.mkdir()
    owned(place, OTHER)
    return {"h": ("/home/h", "unsafe path"), "a": ("/home/a", "is not a directory"), "b": ("/home/b", "is not a plain file"), "c": ("/home/c", "is not a plain file"), "d": ("/home/d", "is not a plain file"),
            "e": ("/home/e", "is not a directory"), "f": ("/tmp/f", "unsafe path"), "g": ("/tmp/g/home", "unsafe path")}


def test_no_trap_in_a_home_is_stepped_into(machine: Isolated) -> None:
    """Links, pipes and second names in place of .ssh and of the file in it, homes that another user has made in /tmp; the next user gets his keys."""
    laid = traps(machine)
    for name, (home, _) in laid.items():
        put_account(machine, name, USER, home)
    put_account(machine, "good", 2700, "/home/good")
    (machine.root / "home/good").mkdir()
    os.chown(machine.root / "home/good", 2700, 2700)
    machine.put("/oem/a.yaml", json.dumps({"stages": {"boot": [{"authorized_keys": {name: ["ssh-ed25519 AAAA new"]}} for name in (*laid, "good")]}}))
    before = [state(machine.root / path) for path in ("srv/victim", "home/a", "home/b", "home/c", "home/d", "home/e", "home/h", "tmp/f", "tmp/g")]
    for _ in range(2):
        code, said = machine.kairos("run-stage", "boot", "/oem")
        assert code == 1, said
        for number, (name, (_, told)) in enumerate(laid.items()):
            assert any(f"stages.boot[{number}]." in line and told in line for line in said.splitlines()), f"{name}: {said}"
        assert [state(machine.root / path) for path in ("srv/victim", "home/a", "home/b", "home/c", "home/d", "home/e", "home/h", "tmp/f", "tmp/g")] == before
    assert machine.read("/home/good/.ssh/authorized_keys") == "ssh-ed25519 AAAA new\n"


def test_no_keys_are_put_into_a_home_of_another(machine: Isolated) -> None:
    """Neither a directory that somebody has made in /tmp where the home is to be, nor one that is in use, is given to a new account, nor gets its keys."""
    root = machine.root
    (root / "tmp").chmod(0o1777)
    for path in ("tmp/early", "home/other"):
        (root / path).mkdir(parents=True)
        (root / path / "file").write_text("mine")
        for name in (path, f"{path}/file"):
            os.chown(root / name, OTHER, OTHER)
    put_account(machine, "other", OTHER, "/home/other")
    users = {"x": {"homedir": "/tmp/early"}, "y": {"homedir": "/home/other"}}
    machine.put("/oem/a.yaml", json.dumps({"stages": {"boot": [{"users": {name: {**value, "ssh_authorized_keys": ["ssh-ed25519 AAAA new"]}}} for name, value in users.items()]}}))
    before = [state(root / path) for path in ("tmp/early", "home/other")]
    code, said = machine.kairos("run-stage", "boot", "/oem")
    assert [state(root / path) for path in ("tmp/early", "home/other")] == before, said
    assert code == 1, said
    assert said.count("unsafe path: ") == 2, said
