"""dns: the resolver's file, whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kairos_boot.facts import Facts
from kairos_boot.modules import dns

if TYPE_CHECKING:
    from tests.modules.conftest import MakeStep, Node

FULL = {"nameservers": ["192.0.2.1", "2001:db8::1"], "search": ["lab.example", "example"], "options": ["edns0", "ndots:2"]}


def test_the_lines_and_their_order(host: Node, step: MakeStep) -> None:
    """Search, name servers, options; the old content goes."""
    host.put("/etc/resolv.conf", "nameserver 198.51.100.1\n")
    assert host.do(dns, step(dns=FULL)) == [False, True]
    assert host.text("/etc/resolv.conf") == "search lab.example example\nnameserver 192.0.2.1\nnameserver 2001:db8::1\noptions edns0 ndots:2\n"


def test_second_run_changes_nothing(host: Node, step: MakeStep) -> None:
    """The file is not written again."""
    host.do(dns, step(dns=FULL))
    before = host.state()
    assert host.do(dns, step(dns=FULL)) == [False, False]
    assert host.state() == before


def test_nothing_without_name_servers(host: Node, step: MakeStep) -> None:
    """Search and options alone mean nothing."""
    assert host.do(dns, step(dns={"search": ["lab"], "options": ["edns0"]})) == []
    assert host.do(dns, step(dns={"nameservers": ["", " "]})) == []


def test_a_root_search_domain_is_left_out(host: Node, step: MakeStep) -> None:
    """`search .` would mean nothing; a path may be given."""
    assert host.do(dns, step(dns={"nameservers": ["192.0.2.1"], "search": ["."], "path": "/etc/other"})) == [False, True]
    assert host.text("/etc/other") == "nameserver 192.0.2.1\n"


def test_links_are_written_through(host: Node, step: MakeStep) -> None:
    """A link stays one, whatever it leads to."""
    host.put("/run/resolve/stub.conf", "old\n")
    os.symlink("../run/resolve/stub.conf", host.root + "/etc/resolv.conf")
    host.do(dns, step(dns={"nameservers": ["192.0.2.1"]}))
    assert os.path.islink(host.root + "/etc/resolv.conf")
    assert host.text("/run/resolve/stub.conf") == "nameserver 192.0.2.1\n"


@pytest.mark.parametrize("target", ["../run/systemd/resolve/resolv.conf", "/run/systemd/resolve/stub-resolv.conf", "/run/NetworkManager/resolv.conf"])
@pytest.mark.parametrize("there", [True, False])
def test_a_file_that_another_program_writes_is_taken_out_of_its_hands(host: Node, step: MakeStep, target: str, there: bool) -> None:
    """It would be gone with the next lease; in the initrd's half of a boot the link leads nowhere yet."""
    theirs = "/run" + target.partition("/run")[2]
    if there:
        host.put(theirs, "nameserver 198.51.100.1\n")
    os.symlink(target, host.root + "/etc/resolv.conf")
    assert host.do(dns, step(dns={"nameservers": ["192.0.2.1"]})) == [True, True]
    assert not os.path.islink(host.root + "/etc/resolv.conf")
    assert host.text("/etc/resolv.conf") == "nameserver 192.0.2.1\n"
    assert (host.read(theirs) or b"").decode() == "nameserver 198.51.100.1\n" * there
    assert host.do(dns, step(dns={"nameservers": ["192.0.2.1"]})) == [False, False]


def test_a_missing_directory_is_not_made(host: Node, step: MakeStep) -> None:
    """A wrong path is an error, not a new tree."""
    _, error = host.do(dns, step(dns={"nameservers": ["192.0.2.1"], "path": "/srv/none/resolv"}))
    assert "stages.s[0].dns" in str(error)
    assert not host.exists("/srv")


def test_what_is_no_address_is_noted_and_written(host: Node, step: MakeStep) -> None:
    """It has always been written; people are told that no resolver takes a name."""
    note, _, write = dns.plan(step(dns={"nameservers": ["dns.example"]}), Facts())
    assert "not an IP address: 'dns.example'" in note.describe()
    assert "nameservers[0]" in note.describe()
    assert write.apply(host) is True
    assert [note.describe() for note in list(dns.plan(step(dns={"nameservers": ["fe80::1%eth0", "1.1.1.1"]}), Facts()))[:-2]] == []
