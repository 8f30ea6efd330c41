"""#cloud-config documents (docs/compatibility.md; B8, B9, B11, B12)."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from kairos_boot.cloudconfig.classic import quote
from kairos_boot.cloudconfig.cloudinit import _Classic
from kairos_boot.cloudconfig.decode import decode, has_header
from kairos_boot.cloudconfig.model import Document, Step
from kairos_boot.cloudconfig.roots import CLASSIC
from kairos_boot.cloudconfig.typed import Decoder


def load(text: str) -> Document:
    return decode(("#cloud-config\n" + text).encode(), "/d.yaml")


def good(text: str) -> Document:
    """A document that must be read without a word."""
    document = load(text)
    assert [str(p) for p in document.problems] == []
    return document


def boot(text: str) -> Step:
    """The generated step of boot."""
    return good(text).steps("boot")[0]


def network(text: str) -> Step:
    return good(text).steps("network")[0]


def problems(text: str) -> list[tuple[str, str]]:
    """Severity and LINE:COLUMN of all that is said of a document; lines count without the header."""
    found = []
    for problem in load(text).problems:
        line, column = problem.where.split(": ")[0].split(":")[1:3]
        found.append((problem.severity, f"{int(line) - 1}:{column}"))
    return found


@pytest.mark.parametrize(("text", "found"), [
    ("#cloud-config\n", True), ("#cloud-config", True), ("#cloud-config  \t\r\n", True), ("## template: jinja\n\n# a\n  \n#!/bin/x\n#cloud-config\n", True),
    ("\n" * 8 + "#cloud-config\nx: y\n", True), ("\n" * 9 + "#cloud-config", True), ("\n" * 9 + "#cloud-config\nx: y\n", False), (" #cloud-config\n", False),
    ("\ufeff#cloud-config\r\n", True), ("\ufeff# x\r\n#cloud-config\r\n", True), ("---\n#cloud-config\n", False), ("#Cloud-Config\n", False), ("# cloud-config\n", False), ("#cloud-config-archive\n", False),
    ("name: x\n#cloud-config\n", False), ("", False),
])
def test_the_header(text: str, found: bool) -> None:
    assert has_header(text.encode()) is found


def test_every_classic_key_has_its_reader() -> None:
    assert set(_Classic(Decoder("/d"), None).readers) == CLASSIC


def test_three_stages_always_have_a_generated_step() -> None:
    document = good("")
    assert {s: len(document.steps(s)) for s in document.stages} == {"boot": 1, "initramfs": 1, "network": 1}
    assert all(step.classic and step.keys == () for s in document.stages for step in document.steps(s))


def test_a_document_of_upstreams_suite() -> None:
    """The example of yip's own tests: each key in its stage."""
    document = good("""growpart: {devices: ['/']}
stages: {test: [{environment: {foo: bar}}], boot: [{name: mine}]}
ssh_authorized_keys: [key-all]
name: Ignored
users:
- {name: bar, uid: 1002, passwd: foo, lock_passwd: true, groups: [users], ssh_authorized_keys: [key-own]}
runcmd: [foo]
hostname: bar
write_files: [{encoding: b64, content: CiMg, path: /foo/bar, permissions: "0644", owner: bar}]
""")
    assert document.name == "/d.yaml"
    assert list(document.stages) == ["boot", "initramfs", "network", "test"]
    step, grow, mine = document.steps("boot")
    user = step.users["bar"]
    assert (user.uid, user.passwd, user.lock_passwd, user.groups) == ("1002", "foo", True, ("users",))
    assert user.ssh_authorized_keys == ()
    assert dict(step.authorized_keys) == {"bar": ("key-own", "key-all")}
    file = step.files[0]
    assert (file.path, file.permissions, file.ownerstring, file.encoding, file.content) == ("/foo/bar", 0o644, "bar", "b64", "CiMg")
    assert (step.commands, step.hostname, step.classic) == (("foo",), "", True)
    assert grow.layout.device is not None
    assert grow.layout.expand_partition is not None
    assert (grow.layout.device.path, grow.layout.expand_partition.size) == ("/", 0)
    assert (mine.name, mine.classic) == ("mine", False)
    assert document.steps("initramfs")[0].hostname == "bar"
    assert dict(document.steps("test")[0].environment) == {"foo": "bar"}


def test_values_know_their_place() -> None:
    document = good("users:\n- name: ada\n  groups: [a]\n  hashed_passwd: x\nssh_authorized_keys:\n- k\nwrite_files:\n- path: /f\n  owner: u\nruncmd:\n- a\n- [b]\nhostname: h\n")
    [step] = document.steps("boot")
    assert step.where("users", "ada", "groups").startswith("/d.yaml:4:11: ")
    assert step.where("users", "ada", "passwd").startswith("/d.yaml:5:18: ")
    assert step.where("authorized_keys", "ada", 0).startswith("/d.yaml:7:3: ")
    assert step.where("files", 0, "ownerstring").startswith("/d.yaml:10:10: ")
    assert step.where("commands", 1).startswith("/d.yaml:13:3: ")
    assert document.steps("initramfs")[0].where("hostname").startswith("/d.yaml:14:11: ")


