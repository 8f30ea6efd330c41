"""authorized_keys: keys are added, nothing is lost, and no trap in a user's home is stepped into."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kairos_boot.actions.authorized_keys import AuthorizedKeys
from kairos_boot.actions.base import Invalid
from kairos_boot.facts import Facts
from kairos_boot.modules import authorized_keys
from tests.modules.web import Reply, Web, closed_port

if TYPE_CHECKING:
    from tests.modules.conftest import MakeStep, Node

FILE = "/home/me/.ssh/authorized_keys"


@pytest.fixture
def node(host: Node) -> Node:
    """A node with an account of the test's own number, so that no other user is needed."""
    host.put("/etc/passwd", f"root:x:0:0:root:/root:/bin/sh\n\n+odd\nme:x:{os.geteuid()}:{os.getegid()}::/home/me:/bin/sh\nlost:x:1:1::/home/lost:/bin/sh\nbare:x:1:1:::\n")
    os.makedirs(f"{host.root}/home/me")
    os.makedirs(f"{host.root}/root")
    return host


def add(node: Node, step: MakeStep, *keys: str, user: str = "me") -> list[bool | str]:
    """Give the user keys."""
    return node.do(authorized_keys, step(authorized_keys={user: keys}))


def test_directory_and_file_are_made_as_sshd_wants_them(node: Node, step: MakeStep) -> None:
    """0700 and 0600, whatever the umask; one key a line, in order."""
    old = os.umask(0)
    try:
        assert add(node, step, "ssh-ed25519 AAAA1 one", " ssh-rsa AAAA2 two \n") == [True]
    finally:
        os.umask(old)
    assert node.text(FILE) == "ssh-ed25519 AAAA1 one\nssh-rsa AAAA2 two\n"
    assert (node.mode("/home/me/.ssh"), node.mode(FILE)) == (0o700, 0o600)
    assert os.listdir(f"{node.root}/home/me/.ssh") == ["authorized_keys"]


@pytest.mark.root
def test_they_belong_to_the_user(node: Node, step: MakeStep) -> None:
    """The directory that root made before, too."""
    node.put("/etc/passwd", "ada:x:1500:1600::/home/me:/bin/sh\n")
    os.makedirs(f"{node.root}/home/me/.ssh", 0o755)
    add(node, step, "ssh-rsa AAAA one", user="ada")
    for path in ("/home/me/.ssh", FILE):
        now = os.stat(node.root + path)
        assert (now.st_uid, now.st_gid) == (1500, 1600)
    assert node.mode("/home/me/.ssh") == 0o755


def test_keys_are_added_to_what_is_there(node: Node, step: MakeStep) -> None:
    """Lines are compared whole: one that is the beginning of another is another key; a missing line end is mended; the mode stays."""
    node.put(FILE, "# mine\nssh-rsa AAAA2 two\nssh-rsa BBBBBB long", 0o640)
    assert add(node, step, "ssh-rsa AAAA2 two", "ssh-rsa BBBB", "ssh-ed25519 C c", "ssh-ed25519 C c") == [True]
    assert node.text(FILE) == "# mine\nssh-rsa AAAA2 two\nssh-rsa BBBBBB long\nssh-rsa BBBB\nssh-ed25519 C c\n"
    assert node.mode(FILE) == 0o640


@pytest.mark.root
@pytest.mark.parametrize(("uid", "group"), [(1500, 1700), (0, 1600)])
def test_what_the_file_has_besides_stays(node: Node, step: MakeStep, uid: int, group: int) -> None:
    """Mode, group and extended attributes of a user's own file; one of somebody else's becomes the user's, since sshd could not read it."""
    node.put("/etc/passwd", "ada:x:1500:1600::/home/me:/bin/sh\n")
    node.put(FILE, "ssh-rsa AAAA1 one\n", 0o640)
    path = node.root + FILE
    os.chown(path, uid, 1700)
    access = bytes.fromhex("02000000" "01000600ffffffff" "02000400dc050000" "04000400ffffffff" "10000400ffffffff" "20000000ffffffff")  # user 1500 may read
    attributes = {"user.note": b"mine", "trusted.note": b"root's", "security.selinux": b"system_u:object_r:ssh_home_t:s0\0", "system.posix_acl_access": access}
    for name, value in list(attributes.items()):
        try:
            os.setxattr(path, name, value)
        except OSError:
            del attributes[name]  # not on this file system
    assert attributes
    add(node, step, "ssh-rsa AAAA2 two", user="ada")
    now = os.stat(path)
    assert (now.st_uid, now.st_gid, now.st_mode & 0o7777) == (1500, group, 0o640)
    assert {name: os.getxattr(path, name) for name in attributes} == attributes


def test_second_run_writes_nothing(node: Node, step: MakeStep) -> None:
    """C7."""
    add(node, step, "ssh-rsa A a", "ssh-rsa B b")
    before = node.state()
    assert add(node, step, "ssh-rsa A a", "ssh-rsa B b") == [False]
    assert node.state() == before


