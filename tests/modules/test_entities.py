"""ensure_entities, delete_entities: single lines, and never another one."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.actions.base import Note
from kairos_boot.actions.entities import EnsureEntity
from kairos_boot.errors import KairosError
from kairos_boot.facts import Facts
from kairos_boot.modules import entities
from kairos_boot.system.accounts import Accounts
from kairos_boot.system.passwords import verify
from tests.modules.account_files import GROUP, GSHADOW, PASSWD, SHADOW, Delete, Ensure, line, put_accounts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.modules.conftest import MakeStep, Node

DAY = str(1_750_000_000 // 86400)


@pytest.fixture
def node(host: Node) -> Node:
    """A node with accounts."""
    put_accounts(host)
    return host


def ensure(node: Node, step: MakeStep, *texts: str, path: str = "") -> list[bool | str]:
    """Ensure the entities."""
    return node.do(Ensure(), step(ensure_entities=[{"entity": text, "path": path} for text in texts]))


def delete(node: Node, step: MakeStep, *texts: str, path: str = "") -> list[bool | str]:
    """Delete the entities."""
    return node.do(Delete(), step(delete_entities=[{"entity": text, "path": path} for text in texts]))


def everything(node: Node) -> dict[str, str]:
    """The four files."""
    return {path: node.text(path) for path in ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow")}


def test_a_new_group_comes_last(node: Node, step: MakeStep) -> None:
    """With its line in gshadow, locked (C3)."""
    assert ensure(node, step, "kind: group\ngroup_name: admin\npassword: x\ngid: 900\nusers: daemon,keeper\n") == [True]
    assert node.text("/etc/group") == GROUP + "admin:x:900:daemon,keeper\n"
    assert node.text("/etc/gshadow") == GSHADOW + "admin:!::daemon,keeper\n"


def test_members_are_merged_and_never_removed(node: Node, step: MakeStep) -> None:
    """Old order, then new, each once; password and number as given."""
    ensure(node, step, "kind: group\ngroup_name: staff\ngid: 51\nusers: 'daemon, keeper,daemon'\n")
    assert line(node, "/etc/group", "staff") == "staff:x:51:keeper,daemon"
    assert line(node, "/etc/gshadow", "staff") == "staff:*::keeper,daemon"


@pytest.mark.parametrize("gid", ["gid: -1\n", "", "gid:\n"])
def test_a_group_without_a_number(node: Node, step: MakeStep, gid: str) -> None:
    """C3: a new one gets the lowest free from 1000 on, an existing one keeps its own."""
    ensure(node, step, f"kind: group\ngroup_name: extra\n{gid}", f"kind: group\ngroup_name: staff\n{gid}")
    assert line(node, "/etc/group", "extra") == "extra:x:1000:"
    assert line(node, "/etc/group", "staff") == "staff:x:50:keeper"


@pytest.mark.parametrize(("written", "gid"), [("900", 900), ("'900'", 900), ("0o1604", 900), ("01604", 900), ("0x384", 900), ("0900", 900), ("9_00", 900)])
def test_numbers_are_read_as_yaml_writes_them(node: Node, step: MakeStep, written: str, gid: int) -> None:
    """As in the rest of a document (docs/reference/ensure_entities.md)."""
    ensure(node, step, f"kind: group\ngroup_name: n\ngid: {written}\n")
    assert line(node, "/etc/group", "n") == f"n:x:{gid}:"


def test_an_existing_user_is_replaced_in_its_place(node: Node, step: MakeStep) -> None:
    """The whole line, no other."""
    ensure(node, step, "kind: user\nusername: daemon\npassword: x\nuid: 1\ngid: 1\ninfo: D\nhomedir: /\nshell: /bin/false\n")
    assert node.text("/etc/passwd") == PASSWD.replace("daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin", "daemon:x:1:1:D:/:/bin/false")


def test_a_new_user_has_a_locked_password(node: Node, step: MakeStep) -> None:
    """C3: never an empty one, in neither file; the group is looked up by name."""
    ensure(node, step, "kind: user\nusername: svc\nuid: 800\ngroup: staff\nhomedir: /srv\nshell: /bin/sh\n")
    assert line(node, "/etc/passwd", "svc") == "svc:x:800:50:Created by entities:/srv:/bin/sh"
    assert line(node, "/etc/shadow", "svc") == f"svc:!:{DAY}::::::"


def test_numbers_that_are_not_given_are_never_zero(node: Node, step: MakeStep) -> None:
    """C3: an existing user keeps its numbers, a new one gets a free one, and needs a group."""
    kept, failure, made = ensure(node, step, "kind: user\nusername: keeper\ninfo: K\n", "kind: user\nusername: lost\n", "kind: user\nusername: svc\nuid: -1\ngid: 50\n")
    assert (kept, made) == (True, True)
    assert "gid" in str(failure)
    assert line(node, "/etc/passwd", "keeper").startswith("keeper:x:1200:1200:K:")
    assert line(node, "/etc/passwd", "svc").startswith("svc:x:1000:50:")
    assert "lost" not in "".join(everything(node).values())


def test_a_missing_group_of_a_user_is_an_error(node: Node, step: MakeStep) -> None:
    """C3: never number 0; the file stays as it is."""
    [failure] = ensure(node, step, "kind: user\nusername: svc\nuid: 800\ngroup: nosuch\n")
    assert "nosuch" in str(failure)
    assert "stages.s[0].ensure_entities[0].entity" in str(failure)
    assert node.text("/etc/passwd") == PASSWD


def test_a_shadow_line_hashes_and_keeps_aging(node: Node, step: MakeStep) -> None:
    """A password in plain text is hashed, empty aging fields come from the old line, `now` is today."""
    ensure(node, step, "kind: shadow\nusername: keeper\npassword: tangerine\nlast_changed: now\nwarn: '9'\n",
           "kind: shadow\nusername: fresh\npassword: '*'\nlast_changed: '18000'\nminimum_changed: '0'\nmaximum_changed: '99999'\nwarn: '7'\n")
    _name, password, *rest = line(node, "/etc/shadow", "keeper").split(":")
    assert verify("tangerine", password)
    assert rest == [DAY, "1", "90", "9", "30", "25000", ""]
    assert line(node, "/etc/shadow", "fresh") == "fresh:*:18000:0:99999:7:::"
    assert node.mode("/etc/shadow") == 0o640


def test_a_shadow_line_without_a_password_opens_nothing(node: Node, step: MakeStep) -> None:
    """C3: an existing password stays, a new line is locked."""
    ensure(node, step, "kind: shadow\nusername: keeper\nlast_changed: '19000'\n", "kind: shadow\nusername: fresh\npassword: ''\n")
    assert line(node, "/etc/shadow", "keeper") == "keeper:$6$keepkeep$notarealhash:19000:1:90:7:30:25000:"
    assert line(node, "/etc/shadow", "fresh").startswith("fresh:!:")


def test_a_missing_gshadow_is_made_closed(host: Node, step: MakeStep) -> None:
    """0400, as upstream; the other files are never made."""
    put_accounts(host, gshadow=None)
    ensure(host, step, "kind: gshadow\nname: admin\npassword: '!'\nadministrators: ada\nmembers: bob,cyd\n")
    assert host.text("/etc/gshadow") == "admin:!:ada:bob,cyd\n"
    assert host.mode("/etc/gshadow") == 0o400
    [failure] = ensure(host, step, "kind: group\ngroup_name: g\ngid: 1\n", path="/srv/none")
    assert "/srv/none: no such file" in str(failure)
    assert not host.exists("/srv/none")


def test_another_path_stands_alone(node: Node, step: MakeStep) -> None:
    """Its neighbours are not those of the node; a missing last line end is mended, not glued to."""
    node.put("/srv/group", "one:x:1:a")
    before = everything(node)
    ensure(node, step, "kind: group\ngroup_name: two\ngid: 2\n", path="/srv/group")
    assert node.text("/srv/group") == "one:x:1:a\ntwo:x:2:\n"
    assert everything(node) == before


@pytest.mark.parametrize("text", [
    "kind: planet\nname: x\n", "{broken", "- a\n- b\n", "", "kind: group\n", "kind: group\ngroup_name: 'a:b'\ngid: 1\n", "kind: group\ngroup_name: g\ngid: many\n",
    'kind: user\nusername: u\ngid: 0\ninfo: "a\\nroot2:x:0:0::/:/bin/sh"\n', "kind: user\nusername: u\ngid: 0\nshell: /bin/sh:evil\n", "kind: group\ngroup_name: g\ngid: 4294967295\n",
    "kind: group\ngroup_name: g\ngroup_name: h\ngid: 1\n", "kind: group\ngroup_name: g\nusers: [a, b]\n", "kind: shadow\nusername: u\npassword: '$6$a:b'\n", "[" * 5000,
])
def test_a_bad_entity_is_an_error_and_the_next_is_done(node: Node, step: MakeStep, text: str) -> None:
    """Nothing of it reaches a file."""
    failure, done = ensure(node, step, text, "kind: group\ngroup_name: ok\ngid: 900\n")
    assert "ensure_entities[0]" in str(failure)
    assert done is True
    assert everything(node) == {"/etc/passwd": PASSWD, "/etc/shadow": SHADOW, "/etc/group": GROUP + "ok:x:900:\n", "/etc/gshadow": GSHADOW + "ok:!::\n"}


def test_no_secret_is_told(node: Node, step: MakeStep) -> None:
    """C5: neither of a good entity nor of a broken one."""
    texts = ("kind: shadow\nusername: keeper\npassword: tangerine\n", "kind: shadow\nusername: [\npassword: tangerine\n", 'kind: shadow\nusername: k\npassword: "tange\\nrine"\n')
    actions = list(entities.plan_ensure_entities(step(ensure_entities=[{"entity": text} for text in texts]), Facts()))
    told = "".join(action.describe() + repr(action) for action in actions)
    assert "tange" not in told
    assert "rine" not in told


def test_unknown_fields_are_warnings(node: Node, step: MakeStep) -> None:
    """B2: the entity is done."""
    actions = list(entities.plan_ensure_entities(step(ensure_entities=[{"entity": "kind: group\ngroup_name: g\ngid: 7\nmembers: x\n"}]), Facts()))
    assert [type(action) for action in actions] == [Note, EnsureEntity]
    assert "members" in actions[0].describe()


@pytest.mark.parametrize("text", [
    "kind: \"group\"\ngroup_name: 'g'\n# comment\n\npassword: x\ngid:   900  \nusers: a,b\r\n", "{kind: group, group_name: g, password: x, gid: 900, users: 'a,b'}",
    "---\nkind: group\ngroup_name: g # the group\npassword: x\ngid: 900\nusers: a,b\n", "kind: &k group\ngroup_name: g\npassword: x\ngid: 900\nusers: 'a,b'\n",
    "kind: group\n<<: {password: x, gid: 1}\ngroup_name: g\ngid: 900\nusers: >-\n  a,b\n",
])
def test_both_ways_of_reading_agree(text: str) -> None:
    """Plain lines are read without the YAML parser; all YAML forms are read."""
    assert entities.parse(text) == {"kind": "group", "group_name": "g", "password": "x", "gid": "900", "users": "a,b"}


def test_plain_lines_need_no_yaml_parser() -> None:
    """Start-up time: the default configuration's entity costs no import of 15 ms."""
    code = ("import sys; from kairos_boot.modules.entities import parse\n"
            "assert parse('kind: \"group\"\\ngroup_name: \"admin\"\\npassword: \"x\"\\ngid: 900\\n')['gid'] == '900'\nassert 'yaml' not in sys.modules")
    subprocess.run([sys.executable, "-c", code], check=True, cwd=os.getcwd())


