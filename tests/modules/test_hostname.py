"""hostname: kernel, /etc/hostname and /etc/hosts, each on its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from kairos_boot.facts import Facts
from kairos_boot.modules import hostname

if TYPE_CHECKING:
    from tests.modules.conftest import MakeStep, Node


def test_files_get_the_name(host: Node, step: MakeStep) -> None:
    """Only the line of 127.0.0.1 changes, the others stay to the byte."""
    host.put("/etc/hosts", "# hosts\n127.0.0.1 localhost old\n127.0.1.1\tkeep  me \n\n::1 localhost")
    assert host.do(hostname, step(hostname="quince")) == [False, True, True]
    assert host.text("/etc/hostname") == "quince\n"
    assert host.text("/etc/hosts") == "# hosts\n127.0.0.1 localhost quince\n127.0.1.1\tkeep  me \n\n::1 localhost\n"
    assert host.mode("/etc/hostname") == 0o644


def test_second_run_changes_nothing(host: Node, step: MakeStep) -> None:
    """Neither file is written again."""
    host.put("/etc/hosts", "127.0.0.1 localhost\n")
    host.do(hostname, step(hostname="quince"))
    before = host.state()
    assert host.do(hostname, step(hostname="quince")) == [False, False, False]
    assert host.state() == before


def test_no_line_is_added(host: Node, step: MakeStep) -> None:
    """/etc/hosts without 127.0.0.1 stays; an empty one, too."""
    for text in ("192.0.2.7 other\n", ""):
        host.put("/etc/hosts", text)
        host.do(hostname, step(hostname="quince"))
        assert host.text("/etc/hosts") == text


def test_no_hosts_file_costs_only_that_file(host: Node, step: MakeStep) -> None:
    """The error names the file; /etc/hostname is written."""
    _, written, error = host.do(hostname, step(hostname="quince"))
    assert written is True
    assert "no such file: /etc/hosts" in str(error)
    assert not host.exists("/etc/hosts")


def test_links_are_written_through(host: Node, step: MakeStep) -> None:
    """Images link both files into a persistent directory."""
    host.put("/usr/local/etc/hosts", "127.0.0.1 localhost\n")
    os.symlink("../usr/local/etc/hosts", host.root + "/etc/hosts")
    host.do(hostname, step(hostname="quince"))
    assert os.path.islink(host.root + "/etc/hosts")
    assert host.text("/usr/local/etc/hosts") == "127.0.0.1 localhost quince\n"


@pytest.mark.parametrize("name", ["two words", "a\nb", "x" * 65, "ä" * 33, "  "])
def test_what_no_kernel_takes_is_refused(host: Node, step: MakeStep, name: str) -> None:
    """No file gets it, either."""
    host.put("/etc/hosts", "127.0.0.1 localhost\n")
    before = host.state()
    [error] = host.do(hostname, step(hostname=name))
    assert "stages.s[0].hostname" in str(error)
    assert host.state() == before


def test_nothing_when_empty(host: Node, step: MakeStep) -> None:
    """An empty name means no name."""
    assert host.do(hostname, step(hostname="")) == []


def test_a_template_that_fails_is_an_error(host: Node, step: MakeStep) -> None:
    """An unrendered text is no host name."""
    facts = Facts(hostname_data=lambda: {"MachineID": "0123456789", "UUID": "u", "Random": "r", "ProtectedID": "p"})
    [error] = host.do(hostname, step(hostname="node-{{ .Values.node.hostname }}"), facts)
    assert "template fails" in str(error)
    assert host.do(hostname, step(hostname="node-{{ trunc 4 .MachineID }}"), facts)[1] is True
    assert host.text("/etc/hostname") == "node-0123\n"


SET = """
from kairos_boot.actions.hostname import SetHostname
from kairos_boot.system.host import Host
import os
action = SetHostname("not-this-machine")
print(action.would_change(Host()), action.apply(Host()), os.uname().nodename, action.apply(Host()))
"""


def test_the_running_kernel_gets_the_name(host: Node) -> None:
    """Once: the second call finds it set."""
    done = subprocess.run(("unshare", "--uts", sys.executable, "-c", SET), capture_output=True, text=True, check=False)
    if "Operation not permitted" in done.stderr:
        pytest.skip(f"no UTS namespace here: {done.stderr.strip()}")
    assert done.stdout.split() == ["True", "True", "not-this-machine", "False"], done.stderr