@pytest.mark.parametrize(("user", "told"), [("stranger", "stranger"), ("root:x", "root:x"), ("lost", "/home/lost"), ("bare", "no home")])
def test_no_such_user_or_home(node: Node, step: MakeStep, user: str, told: str) -> None:
    """An error with its place; other users get their keys; no home is made."""
    failure, done = node.do(authorized_keys, step(authorized_keys={user: ("ssh-rsa A a",), "me": ("ssh-rsa B b",)}))
    assert told in str(failure)
    assert f"authorized_keys.{user}[0]" in str(failure)
    assert done is True
    assert not node.exists("/home/lost")


def test_a_link_in_place_of_the_directory(node: Node, step: MakeStep) -> None:
    """C4: an error; it stays, and nothing happens behind it."""
    os.makedirs(f"{node.root}/srv/secret", 0o700)
    os.symlink(f"{node.root}/srv/secret", f"{node.root}/home/me/.ssh")
    before = node.state()
    [failure] = add(node, step, "ssh-rsa A a")
    assert "/home/me/.ssh" in str(failure)
    assert node.state() == before


@pytest.mark.parametrize("trap", ["link", "dangling", "directory", "fifo"])
def test_something_else_in_place_of_the_file(node: Node, step: MakeStep, trap: str) -> None:
    """C4: it stays as it is, what it leads to is neither read nor changed, and nothing hangs."""
    node.put("/etc/shadow", "root:secret\n", 0o600)
    os.makedirs(f"{node.root}/home/me/.ssh", 0o700)
    place = node.root + FILE
    if trap == "directory":
        os.mkdir(place)
    elif trap == "fifo":
        os.mkfifo(place)
    else:
        os.symlink(f"{node.root}/etc/{'shadow' if trap == 'link' else 'none'}", place)
    before = node.state()
    [failure] = add(node, step, "ssh-rsa A a")
    assert FILE in str(failure)
    assert node.state() == before


@pytest.mark.root
def test_a_second_name_of_a_foreign_file(node: Node, step: MakeStep) -> None:
    """C4: a hard link to a file of root's would be copied into the user's hands."""
    node.put("/etc/passwd", "ada:x:1500:1500::/home/me:/bin/sh\n")
    node.put("/etc/shadow", "root:secret\n", 0o600)
    os.makedirs(f"{node.root}/home/me/.ssh", 0o700)
    os.chown(f"{node.root}/home/me/.ssh", 1500, 1500)
    os.link(f"{node.root}/etc/shadow", node.root + FILE)
    before = node.state()
    [failure] = add(node, step, "ssh-rsa A a", user="ada")
    assert FILE in str(failure)
    assert node.state() == before


@pytest.mark.parametrize(("item", "url"), [
    ("github:ada", "https://github.com/ada.keys"), ("GitHub:ada-l", "https://github.com/ada-l.keys"), ("gitlab:ada.l_x", "https://gitlab.com/ada.l_x.keys"),
    ("https://keys.example/a.pub", "https://keys.example/a.pub"), ("http://keys.example/a?b=c", "http://keys.example/a?b=c"),
])
def test_addresses_of_keys(step: MakeStep, item: str, url: str) -> None:
    """The schemes in any letter case; what people see has no query (docs/reference/authorized_keys.md)."""
    [action] = authorized_keys.plan(step(authorized_keys={"me": (item,)}), Facts())
    assert isinstance(action, AuthorizedKeys)
    assert action.url == url
    assert url.partition("?")[0] in action.describe()
    assert "b=c" not in action.describe()


def test_the_steps_time_limit_and_retries(step: MakeStep) -> None:
    """B4: they hold for fetching keys, too; fewer than three tries are never made."""
    [one] = authorized_keys.plan(step(authorized_keys={"me": ("github:ada",)}, timeout=2.0, retries=4), Facts())
    [other] = authorized_keys.plan(step(authorized_keys={"me": ("github:ada",)}), Facts())
    assert isinstance(one, AuthorizedKeys)
    assert isinstance(other, AuthorizedKeys)
    assert (one.timeout, one.tries, other.timeout, other.tries) == (2.0, 5, 30.0, 3)


@pytest.mark.parametrize("item", ["sourcehub:someone", "github:", "github:../../x", "github:a/b", "gitlab:a?b", "ftp://keys.example/x", "file:///etc/shadow", "AAAAB3NzaC1yc2E="])
def test_what_is_neither_key_nor_address(node: Node, step: MakeStep, item: str) -> None:
    """An error with its place; literal keys are added."""
    [action, _] = authorized_keys.plan(step(authorized_keys={"me": (item, "ssh-rsa A a")}), Facts())
    assert isinstance(action, Invalid)
    failure, done = add(node, step, item, "ssh-rsa A a")
    assert "authorized_keys.me[0]" in str(failure)
    assert done is True
    assert node.text(FILE) == "ssh-rsa A a\n"