@pytest.mark.parametrize("words", [["ls", "-l"], ["sh", "-c", 'echo "$1" `x` $(y)', "a;b"], ["printf", "%s", "it's", ""], ["echo", "ü", "a\nb", "~", "*"]])
def test_a_command_as_a_list_passes_a_shell_unchanged(words: list[str]) -> None:
    assert shlex.split(" ".join(map(quote, words))) == words
    shown = subprocess.run(["/bin/sh", "-c", f"for w in {' '.join(map(quote, words))}; do printf '%s|' \"$w\"; done"], capture_output=True, text=True, check=True)
    assert shown.stdout == "".join(w + "|" for w in words)


def test_runcmd_and_bootcmd() -> None:
    """B9: bootcmd belongs to boot.before; numbers are words, nulls vanish."""
    document = good("runcmd: [echo a, ~, [echo, 1, 'b c']]\nbootcmd:\n- [touch, /run/x y]\n- date\n")
    assert document.steps("boot")[0].commands == ("echo a", "echo 1 'b c'")
    assert document.steps("boot.before")[0].commands == ("touch '/run/x y'", "date")
    assert "boot.before" not in good("runcmd: [x]\n").stages


@pytest.mark.parametrize("text", ["runcmd: echo\n", "runcmd: [{a: b}]\n", "runcmd: [[[a]]]\n", "bootcmd: {a: b}\n", "users: [[a]]\n", "users: [{uid: 5}]\n", "hostname: [a]\n", "write_files: {path: /a}\n",
                                  "write_files: [{content: x}]\n", "groups: 5:\n", "growpart: on\n", "ntp: x\n", "packages: vim\n", "ssh_authorized_keys: {a: b}\n", "- a\n", "text\n"])
def test_a_classic_value_of_the_wrong_kind_costs_the_document(text: str) -> None:
    document = load(text)
    assert document.broken
    assert not document.stages


@pytest.mark.parametrize(("written", "mode"), [('"0640"', 0o640), ("0640", 0o640), ("640", 0o640), ('"755"', 0o755), ("'0o600'", 0o600), ("'1777'", 0o1777), ("~", None), ("''", None)])
def test_permissions_are_octal_text(written: str, mode: int | None) -> None:
    assert boot(f"write_files: [{{path: /a, permissions: {written}}}]\n").files[0].permissions == mode


@pytest.mark.parametrize("written", ["0888", "rwx", "'0_644'", "-1", "777777", "'0x1ff'"])
def test_permissions_that_are_no_octal_text_cost_the_document(written: str) -> None:
    assert problems(f"write_files: [{{path: /a, permissions: {written}}}]\n") == [("error", "1:39")]


def test_the_other_keys_of_a_file() -> None:
    """Append and defer as cloud-init documents them; a source is fetched when the network is there; legacy files come last."""
    document = good("""milpa_files: [{path: /old}]
write_files:
- {path: /a, content: x, append: true}
- {path: /b, defer: yes, owner: 'u:g'}
- {path: /c, permissions: '0600', source: {uri: 'https://h/c'}}
""")
    [step] = document.steps("boot")
    assert [(f.path, f.append, f.defer, f.ownerstring) for f in step.files] == [("/a", True, False, ""), ("/b", False, True, "u:g"), ("/old", False, False, "")]
    assert step.keys == ("files", "deferred_files")
    [download] = document.steps("network")[0].downloads
    assert (download.path, download.url, download.permissions) == ("/c", "https://h/c", 0o600)


def test_users_in_every_form() -> None:
    assert list(boot("users: [ada, {name: bob}, 'cyd, dan']\n").users) == ["ada", "bob", "cyd", "dan"]
    assert list(boot("users: 'ada, bob'\n").users) == ["ada", "bob"]
    assert list(boot("users: {ada: {uid: 7}, bob: ~}\n").users) == ["ada", "bob"]
    assert boot("users: [{name: ada, uid: 1}, {name: ada, uid: 2}]\n").users["ada"].uid == "2"


@pytest.mark.parametrize(("written", "groups"), [("[a, b]", ("a", "b")), ("'a, b'", ("a", "b")), ("wheel", ("wheel",)), ("{a: ~, b: ~}", ("a", "b")), ("[]", ()), ("~", ())])
def test_groups_of_a_user(written: str, groups: tuple[str, ...]) -> None:
    """B12: missing groups are made unless create_groups is false."""
    user = boot(f"users: [{{name: ada, groups: {written}}}]\n").users["ada"]
    assert (user.groups, user.create_groups) == (groups, True)
    assert boot("users: [{name: ada, create_groups: false}]\n").users["ada"].create_groups is False


