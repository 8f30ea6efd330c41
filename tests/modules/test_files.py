"""files: whole files, written atomically, with exact mode and owner."""

from __future__ import annotations

import base64
import gzip
import os
from typing import TYPE_CHECKING

import pytest

from kairos_boot.actions.files import Owner, WriteFile
from kairos_boot.errors import KairosError
from kairos_boot.facts import Facts
from kairos_boot.modules import files
from kairos_boot.stages.execution import placed

if TYPE_CHECKING:
    from tests.modules.conftest import MakeStep, Node

PASSWD = "root:x:0:0::/root:/bin/sh\nkeeper:x:0:7::/:/bin/sh\n"
GROUP = "root:x:0:\nstaff:x:0:\nkeeper:x:7:\n"


def test_exact_content_and_mode_whatever_the_umask(host: Node, step: MakeStep) -> None:
    """Nothing is added to the text; special bits are honoured."""
    old = os.umask(0o077)
    try:
        done = host.do(files, step(files=[{"path": "/srv/a", "permissions": 0o4755, "content": "no newline"}, {"path": "/srv/b", "content": "two\n\n"}]))
    finally:
        os.umask(old)
    assert done == [True, True]
    assert (host.text("/srv/a"), host.mode("/srv/a")) == ("no newline", 0o4755)
    assert (host.text("/srv/b"), host.mode("/srv/b")) == ("two\n\n", 0o644)


def test_second_run_changes_nothing(host: Node, step: MakeStep) -> None:
    """No inode, no time changes."""
    wanted = step(files=[{"path": "/srv/p/a", "permissions": 0o640, "content": "x"}, {"path": "/srv/p/b", "encoding": "b64", "content": "aGVsbG8K"}])
    host.do(files, wanted)
    before = host.state()
    assert host.do(files, wanted) == [False, False]
    assert host.state() == before
    assert [action.would_change(host) for action in files.plan(wanted, Facts())] == [False, False]


def test_without_permissions_an_existing_mode_stays(host: Node, step: MakeStep) -> None:
    """New files are 0644; a wrong mode alone is mended in place."""
    host.put("/srv/a", "old", 0o751)
    host.do(files, step(files=[{"path": "/srv/a", "content": "new"}]))
    assert (host.text("/srv/a"), host.mode("/srv/a")) == ("new", 0o751)
    inode = os.stat(host.root + "/srv/a").st_ino
    assert host.do(files, step(files=[{"path": "/srv/a", "content": "new", "permissions": 0o600}])) == [True]
    assert host.mode("/srv/a") == 0o600
    assert os.stat(host.root + "/srv/a").st_ino == inode


@pytest.mark.parametrize(("mode", "parents"), [(0o640, 0o740), (0o755, 0o755), (0o600, 0o700), (None, 0o755)])
def test_missing_parents(host: Node, step: MakeStep, mode: int | None, parents: int) -> None:
    """They get the file's mode, made enterable for the owner."""
    host.do(files, step(files=[{"path": "/srv/p/q/f", "permissions": mode, "content": "x"}]))
    assert (host.mode("/srv/p"), host.mode("/srv/p/q")) == (parents, parents)


@pytest.mark.parametrize("encoding", ["b64", "base64", "gz+b64", "gzip+b64", "gz+base64", "gzip+base64", "gz", "gzip"])
def test_encodings(host: Node, step: MakeStep, encoding: str) -> None:
    """base64 with line ends in it, gzip, and both."""
    raw = gzip.compress(b"hello\n") if "gz" in encoding else b"hello\n"
    text = base64.encodebytes(raw).decode() if "b" in encoding else raw.decode("utf-8", "surrogateescape")
    assert host.do(files, step(files=[{"path": "/srv/f", "encoding": encoding, "content": text}])) == [True]
    assert host.text("/srv/f") == "hello\n"


def test_an_unknown_encoding_is_plain_text(host: Node, step: MakeStep) -> None:
    """As it has always been."""
    host.do(files, step(files=[{"path": "/srv/f", "encoding": "B64", "content": "aGVsbG8K"}]))
    assert host.text("/srv/f") == "aGVsbG8K"


@pytest.mark.parametrize(("encoding", "content"), [("b64", "***"), ("b64", "aGVsbG8"), ("gz+b64", "aGVsbG8K"), ("gz", "plain")])
def test_content_that_cannot_be_decoded(host: Node, step: MakeStep, encoding: str, content: str) -> None:
    """The old file stays whole, the next one is written."""
    host.put("/srv/a", "precious\n")
    error, done = host.do(files, step(files=[{"path": "/srv/a", "encoding": encoding, "content": content}, {"path": "/srv/b", "content": "next"}]))
    assert "stages.s[0].files[0].content: cannot decode" in str(error)
    assert (host.text("/srv/a"), done) == ("precious\n", True)