def test_templates_are_expanded(node: Node, step: MakeStep) -> None:
    """As in the rest of a document (docs/reference/ensure_entities.md)."""
    [action] = entities.plan_ensure_entities(step(ensure_entities=[{"entity": "kind: group\ngroup_name: '{{ .Values.node.hostname }}'\n"}]),
                                             Facts(lambda: {"node": {"hostname": "lab"}}))
    assert "lab" in action.describe()


@pytest.mark.parametrize(("text", "gone"), [
    ("kind: group\ngroup_name: wheel\ngid: 99\n", "/etc/group"), ("kind: user\nusername: daemon\n", "/etc/passwd"),
    ("kind: user\nusername: daemon\npassword: x\nuid: 1\ngid: 1\ninfo: daemon\nhomedir: /usr/sbin\nshell: /usr/sbin/nologin\n", "/etc/passwd"),
    ("kind: user\nusername: daemon\ngroup: daemon\n", "/etc/passwd"), ("kind: shadow\nusername: daemon\n", "/etc/shadow"), ("kind: gshadow\nname: wheel\n", "/etc/gshadow"),
])
def test_delete_takes_the_entry_that_is_described(node: Node, step: MakeStep, text: str, gone: str) -> None:
    """A group by its name alone, others with the values that are given; once."""
    name = "wheel" if "wheel" in text else "daemon"
    assert delete(node, step, text, text) == [True, False]
    assert f"{name}:" not in node.text(gone)