def test_passwords() -> None:
    users = boot("users: [{name: a, passwd: p}, {name: b, plain_text_passwd: q}, {name: c, hashed_passwd: $6$x, plain_text_passwd: q, passwd: p}, {name: d}]\n").users
    assert {n: (u.passwd, u.plain_text_passwd) for n, u in users.items()} == {"a": ("p", ""), "b": ("", "q"), "c": ("$6$x", ""), "d": ("", "")}


def test_sudo_rules_are_files_of_their_own() -> None:
    step = boot("users:\n- {name: a.b, sudo: 'ALL=(ALL) NOPASSWD:ALL'}\n- {name: bob, sudo: ['ALL=(root) /bin/ls', 'ALL=(root) /bin/id']}\n- {name: c, sudo: false}\n- {name: d, sudo: ~}\n")
    assert [(f.path, f.permissions, f.content) for f in step.files] == [
        ("/etc/sudoers.d/90-cloud-init-a=2eb", 0o440, "a.b ALL=(ALL) NOPASSWD:ALL\n"),
        ("/etc/sudoers.d/90-cloud-init-bob", 0o440, "bob ALL=(root) /bin/ls\nbob ALL=(root) /bin/id\n")]
    assert problems("users: [{name: a, sudo: true}]\n")[0][0] == "error"
    assert problems('users: [{name: a, sudo: "ALL\\nroot2 ALL=ALL"}]\n')[0][0] == "error"


def test_keys_that_are_fetched_belong_to_network() -> None:
    """Own and global keys together, without a repeated one; ssh_import_id as cloud-init spells it."""
    document = good("ssh_authorized_keys: ['github:all', own]\nusers:\n- {name: ada, ssh_authorized_keys: [own, 'gitlab:ada', 'https://h/k'], ssh_import_id: ['gh:x', 'lp:y', z]}\n- {name: bob}\n")
    assert dict(document.steps("boot")[0].authorized_keys) == {"ada": ("own",), "bob": ("own",)}
    assert dict(document.steps("network")[0].authorized_keys) == {
        "ada": ("gitlab:ada", "https://h/k", "github:x", "https://launchpad.net/~y/+sshkeys", "https://launchpad.net/~z/+sshkeys", "github:all"), "bob": ("github:all",)}


def test_keys_without_users_are_roots() -> None:
    assert dict(boot("ssh_authorized_keys: [k]\n").authorized_keys) == {"root": ("k",)}
    assert dict(boot("users: [{name: ada}]\nssh_authorized_keys: [k]\n").authorized_keys) == {"ada": ("k",)}


@pytest.mark.parametrize("written", ["[cloud-users, {staff: [ada, keeper]}]", "{cloud-users: ~, staff: 'ada, keeper'}"])
def test_groups_are_made_and_filled(written: str) -> None:
    """The groups first, their members when the users were made."""
    step = boot(f"groups: {written}\nusers: [{{name: ada, groups: [x]}}]\n")
    assert [e.entity for e in step.ensure_entities] == [
        'kind: group\ngroup_name: "cloud-users"\npassword: x\ngid: -1\n', 'kind: group\ngroup_name: "staff"\npassword: x\ngid: -1\n']
    assert dict(step.group_members) == {"staff": ("ada", "keeper")}
    assert len(boot("groups: 'a, b'\n").ensure_entities) == 2


@pytest.mark.parametrize("name", ["'a b'", "'a:b'", "-x", "'{{.x}}'", "''", "'a\"b'"])
def test_names_that_no_group_file_can_hold_cost_the_document(name: str) -> None:
    assert load(f"groups: [{{{name}: []}}]\n").broken


def test_a_fully_qualified_name() -> None:
    assert good("fqdn: quince.lab.example\n").steps("initramfs")[0].hostname == "quince"
    assert good("fqdn: a.b\nhostname: h.i\n").steps("initramfs")[0].hostname == "h.i"


def test_growpart() -> None:
    devices = "devices: [/dev/vda1, /dev/vdb]"
    assert [s.layout.device.path for s in good(f"growpart: {{mode: auto, {devices}}}\n").steps("boot")[1:] if s.layout.device] == ["/dev/vda1", "/dev/vdb"]
    for off in ("off", "'off'", "false"):
        assert len(good(f"growpart: {{mode: {off}, {devices}}}\n").steps("boot")) == 1
    assert len(good("growpart: {mode: auto}\n").steps("boot")) == 1


