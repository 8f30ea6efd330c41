"""Requirements: what looks like a login is hidden wherever an address, a command or a command line is shown (C5); foreign text does nothing to a terminal (E6)."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kairos_boot.shown import (
    ADDRESS,
    OF_CMDLINES,
    OF_COMMANDS,
    RULES,
    VALUE,
    WORD,
    masked,
    masked_cmdline,
    masked_log,
    may_find,
    one_line,
    plain,
    shown,
)


@pytest.mark.parametrize(("url", "seen"), [
    ("https://example.com/a/b.yaml", "https://example.com/a/b.yaml"),
    ("http://u:MARK@example.com:80/x?t=MARK#MARK", "http://example.com:80/x"),
    ("http://MARK@example.com/x", "http://example.com/x"),
    ("http://u:MARK@MARK@example.com/x", "http://example.com/x"),
    ("http://u:MA/RK@example.com/x", "http://example.com/x"),
    ("http://u:12/MARK@example.com/x", "http://u:(left out)@example.com/x"),
    ("http://u:MARK@a/MARK@example.com/x", "http://(left out)@example.com/x"),
    ("http://u:MARK?MARK@example.com/x", "http://example.com/x"),
    ("https://example.com/@scope/pkg", "https://example.com/@scope/pkg"),
    ("https://example.com:4873/@scope/pkg", "https://example.com:4873/@scope/pkg"),
    ("https://example.com/img@2x.png", "https://example.com/img@2x.png"),
    ("http://[::1]:8000/a@b", "http://[::1]:(left out)@b"),
    ("config-url:http://u:MARK@example.com/x", "config-url:http://example.com/x"),
    ("docker://u:MARK@registry.example.com/x:1", "docker://registry.example.com/x:1"),
    ("docker:registry.example.com/x:1@sha256:abc", "docker:registry.example.com/x:1@sha256:abc"),
    ("u:MARK@example.com/x.git", "example.com/x.git"),
    ("git@example.com:org/repo.git", "git@example.com:org/repo.git"),
    ("example.com/x?token=MARK", "example.com/x"),
])
def test_an_address_is_shown_without_login_and_query(url: str, seen: str) -> None:
    assert shown(url) == seen


LOGINS = (
    "curl -u admin:MARK https://example.com", "curl -uadmin:MARK x", "curl --user admin:MARK x", "curl --user=admin:MARK x", "curl -u 'admin:MA RK' x",
    "curl --proxy-user a:MARK x", "curl https://u:MARK@example.com/x", "curl 'https://example.com/x?sig=MARK'", "rsync u:MARK@example.com:/x .",
    "register --password MARK", "register --password=MARK --now", "register --admin-password 'MA MARK'", "x --api-key MARK", 'x --token "MARK',
    "TOKEN=MARK register", "export K3S_TOKEN='MARK'", "AWS_SECRET_ACCESS_KEY=MARK aws s3 ls", "MYSQL_PWD=MARK mysqldump", "PASS=MARK x",
    "curl -H 'Authorization: Bearer MARK' x", 'curl -H "X-Auth-Token: MARK" x', "curl -H 'Proxy-Authorization:Basic MARK' x", "curl -b 'Cookie: a=MARK' x",
    """curl -d '{"user": "x", "password": "MARK"}' x""", """curl -d "{\\"password\\": \\"MARK\\"}" x""", """curl -d '{"api_key":"MARK","a":1}' x""",
    "echo root:MARK | chpasswd", "echo MARK | passwd --stdin root", "chpasswd <<< root:MARK", "echo -n MARK | cryptsetup luksOpen /dev/x y -",
    "echo MARK | docker login --password-stdin", "sshpass -p MARK ssh x", "sshpass -pMARK ssh x", "useradd -m -p 'MARK' x", "mysql -u root -pMARK", "docker login -u x -p MARK reg",
    "wpa_passphrase net MARK", "wpa_passphrase 'my net' MARK >/x", "redis-cli -a MARK ping", "ipmitool -H x -U y -P MARK sol", "ldapsearch -x -w MARK", "smbclient //x/y -U me%MARK",
    "htpasswd -b /x user MARK", "htpasswd -nbB user MARK", "x auth.password -v MARK",
    "openssl passwd -6 MARK", "mkpasswd MARK", "nmcli device wifi connect x password MARK", "nmcli c modify x wifi-sec.psk MARK", "echo 'password: MARK' >/x",
    "kubectl create secret generic x --from-literal=a=MARK", "sh -c 'curl -u a:MARK x'", 'bash -c "register --token MARK"', "a; PASSWORD=MARK; b", "x && TOKEN=$(cat MARK) y",
)
"""Each way to write a login that a command may have: a row more is a rule more."""


@pytest.mark.parametrize("text", LOGINS)
def test_a_login_in_a_command_is_hidden(text: str) -> None:
    assert "MARK" not in masked(text)
    assert "(left out)" in masked(text) or "?…" in masked(text)
    assert text.split(maxsplit=1)[0].split("=", maxsplit=1)[0] in masked(text)


@pytest.mark.parametrize("text", LOGINS)
def test_what_is_masked_once_stays_as_it_is(text: str) -> None:
    """Texts are masked where they are made and again where they are collected."""
    assert masked(masked(text)) == masked(text)


@pytest.mark.parametrize("text", [
    "mkdir -p /opt/x && touch /opt/x/y", "systemctl restart getty@tty1", "docker run -u 1000:1000 -p 80:80 quay.io/x/y:1@sha256:abc", "loadkeys de; localectl set-keymap de",
    "echo keyboard=us monkey", "ssh -p 22 host", "journalctl -u sshd", "git clone https://example.com/x.git /srv/x", "cryptsetup open --key-file /etc/key /dev/x y",
    "passwd -l root", "ssh-keygen -A", "date -u +%H:%M", "[ -f /run/cos/recovery_mode ]", "echo a | grep b"])
def test_other_commands_are_shown_as_they_are(text: str) -> None:
    assert masked(text) == text


WORDS = (
    "users[0].passwd=MARK", "p2p.network_token=MARK", "install.encrypted_pw=MARK", "systemd.set_credential=passwd.plaintext-password.root:MARK", "password=MARK",
    'password="a MARK"', 'password=1" MARK"', "wifi.psk=MARK", "stages.boot[0].users.amy.passwd=MARK", 'stages.boot[0].commands[0]="echo \\"MARK\\""', "stages.boot[0].hostname='a MARK'",
    '"stages.boot[0].hostname=a MARK"', 'stages.a[0].x=1"MARK 2"MARK', "cos.setup=https://amy:MARK@config.example.com/x", "kairos.config_url=http://h/x?t=MARK", 'x="open MARK',
    "x='open MARK", "api_key=MARK", "a.secret.b=MARK", "rd.credential=MARK")


@pytest.mark.parametrize("word", WORDS)
def test_a_login_on_the_kernel_command_line_is_hidden(word: str) -> None:
    line = f"quiet ro {word}" + ("" if "open" in word else " root=LABEL=X vconsole.keymap=de")
    seen = masked_cmdline(line + "\n")
    assert "MARK" not in seen
    assert seen.startswith("quiet ro ")
    if "open" not in word:
        assert seen.endswith(" root=LABEL=X vconsole.keymap=de\n")


@pytest.mark.parametrize("word", WORDS)
def test_a_login_of_the_kernel_command_line_in_a_log_is_hidden(word: str) -> None:
    text = f"[0.0] before\n[0.0] Kernel command line: quiet {word}\n[0.1] after\n"
    seen = masked_log(text)
    assert "MARK" not in seen
    assert seen.startswith("[0.0] before\n[0.0] Kernel command line: quiet ")
    assert seen.endswith("\n[0.1] after\n")


def test_a_record_of_a_ledger_stays_json() -> None:
    import json

    line = json.dumps({"action": "run curl -u a:MARK x --token=MARK", "error": 'PASSWORD="MARK" x', "where": "/oem/a.yaml:1:1: stages.boot[0].users.amy.passwd: no hash"})
    record = json.loads(masked_log(line))
    assert "MARK" not in str(record)
    assert record["where"].endswith("passwd: no hash")


@pytest.mark.parametrize("part", ["a", "a:", "a:b,", "://", "'", '"', "\\", "-u ", "password=", "token: ", "echo ", "a@", "key.", '\\"', "x://a:b/"])
def test_no_text_takes_long(part: str) -> None:
    """A megabyte of anything is done in time that grows with its length; the limit is generous."""
    start = time.process_time()
    for function in (masked, masked_log, masked_cmdline):
        function("password " + part * (200_000 // len(part)))
    assert time.process_time() - start < 20


def test_control_characters_are_shown_as_escapes() -> None:
    assert plain("a\n\tb\x1b]0;pwn\x07\x9b1m\u202e\x7f\r") == "a\n\tb\\x1b]0;pwn\\x07\\x9b1m\\u202e\\x7f\\r"
    assert one_line("a\nDone with stage b") == "a\\nDone with stage b"
    assert plain("grün 日本") == "grün 日本"
    assert plain("\udc80") == "\\udc80"


PIECES = (
    *" \n\t-:=@|'\"\\/$()<,;.", "--", "://", "<<<", "(left out)", "x", "pass", "pwd", "PSK", "p\u017fk", "Token", "secret", "credent\u0131al", "\u212aey", "keys", "keymap", "passwd", "passwd",
    "password", "passphrase", "--password ", "-u", "--user", "--proxy-user ", "amy:x", "authorization", "cookie:", "x-a-auth", "--from-literal=a=", "login -p x", "useradd ", "MYSQLdump",
    "mkpasswd ", "openssl passwd -6 ", "echo ", "printf", "| sudo -S", "|chpasswd", "cryptsetup", "stages.", '"stages[', "https://a:b@c/d?e", "\u00e9", "\u0130")


@pytest.mark.parametrize("rounds", [5000, pytest.param(20000, marks=pytest.mark.slow)])
def test_a_rule_is_left_out_only_where_it_would_find_nothing(rounds: int) -> None:
    """What a rule costs is paid for a text that has the signs the rule needs; no such sign is one too many."""
    chance = random.Random(7)
    texts = ["".join(chance.choices(PIECES, k=chance.randint(1, 12))) for _ in range(rounds)]
    found = set()
    for value in (VALUE, WORD):
        for rule, *groups in (*RULES, *OF_COMMANDS, *OF_CMDLINES):
            compiled = re.compile(rule.replace("VALUE", value), re.IGNORECASE | (0 if rule == ADDRESS else re.MULTILINE))
            for text in (*texts, *LOGINS, *WORDS):
                if compiled.search(text):
                    found.add(rule)
                    assert may_find(groups, text), (rule, text)
    assert len(found) == len((*RULES, *OF_COMMANDS, *OF_CMDLINES))


def test_conditions_and_commands_of_a_node_need_no_expression() -> None:
    """The texts of the published configurations have none of it; `re` and the rules would cost each stage more than its work."""
    texts = ["[ -d /oem/userdata ] && [ ! -d /oem/95_userdata ]", "systemctl set-default multi-user.target", "passwd -l root",
             "passwd -l root:\npasswd: password changed.", "/usr/local/bin/fix-home-dir-ownership:\nChanging ownership of /home/x to x",
             "test -f /etc/ssh/ssh_host_rsa_key || ssh-keygen -t rsa -b 4096 -f /etc/ssh/ssh_host_rsa_key -N ''",
             '[ ! -e /oem/95_userdata ] && ([ ! -f /run/cos/uki_boot_mode ] || grep -q "kairos.pull_datasources" /proc/cmdline )',
             "ln -sf /etc/systemd/system/cos-setup-fs.service /etc/systemd/system/multi-user.target.wants/cos-setup-fs.service"]
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\nfrom kairos_boot.shown import masked\nfor t in {texts!r}: assert masked(t) == t\nprint('re' in sys.modules)"
    run = subprocess.run([sys.executable, "-I", "-S", "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert run.stdout == "False\n", run.stderr