@pytest.mark.parametrize("text", [
    "kind: group\ngroup_name: nosuch\n", "kind: user\nusername: nosuch\n", "kind: user\nusername: daemon\nuid: 2\n", "kind: user\nusername: eeper\n",
    "kind: shadow\nusername: keeper\npassword: '!'\n", "kind: gshadow\nname: staff\nmembers: other\n",
])
def test_delete_of_what_is_not_there_changes_nothing(node: Node, step: MakeStep, text: str) -> None:
    """C3: no error, and above all no other line goes."""
    node.put("/etc/.pwd.lock")
    before = node.state()
    assert delete(node, step, text) == [False]
    assert node.state() == before


def test_delete_from_a_file_that_is_not_there(node: Node, step: MakeStep) -> None:
    """C3: the entry is not there either; no file comes to be."""
    assert delete(node, step, "kind: group\ngroup_name: wheel\n", path="/srv/none") == [False]
    assert not node.exists("/srv/none")


def test_a_deleted_user_leaves_nothing_to_inherit(node: Node, step: MakeStep) -> None:
    """A later account of its name gets neither its password nor its groups."""
    delete(node, step, "kind: user\nusername: keeper\n")
    assert everything(node) == {
        "/etc/passwd": PASSWD[:PASSWD.index("keeper")], "/etc/shadow": SHADOW[:SHADOW.index("keeper")],
        "/etc/group": GROUP.replace(":keeper\n", ":\n"), "/etc/gshadow": GSHADOW.replace("::keeper\n", "::\n")}


