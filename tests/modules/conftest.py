"""What module tests work with: a node in a directory, a recorder of programs, a fixed clock, and steps from plain data."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.cloudconfig.model import Step
from kairos_boot.cloudconfig.plain import build
from kairos_boot.errors import KairosError
from kairos_boot.facts import Facts
from kairos_boot.records import record
from kairos_boot.stages.execution import placed
from kairos_boot.system.host import Host
from kairos_boot.system.process import Processes, Result
from tests.modules.web import Web
from tests.plans import heard

if TYPE_CHECKING:
    from kairos_boot.modules import Module

NOW = 1_750_000_000.0
MakeStep = Callable[..., Step]
Tools = Callable[..., Host]
CLONE_NEWUSER, CLONE_NEWUTS = 0x10000000, 0x04000000


@record
class Call:
    """One program that was asked for."""

    argv: tuple[str, ...]
    timeout: float
    env: Mapping[str, str]
    stdin: bytes


class Recorder:
    """Runs nothing: records what is asked for and gives the answer that a test queued, else success without output."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answers: list[tuple[tuple[str, ...], Result]] = []

    @property
    def argvs(self) -> list[tuple[str, ...]]:
        """The argument lists in order."""
        return [call.argv for call in self.calls]

    def answer(self, *words: str, code: int = 0, output: str = "", timed_out: bool = False) -> None:
        """Answer commands that begin with *words* so; the longest match counts, of equal ones the last."""
        self.answers.append((words, Result(code, output, timed_out)))

    def run(self, argv: Sequence[str], *, timeout: float = 0, env: Mapping[str, str] | None = None, stdin: bytes = b"", whole: int = 0) -> Result:
        """Record the call."""
        self.calls.append(Call(tuple(argv), timeout, dict(env or {}), stdin))
        fitting = [(len(words), number) for number, (words, _) in enumerate(self.answers) if tuple(argv[:len(words)]) == words]
        return self.answers[max(fitting)[1]][1] if fitting else Result(0)


class Node(Host):
    """A host in a directory of the test, with short ways to fill it and to look at it."""

    processes: Any

    @property
    def ran(self) -> list[tuple[str, ...]]:
        """What the recorder was asked to run."""
        recorder: Recorder = self.processes
        return recorder.argvs

    def put(self, path: str, content: str | bytes = "", mode: int = 0o644) -> str:
        """Make a file of the node with its parents; return where it lies."""
        real = Path(self.root + path)
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_bytes(content if isinstance(content, bytes) else content.encode())
        real.chmod(mode)
        return str(real)

    def text(self, path: str) -> str:
        """The text of a file of the node."""
        return Path(self.root + path).read_text(encoding="utf-8")

    def mode(self, path: str) -> int:
        """The permission bits of a file of the node, links not followed."""
        return os.lstat(self.root + path).st_mode & 0o7777

    def do(self, module: Module, step: Step, facts: Facts | None = None) -> list[bool | str]:
        """Plan *step* and apply each action as the runner does: True, False, or the text of the error, an item each."""
        return [str(placed(came, step, module.KEY, action)) if isinstance(came, KairosError) else bool(came)
                for action, came in heard(module.plan(step, facts or Facts(read=self.read)), lambda action: action.apply(self))]

    def state(self) -> dict[str, tuple[int, ...]]:
        """Inode, times, mode and owner of everything on the node: equal states mean that nothing was written."""
        found: dict[str, tuple[int, ...]] = {}
        for directory, names, files in os.walk(self.root):
            for name in (*names, *files, "."):
                now = os.lstat(f"{directory}/{name}")
                found[f"{directory}/{name}"] = (now.st_ino, now.st_mtime_ns, now.st_ctime_ns, now.st_mode, now.st_uid, now.st_gid)
        return found


@pytest.fixture(scope="session", autouse=True)
def _as_root() -> None:
    """Files of a node belong to root: someone else becomes root in a user namespace, where the kernel allows that.

    The host name is of a namespace, too, so that no defect renames the machine that runs the tests.
    """
    user, group = os.geteuid(), os.getegid()
    unshare = ctypes.CDLL(None, use_errno=True).unshare
    if user == 0:
        unshare(CLONE_NEWUTS)
        return
    if unshare(CLONE_NEWUSER | CLONE_NEWUTS):
        pytest.skip(f"not root, and no user namespace: {os.strerror(ctypes.get_errno())}")
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        Path(f"/proc/self/{name}").write_text(text, encoding="ascii")


@pytest.fixture
def web() -> Iterator[Web]:
    """A server without pages."""
    server = Web()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxies of whoever runs the tests do not count."""
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def recorder() -> Recorder:
    """Stands for the node's programs."""
    return Recorder()


@pytest.fixture
def host(tmp_path: Path, recorder: Recorder) -> Node:
    """A node without anything but /etc, not the running system; its programs are recorded, its clock stands still."""
    (tmp_path / "node/etc").mkdir(parents=True)
    return Node(str(tmp_path / "node"), recorder, lambda: NOW)


@pytest.fixture
def step() -> MakeStep:
    """Makes a step out of the plain data of its keys: `step(dns={"nameservers": ["192.0.2.1"]})`."""

    def make(**keys: Any) -> Step:
        made: Step = build(Step, {"source": "/oem/a.yaml", "place": "stages.s[0]", "keys": tuple(keys), **keys})
        return made

    return make


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    """Makes a node that really runs programs: `tools(host, git="echo …")` puts shell scripts first on its PATH."""

    def make(host: Host, **scripts: str) -> Host:
        directory = tmp_path / "tools"
        directory.mkdir(exist_ok=True)
        for name, text in scripts.items():
            (directory / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
            (directory / name).chmod(0o755)
        host.processes = Processes("/", {"PATH": f"{directory}:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(tmp_path)})
        return host

    return make


@pytest.fixture
def machine(tmp_path: Path) -> Node:
    """This machine itself, for tests that give absolute paths below *tmp_path*; `tools/` there comes first on its PATH."""
    return Node("/", Processes("/", {"PATH": f"{tmp_path}/tools:/usr/bin:/bin", "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}))
