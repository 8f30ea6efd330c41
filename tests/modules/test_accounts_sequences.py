"""Any sequence of edits leaves account files that pwck and grpck accept, and lines that nobody named as they were."""

from __future__ import annotations

import os
import random
import resource
import subprocess
import tempfile
from typing import TYPE_CHECKING

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.facts import Facts
from kairos_boot.modules import cloudinit, entities, users

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kairos_boot.actions.base import Action
    from tests.modules.conftest import MakeStep, Node

SEQUENCES, EDITS = 200, 8
FILES = ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow")
TREE = {
    "/etc/passwd": "root:x:0:0:root:/:/bin/sh\nold:x:900:900:Öld,,,:/srv:/bin/sh\n+@nis::::::\nolder:x:1000:900::/srv:/bin/sh\n",
    "/etc/group": "root:x:0:\nold:x:900:\n+:::\nwheel:x:10:old,older\nmany:x:1000:older,old\n",
    "/etc/shadow": "root:*:19000:0:99999:7:::\nold:$6$a$b:19000::::::\n+::::::::\nolder:!:19000:0:99999:7:30:25000:\n",
    "/etc/gshadow": "root:*::\nold:!::\nwheel:!:old:old,older\nmany:!!::older,old\n",
}
NAMED = ("ada", "bob", "cyd", "dan", "lab", "ops", "dev", "net")
"""Everybody that an edit may name; the others' lines must not change."""


