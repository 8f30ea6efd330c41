"""git: real repositories, over files, HTTP with a password, and SSH with a key."""

from __future__ import annotations

import base64
import http.server
import os
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from kairos_boot.facts import Facts
from kairos_boot.modules import git

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.modules.conftest import MakeStep, Node

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----"


def run(directory: Path, *words: str) -> str:
    """Let git do something in a repository, as somebody."""
    who = ("-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main")
    return subprocess.run(("git", *who, *words), cwd=directory, check=True, capture_output=True, text=True).stdout.strip()


def commit(directory: Path, text: str, name: str = "file") -> None:
    """One more commit with a file of this text."""
    (directory / name).write_text(text, encoding="utf-8")
    run(directory, "add", ".")
    run(directory, "commit", "-qm", text)


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """A repository with the branches main and other, and a tag."""
    directory = tmp_path / "remote"
    directory.mkdir()
    run(directory, "init", "-q")
    commit(directory, "one")
    run(directory, "tag", "-a", "v1", "-m", "v1")
    run(directory, "checkout", "-qb", "other")
    commit(directory, "other")
    run(directory, "checkout", "-q", "main")
    return directory


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the repository is wanted."""
    return tmp_path / "deep/conf"


def state(directory: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of every file: equal states mean that nothing was written."""
    return {str(file): (file.stat().st_ino, file.stat().st_mtime_ns) for file in directory.rglob("*")}


def test_clone_and_second_run(machine: Node, step: MakeStep, remote: Path, path: Path) -> None:
    """The remote's own branch when none is named; a second run writes nothing, not even git's index."""
    wanted = step(git={"url": str(remote), "path": str(path)})
    assert machine.do(git, wanted) == [True]
    assert (path / "file").read_text() == "one"
    assert run(path, "symbolic-ref", "HEAD") == "refs/heads/main"
    before = state(path)
    assert machine.do(git, wanted) == [False]
    assert state(path) == before


def test_update_discards_what_was_changed_here(machine: Node, step: MakeStep, remote: Path, path: Path) -> None:
    """The remote's newest commit, whatever was edited or committed; files that git does not know stay."""
    wanted = step(git={"url": str(remote), "path": str(path), "branch": "main"})
    machine.do(git, wanted)
    (path / "file").write_text("edited", encoding="utf-8")
    (path / "mine").write_text("mine", encoding="utf-8")
    assert machine.do(git, wanted) == [True]
    assert (path / "file").read_text() == "one"
    commit(path, "local commit")
    commit(remote, "two")
    assert machine.do(git, wanted) == [True]
    assert ((path / "file").read_text(), (path / "mine").exists()) == ("two", False)  # it was committed here
    assert run(path, "rev-parse", "HEAD") == run(remote, "rev-parse", "main")


def test_the_branch_counts_on_update(machine: Node, step: MakeStep, remote: Path, path: Path) -> None:
    """Another branch, a tag, and back."""
    for branch, text in (("main", "one"), ("other", "other"), ("v1", "one"), ("main", "one")):
        wanted = step(git={"url": str(remote), "path": str(path), "branch": branch})
        assert machine.do(git, wanted) == [True]
        assert (path / "file").read_text() == text
        assert machine.do(git, wanted) == [False]


@pytest.mark.parametrize(("only", "branches"), [(True, ["origin/other"]), (False, ["origin/main", "origin/other"])])
def test_one_branch_or_all(machine: Node, step: MakeStep, remote: Path, path: Path, only: bool, branches: list[str]) -> None:
    """`branch_only` fetches no other."""
    machine.do(git, step(git={"url": str(remote), "path": str(path), "branch": "other", "branch_only": only}))
    assert run(path, "branch", "-r", "--format=%(refname:short)").split() == branches


def test_a_directory_with_files_in_it(machine: Node, step: MakeStep, remote: Path, path: Path) -> None:
    """They stay, unless the repository has a file of that name; another URL counts from the next run on."""
    path.mkdir(parents=True)
    (path / "file").write_text("in the way", encoding="utf-8")
    (path / "mine").write_text("mine", encoding="utf-8")
    assert machine.do(git, step(git={"url": str(remote), "path": str(path)})) == [True]
    assert ((path / "file").read_text(), (path / "mine").read_text()) == ("one", "mine")
    moved = remote.rename(remote.parent / "moved")
    commit(moved, "moved")
    assert machine.do(git, step(git={"url": f"file://{moved}", "path": str(path)})) == [True]
    assert (path / "file").read_text() == "moved"