def test_a_blank_disk_gets_one_partition() -> None:
    """B8: disk_setup and fs_setup where they make sense; a disk that holds anything is left alone."""
    document = good("""disk_setup: {/dev/vdb: {table_type: gpt, layout: true, overwrite: false}, /dev/vdc: {layout: [100]}, /dev/vdd: {layout: no}}
fs_setup: [{device: /dev/vdb, partition: auto, filesystem: xfs, label: data}, {device: /dev/vdc1}]
growpart: {devices: [/dev/vda]}
""")
    first, second, grow = document.steps("boot")[1:]
    assert first.layout.device is not None
    assert (first.layout.device.path, first.layout.device.init_disk) == ("/dev/vdb", True)
    assert [(p.fsLabel, p.pLabel, p.filesystem, p.size) for p in first.layout.add_partitions] == [("data", "data", "xfs", 0)]
    assert [(p.fsLabel, p.filesystem) for p in second.layout.add_partitions] == [("", "ext4")]
    assert "blkid -p /dev/vdb" in first.if_
    assert subprocess.run(["/bin/sh", "-n", "-c", first.if_], check=False).returncode == 0
    assert grow.layout.expand_partition is not None


@pytest.mark.parametrize("text", ["disk_setup: {ephemeral0: {layout: true}}\n", "disk_setup: {/dev/vdb: {layout: [33, [33, 82]]}}\n", "disk_setup: {/dev/vdb: {table_type: mbr}}\n",
                                  "disk_setup: {/dev/vdb: {overwrite: true}}\n", "fs_setup: [{device: /dev/vdb, filesystem: ext4}]\n", "disk_setup: {/dev/vdb: {layout: remove}}\n"])
def test_what_disks_ask_for_beyond_that_is_named(text: str) -> None:
    assert [severity for severity, _ in problems(text)] == ["advice"]
    assert len(load(text).steps("boot")) == 1


def test_ntp() -> None:
    """B9: timesyncd of boot."""
    assert dict(boot("ntp: {enabled: true, ntp_client: systemd-timesyncd, servers: [a, b], pools: [c, a]}\n").timesyncd) == {"NTP": "a b c"}
    assert boot("ntp: {enabled: false, servers: [a]}\n").keys == ()
    assert boot("ntp:\n").keys == ()
    assert problems("ntp:\n  ntp_client: chrony\n  server: [a]\n") == [("advice", "2:3"), ("warning", "3:3")]


def test_packages() -> None:
    """B9: network."""
    step = network("package_update: true\npackage_upgrade: yes\npackages: [vim, [libx, 1.2-3], {apt: [curl, [jq, '1.6']]}]\n")
    assert (step.packages.install, step.packages.refresh, step.packages.upgrade) == (("vim", "libx=1.2-3", "curl", "jq=1.6"), True, True)
    assert problems("packages:\n- {snap: [x]}\n") == [("advice", "2:4")]
    assert network("package_update: false\npackages: []\n").keys == ()


def test_timezone() -> None:
    """It is linked before the other commands, and a second run finds it as it is."""
    first, second = boot("runcmd: [x]\ntimezone: Europe/Rome\n").commands
    assert "/usr/share/zoneinfo/Europe/Rome" in first
    assert "readlink" in first
    assert second == "x"
    assert subprocess.run(["/bin/sh", "-n", "-c", first], check=False).returncode == 0
    for wrong in ("../etc/shadow", "a;b", "/etc/x", "'$(x)'", "''"):
        assert load(f"timezone: {wrong}\n").broken


@pytest.mark.parametrize("key", ["mounts", "swap", "power_state", "locale", "password", "apt", "snap", "final_message"])
def test_keys_of_cloud_init_that_are_not_supported_are_named(key: str) -> None:
    """B9, B12: advice, so that warnings alone keep exit code 0."""
    document = load(f"{key}: {{a: [b]}}\nruncmd: [x]\n")
    [problem] = document.problems
    assert problem.severity == "advice"
    assert key in problem.message
    assert problem.hint
    assert document.steps("boot")[0].commands == ("x",)


def test_misspelt_keys_are_warned_of() -> None:
    """B8: with what was probably meant; in a user and a file, too."""
    document = load("run_cmd: [x]\nusers: [{name: a, ssh_authorised_keys: [k], shel: x}]\nwrite_files: [{path: /a, contents: x}]\ninstall: {auto: true}\nx-mine: 1\n")
    assert [(p.severity, p.hint.split("'")[1]) for p in document.problems] == [("warning", "runcmd"), ("warning", "ssh_authorized_keys"), ("warning", "shell"), ("warning", "content")]


def test_the_default_user_is_a_named_warning() -> None:
    document = load("users: [default, {name: ada, selinux_user: x}]\n")
    assert [p.severity for p in document.problems] == ["advice", "advice"]
    assert "default" in document.problems[0].message
    assert list(document.steps("boot")[0].users) == ["ada"]


