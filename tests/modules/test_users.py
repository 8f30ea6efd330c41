"""users: accounts that are made whole, once, and never with more rights than their document gives."""

from __future__ import annotations

import os
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.actions.accounts import EnsureUser, RequireGroup
from kairos_boot.facts import Facts
from kairos_boot.modules import users
from kairos_boot.system.accounts import lookup_group, lookup_user
from kairos_boot.system.passwords import verify
from tests.modules.account_files import GROUP, GSHADOW, PASSWD, SHADOW, line, put_accounts

if TYPE_CHECKING:
    from tests.modules.conftest import MakeStep, Node

DAY = str(1_750_000_000 // 86400)


@pytest.fixture
def node(host: Node) -> Node:
    """A node with accounts."""
    put_accounts(host)
    return host


def account(**more: Any) -> dict[str, Any]:
    """A user without a home, so that the test needs no other user than its own."""
    return {"no_create_home": True, "passwd": "$6$s$h", **more}


def test_a_new_user_gets_what_is_not_given(node: Node, step: MakeStep) -> None:
    """Lowest free number, own group with the user as its member, the usual home, shell and comment, at the end of each file."""
    assert node.do(users, step(users={"ada": account()})) == [True]
    assert node.text("/etc/passwd") == PASSWD + "ada:x:1000:1000:Created by entities:/home/ada:/bin/sh\n"
    assert node.text("/etc/group") == GROUP + "ada:x:1000:ada\n"
    assert node.text("/etc/shadow") == SHADOW + f"ada:$6$s$h:{DAY}::::::\n"
    assert node.text("/etc/gshadow") == GSHADOW + "ada:!::ada\n"


def test_everything_given_is_taken_as_it_stands(node: Node, step: MakeStep) -> None:
    """A given primary group is looked up and gets the user as a member; there is no group of the user's own."""
    node.do(users, step(users={"ada": account(uid="1500", gecos="Ada, Lab", homedir="/srv/ada", shell="/bin/rbash", primary_group="staff", groups=("wheel", "daemon"))}))
    assert line(node, "/etc/passwd", "ada") == "ada:x:1500:50:Ada, Lab:/srv/ada:/bin/rbash"
    assert node.text("/etc/group") == "root:x:0:\ndaemon:x:1:ada\nwheel:x:10:ada\nstaff:x:50:keeper,ada\nkeeper:x:1200:\n"
    assert node.text("/etc/gshadow") == "root:*::\ndaemon:*::ada\nwheel:*::ada\nstaff:*::keeper,ada\nkeeper:!::\n"


def test_second_run_writes_nothing(node: Node, step: MakeStep) -> None:
    """C7: hashes, plain text and locks, with groups."""
    wanted = step(users={"ada": account(groups=("wheel",)), "bob": account(passwd="tangerine"), "cyd": account(lock_passwd=True), "keeper": {"passwd": "apricot"}})
    assert set(node.do(users, wanted)) == {True, False}
    before = node.state()
    assert True not in node.do(users, wanted)
    assert node.state() == before


@pytest.mark.parametrize("keys", [{"passwd": ""}, {"passwd": "", "lock_passwd": True}, {"passwd": "$6$s$h", "lock_passwd": True}])
def test_no_password_or_a_lock_is_a_locked_account(node: Node, step: MakeStep, keys: dict[str, Any]) -> None:
    """C3: never empty; a lock wins over a password."""
    node.do(users, step(users={"ada": account(**keys)}))
    assert line(node, "/etc/shadow", "ada").split(":")[1] == "!"


def test_a_lock_stays_in_the_second_run(node: Node, step: MakeStep) -> None:
    """The account exists then, and its document gives a password: it must not open it."""
    wanted = step(users={"ada": account(lock_passwd=True)})
    node.do(users, wanted)
    node.do(users, wanted)
    assert line(node, "/etc/shadow", "ada").split(":")[1] == "!"


def test_plain_text_is_hashed_and_shown_nowhere(node: Node, step: MakeStep) -> None:
    """C5: neither in the file, nor in the description, nor in the record's own form."""
    wanted = step(users={"ada": account(passwd="tangerine")})
    [action] = users.plan(wanted, Facts())
    assert "tangerine" not in action.describe() + repr(action)
    action.apply(node)
    stored = line(node, "/etc/shadow", "ada").split(":")[1]
    assert verify("tangerine", stored)
    assert len(stored.split("$")[3]) == 86


def test_an_existing_user_keeps_all_but_its_password(node: Node, step: MakeStep) -> None:
    """Aging fields stay, the day of change is new; shell, groups and number of the document do not count (docs/reference/users.md)."""
    result = node.do(users, step(users={"keeper": {"passwd": "$6$new$hash", "shell": "/bin/false", "uid": "7", "groups": ("wheel",), "gecos": "x"}}))
    assert result == [True, False]
    assert node.text("/etc/shadow") == SHADOW.replace("$6$keepkeep$notarealhash:19000", f"$6$new$hash:{DAY}")
    assert (node.text("/etc/passwd"), node.text("/etc/group")) == (PASSWD, GROUP)


@pytest.mark.parametrize("keys", [{}, {"gecos": "x"}, {"lock_passwd": True}, {"lock_passwd": True, "passwd": "$6$n$h"}])
def test_being_listed_changes_no_existing_account(node: Node, step: MakeStep, keys: dict[str, Any]) -> None:
    """B12: it is neither locked nor opened."""
    before = {path: node.text(path) for path in ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow")}
    assert node.do(users, step(users={"keeper": keys})) == [False]
    assert before == {path: node.text(path) for path in before}


@pytest.mark.parametrize("field", ["", "$6$old$hash"])
def test_a_password_counts_where_logins_look(node: Node, step: MakeStep, field: str) -> None:
    """A field of passwd that is not x wins over shadow, and an empty one opens the account."""
    node.put("/etc/passwd", PASSWD.replace("keeper:x:", f"keeper:{field}:"))
    wanted = step(users={"keeper": {"passwd": "$6$keepkeep$notarealhash"}})
    assert node.do(users, wanted) == [True]
    assert (node.text("/etc/passwd"), node.text("/etc/shadow")) == (PASSWD, SHADOW)
    assert node.do(users, wanted) == [False]


def test_users_are_made_in_the_order_of_their_names(node: Node, step: MakeStep) -> None:
    """So numbers do not depend on the order in the document."""
    node.do(users, step(users={name: account() for name in ("zoe", "bob", "x", "ada")}))
    assert [lookup_user(node, name) for name in ("ada", "bob", "x", "zoe")] == [(1000, 1000), (1001, 1001), (1002, 1002), (1003, 1003)]


def test_a_missing_group_is_an_error_and_the_rest_is_done(node: Node, step: MakeStep) -> None:
    """C3: the account and its other groups are there; the place of the missing one is told, in the second run, too."""
    wanted = step(users={"ada": account(groups=("wheel", "nosuch", "staff"))})
    for _ in range(2):
        result = node.do(users, wanted)
        [failure] = [text for text in result if isinstance(text, str)]
        assert "nosuch" in failure
        assert "stages.s[0].users.ada.groups[1]" in failure
    assert line(node, "/etc/group", "staff") == "staff:x:50:keeper,ada"
    assert "nosuch" not in node.text("/etc/group")


def test_missing_groups_of_a_classic_user_are_made(node: Node, step: MakeStep) -> None:
    """B12: as in cloud-init, the primary group, too."""
    assert node.do(users, step(users={"ada": account(groups=("docker",), primary_group="lab", create_groups=True)})) == [True]
    assert node.text("/etc/group") == GROUP + "lab:x:1000:ada\ndocker:x:1001:ada\n"
    assert lookup_user(node, "ada") == (1000, 1000)


def test_a_missing_primary_group_makes_no_account(node: Node, step: MakeStep) -> None:
    """C3: never group 0; the next user is made."""
    failure, done = node.do(users, step(users={"ada": account(primary_group="nosuch"), "bob": account()}))
    assert "nosuch" in str(failure)
    assert done is True
    assert "ada" not in node.text("/etc/passwd") + node.text("/etc/group") + node.text("/etc/shadow")


def test_an_existing_group_of_the_users_name_keeps_its_number(node: Node, step: MakeStep) -> None:
    """C3: it becomes the user's group."""
    node.put("/etc/group", "root:x:0:\nada:x:900:keeper\n")
    node.do(users, step(users={"ada": account()}))
    assert line(node, "/etc/group", "ada") == "ada:x:900:keeper,ada"
    assert lookup_user(node, "ada") == (1000, 900)


@pytest.mark.parametrize("keys", [
    {"uid": "twelve"}, {"uid": "-1"}, {"uid": "4294967295"}, {"gecos": "a:b"}, {"homedir": "/a:0:0"}, {"shell": "/bin/sh\nevil:x:0:0::/:/bin/sh"},
    {"homedir": "home"}, {"passwd": "$6$a:b"}, {"passwd": "a\nb"}, {"groups": ("a:b",)}, {"primary_group": "x,y"}, {"groups": ("",), "create_groups": True},
])
def test_what_no_account_file_can_hold_is_refused(node: Node, step: MakeStep, keys: dict[str, Any]) -> None:
    """A value with a colon or a line end would be another account; the next user is made."""
    *failures, done = node.do(users, step(users={"ada": account(**keys), "bob": account()}))
    assert len(failures) == 1
    assert "users.ada" in str(failures[0])
    assert done is True
    assert "evil" not in node.text("/etc/passwd")
    assert "ada" not in node.text("/etc/passwd")


@pytest.mark.parametrize("name", ["", "a:b", "a b", "-a", "+a", "#a", "a/b", "a,b", "..", "a\nb"])
def test_a_name_that_is_none_is_refused(node: Node, step: MakeStep, name: str) -> None:
    """Names that account files or tools take for something else."""
    before = node.text("/etc/passwd")
    [failure] = node.do(users, step(users={name: account()}))
    assert "not a user name" in str(failure)
    assert node.text("/etc/passwd") == before


def test_odd_lines_are_kept_and_block_nothing(node: Node, step: MakeStep) -> None:
    """Comments, blank, NIS and overlong lines, bytes that are no UTF-8, and a file without a last line end."""
    passwd = b"# local\nroot:x:0:0:root:/root:/bin/sh\n\n+nis\na:b:c:d:e:f:g:h:i\nz\xffd:x:1300:1300::/home/z:/bin/sh"
    node.put("/etc/passwd", passwd)
    node.put("/etc/group", "root:x:0:\n\n+\nshort:x\nzed:x:1300:")
    node.put("/etc/shadow", "root:*:19000:0:99999:7:::\n\n+nis::::::::\nzed:*", 0o640)
    node.do(users, step(users={"ada": account()}))
    with open(f"{node.root}/etc/passwd", "rb") as file:
        assert file.read() == passwd + b"\nada:x:1000:1000:Created by entities:/home/ada:/bin/sh\n"
    assert node.text("/etc/group") == "root:x:0:\n\n+\nshort:x\nzed:x:1300:\nada:x:1000:ada\n"
    assert node.text("/etc/shadow").startswith("root:*:19000:0:99999:7:::\n\n+nis::::::::\nzed:*\nada:$6$s$h:")


def test_modes_and_links_of_the_files_stay(node: Node, step: MakeStep) -> None:
    """C1: written through a link; shadow stays as closed as it was."""
    os.rename(f"{node.root}/etc/shadow", f"{node.root}/etc/shadow.real")
    os.symlink("/etc/shadow.real", f"{node.root}/etc/shadow")
    node.do(users, step(users={"ada": account()}))
    assert os.path.islink(f"{node.root}/etc/shadow")
    assert node.mode("/etc/shadow.real") == 0o640
    assert "ada:" in node.text("/etc/shadow.real")


def test_attributes_of_the_files_stay(node: Node, step: MakeStep) -> None:
    """A security label and an access list are attributes of the old file; a user attribute stands for them here."""
    path = f"{node.root}/etc/shadow"
    try:
        os.setxattr(path, "user.label", b"shadow_t")
    except OSError as error:
        pytest.skip(f"the file system has no user attributes: {error.strerror}")
    node.do(users, step(users={"ada": account()}))
    assert "ada" in node.text("/etc/shadow")
    assert os.getxattr(path, "user.label") == b"shadow_t"


def test_without_gshadow_none_is_made(host: Node, step: MakeStep) -> None:
    """C3: gshadow is kept in step where there is one."""
    put_accounts(host, gshadow=None)
    assert host.do(users, step(users={"ada": account()})) == [True]
    assert not host.exists("/etc/gshadow")


def test_a_missing_file_is_an_error_and_nothing_is_written(node: Node, step: MakeStep) -> None:
    """No half-made account where there is no shadow."""
    os.unlink(f"{node.root}/etc/shadow")
    [failure] = node.do(users, step(users={"ada": account()}))
    assert "/etc/shadow: no such file" in str(failure)
    assert (node.text("/etc/passwd"), node.text("/etc/group")) == (PASSWD, GROUP)


def test_defaults_of_useradd(node: Node, step: MakeStep) -> None:
    """/etc/default/useradd gives home and shell, a value of the document wins, nonsense is passed over."""
    node.put("/etc/default/useradd", "# defaults\nGROUP=100\nHOME='/srv/homes/'\nexport SHELL=\"/bin/bash\"\nnonsense\nSHELL=relative\n")
    node.do(users, step(users={"ada": account(), "bob": account(shell="/bin/dash", homedir="/srv/b")}))
    assert line(node, "/etc/passwd", "ada").endswith(":/srv/homes/ada:/bin/bash")
    assert line(node, "/etc/passwd", "bob").endswith(":/srv/b:/bin/dash")


def test_no_create_home_makes_none(node: Node, step: MakeStep) -> None:
    """The field is filled in all the same."""
    node.do(users, step(users={"ada": account()}))
    assert not node.exists("/home/ada")
    assert ":/home/ada:" in line(node, "/etc/passwd", "ada")


@pytest.mark.root
def test_a_home_is_made_for_its_user(node: Node, step: MakeStep) -> None:
    """0755 and the user's own, parents 0755 and root's, whatever the umask."""
    old = os.umask(0o077)
    try:
        node.do(users, step(users={"ada": {"passwd": "!", "homedir": "/srv/homes/ada"}}))
    finally:
        os.umask(old)
    assert [node.mode(path) for path in ("/srv", "/srv/homes", "/srv/homes/ada")] == [0o755] * 3
    now = os.stat(f"{node.root}/srv/homes/ada")
    assert (now.st_uid, now.st_gid) == (1000, 1000)
    assert os.stat(f"{node.root}/srv/homes").st_uid == 0


@pytest.mark.root
@pytest.mark.parametrize(("owner", "uid"), [(0, 1000), (1044, 1044), (1200, 1000)])
def test_whose_number_an_existing_home_gives(node: Node, step: MakeStep, owner: int, uid: int) -> None:
    """C3: that of an earlier installation, never root's and never another account's."""
    os.makedirs(f"{node.root}/home/ada")
    os.chown(f"{node.root}/home/ada", owner, owner)
    node.do(users, step(users={"ada": {"passwd": "!"}}))
    assert lookup_user(node, "ada")[0] == uid
    assert os.stat(f"{node.root}/home/ada").st_uid == (owner if owner == 1200 else uid)


@pytest.mark.root
@pytest.mark.parametrize("home", ["/", "/usr", "/usr/sbin", "/etc", "/var/lib", "/dev/null"])
def test_a_directory_of_the_system_is_never_given_away(node: Node, step: MakeStep, home: str) -> None:
    """Accounts of services often have one as their home."""
    os.makedirs(f"{node.root}/dev", exist_ok=True)
    node.put("/dev/null")
    if home != "/dev/null":
        os.makedirs(f"{node.root}{home}", exist_ok=True)
    assert node.do(users, step(users={"svc": {"homedir": home, "uid": "800"}})) == [True]
    assert os.stat(f"{node.root}{home}").st_uid == 0
    assert f":{home}:" in line(node, "/etc/passwd", "svc")


@pytest.mark.root
def test_a_run_that_was_cut_is_completed_by_the_next(node: Node, step: MakeStep) -> None:
    """The passwd line comes last, so whatever was there before it, the next run makes the account whole and the same."""
    wanted = step(users={"ada": {"passwd": "$6$s$h", "groups": ("wheel",)}})
    [*_] = node.do(users, wanted)
    whole = {path: node.text(path) for path in ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow")}
    for missing in (["/etc/passwd"], ["/etc/passwd", "/etc/shadow"], ["/etc/passwd", "/etc/shadow", "/etc/group"], list(whole)):
        for path in missing:
            node.put(path, {"/etc/passwd": PASSWD, "/etc/shadow": SHADOW, "/etc/group": GROUP, "/etc/gshadow": GSHADOW}[path])
        node.do(users, wanted)
        assert {path: node.text(path) for path in whole} == whole


def test_keys_go_to_the_account(node: Node, step: MakeStep) -> None:
    """Also of an existing user; here of one whose number is the test's own (docs/reference/users.md)."""
    os.makedirs(f"{node.root}/root")
    node.do(users, step(users={"root": {"ssh_authorized_keys": ("ssh-ed25519 AAAA1 one", "ssh-rsa AAAA2 two")}}))
    assert node.text("/root/.ssh/authorized_keys") == "ssh-ed25519 AAAA1 one\nssh-rsa AAAA2 two\n"


def test_keys_of_cloud_init_without_effect_are_named(node: Node, step: MakeStep) -> None:
    """Nothing silent: system and no_user_group do nothing in Kairos."""
    actions = list(users.plan(step(users={"ada": account(system=True, no_user_group=True)}), Facts()))
    notes = [action.describe() for action in actions if not isinstance(action, EnsureUser)]
    assert len(notes) == 2
    assert "users.ada.system" in notes[0]
    assert "users.ada.no_user_group" in notes[1]


def test_what_plan_says(node: Node, step: MakeStep) -> None:
    """`would_change` tells a missing account, another password and no change, and writes nothing."""
    before = node.state()
    answers = [action.would_change(node) for action in users.plan(step(users={
        "ada": account(), "daemon": {"passwd": "tangerine"}, "keeper": {"passwd": "$6$keepkeep$notarealhash"}, "root": {}}), Facts())]
    assert answers == [True, True, False, False]
    assert node.state() == before


def test_look_ups_name_who_is_missing(node: Node) -> None:
    """Numbers as text are names (docs/reference/users.md)."""
    assert lookup_user(node, "keeper") == (1200, 1200)
    assert lookup_group(node, "staff") == 50
    for lookup, name in ((lookup_user, "stranger"), (lookup_user, "0"), (lookup_group, "nosuch"), (lookup_group, "50")):
        with pytest.raises(Exception, match=name):
            lookup(node, name)


def test_a_plan_does_not_call_a_missing_group_satisfied(node: Node) -> None:
    """An earlier step of the plan may make it, so only the run can tell."""
    assert RequireGroup("ada", "wheel").would_change(node) is False
    assert RequireGroup("ada", "nowhere").would_change(node) is None


@pytest.mark.root
@pytest.mark.parametrize("base", ["/home", "/srv/homes"])
def test_numbers_of_homes_are_their_owners(node: Node, step: MakeStep, base: str) -> None:
    """C8: a name that sorts before another takes neither its number nor its group's, whether the home lies in the base or is listed."""
    os.makedirs(f"{node.root}{base}/bob")
    os.chown(f"{node.root}{base}/bob", 1000, 1001)
    node.do(users, step(users={"ada": account(), "bob": {"passwd": "!", "homedir": f"{base}/bob"}, "cyd": account()}))
    assert lookup_user(node, "bob") == (1000, 1001)
    assert [lookup_user(node, name) for name in ("ada", "cyd")] == [(1001, 1000), (1002, 1002)]


@pytest.mark.root
def test_a_home_of_nobody_listed_keeps_its_number(node: Node, step: MakeStep) -> None:
    """C8: whoever was left out of the document finds nobody else in his files when he comes back."""
    os.makedirs(f"{node.root}/home/gone")
    os.chown(f"{node.root}/home/gone", 1000, 1000)
    node.do(users, step(users={"ada": account()}))
    assert lookup_user(node, "ada") == (1001, 1001)
    node.do(users, step(users={"gone": account()}))
    assert lookup_user(node, "gone") == (1000, 1000)


def test_a_given_number_is_nobody_elses(node: Node, step: MakeStep) -> None:
    """C8: what a later name is given is not handed out before."""
    node.do(users, step(users={"ada": account(), "bob": account(uid="1000")}))
    assert (lookup_user(node, "ada")[0], lookup_user(node, "bob")[0]) == (1001, 1000)


def test_a_number_that_is_taken(node: Node, step: MakeStep) -> None:
    """C8: allowed and said in native `users`; B12: an error in classic ones, and nothing of that account is made."""
    before = {path: node.text(path) for path in ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow")}
    [failure] = node.do(users, step(users={"ada": account(uid="1200", groups=("wheel",), create_groups=True)}, classic=True))
    assert "1200 is that of keeper" in str(failure)
    assert {path: node.text(path) for path in before} == before
    note, action = users.plan(step(users={"ada": account(uid="1200")}), Facts(read=node.read))
    assert "1200 is that of keeper" in note.describe()
    assert "users.ada.uid" in note.describe()
    assert action.apply(node)
    assert lookup_user(node, "ada")[0] == 1200


@pytest.mark.root
@pytest.mark.parametrize("home", ["//etc/ssl", "/etc//ssl/", "/etc/../etc/ssl", "/srv/link", "/link/ssl", "/home/../srv/link/."])
def test_what_leads_to_the_system_is_never_given_away(node: Node, step: MakeStep, home: str) -> None:
    """Decided by where the path leads, not by its text: doubled slashes, dots and links of root."""
    for path in ("/etc/ssl", "/srv", "/home"):
        os.makedirs(f"{node.root}{path}", exist_ok=True)
    os.symlink("/etc/ssl", f"{node.root}/srv/link")
    os.symlink("/etc", f"{node.root}/link")
    assert node.do(users, step(users={"svc": {"homedir": home, "uid": "800"}})) == [True]
    assert os.stat(f"{node.root}/etc/ssl").st_uid == 0


@pytest.mark.root
@pytest.mark.parametrize("target", ["/etc", "/home/victim", "/nowhere"])
def test_a_link_in_place_of_a_home_is_left_alone_and_said(node: Node, step: MakeStep, target: str) -> None:
    """Its owner planted it: neither is what it names given away, nor does its owner's number become the new account's."""
    os.makedirs(f"{node.root}/home/victim")
    os.chown(f"{node.root}/home/victim", 1500, 1500)
    os.symlink(target, f"{node.root}/home/bob")
    os.chown(f"{node.root}/home/bob", 1600, 1600, follow_symlinks=False)
    before = node.text("/etc/passwd")
    [failure] = node.do(users, step(users={"bob": {"passwd": "!"}}))
    assert "its home cannot be made" in str(failure)
    assert "/home/bob is a link of user 1600" in str(failure)
    assert os.readlink(f"{node.root}/home/bob") == target
    assert (os.stat(f"{node.root}/etc").st_uid, os.stat(f"{node.root}/home/victim").st_uid) == (0, 1500)
    assert node.text("/etc/passwd") == before  # with that home its maker could enter as bob
    assert not node.exists("/nowhere")


@pytest.mark.root
def test_a_link_to_another_accounts_directory_is_no_home(node: Node, step: MakeStep) -> None:
    """Not even where link and directory are the same user's: who owns the home owns the account."""
    os.makedirs(f"{node.root}/home/keeper/trap")
    os.chown(f"{node.root}/home/keeper/trap", 1200, 1200)
    os.symlink("keeper/trap", f"{node.root}/home/bob")
    os.chown(f"{node.root}/home/bob", 1200, 1200, follow_symlinks=False)
    [failure] = node.do(users, step(users={"bob": {"passwd": "!"}}))
    assert "/home/bob is a link of user 1200" in str(failure)


@pytest.mark.parametrize("text", ["zed:x:1700", "zed:x", "zed:x:many:1:::", "zed:x:1700:1700:a:b:c:d", " zed:x:1700:1700::/:/bin/sh"])
def test_a_line_that_is_no_account_to_the_c_library_is_an_error(node: Node, step: MakeStep, text: str) -> None:
    """It is neither taken for the account nor joined by a second one."""
    node.put("/etc/passwd", PASSWD + text + "\n")
    [failure] = node.do(users, step(users={"zed": account()}))
    assert "line 4 of /etc/passwd" in str(failure)
    assert node.text("/etc/passwd") == PASSWD + text + "\n"
    assert "zed" not in node.text("/etc/shadow")


@pytest.mark.parametrize("name", ["12", "0", "n" * 33, "n" * 300, "é" * 17])
def test_names_that_tools_refuse_are_refused(node: Node, step: MakeStep, name: str) -> None:
    """Digits are a number to chown(1) and id(1); more than 32 bytes are too long for useradd(8). Of groups alike."""
    failures = node.do(users, step(users={name: account(), "ada": account(groups=(name,), create_groups=True)}))
    assert sorted(str(failure).split(":")[-2].strip() for failure in failures) == ["not a group name", "not a user name"]
    assert node.text("/etc/passwd") == PASSWD


def test_accounts_of_services(node: Node, step: MakeStep) -> None:
    """B12: a low number, the highest that is free, and no home; of a native document the key has no effect."""
    node.do(users, step(users={"one": {"system": True}, "two": {"system": True, "homedir": "/srv/two"}}, classic=True))
    assert (lookup_user(node, "one"), lookup_user(node, "two")) == ((999, 999), (998, 998))
    assert not node.exists("/home/one")
    assert not node.exists("/srv/two")


def test_users_without_a_group_of_their_own(node: Node, step: MakeStep) -> None:
    """B12: the group of /etc/default/useradd by number or name, else 100; where there is none the account is not made."""
    wanted = step(users={"ada": account(no_user_group=True)}, classic=True)
    [failure] = node.do(users, wanted)
    assert "there is no group 100" in str(failure)
    assert node.text("/etc/passwd") == PASSWD
    for text, gid in (("GROUP=50\n", 50), ("GROUP=wheel\n", 10)):
        node.put("/etc/passwd", PASSWD)
        node.put("/etc/default/useradd", text)
        assert node.do(users, wanted) == [True]
        assert lookup_user(node, "ada") == (1000, gid)
        assert "ada" not in node.text("/etc/group")


def test_last_days(node: Node, step: MakeStep) -> None:
    """B12: expiredate and inactive of a new account; -1 is never, and an existing account keeps its own."""
    node.do(users, step(users={"ada": account(expiredate="2032-09-01", inactive="5"), "bob": account(expiredate="1970-01-11", inactive="-1"), "keeper": {"expiredate": "2032-09-01"}}))
    assert line(node, "/etc/shadow", "ada") == f"ada:$6$s$h:{DAY}::::5:22889:"
    assert line(node, "/etc/shadow", "bob") == f"bob:$6$s$h:{DAY}:::::10:"
    assert line(node, "/etc/shadow", "keeper").endswith(":30:25000:")


def test_every_day_is_counted_as_the_calendar_does() -> None:
    """Leap years and their exceptions; without a library, which a stage in a chroot could not load."""
    first = date(1970, 1, 1)
    for number in range(0, 60000, 7):
        assert users.day((first + timedelta(number)).isoformat()) == number
    for text in ("1970-02-29", "2100-02-29", "2032-00-01", "2032-13-01", "2032-09-31", "2032-9-01", "20320901", "2032-09-01x", "1969-12-31", "2032-09-00", "-032-09-01", "2032/09/01"):
        with pytest.raises(ValueError, match=text):
            users.day(text)


@pytest.mark.parametrize("keys", [{"expiredate": "soon"}, {"expiredate": "2032-13-01"}, {"inactive": "five"}, {"inactive": "\u0665"}, {"plain_text_passwd": "a\nb"}])
def test_days_that_are_none_are_refused(node: Node, step: MakeStep, keys: dict[str, Any]) -> None:
    """With the place of the value, and nothing of the password."""
    [failure] = node.do(users, step(users={"ada": account(**keys)}))
    assert f"users.ada.{next(iter(keys))}" in str(failure)
    assert "a\nb" not in str(failure)
    assert node.text("/etc/passwd") == PASSWD


@pytest.mark.parametrize("password", ["!Summer2024", "$ecret", "*", "$6$a:b", "tangerine"])
def test_a_plain_text_password_is_hashed_whatever_it_begins_with(node: Node, step: MakeStep, password: str) -> None:
    """B12: in a new account and in an existing one, and not again in the second run."""
    wanted = step(users={"ada": {"no_create_home": True, "plain_text_passwd": password}, "keeper": {"plain_text_passwd": password}})
    assert node.do(users, wanted) == [True, True]
    assert all(verify(password, line(node, "/etc/shadow", name).split(":")[1]) for name in ("ada", "keeper"))
    assert node.do(users, wanted) == [False, False]
    assert all(password not in action.describe() + repr(action) for action in users.plan(wanted, Facts()))
