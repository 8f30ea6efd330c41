"""packages: the commands of each package manager, and none where its work is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kairos_boot.facts import Facts
from kairos_boot.modules import packages

if TYPE_CHECKING:
    from tests.modules.conftest import MakeStep, Node, Recorder, Tools

ALL = {"refresh": True, "upgrade": True, "install": ["foo", "bar"], "remove": ["baz", "qux"]}
DEBIAN = 'ID=debian\nVERSION_ID="12"\n'
QUERIES = ("dpkg-query", "rpm", "apk info", "pacman -Q ")
APT = ["apt-get -y update", "apt-get -y upgrade", "apt-get -y --no-install-recommends install foo bar", "apt-get -y remove baz qux"]
DNF = ["dnf makecache", "dnf update -y", "dnf install -y --setopt=install_weak_deps=False foo bar", "dnf remove -y baz qux"]
ZYPPER = ["zypper refresh", "zypper update -y", "zypper install -y --no-recommends foo bar", "zypper remove -y baz qux"]
PACMAN = ["pacman -Sy --noconfirm", "pacman -Syu --noconfirm", "pacman -S --noconfirm foo bar", "pacman -R --noconfirm baz qux"]
APK = ["apk update", "apk upgrade --no-cache", "apk add --no-cache foo bar", "apk del --no-cache baz qux"]


def commands(recorder: Recorder) -> list[str]:
    """What was run to change something."""
    return [line for line in map(" ".join, recorder.argvs) if not line.startswith(QUERIES)]


@pytest.mark.parametrize(("release", "expected"), [
    (DEBIAN, APT), ("ID=ubuntu\n", APT), ('ID=linuxmint\nID_LIKE="ubuntu debian"\n', APT), ('ID="centos"\n', DNF), ("ID=fedora\n", DNF),
    ("ID='openEuler'\n", DNF), ('ID="ol"\n', DNF), ("ID=alpine\n", APK), ("ID=opensuse-leap\n", ZYPPER), ('ID=sle-micro\nID_LIKE="suse"\n', ZYPPER),
    ('ID=opensuse-microos\nID_LIKE="suse opensuse"\n', ZYPPER), ("ID=arch\n", PACMAN), ("ID=manjaro\nID_LIKE=arch\n", PACMAN),
])
def test_the_commands_and_their_order(host: Node, step: MakeStep, recorder: Recorder, release: str, expected: list[str]) -> None:
    """By ID, else by ID_LIKE; nobody is asked a question, no shell is used."""
    host.put("/etc/os-release", release)
    for query in (("dpkg-query",), ("rpm",), ("pacman", "-Q", "foo")):
        recorder.answer(*query, code=1)
    host.processes.answer("rpm", "-q", "baz")
    host.processes.answer("pacman", "-Q", "baz")
    host.processes.answer("dpkg-query", "-W", "-f", "${db:Status-Status}\n", "baz", output="installed\n")
    host.processes.answer("apk", "info", "-e", "baz", output="baz\n")
    host.do(packages, step(packages=ALL))
    assert commands(recorder) == expected
    assert {call.env["DEBIAN_FRONTEND"] for call in recorder.calls} == {"noninteractive"}


def test_second_run_runs_no_manager(host: Node, step: MakeStep, tools: Tools) -> None:
    """What is installed is not installed, what is gone is not removed, and no index is fetched for nothing."""
    host.put("/etc/os-release", DEBIAN)
    database, log = host.root + "/database", host.root + "/log"
    tools(host, **{
        "dpkg-query": f'shift 3; for name; do grep -qx "$name" {database} && echo installed || code=1; done; exit ${{code:-0}}',
        "apt-get": f'echo "$@" >>{log}; case "$*" in *install*) shift 3; printf "%s\\n" "$@" >{database};; *remove*) : ;; esac',
    })
    host.put("/database", "old\n")
    wanted = step(packages={"refresh": True, "install": ["htop", "vim nano"], "remove": ["gone"]})
    assert host.do(packages, wanted) == [True, True, False]
    assert host.text("/log") == "-y update\n-y --no-install-recommends install htop vim nano\n"
    before = host.state()
    assert host.do(packages, wanted) == [False, False, False]
    assert host.state() == before


def test_refresh_or_upgrade_alone_are_done(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """They mean something by themselves."""
    host.put("/etc/os-release", DEBIAN)
    host.do(packages, step(packages={"upgrade": True}))
    host.do(packages, step(packages={"refresh": True}))
    assert commands(recorder) == ["apt-get -y upgrade", "apt-get -y update"]


def test_a_failing_phase_does_not_stop_the_next(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """No network costs the index, not what a cache can install; limits and tries are the step's."""
    host.put("/etc/os-release", DEBIAN)
    recorder.answer("dpkg-query", code=1)
    recorder.answer("apt-get", "-y", "update", code=100, output="E: Could not resolve host")
    error, done = host.do(packages, step(timeout=9.0, retries=1, packages={"refresh": True, "install": ["foo"]}))
    assert "packages.refresh: apt-get -y update: exit status 100 (2 tries)\nE: Could not resolve host" in str(error)
    assert done is True
    assert {call.timeout for call in recorder.calls} == {9.0}


def test_a_document_is_checked_without_a_node(step: MakeStep, host: Node, recorder: Recorder) -> None:
    """Which manager it is, the node says when the step runs."""
    actions = list(packages.plan(step(packages=ALL), Facts()))
    assert actions[2].describe() == "run the package manager to install foo bar"
    host.put("/etc/os-release", DEBIAN)
    recorder.answer("dpkg-query", code=1)
    assert actions[2].apply(host) is True
    assert commands(recorder) == ["apt-get -y --no-install-recommends install foo bar"]


@pytest.mark.parametrize("release", ["ID=hadron\n", None])
def test_an_unknown_manager_is_an_error(host: Node, step: MakeStep, recorder: Recorder, release: str | None) -> None:
    """It says what the node says it is."""
    if release:
        host.put("/etc/os-release", release)
    error = host.do(packages, step(packages=ALL))[0]
    assert "unknown package manager" in str(error)
    assert ("'hadron'" in str(error)) == bool(release)
    assert recorder.argvs == []


def test_names_are_rendered_and_never_reach_a_shell(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """A wrong name does not stop the others."""
    host.put("/etc/os-release", DEBIAN)
    recorder.answer("dpkg-query", code=1)
    facts = Facts(gather=lambda: {"kernel": {"release": "6.1"}}, read=host.read)
    bad, done = host.do(packages, step(packages={"install": ["linux-{{ .Values.kernel.release }}", "a; reboot"]}), facts)
    assert "packages.install[1]: not a package: 'a; reboot'" in str(bad)
    assert done is True
    assert commands(recorder) == ["apt-get -y --no-install-recommends install linux-6.1"]


def test_yum_where_there_is_no_dnf(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """Its words are its own."""
    host.put("/etc/os-release", "ID=centos\n")
    host.put("/usr/bin/yum")
    host.processes.answer("rpm", code=1)
    host.do(packages, step(packages={"install": ["foo"]}))
    assert commands(recorder) == ["yum install -y foo"]


def test_nothing_asked_is_nothing_done(host: Node, step: MakeStep) -> None:
    """Also on a node without os-release."""
    assert host.do(packages, step(packages={})) == []