def test_jinja_is_not_rendered_and_says_so() -> None:
    document = decode(b"## template: jinja\n#cloud-config\nruncmd: ['{{ v1.x }}']\n", "/d.yaml")
    assert [(p.severity, p.where) for p in document.problems] == [("advice", "/d.yaml:1:1")]
    assert document.steps("boot")[0].commands == ("{{ v1.x }}",)


def test_wrong_stages_cost_the_stages_only() -> None:
    """B9: the classic half still applies, and the error is there."""
    document = load("hostname: h\nstages:\n  s:\n  - commands: x\n  t: [{name: y}]\n")
    assert not document.broken
    assert [(p.severity, p.where) for p in document.problems] == [("error", "/d.yaml:5:15: stages.s[0].commands")]
    assert document.steps("initramfs")[0].hostname == "h"
    assert document.steps("t") == ()


def test_wrong_classic_keys_cost_the_document() -> None:
    assert problems("hostname: [a]\nstages: {s: [{name: x}]}\n") == [("error", "1:11")]


def test_a_key_twice_costs_the_document() -> None:
    assert problems("hostname: a\nhostname: b\n") == [("error", "2:1")]
    assert problems("users: [{name: a, uid: 1, uid: 2}]\n") == [("error", "1:27")]


def test_anchors_and_merges_work_in_the_classic_half() -> None:
    step = boot("x-u: &u {shell: /bin/sh, groups: [g]}\nusers: [{<<: *u, name: ada}, {name: bob, <<: *u, shell: /bin/ash}]\n")
    assert [(u.shell, u.groups) for u in step.users.values()] == [("/bin/sh", ("g",)), ("/bin/ash", ("g",))]


def test_secrets_are_in_no_message() -> None:
    """C5."""
    document = load('users: [{name: ada, plain_text_passwd: [tangerine], sudo: "tangerine\\nx"}]\nwrite_files: [{path: /a, content: [tangerine]}]\npassword: tangerine\n')
    assert "tangerine" not in " ".join(str(p) for p in document.problems)


def test_a_user_of_the_snap_store_is_named_and_costs_nobody_else() -> None:
    """The manual's example of users ends with one."""
    text = "users:\n- {name: foo}\n- snapuser: joe@joeuser.io\n"
    assert problems(text) == [("advice", "3:3")]
    assert list(load(text).steps("boot")[0].users) == ["foo"]


def test_a_user_without_any_name_is_an_error_of_the_document() -> None:
    assert problems("users:\n- {gecos: Nobody}\n") == [("error", "2:3")]


WRONG_KINDS: dict[str, tuple[str, ...]] = {
    "hostname": ("[a]", "{a: b}"), "fqdn": ("[a]", "{a: b}"), "users": ("5", "true", "1.5", "[5]", "[true]", "[[a]]", "[{name: [a]}]"),
    "groups": ("5", "false", "[5]", "[[a]]", "{a: 5}", "[{a: [5]}]", "{a: {b: c}}"), "ssh_authorized_keys": ("5", "true", "[5]", "{a: b}", "[[a]]"),
    "write_files": ("5", "x", "{path: /a}", "[x]", "[[a]]", "[{path: [a]}]", "[{path: /a, source: x}]", "[{path: /a, source: {uri: [a]}}]", "[{path: /a, content: {a: b}}]",
                    "[{path: /a, append: 5}]", "[{path: /a, defer: maybe}]", "[{path: /a, owner: [a]}]", "[{path: /a, encoding: [a]}]", "[{path: /a, permissions: [a]}]"),
    "milpa_files": ("5", "{path: /a}"), "runcmd": ("5", "x", "{a: b}", "[{a: b}]", "[[[a]]]"), "bootcmd": ("5", "x", "{a: b}", "[{a: b}]"),
    "timezone": ("5", "true", "[a]", "{a: b}"), "ntp": ("5", "[a]", "{servers: a}", "{servers: {a: b}}", "{enabled: 5}", "{pools: 5}"), "packages": ("5", "vim", "{a: b}", "[[[a]]]", "[{apt: x}]"),
    "package_update": ("5", "maybe", "[a]", "{a: b}"), "package_upgrade": ("5", "[a]"), "growpart": ("5", "on", "[a]", "{devices: a}"), "disk_setup": ("5", "[a]", "{/dev/vdb: 5}"),
    "fs_setup": ("5", "{a: b}", "[x]"), "prefer_fqdn_over_hostname": ("5", "[a]"), "preserve_hostname": ("5", "{a: b}"), "manage_etc_hosts": ("5", "maybe", "[a]", "{a: b}"),
    "chpasswd": ("5", "x", "[a]", "{expire: 5}", "{list: {a: b}}", "{list: x}", "{list: [x]}", "{list: [[a]]}", "{users: x}", "{users: [x]}", "{users: [{name: a}]}", "{users: [{password: b}]}",
                 "{users: [{name: [a], password: b}]}", "{users: [{name: a, password: [b]}]}", "{users: [{name: a, password: b, type: plain}]}"),
    "ssh_pwauth": ("5", "maybe", "[a]", "{a: b}"), "disable_root": ("5", "maybe", "[a]"), "disable_root_opts": ("[a]", "{a: b}"),
    "ca_certs": ("5", "x", "[a]", "{trusted: {a: b}}", "{trusted: [[a]]}", "{remove_defaults: 5}"), "ca-certs": ("5", "{trusted: {a: b}}"),
}


