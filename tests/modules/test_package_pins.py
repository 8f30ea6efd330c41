"""package_pins: versions held by each package manager, and nobody else's entries lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kairos_boot.actions.base import Note
from kairos_boot.facts import Facts
from kairos_boot.modules import package_pins

if TYPE_CHECKING:
    from tests.modules.conftest import MakeStep, Node, Recorder

PINS = {"nginx": "1.24.0-1", "curl": "8.5.0"}


def twice(host: Node, step: MakeStep, release: str) -> list[bool | str]:
    """Run the pins of a distribution, then again: the second run must change nothing."""
    host.put("/etc/os-release", release)
    first = host.do(package_pins, step(package_pins=PINS))
    before = host.state()
    assert not any(host.do(package_pins, step(package_pins=PINS)))
    assert host.state() == before
    return first


def test_apt_preferences(host: Node, step: MakeStep) -> None:
    """One stanza a package, sorted, with a priority that allows a downgrade."""
    assert twice(host, step, "ID=ubuntu\n") == [True]
    text = host.text("/etc/apt/preferences.d/99-yip-pins")
    assert text.split("\n\n", 1)[1] == ("Package: curl\nPin: version 8.5.0\nPin-Priority: 1001\n\nPackage: nginx\nPin: version 1.24.0-1\nPin-Priority: 1001\n\n")
    assert text.startswith("# ")
    assert host.mode("/etc/apt/preferences.d/99-yip-pins") == 0o644


def test_apk_keeps_what_else_is_wanted(host: Node, step: MakeStep) -> None:
    """Packages that are not pinned must not be removed by the next transaction."""
    host.put("/etc/apk/world", "alpine-base\nnginx>1.20\nnginx-mod-http-lua\nopenssh@edge\n")
    assert twice(host, step, "ID=alpine\n") == [True]
    assert host.text("/etc/apk/world") == "alpine-base\nnginx=1.24.0-1\nnginx-mod-http-lua\nopenssh@edge\ncurl=8.5.0\n"


def test_dnf_locks_what_the_repositories_have(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """The first package that fits, else a pattern; locks of others stay, an older lock of the same package goes."""
    host.put("/etc/dnf/plugins/versionlock.conf", "[main]\nenabled = 0\n# mine\n")
    host.put("/etc/dnf/plugins/versionlock.list", "# locks\nkernel-0:6.1-1.x86_64\nnginx-mod-x-0:1.24.0-1.x86_64\nnginx-1:1.20.0-2.el9.x86_64\n")
    recorder.answer("dnf", output="Last metadata check\nnginx-core-1:1.24.0-1.x86_64\nnginx-1:1.24.0-1.el9.x86_64\n")
    recorder.answer("dnf", "-q", "repoquery", "--qf", "%{name}-%{epoch}:%{version}-%{release}.%{arch}\n", "curl-8.5.0*", output="\n")
    assert twice(host, step, "ID=rocky\n") == [True, True]
    assert host.text("/etc/dnf/plugins/versionlock.list") == (
        "# locks\nkernel-0:6.1-1.x86_64\nnginx-mod-x-0:1.24.0-1.x86_64\ncurl-8.5.0*\nnginx-1:1.24.0-1.el9.x86_64\n")
    assert host.text("/etc/dnf/plugins/versionlock.conf") == "[main]\nenabled = 1\n# mine\nlocklist = /etc/dnf/plugins/versionlock.list\n"
    assert len(recorder.calls) == 2


def test_zypper_locks(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """With the version, else without; what is locked is not locked again."""
    host.put("/etc/os-release", 'ID=sle-micro\nID_LIKE="suse"\n')
    host.put("/etc/zypp/locks", "type: package\nsolvable_name: vim\n\ntype: package\nsolvable_name: curl\nversion: == 8.5.0\n")
    recorder.answer("zypper", "--non-interactive", "addlock", "nginx=1.24.0-1", code=1)
    assert host.do(package_pins, step(package_pins=PINS)) == [False, True]
    assert [argv[-1] for argv in recorder.argvs] == ["nginx=1.24.0-1", "nginx"]
    recorder.answer("zypper", code=4, output="no")
    recorder.answer("zypper", "--non-interactive", "addlock", "nginx", code=4, output="no")
    _, error = host.do(package_pins, step(package_pins=PINS))
    assert "package_pins.nginx: zypper --non-interactive addlock nginx: exit status 4\nno" in str(error)


@pytest.mark.parametrize("release", ["ID=arch\n", "ID=hadron\n"])
def test_a_manager_without_pins_is_noted(host: Node, step: MakeStep, recorder: Recorder, release: str) -> None:
    """It is no error, and not silent."""
    host.put("/etc/os-release", release)
    [note] = package_pins.plan(step(package_pins=PINS), Facts(read=host.read))
    assert "the pins are left out" in note.describe()
    assert note.apply(host) is False
    assert recorder.argvs == []


def test_no_node_is_no_warning(host: Node, step: MakeStep) -> None:
    """A document that is checked without a node gets none; a node that does not say what it is does, when it runs."""
    [action] = package_pins.plan(step(package_pins=PINS), Facts())
    assert isinstance(action, Note)
    assert type(action) is not Note
    assert action.apply(host) is False


def test_wrong_pins_do_not_stop_the_others(host: Node, step: MakeStep) -> None:
    """No version is noted, two words are refused, the right one is pinned."""
    host.put("/etc/os-release", "ID=debian\n")
    results = host.do(package_pins, step(package_pins={"a": "", "b c": "1", "d": "1\nPin: x", "nginx": "1"}))
    assert results[0] is False
    assert "package_pins.b c" in str(results[1])
    assert "package_pins.d" in str(results[2])
    assert results[3] is True
    assert "Package: nginx\nPin: version 1\n" in host.text("/etc/apt/preferences.d/99-yip-pins")
    assert host.do(package_pins, step(package_pins={"a": ""})) == [False]
