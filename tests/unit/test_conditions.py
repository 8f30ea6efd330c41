"""Requirements: when a step runs (docs/reference/conditions.md, B4, B6, B7, B10, B11)."""

from __future__ import annotations

import os
import random
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from kairos_boot.cloudconfig.model import Step
from kairos_boot.errors import KairosError
from kairos_boot.facts import Facts
from kairos_boot.stages.conditions import Decision, decide
from kairos_boot.stages.patterns import _plain, search
from kairos_boot.system.host import Host
from kairos_boot.system.identity import architecture
from kairos_boot.system.process import Result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

OS_RELEASE = """\
# a comment
PRETTY_NAME="Lab Linux 7.4 (Quince)"
NAME='Lab Linux'
VERSION_ID="7.4"
ID=lablinux
ID_LIKE="debian suse"
"""


class Recorder:
    """Runs nothing; answers each command with the next of *answers*."""

    def __init__(self, *answers: Result) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[tuple[str, ...], float]] = []

    def run(self, argv: Sequence[str], *, timeout: float = 0, env: Mapping[str, str] | None = None, stdin: bytes = b"", whole: int = 0) -> Result:
        self.calls.append((tuple(argv), timeout))
        return self.answers.pop(0)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text(OS_RELEASE)
    (tmp_path / "etc/hostname").write_text("edge-17.lab\n")
    return Host(str(tmp_path), Recorder())


def runs(host: Host, **keys: object) -> bool:
    decision = decide(Step(**keys), host, Facts())  # type: ignore[arg-type]
    assert decision.run is not bool(decision.reason), "a step that is left out has a reason, one that runs has none"
    assert not decision.failed
    return decision.run


@pytest.mark.parametrize(("key", "pattern", "expected"), [
    ("node", r"^edge-[0-9]+\.", True), ("node", "17", True), ("node", "^17", False), ("node", "EDGE", False), ("node", "core|edge", True),
    ("node", "lab$", True), ("node", "", True),
    ("only_os", "Lab Linux.*", True), ("only_os", "Quince", True), ("only_os", "Ubuntu.*|Lab.*", True), ("only_os", "^Linux", False),
    ("only_os", "[Ll]ab", True), ("only_os", "^lablinux$", True), ("only_os", "suse", True), ("only_os", "ubuntu|fedora", False),
    ("only_os", "debian suse", False),
    ("only_os_version", r"7\.4", True), ("only_os_version", "^7", True), ("only_os_version", "7x4|8", False), ("only_os_version", "7.4", True),
    ("only_arch", "sparc", False), ("only_arch", "x86_64", False),
])
def test_patterns_of_a_node(host: Host, key: str, pattern: str, expected: bool) -> None:
    assert runs(host, **{key: pattern}) is expected


def test_architecture_is_the_name_of_container_images(host: Host) -> None:
    known = {"x86_64": "amd64", "aarch64": "arm64"}
    assert architecture() == known.get(os.uname().machine, architecture())
    assert runs(host, only_arch=f"^{architecture()}$")


def test_without_an_os_release_nothing_matches(tmp_path: Path) -> None:
    assert not runs(Host(str(tmp_path)), only_os=".*")
    assert not runs(Host(str(tmp_path)), only_os_version=".*")


def test_rocky_counts_by_its_major_version(host: Host) -> None:
    with open(host.path("/etc/os-release"), "w") as file:
        file.write('ID="rocky"\nVERSION_ID="9.4"\n')
    assert runs(host, only_os_version="^9$")


@pytest.mark.parametrize(("programs", "expected"), [
    (["usr/bin/systemctl"], ["systemd", "SystemD"]), (["sbin/openrc"], ["openrc"]), (["usr/sbin/openrc", "bin/systemctl"], []), ([], []),
])
def test_service_manager(host: Host, programs: list[str], expected: list[str]) -> None:
    for program in programs:
        os.makedirs(os.path.dirname(f"{host.root}/{program}"), exist_ok=True)
        open(f"{host.root}/{program}", "w").close()
    names = ["systemd", "SystemD", "openrc", "runit"]
    assert [name for name in names if runs(host, only_service_manager=name)] == expected


