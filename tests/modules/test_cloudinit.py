"""What only the classic keys of a #cloud-config document do: passwords, members of groups, sudo, the ssh server, certificates, /etc/hosts (B12)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.actions.base import Note
from kairos_boot.errors import KairosError
from kairos_boot.facts import Facts
from kairos_boot.modules import cloudinit
from kairos_boot.stages.planning import Planned
from kairos_boot.system.passwords import verify
from tests.modules.account_files import GROUP, PASSWD, SHADOW, line, put_accounts
from tests.modules.web import Reply, Web

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.modules.conftest import MakeStep, Node, Recorder

DAY = str(1_750_000_000 // 86400)
MAIN, DROP_IN, BOOTED = "/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/00-cloud-init.conf", "/run/systemd/system/x"
PEM = "-----BEGIN CERTIFICATE-----\nMIIBtest{}\n-----END CERTIFICATE-----"


@pytest.fixture
def node(host: Node) -> Node:
    """A node with accounts."""
    put_accounts(host)
    return host


@pytest.fixture
def do(node: Node, step: MakeStep) -> Callable[..., list[bool | str]]:
    """Apply the actions of a generated step of these keys: True, False, the text of a warning or of an error, an item each."""

    def run(**keys: Any) -> list[bool | str]:
        results: list[bool | str] = []
        plan = Planned(step(classic=True, **keys), Facts(read=node.read))
        for _, action in plan:
            assert not isinstance(action, KairosError), action
            plan.heard = False
            try:
                shown = action.describe()
                plan.heard = action.apply(node)
                results.append(shown if isinstance(action, Note) else bool(plan.heard))
            except KairosError as error:
                results.append(str(error))
        return results

    return run


def test_passwords_are_set_once(node: Node, do: Callable[..., list[bool | str]]) -> None:
    """A hash as it is, text hashed whatever it begins with; the day of change is today, the other days stay."""
    wanted = [{"name": "keeper", "password": "$6$new$hash"}, {"name": "daemon", "password": "!text", "plain": True}]
    assert do(passwords=wanted) == [True, True]
    assert line(node, "/etc/shadow", "keeper") == f"keeper:$6$new$hash:{DAY}:1:90:7:30:25000:"
    assert verify("!text", line(node, "/etc/shadow", "daemon").split(":")[1])
    before = node.state()
    assert do(passwords=wanted) == [False, False]
    assert node.state() == before


def test_a_password_that_expires_is_asked_for_once(node: Node, do: Callable[..., list[bool | str]]) -> None:
    """A day of change of 0 asks for a new one; a boot that finds the password as it is does not ask again."""
    wanted = [{"name": "keeper", "password": "tangerine", "plain": True, "expire": True}]
    do(passwords=wanted)
    assert line(node, "/etc/shadow", "keeper").split(":")[2] == "0"
    node.put("/etc/shadow", node.text("/etc/shadow").replace(":0:1:90", f":{DAY}:1:90"), 0o640)
    assert do(passwords=wanted) == [False]
    assert line(node, "/etc/shadow", "keeper").split(":")[2] == DAY


def test_a_password_of_nobody_is_an_error_and_the_next_is_set(node: Node, step: MakeStep, do: Callable[..., list[bool | str]]) -> None:
    """No account is made by it, and no text has a password (C5)."""
    wanted = [{"name": "stranger", "password": "tangerine", "plain": True}, {"name": "keeper", "password": "a:b\n"}, {"name": "keeper", "password": "$6$n$h"}]
    missing, odd, done = do(passwords=wanted)
    assert "stranger" in str(missing)
    assert "no account file can hold" in str(odd)
    assert done is True
    assert node.text("/etc/passwd") == PASSWD
    for action in cloudinit.plan_passwords(step(passwords=wanted), Facts()):
        assert "tangerine" not in action.describe() + repr(action)


def test_members_that_do_not_exist_are_named_and_left_out(node: Node, do: Callable[..., list[bool | str]]) -> None:
    """Existing accounts join, listed ones that exist already, too."""
    result = do(users={"ada": {"no_create_home": True}, "keeper": {}}, group_members={"wheel": ("keeper", "stranger", "ada"), "staff": ("nobody-there",)})
    assert [text for text in result if isinstance(text, str)] == [
        "/oem/a.yaml: stages.s[0].group_members.wheel: stranger does not exist and is left out of the group wheel; list the user under `users`",
        "/oem/a.yaml: stages.s[0].group_members.staff: nobody-there does not exist and is left out of the group staff; list the user under `users`"]
    assert line(node, "/etc/group", "wheel") == "wheel:x:10:keeper,ada"
    assert line(node, "/etc/group", "staff") == "staff:x:50:keeper"


@pytest.mark.parametrize(("text", "added"), [
    ("root ALL=(ALL) ALL\n", True), ("root ALL=(ALL) ALL", True), ("@includedir /etc/sudoers.d\n", False), ("#includedir /etc/sudoers.d\n", False), ("#includedir   /etc/sudoers.d", False),
    ("# includedir /etc/sudoers.d\n", True), ("@includedir /etc/sudoers.d.old\n", True), ("", True)])
def test_the_main_file_of_sudo_reads_the_rules(node: Node, do: Callable[..., list[bool | str]], text: str, added: bool) -> None:
    """The line is added where it is missing, once; mode and all else stay."""
    node.put("/etc/sudoers", text, 0o440)
    assert do(sudoers=True) == [added]
    after = node.text("/etc/sudoers")
    assert after.startswith(text)
    assert after.removeprefix(text).strip() == ("@includedir /etc/sudoers.d" if added else "")
    assert node.mode("/etc/sudoers") == 0o440
    assert do(sudoers=True) == [False]


def test_no_main_file_of_sudo_is_made(node: Node, do: Callable[..., list[bool | str]]) -> None:
    """A node without sudo stays one."""
    assert do(sudoers=True) == [False]
    assert not node.exists("/etc/sudoers")


@pytest.mark.parametrize(("text", "after"), [
    ("Port 22\n#PasswordAuthentication no\nPasswordAuthentication yes\nX11Forwarding no\n", "Port 22\n#PasswordAuthentication no\nPasswordAuthentication no\nX11Forwarding no\n"),
    ("Port 22\n", "Port 22\nPasswordAuthentication no\n"), ("Port 22", "Port 22\nPasswordAuthentication no\n"), ("", "PasswordAuthentication no\n"),
    ("Port 22\nMatch User git\n  PasswordAuthentication yes\n", "Port 22\nPasswordAuthentication no\nMatch User git\n  PasswordAuthentication yes\n"),
    ("passwordauthentication=yes\nPasswordAuthentication no\n", "PasswordAuthentication no\nPasswordAuthentication no\n"),
])
def test_the_first_line_of_the_ssh_server_counts(node: Node, do: Callable[..., list[bool | str]], text: str, after: str) -> None:
    """It is changed in its place, or added before what holds for some users only; a second run changes nothing."""
    node.put(MAIN, text, 0o600)
    assert do(ssh_pwauth="no") == [True, False]
    assert node.text(MAIN) == after
    assert node.mode(MAIN) == 0o600
    assert do(ssh_pwauth="no") == [False]


def test_a_server_that_reads_drop_ins_gets_one(node: Node, do: Callable[..., list[bool | str]]) -> None:
    """The first of all; the image's own files stay, and a change of mind changes ours."""
    node.put(MAIN, "Include /etc/ssh/sshd_config.d/*.conf\nPasswordAuthentication yes\n")
    node.put("/etc/ssh/sshd_config.d/50-image.conf", "PasswordAuthentication yes\n")
    for value in ("no", "yes"):
        assert do(ssh_pwauth=value) == [True, False]
        assert node.text(DROP_IN) == f"PasswordAuthentication {value}\n"
        assert node.mode(DROP_IN) == 0o600
        assert do(ssh_pwauth=value) == [False]
    assert node.text(MAIN).endswith("PasswordAuthentication yes\n")
    assert node.text("/etc/ssh/sshd_config.d/50-image.conf") == "PasswordAuthentication yes\n"