class Sequence:
    """Edits of one node, chosen so that no document contradicts itself: members exist, nobody's primary group is deleted."""

    def __init__(self, host: Node, step: MakeStep, seed: int) -> None:
        self.host, self.step, self.random = host, step, random.Random(seed)
        self.done: list[str] = []

    def names(self, path: str) -> list[str]:
        """Who is there and may be named."""
        return [entry.split(":")[0] for entry in self.host.text(path).splitlines() if entry.split(":")[0] in NAMED]

    def some(self, names: list[str]) -> list[str]:
        """Some of them."""
        return self.random.sample(names, self.random.randint(0, len(names)))

    def edit(self) -> None:
        """One edit."""
        kinds: list[Callable[[], None]] = [self.user, self.user, self.user, self.password, self.members, self.user_entity, self.group_entity, self.group_entity, self.shadow_entity, self.gshadow_entity,
                                           self.delete_user, self.delete_group, self.delete_nobody]
        self.random.choice(kinds)()

    def user(self) -> None:
        """A document's user, new or not."""
        name = self.random.choice(NAMED[:4])
        groups = self.names("/etc/group")
        user = {"passwd": self.random.choice(["", "!", "$6$x$y", "plain", "*"]), "homedir": "/srv", "no_create_home": True, "groups": tuple(self.some(groups)),
                "lock_passwd": self.random.random() < 0.2, "uid": self.random.choice(["", "", "1700"]), "gecos": self.random.choice(["", "Ä, b"])}
        if groups and self.random.random() < 0.3:
            user["primary_group"] = self.random.choice(groups)
        classic = self.random.random() < 0.4
        if classic:
            user.update({"system": self.random.random() < 0.3, "plain_text_passwd": self.random.choice(["", "!plain"]), "expiredate": self.random.choice(["", "2032-09-01"]),
                         "inactive": self.random.choice(["", "5", "-1"]), "create_groups": True})
            if user["uid"] and "1700" in self.host.text("/etc/passwd"):
                user["uid"] = ""
        self.apply(f"users {name} {user}", users.plan(self.step(users={name: user}, classic=classic), Facts()))

    def password(self) -> None:
        """A password of somebody who is there."""
        for name in self.names("/etc/passwd")[:1]:
            item = {"name": name, "password": self.random.choice(["plain", "$6$p$q"]), "plain": True, "expire": self.random.random() < 0.5}
            self.apply(f"passwords {item}", cloudinit.plan_passwords(self.step(passwords=[item]), Facts()))

    def members(self) -> None:
        """Members of a group that is there, some of them nobody."""
        for group in self.names("/etc/group")[:1]:
            names = (*self.some(self.names("/etc/passwd")), "stranger")
            self.apply(f"members {group} {names}", cloudinit.plan_group_members(self.step(group_members={group: names}), Facts(read=self.host.read)))

    def user_entity(self) -> None:
        """A line of passwd."""
        name, groups = self.random.choice(NAMED[:4]), [*self.names("/etc/group"), "wheel"]
        number = self.random.choice(["uid: -1\n", "uid: 1800\n", ""])
        self.ensure(f"kind: user\nusername: {name}\n{self.random.choice(['', 'password: plain', 'password: x'])}\n{number}group: {self.random.choice(groups)}\nhomedir: /srv\nshell: /bin/sh\n")

    def group_entity(self) -> None:
        """A line of group."""
        number = self.random.choice(["gid: -1\n", f"gid: {self.random.randint(2000, 2999)}\n", ""])
        name = self.random.choice(NAMED[4:])
        if name in self.names("/etc/group"):
            number = ""  # a new number would be missing to those whose primary group it is
        self.ensure(f"kind: group\ngroup_name: {name}\npassword: {self.random.choice(['x', 'plain'])}\n{number}users: \"{','.join(self.some(self.names('/etc/passwd')))}\"\n")

    def shadow_entity(self) -> None:
        """A line of shadow."""
        for name in self.names("/etc/passwd")[:1]:
            self.ensure(f"kind: shadow\nusername: {name}\npassword: '{self.random.choice(['!', '*', 'plain', '', '$5$a$b'])}'\nlast_changed: now\nwarn: '7'\n")

    def gshadow_entity(self) -> None:
        """A line of gshadow."""
        for name in self.names("/etc/group")[:1]:
            members = self.some(self.names("/etc/passwd"))
            self.ensure(f"kind: gshadow\nname: {name}\npassword: '!'\nadministrators: '{','.join(members[:1])}'\nmembers: '{','.join(members)}'\n")

    def delete_user(self) -> None:
        """A user goes."""
        self.delete(f"kind: user\nusername: {self.random.choice(NAMED[:4])}\n")

    def delete_group(self) -> None:
        """A group goes that is nobody's primary one."""
        primary = {entry.split(":")[3] for entry in self.host.text("/etc/passwd").splitlines()}
        for entry in self.host.text("/etc/group").splitlines():
            fields = entry.split(":")
            if fields[0] in NAMED and fields[2] not in primary:
                self.delete(f"kind: group\ngroup_name: {fields[0]}\n")
                return

    def delete_nobody(self) -> None:
        """What is not there goes."""
        self.delete(self.random.choice(["kind: group\ngroup_name: nosuch\n", "kind: user\nusername: nosuch\n", "kind: user\nusername: ld\n", "kind: shadow\nusername: nosuch\n"]))

    def ensure(self, text: str) -> None:
        self.apply("ensure " + text, entities.plan_ensure_entities(self.step(ensure_entities=[{"entity": text}]), Facts()))

    def delete(self, text: str) -> None:
        self.apply("delete " + text, entities.plan_delete_entities(self.step(delete_entities=[{"entity": text}]), Facts()))

    def apply(self, what: str, actions: Iterator[Action]) -> None:
        self.done.append(what)
        for action in actions:
            action.apply(self.host)


BOOTS = 60
PEOPLE = ("ada", "bob", "cyd", "dan", "eve", "fay")
CREWS = ("lab", "ops", "dev")


