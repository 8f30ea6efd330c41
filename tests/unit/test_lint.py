"""Probable mistakes that validate warns of (B12, C2)."""

from __future__ import annotations

import pytest

from kairos_boot.cloudconfig.decode import decode
from kairos_boot.cloudconfig.lint import advice, faults


def found(text: str) -> list[str]:
    document = decode(text.encode(), "/d.yaml")
    assert not document.broken
    problems = list(advice(document))
    assert all(p.severity == "advice" and p.hint and p.where.startswith("/d.yaml:") for p in problems)
    return [str(p) for p in problems]


def in_step(text: str) -> list[str]:
    return found(f"stages:\n  s:\n  - {text}\n")


def test_a_good_document_is_not_doubted() -> None:
    assert in_step("files: [{path: /etc/motd, permissions: 0644, content: 'Password rules: see the handbook'}]\n    commands: ['cd /srv && ls', 'A=b date', 'echo cd', 'cd /a; pwd']\n"
                   "    users: {ada: {passwd: x}}") == []


@pytest.mark.parametrize(("condition", "place", "words"), [
    ("node: '('", 11, "missing closing"), ('only_os: "Debian|(?i)ubuntu("', 14, "missing closing"), ("only_os_version: '[9'", 22, "missing closing"),
    ("only_arch: ^(?!arm)", 16, "no look-around"), ("only_service_manager: runit", 27, "not a service manager"), ("if_files: {al: [/a]}", 20, "did you mean 'all'"),
])
def test_a_condition_that_no_node_meets_is_an_error_with_its_place(condition: str, place: int, words: str) -> None:
    [problem] = faults(decode(f"stages:\n  s:\n  - {condition}\n".encode(), "/d.yaml"))
    assert (problem.severity, problem.where.split(": ")[0]) == ("error", f"/d.yaml:3:{place - 0}")
    assert words in str(problem)


def test_a_flag_in_an_expression_is_no_fault() -> None:
    """Kairos' engine takes `(?i)` anywhere, so does ours."""
    assert list(faults(decode(b"stages: {s: [{only_os: 'Debian|(?i)ubuntu', node: '[a-z]+', only_arch: amd64|arm64, if_files: {any: [/a]}}]}", "/d.yaml"))) == []


@pytest.mark.parametrize("file", [
    "path: /root/.ssh/id_ed25519, permissions: 0644", "path: /etc/ssl/private/server.key", "path: /etc/app.conf, content: 'password=tangerine'", "path: /a, permissions: 0604, content: 'api_key: tangerine'",
    "path: /a, content: '-----BEGIN OPENSSH PRIVATE KEY-----'", "path: /etc/app/credentials.json", "path: /a, encoding: b64, content: cGFzc3dvcmQ9dGFuZ2VyaW5lCg==", """path: /a, content: '{"token": "tangerine"}'""",
])
def test_a_secret_that_everybody_may_read(file: str) -> None:
    [message] = in_step(f"files: [{{{file}}}]")
    assert "/d.yaml:3:" in message
    assert "tangerine" not in message
    assert in_step(f"files: [{{{file.replace('0644', '0600').replace('0604', '0600')}{'' if 'permissions' in file else ', permissions: 0600'}}}]") == []


@pytest.mark.parametrize("command", ["cd /srv", "cd", "A=b", "export A=b", "A=$(date)", "export A", 'A="b c";'])
def test_a_command_that_changes_only_its_own_shell(command: str) -> None:
    [message] = in_step(f"commands: ['{command}', ls]")
    assert "shell of its own" in message
    assert message.startswith("/d.yaml:3:16: ")


@pytest.mark.parametrize(("keys", "name"), [
    ("users: {ada: {}}, commands: ['su - ada -c id']", "ada"), ("packages: {install: [htop]}, commands: ['htop --version']", "htop"),
    ("systemctl: {enable: [foo.service]}, commands: ['systemctl is-enabled foo.service']", "foo.service"), ("sysctl: {vm.swappiness: 1}, commands: ['sysctl vm.swappiness']", "vm.swappiness"),
    ("environment: {NODE: x}, commands: ['echo $NODE']", "NODE"),
])
def test_commands_that_need_what_the_step_makes_later(keys: str, name: str) -> None:
    [message] = in_step(f"{{{keys}}}")
    assert name in message
    assert "step before" in message


def test_names_are_whole_words() -> None:
    assert in_step("{users: {ada: {}, x: {}}, packages: {install: [vi]}, commands: ['ls /home/adam adams /x', 'vim a', 'radar']}") == []


def test_an_owner_that_is_made_later() -> None:
    text = "{users: {ada: {}}, files: [{path: /a, ownerstring: 'ada:ada'}, {path: /b, ownerstring: ada, defer: true}]}"
    [message] = in_step(text)
    assert "'ada'" in message
    assert "defer" in message


def test_what_a_cloud_init_user_expects_otherwise() -> None:
    """B12: each difference at its place; none when the document says what it means."""
    messages = found("#cloud-config\nusers:\n- {name: ada, passwd: tangerine}\nruncmd:\n- ls\nwrite_files:\n- {path: /a, owner: bob}\n")
    assert [m.split(": ")[0] for m in messages] == ["/d.yaml:5:3", "/d.yaml:3:23", "/d.yaml:7:21"]
    assert "tangerine" not in " ".join(messages)
    more = found("#cloud-config\nhostname: a.b\nusers:\n- {name: ada, plain_text_passwd: tangerine}\nchpasswd: {users: [{name: bob, password: tangerine, type: text}]}\n")
    assert sorted(m.split(": ")[0] for m in more) == ["/d.yaml:2:11", "/d.yaml:4:34", "/d.yaml:5:20"]
    assert "tangerine" not in " ".join(more)
    assert found("#cloud-config\nusers:\n- {name: ada, passwd: x, lock_passwd: false}\nwrite_files:\n- {path: /a, owner: 'bob:bob'}\n") == []


def test_a_time_zone_is_no_command_that_somebody_wrote() -> None:
    """B12: what the program makes of a key of cloud-init is told by that key's name, or not at all."""
    def told(keys: str) -> list[str]:
        document = decode(f"#cloud-config\n{keys}\n".encode(), "/d.yaml")
        return [problem.where for problem in advice(document)]

    assert told("timezone: Europe/Rome") == []
    assert told("growpart: {devices: [/]}\nfs_setup: [{device: /dev/vda1, filesystem: ext4, label: a}]") == []
    assert told("timezone: Europe/Rome\nruncmd: [ls]") == ["/d.yaml:3:10: runcmd"]
    assert told("bootcmd: [ls]") == ["/d.yaml:2:11: bootcmd"]
    assert told("write_files: [{path: /x, content: a, owner: bob}]") == ["/d.yaml:2:45: write_files"]
    assert told("hostname: a.b") == ["/d.yaml:2:11: hostname"]