def test_what_cannot_be_had_is_an_error(machine: Node, step: MakeStep, remote: Path, path: Path) -> None:
    """No such branch, no such repository, no git: with the place; the old files stay."""
    machine.do(git, step(git={"url": str(remote), "path": str(path)}))
    [error] = machine.do(git, step(git={"url": str(remote), "path": str(path), "branch": "nope"}))
    assert "stages.s[0].git" in str(error)
    assert "has no branch 'nope'" in str(error)
    [error] = machine.do(git, step(git={"url": "/nonexistent", "path": str(path)}))
    assert "does not appear to be a git repository" in str(error)
    assert (path / "file").read_text() == "one"
    machine.processes.environment["PATH"] = "/nonexistent"
    [error] = machine.do(git, step(git={"url": str(remote), "path": str(path)}))
    assert "cannot run git" in str(error)
    assert "needs the git program" in str(error)


@pytest.mark.parametrize("left", ["index.lock", "HEAD.lock", "config.lock", "shallow.lock", "refs/remotes/origin/main.lock", "objects/pack/tmp_pack_x",
                                  "objects/00/tmp_obj_x"])
def test_what_a_git_that_was_ended_left_goes(machine: Node, step: MakeStep, remote: Path, path: Path, left: str) -> None:
    """The power went, or the time was over, while git wrote; what a git that works there holds stays."""
    machine.do(git, step(git={"url": str(remote), "path": str(path)}))
    commit(remote, "two")
    lock = path / ".git" / left
    lock.parent.mkdir(exist_ok=True)
    lock.touch()
    with subprocess.Popen(("git", "-C", path, "cat-file", "--batch"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin
        assert other.stdout
        other.stdin.write("HEAD\n")
        other.stdin.flush()
        other.stdout.readline()  # it works there
        machine.do(git, step(git={"url": str(remote), "path": str(path)}))
        assert lock.exists()
        other.stdin.close()
    [result] = machine.do(git, step(git={"url": str(remote), "path": str(path)}))
    assert isinstance(result, bool), result
    assert (path / "file").read_text() == "two"
    assert not lock.exists()


@pytest.mark.parametrize("missing", ["HEAD", "config", "refs", "objects"])
def test_a_clone_that_was_cut_off_is_begun_again(machine: Node, step: MakeStep, remote: Path, path: Path, missing: str) -> None:
    """`git init` makes one thing after the other."""
    (path / ".git").mkdir(parents=True)
    for name in ("HEAD", "config", "refs", "objects")[:("HEAD", "config", "refs", "objects").index(missing)]:
        (path / ".git" / name).mkdir() if name in ("refs", "objects") else (path / ".git" / name).write_text({"HEAD": "ref: refs/heads/main\n", "config": ""}[name])
    assert machine.do(git, step(git={"url": str(remote), "path": str(path)})) == [True]
    assert (path / "file").read_text() == "one"


@pytest.mark.root
@pytest.mark.parametrize("owned", ["the tree", "the directory above", ".git"])
def test_root_obeys_no_repository_of_a_user(machine: Node, step: MakeStep, remote: Path, path: Path, owned: str) -> None:
    """Its configuration names programs that git runs."""
    path.mkdir(parents=True)
    if owned == "the directory above":
        path.rmdir()
        os.chown(path.parent, 2000, 2000)
    elif owned == "the tree":
        os.chown(path, 2000, 2000)
    else:
        (path / ".git").mkdir()
        os.chown(path / ".git", 2000, 2000)
    [error] = machine.do(git, step(git={"url": str(remote), "path": str(path)}))
    assert "belongs to user 2000" in str(error)
    assert not (path / "file").exists()


@pytest.mark.parametrize(("key", "value"), [
    ("path", "relative"), ("url", "--upload-pack=touch /tmp/x"), ("url", "a b"), ("branch", "-x"), ("branch", "a..b c"), ("branch", "a:b"),
    ("auth", {"public_key": "garbage"}), ("auth", {"username": "-oProxyCommand=x"}),
])
def test_wrong_values_are_refused(machine: Node, step: MakeStep, path: Path, key: str, value: object) -> None:
    """With their place, before git sees them."""
    [error] = machine.do(git, step(git={"url": "https://git.example/x", "path": str(path), key: value}))
    assert f"stages.s[0].git.{key}" in str(error)
    assert not path.exists()


def test_nothing_without_a_url(machine: Node, step: MakeStep, path: Path) -> None:
    """A path alone means nothing."""
    assert machine.do(git, step(git={"path": str(path)})) == []


class Server(http.server.SimpleHTTPRequestHandler):
    """Serves a directory to those who know the password."""

    root: ClassVar[str] = ""

    def __init__(self, *words: object, **more: object) -> None:
        super().__init__(*words, directory=self.root, **more)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        if self.headers.get("Authorization") == "Basic " + base64.b64encode(b"me:hunter2").decode():
            super().do_GET()
        else:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.end_headers()

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def server(remote: Path) -> Iterator[str]:
    """An HTTP server for the repository, behind a password."""
    run(remote, "update-server-info")
    Server.root = str(remote / ".git")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{web.server_port}"
        web.shutdown()


@pytest.mark.parametrize("in_url", [False, True])
def test_a_password_over_http(machine: Node, step: MakeStep, server: str, path: Path, in_url: bool) -> None:
    """It is used, and neither in git's files nor in a plan; a wrong one fails at once, unspoken."""
    auth = {} if in_url else {"auth": {"username": "me", "password": "hunter2"}}
    wanted = step(git={"url": f"http://{'me:hunter2@' if in_url else ''}{server}/", "path": str(path), **auth})
    [action] = git.plan(wanted, Facts())
    assert "hunter2" not in action.describe()
    assert machine.do(git, wanted) == [True]
    assert (path / "file").read_text() == "one"
    assert not [file for file in path.rglob("*") if file.is_file() and b"hunter2" in file.read_bytes()]
    [error] = machine.do(git, step(git={"url": f"http://{server}/", "path": str(path), "auth": {"username": "me", "password": "wrong-secret"}}))
    assert "wrong-secret" not in str(error)
    assert "Authentication failed" in str(error)


SSH = """for last; do :; done
echo "$@" >>"$HOME/ssh.log"
while [ $# -gt 1 ]; do
    case $1 in
    -i) cat "$2" >>"$HOME/key"; stat -L -c %a "$2" >>"$HOME/mode" ;;
    -o) case $2 in UserKnownHostsFile=*) cat "${2#*=}" >>"$HOME/hosts" ;; esac ;;
    esac
    shift
done
exec sh -c "$last"
"""


def test_a_key_over_ssh(machine: Node, step: MakeStep, remote: Path, path: Path, tmp_path: Path) -> None:
    """The program ssh finds key and host key as private files that are on no disk; the server is verified."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/ssh").write_text(f"#!/bin/sh\n{SSH}", encoding="utf-8")
    (tmp_path / "tools/ssh").chmod(0o755)
    auth = {"private_key": KEY, "public_key": "ssh-ed25519 AAAAC3Nz"}
    assert machine.do(git, step(git={"url": f"ssh://git.example{remote}", "path": str(path), "auth": auth})) == [True]
    assert (path / "file").read_text() == "one"
    log = (tmp_path / "ssh.log").read_text()
    assert "StrictHostKeyChecking=yes" in log
    assert "-l git" in log
    assert "c2VjcmV0" not in log
    assert (tmp_path / "key").read_text().startswith(KEY + "\n")
    assert set((tmp_path / "mode").read_text().split()) == {"600"}
    assert set((tmp_path / "hosts").read_text().splitlines()) == {"* ssh-ed25519 AAAAC3Nz"}
    assert not [file for file in path.rglob("*") if file.is_file() and b"c2VjcmV0" in file.read_bytes()]


def test_insecure_and_the_users_name_over_ssh(machine: Node, step: MakeStep, remote: Path, path: Path, tmp_path: Path) -> None:
    """Only `insecure` gives up on the server's key."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/ssh").write_text(f"#!/bin/sh\n{SSH}", encoding="utf-8")
    (tmp_path / "tools/ssh").chmod(0o755)
    machine.do(git, step(git={"url": f"ssh://git.example{remote}", "path": str(path), "auth": {"username": "o'brien", "insecure": True}}))
    log = (tmp_path / "ssh.log").read_text()
    assert "StrictHostKeyChecking=no" in log
    assert "-l o'brien" in log


@pytest.mark.parametrize("url", ["http://bob:MARK/rest@127.0.0.1:1/r.git", "https://bob:MA/RK@127.0.0.1/r.git"])
def test_a_login_with_a_slash_is_refused_and_not_shown(machine: Node, step: MakeStep, path: Path, url: str) -> None:
    """Where it ends nobody can tell: git would take its first part for the server (C5)."""
    [error] = machine.do(git, step(git={"url": url, "path": str(path)}))
    assert "stages.s[0].git.url: the login" in str(error)
    assert "MA" not in str(error)


def test_a_token_in_the_query_is_refused_and_not_shown(machine: Node, step: MakeStep, path: Path) -> None:
    """It would stand in .git/config, and in the arguments of git's helper for http."""
    [error] = machine.do(git, step(git={"url": "http://127.0.0.1:1/r.git?access_token=MARK", "path": str(path), "branch": "main"}))
    assert "stages.s[0].git.url: the address of a repository has no query" in str(error)
    assert "MARK" not in str(error)
    assert not path.exists()