def test_fetched_keys_are_added_one_by_one(node: Node, step: MakeStep, web: Web) -> None:
    """A key that is new at the provider is added, those that are known are not added again; the document's order is kept."""
    web.pages["/k"] = Reply(b'# of ada\r\nssh-rsa A a\r\n\r\nno-pty,command="x" ssh-ed25519 B b\r\n')
    assert add(node, step, "ssh-rsa FIRST", web.url("/k"), "ssh-rsa LAST") == [True, True, True]
    assert node.text(FILE) == 'ssh-rsa FIRST\nssh-rsa A a\nno-pty,command="x" ssh-ed25519 B b\nssh-rsa LAST\n'
    before = node.state()
    assert add(node, step, "ssh-rsa FIRST", web.url("/k"), "ssh-rsa LAST") == [False, False, False]
    assert node.state() == before
    web.pages["/k"] = Reply(b"ssh-rsa A a\nssh-rsa C c\n")
    assert add(node, step, web.url("/k")) == [True]
    assert node.text(FILE).endswith("ssh-rsa LAST\nssh-rsa C c\n")


@pytest.mark.parametrize("reply", [
    Reply(b"ssh-rsa EVIL from-an-error-page\n", 404), Reply(b"<!DOCTYPE html>\n<p>ssh-rsa is fine</p>\n"), Reply(b"ssh-rsa A a\nhello world\n"), Reply(b"ssh-rsa " + b"A" * 1024 * 1024 + b" a\n"),
])
def test_an_answer_that_is_no_list_of_keys(node: Node, step: MakeStep, web: Web, reply: Reply) -> None:
    """B5: an error; nothing of it is added, literal keys are."""
    web.pages["/k"] = reply
    failure, done = add(node, step, web.url("/k"), "ssh-rsa ONE one")
    assert "/k" in str(failure)
    assert done is True
    assert node.text(FILE) == "ssh-rsa ONE one\n"


@pytest.mark.slow
def test_no_key_and_no_password_is_told(node: Node, step: MakeStep) -> None:
    """C5: neither in descriptions nor in errors."""
    wanted = step(authorized_keys={"me": ("ssh-rsa TANGERINE one", f"http://u:apricot@127.0.0.1:{closed_port()}/k?sesame", "TANGERINE"), "lost": ("ssh-rsa TANGERINE one",)})
    told = "".join(action.describe() for action in authorized_keys.plan(wanted, Facts())) + "".join(map(str, node.do(authorized_keys, wanted)))
    assert "refused" in told
    assert not {word for word in ("TANGERINE", "apricot", "sesame") if word in told}


def test_what_plan_says(node: Node, step: MakeStep) -> None:
    """`would_change` writes nothing, fetches nothing, and tells a missing key from one that is there."""
    node.put(FILE, "ssh-rsa A a\n", 0o600)
    before = node.state()
    wanted = step(authorized_keys={"me": ("ssh-rsa A a", "github:ada", "ssh-rsa B b"), "root": ("ssh-rsa A a",)})
    assert [action.would_change(node) for action in authorized_keys.plan(wanted, Facts())] == [False, None, True, True]
    assert node.state() == before


@pytest.mark.parametrize("user", ["stranger", "homeless"])
def test_a_plan_does_not_say_that_keys_fail_of_an_account_that_it_makes_before_them(node: Node, step: MakeStep, user: str) -> None:
    node.put("/etc/passwd", node.text("/etc/passwd") + "homeless:x:1700:1700::/home/homeless:/bin/sh\n")
    [action] = authorized_keys.plan(step(authorized_keys={user: ["ssh-ed25519 AAAA x"]}), Facts())
    assert action.would_change(node) is None


def test_a_key_with_options_takes_the_place_of_the_bare_one(node: Node, step: MakeStep) -> None:
    """Sshd looks no further than at the first line of a key, so behind the bare one the options would mean nothing (`disable_root`)."""
    bare, closed = "ssh-ed25519 AAAA1 one", 'restrict,command="echo ssh-rsa no" ssh-ed25519 AAAA1 one'
    add(node, step, bare, "ssh-rsa AAAA2 two")
    node.put(FILE, node.text(FILE) + "# mine\nssh-ed25519 AAAA1 again\n", 0o600)
    assert add(node, step, closed) == [True]
    assert node.text(FILE) == f"{closed}\nssh-rsa AAAA2 two\n# mine\n"
    assert add(node, step, closed) == [False]


def test_a_bare_key_never_replaces_one_with_options(node: Node, step: MakeStep) -> None:
    """Who limited a key meant it: the line is added behind, where it opens nothing."""
    closed = "restrict ssh-ed25519 AAAA1 one"
    add(node, step, closed)
    add(node, step, "ssh-ed25519 AAAA1 one")
    assert node.text(FILE).startswith(closed + "\n")