@pytest.mark.parametrize(("checks", "expected"), [
    ({"all": ("/a", "/dir", "/good")}, True), ({"all": ("/a", "/x")}, False), ({"any": ("/x", "/a")}, True), ({"any": ("/x",)}, False),
    ({"none": ("/x",)}, True), ({"none": ("/x", "/a")}, False), ({"all": ("/a",), "any": ("/x", "/dir"), "none": ("/y",)}, True),
    ({"all": ("/a",), "none": ("/dir",)}, False), ({"all": ("/dangling",)}, False), ({"none": ("/dangling",)}, True), ({}, True),
    ({"all": ()}, True), ({"none": ()}, True), ({"any": ()}, False), ({"all": (), "none": ("/a",)}, False), ({"some": ("/a",)}, False),
    ({"some": ()}, False),
])
def test_if_files(host: Host, checks: dict[str, tuple[str, ...]], expected: bool) -> None:
    open(f"{host.root}/a", "w").close()
    os.mkdir(f"{host.root}/dir")
    os.symlink("/a", f"{host.root}/good")
    os.symlink("nowhere", f"{host.root}/dangling")
    assert runs(host, if_files=checks) is expected


def asked(host: Host, answer: Result, **keys: object) -> tuple[Decision, list[tuple[tuple[str, ...], float]]]:
    recorder = Recorder(answer)
    decision = decide(Step(**keys), Host(host.root, recorder), Facts(lambda: {"x": "rendered"}))  # type: ignore[arg-type]
    return decision, recorder.calls


def test_if_runs_in_a_shell_and_its_status_counts(host: Host) -> None:
    decision, calls = asked(host, Result(0), if_="echo $HOME")
    assert decision == Decision(run=True)
    assert calls == [(("/bin/sh", "-c", "echo $HOME"), 30.0)]
    decision, _ = asked(host, Result(7), if_="exit 7")
    assert (decision.run, decision.failed) == (False, False)
    assert "exit status 7" in decision.reason


def test_if_comes_after_the_cheap_conditions(host: Host) -> None:
    decision, calls = asked(host, Result(0), if_="touch /x", only_arch="sparc")
    assert not decision.run
    assert calls == []


@pytest.mark.parametrize(("timeout", "limit"), [(None, 30.0), (1.0, 1.0), (0.0, 0.0)])
def test_the_time_limit_is_the_steps(host: Host, timeout: float | None, limit: float) -> None:
    _, calls = asked(host, Result(0), if_="sleep 1", timeout=timeout)
    assert calls[0][1] == limit


def test_running_out_of_time_skips_and_fails(host: Host) -> None:
    decision, _ = asked(host, Result(-15, timed_out=True), if_="sleep 300", timeout=1.0)
    assert (decision.run, decision.failed) == (False, True)
    assert "1 s" in decision.reason


def test_a_plain_test_needs_no_shell(host: Host) -> None:
    recorder = Recorder()
    here = Host(host.root, recorder)
    assert decide(Step(if_='[ -f "/etc/hostname" ] && ! [ -e /run/cos/live_mode ]'), here, Facts()).run
    assert not decide(Step(if_="[ -d /etc/hostname ]"), here, Facts()).run
    assert recorder.calls == []


@pytest.mark.parametrize("pattern", [
    "abc", "^abc", "abc$", "^abc$", "a.c", "^a.c$", ".*b", "b.*", "^.*b.*$", "a|x", "^x|c$", "", "^", "$", "x|", "^a.", ".c$", "a..c", ".", "....",
    "a.*c", "^a.*c$", "a.*a.*c", "^.*b.*c$", "[ab]c", "^[a-c]+", "[abc][abc]$", "a[.]c", r"a\.c", r"^a\.", "x.*|a.*b", "ab.*bc", "^ab.*bc$", "[.]", "[A-Za]b",
    "[a]", "b.*b", "[^a]b", "[a-]", "a.*", "^b.*$", "[c-a]x", "a]b",
])
@pytest.mark.parametrize("text", ["abc", "abcabc", "xabcx", "a.c", "", "b", "aXc", "c", "ac"])
def test_plain_patterns_are_decided_as_re_does(pattern: str, text: str) -> None:
    try:
        expected = re.search(pattern, text) is not None
    except re.error:
        with pytest.raises(KairosError):
            search(pattern, text)
        return
    assert search(pattern, text) is expected
    assert (_plain(pattern) is None) is (pattern in ("^[a-c]+", "[^a]b", "[a-]", "[c-a]x", "a]b"))