def test_every_classic_key_is_in_the_table_of_wrong_kinds() -> None:
    assert set(WRONG_KINDS) == CLASSIC


@pytest.mark.parametrize(("key", "written"), [(key, written) for key, kinds in WRONG_KINDS.items() for written in kinds])
def test_a_wrong_kind_is_an_error_with_its_place(key: str, written: str) -> None:
    """Of every classic key: in `validate` and in a run alike, whatever the stage, and nothing of the document is done."""
    document = load(f"runcmd: [x]\n{key}: {written}\n" if key != "runcmd" else f"\n{key}: {written}\n")
    assert document.broken
    assert not document.stages
    errors = [p for p in document.problems if p.severity == "error"]
    assert errors
    assert all(p.where.startswith("/d.yaml:3:") and p.message for p in errors)


USER_KINDS = ("gecos: [a]", "homedir: {a: b}", "shell: [a]", "uid: [5]", "primary_group: [a]", "passwd: {a: b}", "plain_text_passwd: [a]", "hashed_passwd: [a]", "expiredate: [a]", "inactive: [5]",
              "lock_passwd: 5", "no_create_home: maybe", "system: [a]", "no_user_group: 5", "create_groups: x", "no_log_init: 5", "groups: 5", "groups: [5]", "ssh_authorized_keys: 5",
              "ssh_authorized_keys: {a: b}", "ssh_import_id: 5", "sudo: true", "sudo: 5", "sudo: {a: b}", "sudo: [5]")


@pytest.mark.parametrize("written", USER_KINDS)
def test_a_wrong_kind_in_a_user_is_an_error_with_its_place(written: str) -> None:
    assert {severity for severity, place in problems(f"users:\n- {{name: ada, {written}}}\n") if place.startswith("2:")} == {"error"}


def test_a_document_of_windows() -> None:
    """A byte order mark and Windows' line ends, also in block text; the utf-16 of its shell, too."""
    text = "#cloud-config\r\nruncmd:\r\n- |\r\n  echo a\r\n  echo b\r\nwrite_files:\r\n- path: /a\r\n  content: |\r\n    x\r\n"
    for data in (b"\xef\xbb\xbf" + text.encode(), text.encode("utf-16")):
        document = decode(data, "/d.yaml")
        assert document.problems == ()
        [step] = document.steps("boot")
        assert (step.commands, step.files[0].content) == (("echo a\necho b\n",), "x\n")


@pytest.mark.parametrize(("written", "name"), [
    ("hostname: q\nfqdn: q.lab\nprefer_fqdn_over_hostname: true", "q.lab"), ("hostname: q\nfqdn: q.lab\nprefer_fqdn_over_hostname: false", "q"), ("hostname: q\nprefer_fqdn_over_hostname: true", "q"),
    ("fqdn: q.lab\nprefer_fqdn_over_hostname: true", "q.lab"), ("hostname: q\npreserve_hostname: true", ""), ("hostname: q\npreserve_hostname: false", "q"), ("fqdn: q.lab\npreserve_hostname: true", ""),
])
def test_which_name_the_node_gets(written: str, name: str) -> None:
    """B12."""
    assert good(written + "\n").steps("initramfs")[0].hostname == name


@pytest.mark.parametrize(("written", "names"), [
    ("true", ("q", "q.lab")), ("localhost", ("q", "q.lab")), ("template", ("q", "q.lab")), ("yes", ("q", "q.lab")), ("false", None), ("off", None), ("~", None),
])
def test_whether_the_names_stand_in_the_hosts(written: str, names: tuple[str, str] | None) -> None:
    [step] = good(f"hostname: q\nfqdn: q.lab\nmanage_etc_hosts: {written}\n").steps("initramfs")
    assert ("etc_hosts" in step.keys) is (names is not None)
    assert (step.etc_hosts.hostname, step.etc_hosts.fqdn) == (names or ("", ""))