def test_owner_by_name_comes_from_the_nodes_own_files(host: Node, step: MakeStep) -> None:
    """A user alone brings the primary group; names win over numbers; a stranger is an error and no file."""
    host.put("/etc/passwd", PASSWD)
    host.put("/etc/group", GROUP)
    given = step(files=[
        {"path": "/srv/a", "ownerstring": "keeper", "content": "x"}, {"path": "/srv/b", "ownerstring": "keeper:staff", "owner": 1, "content": "x"},
        {"path": "/srv/c", "ownerstring": "stranger", "content": "x"}, {"path": "/srv/d", "content": "y"}])
    by_name, both, error, done = files.plan(given, Facts())
    assert isinstance(by_name, WriteFile)
    assert isinstance(both, WriteFile)
    assert by_name.owner.ids(host) == (0, 7)
    assert both.owner.ids(host) == (0, 0)
    results = []
    for action in (error, done):
        try:
            results.append(str(action.apply(host)))
        except KairosError as failure:
            results.append(str(placed(failure, given, files.KEY, action)))
    assert "stages.s[0].files[2]: " in results[0]
    assert "stranger" in results[0]
    assert results[1] == "True"
    assert not host.exists("/srv/c")


def test_links_are_written_through(host: Node, step: MakeStep) -> None:
    """Through several, a dangling one, too; a link to outside the node stays inside."""
    host.put("/srv/real/target", "old", 0o600)
    os.symlink("real/target", host.root + "/srv/link")
    os.symlink("/srv/link", host.root + "/srv/hop")
    os.symlink("real/new", host.root + "/srv/dangling")
    os.symlink("../../../../../../srv/out", host.root + "/srv/up")
    host.do(files, step(files=[{"path": f"/srv/{name}", "content": "new"} for name in ("hop", "dangling", "up")]))
    assert [os.path.islink(f"{host.root}/srv/{name}") for name in ("hop", "link", "dangling", "up")] == [True] * 4
    assert [host.text(f"/srv/{name}") for name in ("real/target", "real/new", "out")] == ["new"] * 3
    assert host.mode("/srv/real/target") == 0o600


def test_what_is_in_the_way_stays(host: Node, step: MakeStep) -> None:
    """A directory, or a file where a directory is meant; the others are written, nothing is left over."""
    host.put("/srv/d/x")
    host.put("/srv/f", "plain")
    done = host.do(files, step(files=[{"path": path, "content": "x"} for path in ("/srv/d", "/srv/f/below", "relative", "/srv/ok")]))
    assert [isinstance(result, str) for result in done] == [True, True, True, False]
    assert host.text("/srv/f") == "plain"
    assert sorted(os.listdir(host.root + "/srv")) == ["d", "f", "ok"]


def test_append_adds_once(host: Node, step: MakeStep) -> None:
    """A boot is repeated: the text is added unless the file has it."""
    host.put("/srv/f", "one\n")
    wanted = step(files=[{"path": "/srv/f", "content": "two\n", "append": True}])
    assert host.do(files, wanted) == [True]
    before = host.state()
    assert host.do(files, wanted) == [False]
    assert host.text("/srv/f") == "one\ntwo\n"
    assert host.state() == before


def test_content_is_rendered_after_decoding(host: Node, step: MakeStep) -> None:
    """A template that fails stays as it is, with a warning; bytes that are no text survive."""
    facts = Facts(gather=lambda: {"node": {"hostname": "lab"}})
    host.do(files, step(files=[{"path": "/srv/a", "encoding": "b64", "content": base64.b64encode(b"\xff{{ .Values.node.hostname }}").decode()},
                               {"path": "/srv/b", "content": "{{ if }}"}]), facts)
    with open(host.root + "/srv/a", "rb") as file:
        assert file.read() == b"\xfflab"
    assert host.text("/srv/b") == "{{ if }}"
    assert [place for place, _ in facts.warnings] == ["/oem/a.yaml: stages.s[0].files[1].content"]


def test_the_content_is_never_shown(step: MakeStep) -> None:
    """A plan tells path, size and mode."""
    [action] = files.plan(step(files=[{"path": "/srv/key", "permissions": 0o600, "content": "hunter2"}]), Facts())
    assert action.describe() == "write /srv/key (7 bytes, mode 0600)"
    assert "hunter2" not in action.describe()
    assert Owner() == Owner(None, None)


def test_what_a_cut_run_left_goes_also_where_nothing_is_written(host: Node, step: MakeStep) -> None:
    """The run that was cut wanted something else than this one; a file of that name is nobody else's."""
    wanted = step(files=[{"path": "/srv/a", "content": "x"}])
    host.do(files, wanted)
    host.put("/srv/.a.kairos-new", "half")
    assert host.do(files, wanted) == [False]
    assert os.listdir(f"{host.root}/srv") == ["a"]


@pytest.mark.parametrize(("there", "given", "secret"), [(0o600, None, True), (0o600, 0o644, True), (0o644, 0o600, True), (0o644, None, False), (None, None, False),
                                                        (None, 0o600, True), (0o400, None, True), (0o640, None, False)])
def test_a_diff_of_a_private_file_is_nobodys_business(host: Node, step: MakeStep, there: int | None, given: int | None, secret: bool) -> None:
    """Secret is what the file has, had or will have for its owner alone (C5)."""
    if there is not None:
        host.put("/srv/key", "old", there)
    [write] = files.plan(step(files=[{"path": "/srv/key", "content": "new", **({} if given is None else {"permissions": given})}]), Facts())
    assert isinstance(write, WriteFile)
    assert write.is_secret(host) is secret


def test_a_path_that_ends_in_a_slash_is_no_file(host: Node, step: MakeStep) -> None:
    [error] = host.do(files, step(files=[{"path": "/srv/dir/", "content": "x"}]))
    assert "files[0].path: a file's path does not end in a slash: '/srv/dir/'" in str(error)
    assert not host.exists("/srv")