def test_delete_matches_whole_lines(node: Node, step: MakeStep) -> None:
    """The entry of another user may end the same way."""
    node.put("/etc/passwd", "xsvc:x:800:800:S:/srv:/bin/sh\nsvc:x:800:800:S:/srv:/bin/sh\n")
    delete(node, step, "kind: user\nusername: svc\npassword: x\nuid: 800\ngid: 800\ninfo: S\nhomedir: /srv\nshell: /bin/sh\n")
    assert node.text("/etc/passwd") == "xsvc:x:800:800:S:/srv:/bin/sh\n"


def test_second_run_writes_nothing(node: Node, step: MakeStep) -> None:
    """C7, a plain password with the day of its change included."""
    texts = ("kind: group\ngroup_name: admin\ngid: 900\nusers: keeper\n", "kind: group\ngroup_name: more\ngid: -1\n", "kind: user\nusername: svc\nuid: -1\ngid: 50\n",
             "kind: shadow\nusername: svc\npassword: tangerine\nlast_changed: now\n", "kind: gshadow\nname: admin\npassword: apricot\nmembers: keeper\n")
    assert ensure(node, step, *texts) == [True] * 5
    before = node.state()
    node.clock = lambda: 1_750_000_000.0 + 86400 * 3
    assert ensure(node, step, *texts) == [False] * 5
    assert node.state() == before


def test_what_plan_says(node: Node, step: MakeStep) -> None:
    """`would_change` tells the same as `apply`, and writes nothing, not even a lock."""
    before = node.state()
    wanted = step(ensure_entities=[{"entity": "kind: group\ngroup_name: staff\nusers: keeper\n"}, {"entity": "kind: group\ngroup_name: new\n"}])
    assert [action.would_change(node) for action in entities.plan_ensure_entities(wanted, Facts())] == [False, True]
    assert node.state() == before