def test_the_hosts_of_a_node_that_keeps_its_name() -> None:
    [step] = good("hostname: q\npreserve_hostname: true\nmanage_etc_hosts: true\n").steps("initramfs")
    assert "etc_hosts" in step.keys
    assert step.etc_hosts.hostname == ""


def test_passwords_of_accounts() -> None:
    """A hash by default, text as text; only text expires; random ones are named, and what chpasswd says wins over `users`."""
    step = boot("users: [{name: ada, passwd: old, uid: 7}]\nchpasswd: {users: [{name: ada, password: $6$a$b}, {name: bob, password: '!x', type: text}]}\n")
    assert [(p.name, p.password, p.plain, p.expire) for p in step.passwords] == [("ada", "$6$a$b", False, False), ("bob", "!x", True, True)]
    assert (step.users["ada"].passwd, step.users["ada"].uid) == ("", "7")
    assert step.where("passwords", 1).startswith("/d.yaml:3:")
    lines = boot("chpasswd:\n  expire: false\n  list: |\n    ada:tangerine:x\n    bob:$6$salt$hash\n    cyd:$6$nohash\n    dan:$y$j9T$salt$hash\n")
    assert [(p.name, p.password, p.plain, p.expire) for p in lines.passwords] == [
        ("ada", "tangerine:x", True, False), ("bob", "$6$salt$hash", False, False), ("cyd", "$6$nohash", True, False), ("dan", "$y$j9T$salt$hash", False, False)]
    assert boot("chpasswd: {list: ['ada:x']}\n").passwords[0].expire is True
    assert problems("chpasswd:\n  list: ['a:R', 'b:RANDOM']\n  users: [{name: c, type: RANDOM}]\n") == [("advice", "2:10"), ("advice", "2:17"), ("advice", "3:11")]


@pytest.mark.parametrize("text", ["chpasswd: {list: [tangerine]}", "chpasswd: {list: ':tangerine'}", "chpasswd: {users: [{password: tangerine}]}", "chpasswd: {users: [{name: a, password: [tangerine]}]}",
                                  "chpasswd: {users: [{name: a, password: tangerine, tipe: text}]}", "chpasswd: tangerine", "chpasswd: [tangerine]", "users: [{name: a, plain_text_passwd: {tangerine: x}}]",
                                  "users: [{name: a, passwd: *tangerine}]", "chpasswd: {list: *tangerine}", "users: [{name: a, passwd: &tangerine [x]}]", "users: [{name: a, passwd: !tangerine x}]"])
def test_no_message_has_a_password(text: str) -> None:
    """Neither a value nor what YAML takes for an alias or a tag of it (C5)."""
    document = load(text + "\n")
    assert document.problems or not document.broken
    assert "tangerine" not in " ".join(str(p) for p in document.problems)


@pytest.mark.parametrize(("written", "value"), [("true", "yes"), ("yes", "yes"), ("'true'", "yes"), ("false", "no"), ("no", "no"), ("off", "no"), ("unchanged", ""), ("''", ""), ("~", "")])
def test_passwords_over_ssh(written: str, value: str) -> None:
    step = boot(f"ssh_pwauth: {written}\n")
    assert (step.ssh_pwauth, step.keys) == (value, ("ssh_pwauth",) if value else ())


def test_keys_of_root() -> None:
    """Without a word the listed users alone get the keys for everybody; false gives them to root, true gives root keys that open nothing."""
    keys = "users: [{name: ada}]\nssh_authorized_keys: [ssh-rsa A a, github:b]\n"
    assert list(boot(keys.replace(", github:b", "")).authorized_keys) == ["ada"]
    open_document = good(keys + "disable_root: false\n")
    assert dict(open_document.steps("boot")[0].authorized_keys) == {"ada": ("ssh-rsa A a",), "root": ("ssh-rsa A a",)}
    assert dict(open_document.steps("network")[0].authorized_keys) == {"ada": ("github:b",), "root": ("github:b",)}
    closed = load(keys + "disable_root: true\n")
    assert [p.severity for p in closed.problems] == ["advice"]
    found = dict(closed.steps("boot")[0].authorized_keys)
    assert found["ada"] == ("ssh-rsa A a",)
    [key] = found["root"]
    assert key.startswith("no-port-forwarding,")
    assert 'login as the user \\"ada\\" rather' in key
    assert key.endswith(" ssh-rsa A a")
    [own] = boot("ssh_authorized_keys: [ssh-rsa A a]\ndisable_root: true\ndisable_root_opts: restrict\n").authorized_keys["root"]
    assert own == "restrict ssh-rsa A a"


