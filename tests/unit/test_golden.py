"""Golden tests of configurations: what they see, what they say of a difference, and of their own mistakes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from kairos_boot.cli.main import run
from kairos_boot.errors import KairosError
from kairos_boot.golden.cases import Verdict, judge
from kairos_boot.golden.form import read

TOP = Path(__file__).parents[2]
CONFIGURATION = """\
stages:
  boot:
    - name: greet
      files:
        - {path: /etc/motd, content: "hi {{ .Values.os.vendor }}\\n", owner: 7, group: 8, permissions: 0640}
      directories:
        - {path: /srv/data, permissions: 0750, owner: 1500, group: 1500}
      users:
        amy: {shell: /bin/sh, groups: [root], ssh_authorized_keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0000000000000000000000000000000000000000000 a"]}
      systemctl: {enable: [foo.service], start: [bar], mask: [baz]}
      commands: ["ln -s /a /b"]
    - name: never
      if: "[ -f /run/cos/recovery_mode ]"
      commands: ["false"]
    - name: asks
      if: is-it-so --now
      hostname: other
"""
EXPECT: dict[str, Any] = {
    "steps": ["greet", "never: skipped: if: no: [ -f /run/cos/recovery_mode ]", "asks: skipped"],
    "files": {"/etc/motd": {"content": "hi acme\n", "mode": "0640", "owner": "7", "group": "8"}, "/etc/gone": {"absent": "true"},
              "/home/amy/.ssh/authorized_keys": {"contains": "ssh-ed25519 ", "owner": "amy", "mode": "0600"}},
    "directories": {"/srv/data": {"mode": "0750", "owner": "1500", "group": "1500"}},
    "links": {"/etc/there": "motd"},
    "users": {"amy": {"shell": "/bin/sh", "home": "/home/amy", "groups": ["amy", "root"]}, "bob": {"absent": "true"}},
    "groups": {"root": {"gid": "0", "members": ["amy"]}},
    "units": {"foo.service": "enabled", "bar": ["started"], "baz": "masked"},
    "commands": ["ln -s /a /b", "systemctl enable foo.service", "systemctl mask baz", "systemctl start bar", "is-it-so --now"],
}


def case(expect: dict[str, Any], tmp_path: Path, **more: Any) -> Verdict:
    tree = tmp_path / "tree/etc"
    if not tree.exists():
        tree.mkdir(parents=True)
        for name, text in (("passwd", "root:x:0:0:root:/root:/bin/sh\n"), ("group", "root:x:0:\n"), ("shadow", "root:*:11000::::::\n"), ("gshadow", "root:*::\n")):
            (tree / name).write_text(text)
        (tree / "there").symlink_to("motd")
    given = {"name": "a case", "root": "tree", "configurations": [{"path": "/oem/90.yaml", "content": CONFIGURATION}], "stage": "boot", "facts": {"os": {"vendor": "acme"}},
             "commands": [{"run": "is-it-so", "exit": "1"}], "expect": expect, **more}
    return judge(read(json.dumps({"cases": [given]}).encode(), str(tmp_path / "golden.yaml"))[0])


def test_everything_that_came_out_may_be_expected(tmp_path: Path) -> None:
    assert case(EXPECT, tmp_path) == Verdict("a case", f"{tmp_path}/golden.yaml:1:12")


@pytest.mark.parametrize(("section", "wrong", "shown"), [
    ("steps", ["greet"], "+/oem/90.yaml.never: skipped: if: no"),
    ("files", {"/etc/motd": {"content": "hi\n"}}, "-    |hi\n+    |hi acme\n"),
    ("files", {"/etc/motd": {"owner": "root"}}, "-  owner: root\n+  owner: 7\n"),
    ("files", {"/etc/motd": {"mode": "0644"}}, "-  mode: 0644\n+  mode: 0640\n"),
    ("files", {"/etc/motd": {"absent": "true"}}, "-/etc/motd: absent\n+/etc/motd: there, file\n"),
    ("files", {"/etc/nothing": "x"}, "+/etc/nothing: absent"),
    ("directories", {"/srv/data": {"group": "0"}}, "+  group: 1500"),
    ("links", {"/etc/there": "elsewhere"}, "+/etc/there -> motd"),
    ("users", {"amy": {"shell": "/bin/bash"}}, "+  shell: /bin/sh"),
    ("users", {"bob": {"uid": "1"}}, "+bob: absent"),
    ("groups", {"root": {"members": []}}, "+  members: amy"),
    ("units", {"other": "enabled"}, "+other: nothing was asked for"),
    ("commands", [], "+ln -s /a /b"),
    ("problems", ["something"], "-something"),
])
def test_a_difference_is_shown_at_the_place_of_what_was_expected(section: str, wrong: object, shown: str, tmp_path: Path) -> None:
    verdict = case({section: wrong}, tmp_path)
    assert not verdict.error
    assert len(verdict.differences) == 1
    assert verdict.differences[0].startswith(f"{tmp_path}/golden.yaml:1:")
    assert f": expect.{section}: " in verdict.differences[0]
    assert shown in verdict.differences[0] + "\n"


def test_what_goes_wrong_is_never_expected_in_silence(tmp_path: Path) -> None:
    answers = [{"run": "ln -s", "exit": "3", "output": "no room"}, {"run": "is-it-so", "exit": "1"}]
    verdict = case({}, tmp_path, commands=answers)
    assert "/oem/90.yaml:" in verdict.differences[0]
    assert "exit status 3\n" in verdict.differences[0]
    assert case({"problems": ["ln -s /a /b: exit status 3\nno room"]}, tmp_path, commands=answers).passed


def test_sentinels_files_and_the_command_line_decide_as_on_a_node(tmp_path: Path) -> None:
    expect = {"steps": ["greet: done", "never: failed", "asks: skipped", "of the line"], "problems": ["false: exit status 1"]}
    more = {"sentinels": ["recovery_mode"], "commands": [{"run": "false", "exit": "1"}, {"run": "is-it-so", "exit": "1"}],
            "cmdline": "quiet stages.boot[0].name='of the line' stages.boot[0].commands[0]=true"}
    assert case(expect, tmp_path, **more).passed


@pytest.mark.parametrize("name", ["node/90.yaml", "node"])
def test_a_configuration_beside_the_file_is_in_oem(name: str, tmp_path: Path) -> None:
    (tmp_path / "node").mkdir()
    (tmp_path / "node/90.yaml").write_text("stages: {boot: [{name: one, hostname: x}]}")
    assert case({"steps": ["/oem/90.yaml.one"], "files": {"/etc/hostname": "x\n"}}, tmp_path, configurations=[name],
                files={"/etc/hosts": "127.0.0.1 localhost\n"}).differences == ()


@pytest.mark.parametrize(("text", "line", "said"), [
    ("cases:\n  - name: a\n    stage: boot\n    expcet: {}\n", 4, "unknown key: expcet"),
    ("cases:\n  - name: a\n    stage: boot\n", 2, "expect is missing here"),
    ("cases:\n  - name: a\n    expect: {}\n", 2, "a case runs `stage: NAME`"),
    ("cases:\n  - name: a\n    stage: boot\n    expect:\n      files:\n        /x: {mode: 9}\n", 6, "not a number: '9'"),
    ("cases:\n  - name: a\n    stage: boot\n    expect:\n      files:\n        /x: {modus: 9}\n", 6, "unknown key: modus"),
    ("cases:\n  - name: a\n    stage: boot\n    files: {x: y}\n    expect: {}\n", 4, "not an absolute path: 'x'"),
    ("cases:\n  - [a\n", 3, "not YAML"),
    ("cases: []\n", 0, "there is no case"),
])
def test_a_mistake_in_the_file_is_told_with_its_place(text: str, line: int, said: str) -> None:
    with pytest.raises(KairosError) as told:
        read(text.encode(), "golden.yaml")
    assert told.value.where.startswith(f"golden.yaml:{line}:" if line else "golden.yaml")
    assert said in str(told.value)
    assert told.value.hint


@pytest.mark.parametrize("more", [{"configurations": ["none.yaml"]}, {"root": "none"}])
def test_what_is_not_there_is_told_with_its_place(more: dict[str, Any], tmp_path: Path) -> None:
    assert case({}, tmp_path, **more).error.startswith(f"{tmp_path}/golden.yaml:1:")


def test_no_link_of_the_tree_leads_out_of_it(tmp_path: Path) -> None:
    """Neither for what the test puts there nor for what a step does."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "tree/srv").symlink_to(tmp_path / "outside")
    (tmp_path / "tree/oem").symlink_to(tmp_path / "outside")
    text = "stages: {boot: [{files: [{path: /srv/b, content: b}]}]}"
    expect = {"files": {"/srv/a": "a", "/srv/b": "b", "/x": "y"}}
    verdict = case(expect, tmp_path, files={"/srv/a": "a", "/../../x": "y"}, configurations=[{"path": "/oem/90.yaml", "content": text}])
    assert verdict.passed, verdict
    assert list((tmp_path / "outside").iterdir()) == []


ENTER = """
from kairos_boot.golden.tree import enter
enter()
lines = open("/proc/self/mountinfo").read().splitlines()
print(sum("shared:" in line for line in lines), len(open("/proc/net/dev").read().splitlines()))
"""


@pytest.mark.root
def test_no_mount_and_no_network_of_a_test_is_this_machines() -> None:
    """Though its mounts are shared, as systemd makes them."""
    told = subprocess.run(("unshare", "--mount", "--propagation", "shared", sys.executable, "-c", ENTER), cwd=TOP, check=False, capture_output=True, text=True)
    assert told.stdout == "0 3\n", told.stderr  # the loopback, below two lines of headings


def test_nothing_is_left_behind_and_this_machine_stays_as_it_is(tmp_path: Path) -> None:
    before = os.uname().nodename
    (tmp_path / "tmp").mkdir()
    told = subprocess.run((sys.executable, "-c", "import sys; from kairos_boot.cli.main import run; sys.exit(run(sys.argv[1:]))", "test", _file(tmp_path, "other")),
                          env={**os.environ, "TMPDIR": str(tmp_path / "tmp")}, cwd=TOP, check=False, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout + told.stderr
    assert list((tmp_path / "tmp").iterdir()) == []
    assert os.uname().nodename == before


def test_owners_are_known_where_they_cannot_be_given(tmp_path: Path) -> None:
    """A user namespace of somebody who is not root has no number but its own."""
    golden = tmp_path / "golden.yaml"
    golden.write_text(json.dumps({"cases": [{"name": "a", "configurations": [{"path": "/oem/90.yaml", "content": CONFIGURATION}], "stage": "boot",
                                             "facts": {"os": {"vendor": "acme"}}, "commands": [{"run": "is-it-so", "exit": "1"}],
                                             "expect": {key: value for key, value in EXPECT.items() if key != "links"}}]}))
    told = subprocess.run(("unshare", "--user", "--map-root-user", sys.executable, "-m", "kairos_boot", "test", str(golden)), cwd=TOP, check=False,
                          capture_output=True, text=True)
    if told.stderr.startswith("unshare:"):
        pytest.skip(told.stderr)
    assert told.returncode == 0, told.stdout + told.stderr


def test_the_verb_prints_a_line_for_each_case_and_ends_with_1_if_one_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = _file(tmp_path, "good"), _file(tmp_path, "bad", content="other\n")
    assert run(["test", good, bad, "--junit", str(tmp_path / "junit.xml")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["1..2", f"ok 1 - {good}: good", f"not ok 2 - {bad}: bad"]
    assert lines[-1] == "# 1 as expected, 1 not"
    assert "# +    |x" in lines
    suites = ET.parse(tmp_path / "junit.xml").getroot()
    assert [(suite.get("tests"), suite.get("failures")) for suite in suites] == [("1", "0"), ("1", "1")]
    assert run(["test", good]) == 0
    assert run(["test"]) == 2
    assert run(["test", str(tmp_path / "none.yaml")]) == 3


def _file(tmp_path: Path, name: str, content: str = "x\n") -> str:
    path = tmp_path / f"{name}.yaml"
    path.write_text(json.dumps({"cases": [{"name": name, "configurations": [{"path": "/oem/a.yaml", "content": "stages: {boot: [{hostname: x}]}"}], "stage": "boot",
                                           "expect": {"files": {"/etc/hostname": content}}}]}))
    return str(path)
