"""Requirement: a condition decided without a shell has the shell's answer (checked against /bin/sh), and the rest is left to it."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from kairos_boot.stages.shelltest import decided
from kairos_boot.system.host import Host

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 4000


@pytest.fixture
def tree(tmp_path: Path) -> str:
    (tmp_path / "cmdline").write_text("ro quiet kairos.reset root=LABEL=COS_ACTIVE rd.immucore.debug\n")
    (tmp_path / "lines").write_text("alpha\nBeta beta\n\ngamma (x) + a|b {2}\nSHOUT\nlast without newline")
    (tmp_path / "empty").write_text("")
    (tmp_path / "binary").write_bytes(b"Raspberry Pi 4\0\xff\xfe\nx\n")
    (tmp_path / "latin").write_bytes("grün\nGRÜN ma\u212a\n".encode())
    (tmp_path / "dir").mkdir()
    (tmp_path / "a file").write_text("x")
    (tmp_path / "script").write_text("#!/bin/sh\n")
    (tmp_path / "script").chmod(0o755)
    (tmp_path / "link").symlink_to("lines")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "fifo")
    return str(tmp_path)


NAMES = ["cmdline", "lines", "empty", "binary", "latin", "dir", "script", "link", "dangling", "loop", "fifo", "missing", "dir/", "lines/", "a file",
         "dir/../lines", "missing/../lines"]
GREPPED = [n for n in NAMES if n != "fifo"]
WORDS = ["", "x", "alpha", "Beta", "be", "a.p", "^alpha", "ma$", "kairos.reset", "rd.immucore", "last", "Raspberry Pi", "a|b", "(x)", "{2}", "+", "GR",
         "Mak", "quiet", "-x", "!", "=", "a*", "[a]", "\\.", "^", ".", "..", "x|", "alpha|beta", "nothing", "shout", "ALPHA", "alpha+", "(alpha)", "alphaz?", "al{1}pha"]


def quoted(word: str, dice: random.Random) -> str:
    kind = dice.randrange(6)
    if kind < 3:
        return f'"{word}"'
    if kind < 5:
        return f"'{word}'"
    return "".join(f"\\{c}" if c in " |(){}!*[]\\&;<>$`'\"" and dice.random() < 0.9 else c for c in word)


def simple(tree: str, dice: random.Random) -> str:
    def path(names: list[str]) -> str:
        return quoted(f"{tree}/{dice.choice(names)}" if dice.random() < 0.97 else dice.choice(["", "/", "relative", "-e"]), dice)

    null = dice.choice([""] * 6 + [" >/dev/null", " 2>/dev/null", " >/dev/null 2>&1", " 2> /dev/null", " 2>&1", " >/dev/null2", " 2>&12"])
    form = dice.randrange(12)
    if form < 5:
        words = dice.choice(["-e", "-f", "-d", "-s", "-r", "-x", "-L", "-h", "-p", "-S", "-b", "-c", "-w", "-n", "-z"]) + " " + path(NAMES)
    elif form < 6:
        words = f"{quoted(dice.choice(WORDS), dice)} {dice.choice(['=', '!=', '=', '==', '-a', '-o', '<'])} {quoted(dice.choice(WORDS), dice)}"
    elif form < 7:
        words = " ".join(quoted(dice.choice(WORDS), dice) for _ in range(dice.randrange(4)))
    elif form < 11:
        flags = dice.choice(["-q", "-q", "-qi", "-qv", "-vq", "-qF", "-qE", "-q -x", "-qiFx", "-qiE", "-i", "", "-vx", "-qs", "-qw", "-qEF", "-c"])
        if dice.random() < 0.1:
            return f"grep {dice.choice(['-qxFf', '-xqFsf', '-qFf', '-qxf', '-xFf'])} {path(GREPPED)} {path(GREPPED)}"
        quiet = dice.choice(["", " 2>/dev/null", " >/dev/null 2>&1"])
        if dice.random() < 0.2:
            return f"cat {path(GREPPED)} | grep {flags} {quoted(dice.choice(WORDS), dice)}{quiet}"
        return f"grep {flags} {quoted(dice.choice(WORDS), dice)} {path(GREPPED)}{quiet}"
    else:
        return dice.choice(["true", "false", ":", "exit 0", "exit 1", "echo x", "no-such-program", "[[ a = a ]]", "true x", "set -e", "if true", "a=b",
                            "a=b true", "true &", "$(true)", "`true`", "true #no", "cd /"]) + null
    negation = dice.choice(["", "", "", "! ", "! ! "])
    return (f"[ {negation}{words} ]" if dice.random() < 0.85 else f"test {negation}{words}") + null


def generated(tree: str, dice: random.Random, depth: int = 0) -> str:
    kind = dice.randrange(10)
    if depth > 3 or kind < 4:
        return ("! " if dice.random() < 0.2 else "") + simple(tree, dice)
    if kind < 8:
        joint = dice.choice([" && ", " || ", " && ", " || ", " &&\n  ", " || \\\n", "\n", "; ", " ;\n", "\n\n", "&&", " ; ; ", " & ", " | ", "  # so\n"])
        return f"{generated(tree, dice, depth + 1)}{joint}{generated(tree, dice, depth + 1)}"
    inner = generated(tree, dice, depth + 1)
    return dice.choice(["({})", "( {} )", "{{ {}; }}", "{{ {} }}", "! ({})", "({}) >/dev/null", "{} #", "(\n{}\n)", "{{\n{}\n}}", "({}", "{})", "{{ {};}}"]).format(inner)


@pytest.mark.slow
def test_whatever_is_decided_is_the_shells_answer(tree: str) -> None:
    dice = random.Random(20)
    host = Host("/")
    known = 0
    for _ in range(COUNT):
        text = generated(tree, dice)
        answer = decided(text, host)
        if answer is None:
            continue
        known += 1
        result = host.processes.run(("/bin/sh", "-c", text), timeout=20)
        assert answer is (result.code == 0), f"{text!r}: the shell said {result.code}: {result.output}"
    assert known > COUNT / 8  # else the generator says nothing


@pytest.mark.parametrize("rounds", [COUNT // 4, pytest.param(COUNT, marks=pytest.mark.slow)])
def test_damaged_texts_are_never_decided_otherwise_than_the_shell_does(tree: str, rounds: int) -> None:
    dice = random.Random(21)
    host = Host("/")
    known = 0
    for _ in range(rounds):
        text = generated(tree, dice)
        for _ in range(dice.randrange(1, 3)):
            at = dice.randrange(len(text))
            text = text[:at] + dice.choice(["", "", *" \n\t'\"\\()[]{}!&|;<>$`#=~*?-/ae1"]) + text[at + dice.randrange(2):]
        answer = decided(text, host)
        if answer is not None:
            known += 1
            result = host.processes.run(("/bin/sh", "-c", text), timeout=20)
            assert answer is (result.code == 0), f"{text!r}: the shell said {result.code}: {result.output}"
    assert known > rounds / 20


@pytest.mark.parametrize("text", [
    '[ -f "{0}/lines" ]', "[ ! -f {0}/lines ] && [ ! -e {0}/missing ]", 'grep -vq "rd.immucore.uki" {0}/cmdline',
    "([ -f {0}/lines ] || [ -f {0}/missing ])\n", '(grep -q "kairos.reset" {0}/cmdline || grep -q nothing {0}/cmdline ) && \\\n [ -s {0}/lines ]\n',
    "cat {0}/cmdline | grep -q 'quiet' && grep -vq \"x.y\" {0}/cmdline", 'grep -qiE "quiet|kvm" {0}/cmdline 2>/dev/null',
    "[ -f {0}/missing ] && systemctl is-active foo", "", "# nothing\n", "[ -r {0}/lines ] && [ -x {0}/script ]", "true", "! false",
])
def test_what_configurations_write_is_decided(tree: str, text: str) -> None:
    text = text.replace("{0}", tree)
    host = Host("/")
    assert decided(text, host) is (host.processes.run(("/bin/sh", "-c", text), timeout=20).code == 0)


@pytest.mark.parametrize("text", [
    "[ -f $HOME ]", "[ -f ~/x ]", "[ -f /etc/* ]", "[ -f /etc/{passwd,group} ]", "`true`", "[ $(echo a) = a ]", "echo x", "[ 1 -eq 1 ]", "true &", "exit 1",
    "[ a = a -a b = b ]", "true < /dev/null", "true > /tmp/x", "[[ -f /etc/passwd ]]", "[ -f '/etc/passwd ]", "true && ", "(true", "true)", "grep -q 'a\\.b' /etc/passwd",
    "grep -q x /etc/passwd /etc/group", "grep -rq x /etc", "[ -e /proc/self/fd/9 ]", "[ -f /etc/grün ]", "if true; then false; fi", "true\rfalse",
    "grep -q x /dev/zero", "! ! true", "[ -w /etc/passwd ]", "f() { true; }; f", "((true) && true)",
])
def test_what_is_not_certain_is_left_to_the_shell(text: str) -> None:
    assert decided(text, Host("/")) is None


def test_a_tree_below_another_root_is_looked_at_there(tree: str) -> None:
    os.symlink("/lines", f"{tree}/absolute")
    host = Host(tree)
    assert decided("[ -f /absolute ] && [ -L /absolute ] && ! [ -e /etc/passwd ]", host) is True
    assert decided("[ -f /dir/../lines ]", host) is None