def test_a_line_before_the_drop_ins_is_changed(node: Node, do: Callable[..., list[bool | str]]) -> None:
    """A drop-in behind it would have no effect."""
    node.put(MAIN, "PasswordAuthentication yes\nInclude /etc/ssh/sshd_config.d/*.conf\n")
    assert do(ssh_pwauth="no") == [True, False]
    assert node.text(MAIN).startswith("PasswordAuthentication no\n")
    assert not node.exists(DROP_IN)


def test_what_cannot_be_overruled_is_an_error(node: Node, do: Callable[..., list[bool | str]]) -> None:
    """Another file comes first: it is named, and nothing pretends to be set."""
    node.put(MAIN, "Include /etc/ssh/first.conf\nInclude /etc/ssh/sshd_config.d/*.conf\n")
    node.put("/etc/ssh/first.conf", "# x\nPasswordAuthentication yes\n")
    [failure] = do(ssh_pwauth="no")
    assert "/etc/ssh/first.conf:2 sets PasswordAuthentication" in str(failure)
    assert not node.exists(DROP_IN)


def test_a_server_whose_configuration_includes_itself_is_an_error(node: Node, do: Callable[..., list[bool | str]]) -> None:
    """The server does not start with it; the stage goes on all the same."""
    node.put(MAIN, "Include sshd_config.d/*.conf\n")
    node.put("/etc/ssh/sshd_config.d/50-loop.conf", "Include sshd_config.d/*.conf\nInclude sshd_config.d/*.conf\n")
    [failure] = do(ssh_pwauth="no")
    assert "does a file include itself?" in str(failure)