@pytest.mark.root
@pytest.mark.parametrize("seed", range(3))
def test_homes_keep_their_owners_over_boots(node: Node, step: MakeStep, seed: int) -> None:
    """C8: /etc is the image's at each boot and /home stays: whatever names come and go, no number of one is ever another's."""
    chance = random.Random(seed)
    owners: dict[str, tuple[int, int]] = {}
    for boot in range(BOOTS):
        for path, content in TREE.items():
            node.put(path, content)
        listed = chance.sample(PEOPLE, chance.randint(1, len(PEOPLE)))
        crews = [{"entity": f"kind: group\ngroup_name: {crew}\ngid: -1\n"} for crew in chance.sample(CREWS, chance.randint(0, len(CREWS)))]
        made = {name: {"homedir": f"/srv/{name}"} if name in ("eve", "fay") else {} for name in listed}
        wanted = step(users=made, ensure_entities=crews, classic=chance.random() < 0.5)
        assert {*node.do(Groups(), wanted), *node.do(users, wanted)} == {True}
        numbers = {fields[0]: (int(fields[2]), int(fields[3])) for fields in (line.split(":") for line in node.text("/etc/passwd").splitlines()) if fields[0] in PEOPLE}
        groups = {fields[0]: int(fields[2]) for fields in (line.split(":") for line in node.text("/etc/group").splitlines()) if fields[0] in CREWS}
        assert len({uid for uid, _ in numbers.values()}) == len(numbers)
        for name, number in numbers.items():
            assert owners.setdefault(name, number) == number, f"boot {boot}: {name}"
            home = os.stat(f"{node.root}/{'srv' if name in ('eve', 'fay') else 'home'}/{name}")
            assert (home.st_uid, home.st_gid) == number, f"boot {boot}: {name}"
        for name, (uid, gid) in owners.items():
            if name not in ("eve", "fay") or name in listed:  # a home elsewhere is known while it is listed
                assert all(number[0] != uid for other, number in numbers.items() if other != name), f"boot {boot}: {name}"
                assert gid not in groups.values() or name in ("eve", "fay"), f"boot {boot}: {name}"
        if {"eve", "fay"} - set(listed):
            for name in {"eve", "fay"} - set(listed):
                owners.pop(name, None)
                if os.path.isdir(f"{node.root}/srv/{name}"):
                    os.rmdir(f"{node.root}/srv/{name}")


class Groups:
    KEY = "ensure_entities"
    plan = staticmethod(entities.plan_ensure_entities)


@pytest.fixture
def node(host: Node) -> Iterator[Node]:
    """A node that pwck and grpck accept, in memory, where so many durable writes cost nothing."""
    memory = tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    host.root = memory.name
    for path in ("/etc", "/srv", "/bin"):
        os.makedirs(host.root + path)
    host.put("/bin/sh", "", 0o755)
    yield host
    memory.cleanup()


def checked(tool: str, root: str) -> str:
    """What the system's own checker says; nothing if all is well."""
    result = subprocess.run([tool, "-r", "-R", root], check=False, capture_output=True, text=True, timeout=60, env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"})
    return f"{tool}: {result.returncode} {result.stdout}{result.stderr}" if result.returncode else ""


def test_generated_sequences(node: Node, step: MakeStep) -> None:
    """Issue-wide promise: 200 sequences, each from the same start, checked at its end and compared line by line."""
    for seed in range(SEQUENCES):
        for path, content in TREE.items():
            node.put(path, content)
        sequence = Sequence(node, step, seed)
        for _ in range(EDITS):
            sequence.edit()
        told = checked("pwck", node.root) + checked("grpck", node.root)
        assert not told, f"seed {seed}: {told}\n" + "\n".join([*sequence.done, *map(node.text, FILES)])
        for path, content in TREE.items():
            kept = [entry for entry in node.text(path).splitlines(keepends=True) if entry.split(":")[0] not in NAMED]
            assert kept == content.splitlines(keepends=True), f"seed {seed}: {path}"


def test_the_checkers_would_tell(node: Node) -> None:
    """The test above can fail: a glued line, an empty number and a group without its shadow line are told."""
    for path, content in TREE.items():
        node.put(path, content)
    assert checked("pwck", node.root) + checked("grpck", node.root) == ""
    node.put("/etc/passwd", TREE["/etc/passwd"].rstrip("\n") + "ada:x:1001:900::/srv:/bin/sh\n")
    node.put("/etc/group", TREE["/etc/group"] + "lab:x:1001:\n")
    assert checked("pwck", node.root)
    assert checked("grpck", node.root)


def test_a_write_that_fails_changes_nothing(node: Node, step: MakeStep) -> None:
    """A full disk, here a limit of the size of files, leaves the files and no temporary one."""
    for path, content in TREE.items():
        node.put(path, content)
    node.put("/etc/.pwd.lock")
    before = sorted(os.listdir(f"{node.root}/etc"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(KairosError, match="File too large"):
            next(iter(users.plan(step(users={"ada": {"no_create_home": True}}), Facts()))).apply(node)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(os.listdir(f"{node.root}/etc")) == before
    assert {path: node.text(path) for path in TREE} == TREE