def test_any_short_pattern_is_decided_as_re_does() -> None:
    dice = random.Random(4)
    known = 0
    for _ in range(20000):
        pattern = "".join(dice.choice(["a", "b", ".", ".*", "^", "$", "|", "[ab]", "[a-c]", "\\.", "[.]"]) for _ in range(dice.randrange(7)))
        if _plain(pattern) is not None:
            known += 1
            for text in ("", "ab", "a.b", "bab", "".join(dice.choice("ab.c") for _ in range(dice.randrange(9)))):
                assert search(pattern, text) is (re.search(pattern, text) is not None), (pattern, text)
    assert known > 5000


@pytest.mark.parametrize(("pattern", "text", "expected"), [
    ("[[:digit:]]+$", "edge7", True), ("[[:alpha:]-]+$", "a-b", True), ("^[^[:upper:]]+$", "aBc", False), (r"\Qa.b\E$", "a.b", True),
    (r"\Qa.b\E", "axb", False), (r"(?<n>x)y", "xy", True), (r"x\z", "x", True), ("[]x]+$", "]", True), ("(?i)DEBIAN", "debian", True),
    ("(ab)+$", "abab", True), (r"\d{2}\.04", "24.04", True), ("ab$", "ab\n", False),
])
def test_forms_of_re2(pattern: str, text: str, expected: bool) -> None:
    assert search(pattern, text) is expected


@pytest.mark.parametrize("key", ["node", "only_os", "only_os_version", "only_arch"])
@pytest.mark.parametrize(("pattern", "words"), [
    ("lab(", "missing closing )"), ("[a", "missing closing ]"), ("*", "missing argument"), ("^(?!Fedora).*", "no look-around"), ("(?<=a)b", "no look-around"),
    ("(?=a)", "no look-around"), ("(?<!a)b", "no look-around"), (r"(a)\1", "invalid escape"), ("x{2000}", "invalid repeat count"), ("(" * 3000, "nests too deeply"),
])
def test_a_condition_that_is_no_expression_is_told(host: Host, key: str, pattern: str, words: str) -> None:
    """The step is left out as in Kairos, with a warning at the expression's place, since it will be at every boot (B11)."""
    facts = Facts()
    decision = decide(Step(source="/d.yaml", place="stages.s[0]", marks={key: (3, 7)}, **{key: pattern}), host, facts)  # type: ignore[arg-type]
    assert (decision.run, decision.failed) == (False, False)
    [(where, text)] = facts.warnings
    assert where == f"/d.yaml:3:7: stages.s[0].{key}"
    assert "is no regular expression: " in text
    assert words in text


def test_a_search_that_takes_too_long_fails(host: Host) -> None:
    """As a condition that runs out of time does (B10)."""
    with open(host.path("/etc/os-release"), "w") as file:
        file.write("PRETTY_NAME=" + "a" * 2000 + "\n")
    decision = decide(Step(only_os="(a?){1000}(a?){1000}b"), host, Facts())
    assert (decision.run, decision.failed, decision.key) == (False, True, "only_os")
    assert "too much work" in decision.reason


@pytest.mark.parametrize("pattern", ["(([a-z]|.)+)+#", "(a*)*b", "(a|aa)+$", "(.*)(.*)(.*)(.*)y", pytest.param("|".join(f"(x+x+)+{n}" for n in range(300)), id="many")])
def test_a_condition_takes_time_linear_in_the_text(host: Host, pattern: str) -> None:
    """An expression that would keep a backtracking engine busy for years is decided, or refused, at once."""
    with open(host.path("/etc/os-release"), "w") as file:
        file.write(f"PRETTY_NAME={'ax' * 400}\n")
    assert not decide(Step(only_os=pattern), host, Facts()).run


def test_plain_conditions_do_not_import_re(host: Host) -> None:
    program = ("import sys; sys.path.insert(0, sys.argv[2])\n"
               "from kairos_boot.stages.conditions import decide; from kairos_boot.cloudconfig.model import Step\n"
               "from kairos_boot.system.host import Host; from kairos_boot.facts import Facts\n"
               "step = Step(node='edge', only_os='Lab.*|[Dd]ebian|Red.*Hat.*', only_os_version='7.4', only_arch='.*', if_='[ -f /etc/hostname ]')\n"
               "print(decide(step, Host(sys.argv[1]), Facts()).run, *sorted({'re', 'typing', 'enum'} & set(sys.modules)))")
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    done = subprocess.run(["/usr/bin/python3", "-I", "-S", "-c", program, host.root, root], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["True"]