def test_a_vendors_configuration_stays(node: Node, do: Callable[..., list[bool | str]]) -> None:
    """It reads the drop-ins of /etc."""
    node.put("/usr/etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\n")
    assert do(ssh_pwauth="no") == [True, False]
    assert node.text(DROP_IN) == "PasswordAuthentication no\n"
    assert not node.exists(MAIN)


def test_a_node_without_a_server_says_so(node: Node, do: Callable[..., list[bool | str]]) -> None:
    """Nothing silent."""
    [note] = do(ssh_pwauth="no")
    assert "no ssh server" in str(note)
    assert not node.exists("/etc/ssh")


def test_a_running_server_is_told_and_not_waited_for(node: Node, recorder: Recorder, do: Callable[..., list[bool | str]]) -> None:
    """C11: the job may be ordered behind the stage's own unit. A pattern names what runs, so nothing fails where it has another name."""
    node.put(BOOTED)
    node.put(MAIN, "")
    assert do(ssh_pwauth="no") == [True, True]
    assert recorder.argvs == [("systemctl", "--no-block", "try-reload-or-restart", "ss[h].service", "ssh[d].service")]
    assert do(ssh_pwauth="no") == [False]
    assert len(recorder.argvs) == 1


@pytest.mark.parametrize(("old", "new"), [
    (None, "127.0.0.1 localhost\n127.0.1.1 q.lab q\n::1 localhost ip6-localhost ip6-loopback\n"), ("", "127.0.1.1 q.lab q\n"),
    ("127.0.0.1 localhost\n::1 localhost\n", "127.0.0.1 localhost\n127.0.1.1 q.lab q\n::1 localhost\n"),
    ("127.0.0.1 localhost\n127.0.1.1\told # mine\n10.0.0.1 db\n", "127.0.0.1 localhost\n127.0.1.1 q.lab q\n10.0.0.1 db\n"),
    ("# 127.0.1.1 x\n127.0.0.1 localhost", "# 127.0.1.1 x\n127.0.0.1 localhost\n127.0.1.1 q.lab q\n"), ("127.0.1.1  q.lab   q # set by hand\n", "127.0.1.1  q.lab   q # set by hand\n"),
])
def test_the_names_of_the_node_in_the_hosts(node: Node, do: Callable[..., list[bool | str]], old: str | None, new: str) -> None:
    """One line of 127.0.1.1, full name first; what else is there stays."""
    if old is not None:
        node.put("/etc/hosts", old)
    assert do(etc_hosts={"hostname": "q", "fqdn": "q.lab"}) == [old != new]
    assert node.text("/etc/hosts") == new
    assert do(etc_hosts={"hostname": "q", "fqdn": "q.lab"}) == [False]


@pytest.mark.parametrize(("names", "shown"), [({"hostname": "q.lab"}, "q.lab q"), ({"hostname": "q"}, "q"), ({}, "there.lab there"), ({"fqdn": "f.lab"}, "f.lab there")])
def test_names_that_are_not_given_are_the_nodes(node: Node, do: Callable[..., list[bool | str]], names: dict[str, str], shown: str) -> None:
    node.put("/etc/hostname", "there.lab\n")
    node.put("/etc/hosts", "")
    assert do(etc_hosts=names) == [True]
    assert node.text("/etc/hosts") == f"127.0.1.1 {shown}\n"


def test_a_node_without_a_name_is_an_error(node: Node, do: Callable[..., list[bool | str]]) -> None:
    [failure] = do(etc_hosts={})
    assert "no name for /etc/hosts" in str(failure)