def test_certificates() -> None:
    """With the older spelling, too; nothing asked for is no work."""
    for text in ("ca_certs: {trusted: [A, B], remove_defaults: true}\n", "ca-certs: {trusted: [A, B], remove-defaults: true}\n"):
        step = boot(text)
        assert (step.ca_certs.trusted, step.ca_certs.remove_defaults, step.keys) == (("A", "B"), True, ("ca_certs",))
    assert boot("ca_certs: {trusted: [], remove_defaults: false}\n").keys == ()


def test_files_from_a_server_that_are_more_than_that() -> None:
    """Appended ones, and those with a content for want of an answer; a source wins over a content."""
    document = good("write_files:\n- {path: /a, append: true, source: {uri: 'http://h/a'}}\n- {path: /b, content: x, encoding: B64, permissions: '0600', owner: 'u:g', source: {uri: 'http://h/b'}}\n"
                    "- {path: /c, source: {uri: 'http://h/c'}}\n")
    [step] = document.steps("network")
    assert [(f.path, f.url, f.append, f.content, f.encoding, f.permissions, f.ownerstring) for f in step.fetched_files] == [
        ("/a", "http://h/a", True, None, "", None, ""), ("/b", "http://h/b", False, "x", "b64", 0o600, "u:g")]
    assert [f.path for f in step.downloads] == ["/c"]
    assert document.steps("boot")[0].files == ()


def test_encodings_in_any_letters_and_unknown_ones() -> None:
    assert [f.encoding for f in boot("write_files: [{path: /a, encoding: GZ+B64}, {path: /b, encoding: ' Base64 '}, {path: /c, encoding: text/plain}]\n").files] == ["gz+b64", "base64", "text/plain"]
    assert problems("write_files:\n- {path: /a, encoding: rot13}\n") == [("advice", "2:24")]


@pytest.mark.parametrize("names", [("john.doe", "john_doe", "john=2edoe", "john~doe"), ("ä", "a", "A")])
def test_no_two_names_share_a_rules_file(names: tuple[str, ...]) -> None:
    """B12: and sudo leaves out none of them."""
    step = boot("users: [" + ", ".join(f"{{name: '{name}', sudo: ALL}}" for name in names) + "]\n")
    files = [f.path for f in step.files]
    assert len(set(files)) == len(names)
    assert not any("." in path.rpartition("/")[2] or path.endswith("~") for path in files)
    assert step.sudoers


@pytest.mark.parametrize("line", ["## template: jinja", "## template:jinja", "##template: jinja", "## template: jinja \r"])
def test_every_spelling_of_a_jinja_header_is_named(line: str) -> None:
    assert [p.severity for p in decode(f"{line}\n#cloud-config\nruncmd: [x]\n".encode(), "/d.yaml").problems] == ["advice"]


EVERY = """\
hostname: edge-1
manage_etc_hosts: true
timezone: Europe/Rome
groups:
- admin: [amy]
users:
- name: amy
  passwd: $6$x
  ssh_authorized_keys: [ssh-ed25519 AAAA a]
  sudo: ALL
chpasswd:
  users: [{name: amy, password: $6$y}]
ssh_pwauth: false
ssh_authorized_keys:
- ssh-ed25519 BBBB b
write_files:
- path: /etc/a
  content: a
  owner: root:root
- {path: /etc/b, source: {uri: "https://x.example/b"}}
bootcmd: [echo early]
runcmd:
- echo one
- [echo, two]
ntp: {servers: [t.example]}
package_update: true
packages: [curl]
ca_certs: {trusted: [PEM]}
disk_setup:
  /dev/vdb: {layout: true, table_type: gpt}
fs_setup:
- {label: data, filesystem: ext4, device: /dev/vdb, partition: auto}
growpart: {devices: [/dev/vda4]}
"""


def test_what_fails_is_called_as_the_document_calls_it() -> None:
    """A person wrote runcmd[1], and finds no stages.boot[0].commands[2] in the document."""
    document = load(EVERY)
    assert not document.broken
    roots = set()
    for steps in map(document.steps, document.stages):
        for step in steps:
            for path in filter(None, step.marks):
                where = step.where(*(int(part) if part.isdecimal() else part for part in path.split("/")))
                shown = where.rpartition(": ")[2]
                assert not shown.startswith("stages."), where
                roots.add(shown.partition(".")[0].partition("[")[0])
    assert roots >= {"hostname", "timezone", "groups", "users", "chpasswd", "ssh_pwauth", "ssh_authorized_keys", "write_files", "bootcmd", "runcmd", "ntp", "packages",
                     "ca_certs", "disk_setup"}
    commands = document.steps("boot")[0]
    assert commands.where("commands", 2).endswith(":25:3: runcmd[1]")
    assert commands.where("commands", 0).endswith(": timezone")
    assert commands.where("files", 0, "path").endswith(": write_files[0].path")
    assert commands.where("files", 0, "ownerstring").endswith(": write_files[0].owner")