def test_the_lock_of_passwd_and_useradd_is_honoured(node: Node, tmp_path: Path) -> None:
    """C3: while another process holds /etc/.pwd.lock as lckpwdf does, no edit begins; when it goes, one does."""
    holder = subprocess.Popen([sys.executable, "-c", f"import fcntl, sys; f = open({node.root + '/etc/.pwd.lock'!r}, 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout
    holder.stdout.readline()
    with pytest.raises(KairosError, match="locked"), Accounts(node, limit=0.2):
        pass
    holder.communicate()
    with Accounts(node, limit=5):
        probe = subprocess.run([sys.executable, "-c", f"import fcntl; fcntl.lockf(open({node.root + '/etc/.pwd.lock'!r}, 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)"], check=False, capture_output=True)
        assert probe.returncode != 0
    with open(f"{node.root}/etc/.pwd.lock", "w", encoding="ascii") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_threads_wait_for_each_other(node: Node) -> None:
    """Steps may overlap (`jobs`): no member is lost and no number given twice."""
    def work(number: int) -> None:
        for index in range(5):
            EnsureEntity("group", {"group_name": f"g{number}x{index}"}).apply(node)
            EnsureEntity("group", {"group_name": "wheel", "users": f"u{number}x{index}"}).apply(node)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries: list[Any] = [entry.split(":") for entry in node.text("/etc/group").splitlines()]
    assert len(entries) == 25
    assert len({entry[2] for entry in entries}) == 25
    assert len(line(node, "/etc/group", "wheel").split(",")) == 20


def test_a_kill_at_any_moment_leaves_old_or_new(node: Node) -> None:
    """Every file that a reader opens while edits run is complete, and after a kill -9 the next edit works."""
    code = (f"import sys; sys.path.insert(0, {os.getcwd()!r})\nfrom kairos_boot.actions.entities import EnsureEntity\nfrom kairos_boot.system.host import Host\n"
            f"host = Host({node.root!r})\nfor i in range(100000):\n    EnsureEntity('group', {{'group_name': f'g{{i:06}}', 'gid': str(5000 + i)}}).apply(host)\n    print(i, flush=True)")
    for wait in (1, 7, 12):
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert child.stdout
        for _ in range(wait):
            child.stdout.readline()
        child.kill()
        child.wait()
        child.stdout.close()
        for path, width in (("/etc/group", 4), ("/etc/gshadow", 4)):
            text = node.text(path)
            assert text.endswith("\n")
            assert all(len(entry.split(":")) == width for entry in text.splitlines())
            assert text.startswith("root:")
        assert EnsureEntity("group", {"group_name": f"after{wait}"}).apply(node)


@pytest.mark.parametrize("password", ["plainpw", "pass:word", "$6$salt$hash", "!half"])
def test_a_password_of_a_user_entity_stands_where_nobody_reads_it(node: Node, step: MakeStep, password: str) -> None:
    """Everybody reads passwd, so it gets the mark, shadow the hash, once; the entity can be taken out again."""
    text = f"kind: user\nusername: USER\npassword: '{password}'\nuid: 800\ngid: 50\ninfo: S\nhomedir: /srv\nshell: /bin/sh\n"
    for name in ("svc", "daemon"):
        assert ensure(node, step, text.replace("USER", name)) == [True]
        assert line(node, "/etc/passwd", name).split(":")[1] == "x"
        stored = line(node, "/etc/shadow", name).split(":")[1]
        assert stored == password if password[0] in "$!" else verify(password, stored)
        assert ensure(node, step, text.replace("USER", name)) == [False]
    assert "plainpw" not in node.text("/etc/passwd") + node.text("/etc/shadow")
    assert delete(node, step, text.replace("USER", "svc")) == [True]
    assert "svc" not in node.text("/etc/passwd") + node.text("/etc/shadow")


def test_a_password_without_a_shadow_file_is_hashed(node: Node, step: MakeStep) -> None:
    """Of another file than the node's own, too."""
    os.unlink(f"{node.root}/etc/shadow")
    text = "kind: user\nusername: svc\npassword: plainpw\nuid: 800\ngid: 50\ninfo: S\nhomedir: /srv\nshell: /bin/sh\n"
    for _ in range(2):
        ensure(node, step, text)
        assert verify("plainpw", line(node, "/etc/passwd", "svc").split(":")[1])


@pytest.mark.parametrize("shadow", [True, False])
def test_a_password_of_a_group_entity_is_hashed(node: Node, step: MakeStep, shadow: bool) -> None:
    """In gshadow, where there is one."""
    if not shadow:
        os.unlink(f"{node.root}/etc/gshadow")
    text = "kind: group\ngroup_name: lab\npassword: plainpw\ngid: 900\nusers: keeper\n"
    assert ensure(node, step, text) == [True]
    assert ensure(node, step, text) == [False]
    if shadow:
        assert line(node, "/etc/group", "lab") == "lab:x:900:keeper"
    assert verify("plainpw", line(node, "/etc/gshadow" if shadow else "/etc/group", "lab").split(":")[1])


@pytest.mark.parametrize("name", ["12", "n" * 40])
def test_an_odd_name_can_be_taken_out_but_not_made(node: Node, step: MakeStep, name: str) -> None:
    node.put("/etc/group", GROUP + f"{name}:x:901:\n")
    [failure] = ensure(node, step, f"kind: group\ngroup_name: '{name}'\n")
    assert "is not a name" in str(failure)
    assert delete(node, step, f"kind: group\ngroup_name: '{name}'\n") == [True]
    assert node.text("/etc/group") == GROUP
