"""directories: made, or given the mode and owner that are asked for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kairos_boot.facts import Facts
from kairos_boot.modules import directories

if TYPE_CHECKING:
    from tests.modules.conftest import MakeStep, Node


def test_missing_parents_get_the_same_mode_whatever_the_umask(host: Node, step: MakeStep) -> None:
    """Existing ones are left alone."""
    os.mkdir(host.root + "/srv", 0o711)
    old = os.umask(0o077)
    try:
        assert host.do(directories, step(directories=[{"path": "/srv/b/c", "permissions": 0o1777}])) == [True]
    finally:
        os.umask(old)
    assert [host.mode(path) for path in ("/srv", "/srv/b", "/srv/b/c")] == [0o711, 0o1777, 0o1777]


def test_second_run_changes_nothing(host: Node, step: MakeStep) -> None:
    """No inode, no time changes."""
    wanted = step(directories=[{"path": "/srv/d/e", "permissions": 0o700}, {"path": "/srv/f/"}])
    host.do(directories, wanted)
    before = host.state()
    assert host.do(directories, wanted) == [False, False]
    assert host.state() == before
    assert [action.would_change(host) for action in directories.plan(wanted, Facts())] == [False, False]


def test_without_permissions_an_existing_mode_stays(host: Node, step: MakeStep) -> None:
    """New ones are 0755; a given mode is set exactly, what is below stays."""
    host.put("/srv/d/f", "x", 0o600)
    os.chmod(host.root + "/srv/d", 0o751)
    assert host.do(directories, step(directories=[{"path": "/srv/d"}, {"path": "/srv/new/"}])) == [False, True]
    assert (host.mode("/srv/d"), host.mode("/srv/new")) == (0o751, 0o755)
    assert host.do(directories, step(directories=[{"path": "/srv/d", "permissions": 0o777}])) == [True]
    assert (host.mode("/srv/d"), host.mode("/srv/d/f")) == (0o777, 0o600)


def test_a_file_in_the_way_does_not_stop_the_next(host: Node, step: MakeStep) -> None:
    """The file stays; the error has its place."""
    host.put("/srv/f", "keep")
    error, relative, done = host.do(directories, step(directories=[{"path": "/srv/f"}, {"path": "srv/x"}, {"path": "/srv/d"}]))
    assert str(error) == "/oem/a.yaml: stages.s[0].directories[0]: /srv/f exists and is not a directory"
    assert "directories[1].path" in str(relative)
    assert done is True
    assert host.text("/srv/f") == "keep"


def test_a_link_to_a_directory_counts_as_that_directory(host: Node, step: MakeStep) -> None:
    """Its target gets the mode."""
    os.makedirs(host.root + "/srv/real")
    os.symlink("real", host.root + "/srv/link")
    host.do(directories, step(directories=[{"path": "/srv/link", "permissions": 0o700}]))
    assert os.path.islink(host.root + "/srv/link")
    assert host.mode("/srv/real") == 0o700


@pytest.mark.root
def test_an_owner_that_is_not_given_stays(host: Node, step: MakeStep) -> None:
    """And so does a group beside a given owner; a plan agrees (C2)."""
    os.makedirs(f"{host.root}/srv/data")
    os.chown(f"{host.root}/srv/data", 26, 27)
    cases: list[tuple[dict[str, int], bool, tuple[int, int]]] = [({}, False, (26, 27)), ({"permissions": 0o700}, True, (26, 27)), ({"owner": 30}, True, (30, 27)), ({"group": 0}, True, (30, 0))]
    for keys, changed, owner in cases:
        [action] = directories.plan(step(directories=[{"path": "/srv/data", **keys}]), Facts())
        assert action.would_change(host) is changed
        assert action.apply(host) is changed
        now = os.stat(f"{host.root}/srv/data")
        assert (now.st_uid, now.st_gid) == owner