STORES = [("/usr/local/share/ca-certificates", "/usr/sbin/update-ca-certificates", "/etc/ssl/certs/ca-certificates.crt", ("/usr/sbin/update-ca-certificates",)),
          ("/etc/pki/ca-trust/source/anchors", "/usr/bin/update-ca-trust", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", ("/usr/bin/update-ca-trust", "extract")),
          ("/etc/pki/trust/anchors", "/usr/sbin/update-ca-certificates", "/var/lib/ca-certificates/ca-bundle.pem", ("/usr/sbin/update-ca-certificates",))]


@pytest.mark.parametrize(("directory", "tool", "store", "argv"), STORES)
def test_certificates_where_the_distribution_keeps_them(node: Node, recorder: Recorder, do: Callable[..., list[bool | str]], directory: str, tool: str, store: str, argv: tuple[str, ...]) -> None:
    """Files, then the store; nothing where the store has them, and again where a boot has brought the image's store back."""
    node.put(tool)
    if "local" not in directory:
        os.makedirs(node.root + directory)
    wanted = {"trusted": (PEM.format(1), PEM.format(2))}
    assert do(ca_certs=wanted) == [True]
    assert recorder.argvs == [argv]
    assert node.text(f"{directory}/cloud-init-ca-cert-2.crt") == PEM.format(2) + "\n"
    node.put(store, "x\n" + PEM.format(1) + "\n" + PEM.format(2) + "\n")
    assert do(ca_certs=wanted) == [False]
    node.put(store, "x\n" + PEM.format(1) + "\n")
    assert do(ca_certs=wanted) == [True]
    assert recorder.argvs == [argv, argv]


def test_certificates_without_a_tool_change_nothing(node: Node, do: Callable[..., list[bool | str]]) -> None:
    """C9: it is looked for first."""
    [failure] = do(ca_certs={"trusted": (PEM,)})
    assert "nothing to make a store" in str(failure)
    assert not node.exists("/usr/local/share/ca-certificates")
    node.put("/usr/sbin/update-ca-certificates")
    [failure] = do(ca_certs={"trusted": ("tangerine",)})
    assert "not in PEM form" in str(failure)
    [failure] = do(ca_certs={"trusted": (PEM,), "remove_defaults": True})
    assert "/etc/ca-certificates.conf" in str(failure)
    assert not node.exists("/usr/local/share/ca-certificates")


def test_the_systems_certificates_are_taken_out(node: Node, recorder: Recorder, do: Callable[..., list[bool | str]]) -> None:
    node.put("/usr/sbin/update-ca-certificates")
    node.put("/etc/ca-certificates.conf", "# list\nmozilla/A.crt\n!mozilla/B.crt\n")
    node.put("/etc/ssl/certs/ca-certificates.crt", "")
    assert do(ca_certs={"remove_defaults": True}) == [True]
    assert node.text("/etc/ca-certificates.conf") == "# list\n!mozilla/A.crt\n!mozilla/B.crt\n"
    assert recorder.argvs == [("/usr/sbin/update-ca-certificates", "--fresh")]
    assert do(ca_certs={"remove_defaults": True}) == [False]


def test_a_file_has_its_content_where_no_server_answers(node: Node, do: Callable[..., list[bool | str]]) -> None:
    """Source before content; the failure is told, a file without content stays as it is, and appending keeps what is there."""
    node.put("/srv/a", "mine\n")
    web = Web({"/there": Reply(b"fetched\n")})
    try:
        file = {"url": web.url("/gone?token=tangerine"), "path": "/srv/a"}
        there = {"url": web.url("/there"), "path": "/srv/c", "content": "x"}
        first, second, third, *rest = do(fetched_files=[
            {**file, "append": True}, {**file, "append": True, "content": "x\n"}, {**file, "path": "/srv/new/b", "content": "eA==", "encoding": "b64", "permissions": 0o600},
            there, there, {**there, "path": "/srv/a", "append": True}, {**there, "path": "/srv/a", "append": True}, {**there, "path": "/srv/", "content": None}])
    finally:
        web.close()
    assert "`content`" not in str(first)
    assert "has its `content` instead" in str(second)
    assert "has its `content` instead" in str(third)
    assert "tangerine" not in f"{first}{second}{third}"
    assert rest[:4] == [True, False, True, False]
    assert "path of a file" in str(rest[4])
    assert (node.text("/srv/a"), node.text("/srv/c")) == ("mine\nx\nfetched\n", "fetched\n")
    assert (node.text("/srv/new/b"), node.mode("/srv/new"), node.mode("/srv/new/b")) == ("x", 0o755, 0o600)


def test_accounts_files_are_the_rest_as_they_were(node: Node, do: Callable[..., list[bool | str]]) -> None:
    """None of it touches a line that it does not name."""
    do(passwords=[{"name": "keeper", "password": "$6$n$h"}], group_members={"wheel": ("keeper",)})
    assert node.text("/etc/passwd") == PASSWD
    assert node.text("/etc/group") == GROUP.replace("wheel:x:10:", "wheel:x:10:keeper")
    assert node.text("/etc/shadow") == SHADOW.replace("$6$keepkeep$notarealhash:19000", f"$6$n$h:{DAY}")


def test_nothing_is_said_of_a_node_where_there_is_none(step: MakeStep) -> None:
    """`validate` plans without a node: who and what is on it cannot be missing."""
    wanted = step(classic=True, etc_hosts={}, ssh_pwauth="no", group_members={"wheel": ("stranger",)}, ca_certs={"trusted": (PEM,)})
    assert [type(action).__name__ for _, action in Planned(wanted, Facts())] == ["EnsureEntity", "TrustCertificates", "ServerSetting", "ReloadServer"]
