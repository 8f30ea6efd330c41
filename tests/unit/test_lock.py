"""One run at a time (B13, C13): a second waits, a child of the holder does not, and what outlives a run holds nothing."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.system import lock as module
from kairos_boot.system.lock import VARIABLE, Lock, holder, inherited, token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLD = """
import os, sys, time
from kairos_boot.system.lock import Lock
while os.getppid() == int(sys.argv[3]):
    time.sleep(0.01)
lock = Lock(sys.argv[1], "stage quince")
lock.acquire(lambda text: print("waits:", text, flush=True), float(sys.argv[2]))
print("shares" if lock.shared else "holds", flush=True)
{body}
lock.release()
"""


def refuse(text: str) -> None:
    """Nobody is to be waited for."""
    pytest.fail(text)


@pytest.fixture
def path(tmp_path: Path) -> Iterator[str]:
    """Where the lock lies; the variable of this process is put back."""
    yield str(tmp_path / "own/lock")
    os.environ.pop(VARIABLE, None)


def start(path: str, body: str = "", limit: float = 30.0, inherit: str | None = None, *, stranger: bool = False) -> subprocess.Popen[str]:
    """Another process that takes the lock and then does *body*; *inherit* is the token it is given. A *stranger* does not descend from this process."""
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    if inherit is not None:
        environment[VARIABLE] = inherit
    words = [sys.executable, "-c", HOLD.format(body=body), path, str(limit)]
    return subprocess.Popen(["sh", "-c", '"$0" "$@" $$ &', *words] if stranger else [*words, "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, close_fds=False,
                            env=environment)


def line(process: subprocess.Popen[str]) -> str:
    """The next line that it prints."""
    assert process.stdout
    return process.stdout.readline().rstrip("\n")


def test_a_second_run_waits_says_who_holds_it_and_gets_the_lock_when_the_first_ends(path: str) -> None:
    first = start(path, "sys.stdin.readline()")
    assert line(first) == "holds"
    second = start(path)
    assert f"process {first.pid} (stage quince); waiting" in line(second)
    first.communicate("\n", timeout=30)
    assert line(second) == "holds"
    assert second.wait(30) == 0


def test_waiting_has_an_end_and_the_error_names_the_holder(path: str) -> None:
    first = start(path, "time.sleep(60)")
    assert line(first) == "holds"
    try:
        with pytest.raises(KairosError, match=rf"process {first.pid} \(stage quince\)"):
            Lock(path).acquire(lambda _: None, 0.2)
    finally:
        first.kill()
        first.wait()


def test_a_child_of_the_holder_does_not_wait(path: str) -> None:
    lock = Lock(path)
    lock.acquire(refuse)
    assert start(path, inherit=os.environ[VARIABLE]).communicate(timeout=30)[0] == "shares\n"
    lock.release()
    assert VARIABLE not in os.environ


def test_a_child_whose_environment_was_emptied_does_not_wait_for_its_parent(path: str) -> None:
    """`env -i` in a step: the run that it starts would wait for the one that waits for it."""
    lock = Lock(path)
    lock.acquire(refuse)
    code = HOLD.format(body="")
    for between in ([], ["sh", "-c", '"$@"; true', "-"]):
        done = subprocess.run([*between, "env", "-i", f"PYTHONPATH={os.path.abspath(f'{__file__}/../../..')}", sys.executable, "-c", code, path, "5", "0"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=60, check=False)
        assert done.stdout == "shares\n"
    ask = f"import sys; sys.path.insert(0, {os.path.abspath(f'{__file__}/../../..')!r}); from kairos_boot.system.lock import inherited; print(inherited({path!r}))"
    for words in (["env", "-i", sys.executable, "-c", ask], [sys.executable, "-c", ask]):
        assert subprocess.run(words, capture_output=True, text=True, timeout=60, check=False).stdout == "True\n"
    lock.release()
    assert not inherited(path)


def test_what_outlived_its_run_does_not_share_the_next_ones_lock(path: str) -> None:
    """A background process still has the token of a run that is over; the lock of another run is not its own."""
    lock = Lock(path)
    lock.acquire(refuse)
    old = os.environ[VARIABLE]
    lock.release()
    first = start(path, "time.sleep(60)")
    assert line(first) == "holds"
    for wrong in (old, f"{first.pid}:1", f"{first.pid}:", "", ":"):
        os.environ[VARIABLE] = wrong
        with pytest.raises(KairosError, match="still holds"):
            Lock(path).acquire(lambda _: None, 0.2)
    first.kill()
    first.wait()


def test_a_run_that_is_killed_leaves_the_lock_to_nobody(path: str) -> None:
    """Its background child lives on, with every descriptor that it inherited."""
    first = start(path, "import subprocess; print(subprocess.Popen(['sleep', '60'], close_fds=False).pid, flush=True); time.sleep(60)")
    assert line(first) == "holds"
    child = int(line(first))
    first.kill()
    first.wait()
    Lock(path).acquire(refuse, 0)
    os.kill(child, 9)


@pytest.mark.root
def test_nobody_but_root_can_hold_it_up_whatever_modes_are_found(path: str) -> None:
    """The file and its directory are root's alone, a file that was not is not trusted any more."""
    if os.geteuid():
        pytest.skip("needs root: chown")
    os.mkdir(os.path.dirname(path), 0o777)
    os.chmod(os.path.dirname(path), 0o1777)
    os.chown(os.path.dirname(path), 12345, 12345)
    with open(path, "w", encoding="utf-8"):
        os.chmod(path, 0o644)
        os.chown(path, 12345, 12345)
    Lock(path).acquire(refuse)
    for name, mode in ((os.path.dirname(path), 0o700), (path, 0o600)):
        found = os.stat(name)
        assert (stat.S_IMODE(found.st_mode), found.st_uid) == (mode, 0)


def test_the_umask_changes_no_mode(path: str) -> None:
    before = os.umask(0)
    try:
        Lock(path).acquire(refuse)
    finally:
        os.umask(before)
    assert [stat.S_IMODE(os.stat(name).st_mode) for name in (os.path.dirname(path), path)] == [0o700, 0o600]


def test_a_pid_that_cannot_be_written_changes_nothing(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full /run: the kernel knows the holder all the same."""
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    Lock(path).acquire(refuse)
    second = start(path, limit=0.2, stranger=True)
    assert f"process {os.getpid()};" in line(second)
    assert start(path, inherit=os.environ[VARIABLE]).communicate(timeout=30)[0] == "shares\n"


@pytest.mark.parametrize("kind", ["fifo", "link"])
def test_what_is_no_lock_gives_way(path: str, kind: str) -> None:
    """A FIFO in its place neither hangs nor ends a run, a link leads nowhere."""
    os.mkdir(os.path.dirname(path))
    os.mkfifo(path) if kind == "fifo" else os.symlink("elsewhere", path)
    Lock(path).acquire(refuse)
    assert start(path, limit=0.2, stranger=True).communicate(timeout=30)[0].startswith("waits")


@pytest.mark.parametrize("broken", ["directory", "file"])
def test_where_no_lock_can_be_the_run_goes_on_and_says_the_fact(path: str, broken: str, tmp_path: Path) -> None:
    if broken == "file":
        (tmp_path / "own").write_text("")
    else:
        (tmp_path / "own/lock").mkdir(parents=True)
    said: list[str] = []
    lock = Lock(path)
    lock.acquire(said.append)
    assert len(said) == 1
    assert "there can be no lock" in said[0]
    assert "run as root" not in said[0]
    lock.release()


def test_the_holder_is_told_from_a_file_of_the_same_number_and_from_the_dead(path: str) -> None:
    assert holder(path) is None
    first = start(path, "time.sleep(60)")
    assert line(first) == "holds"
    found = holder(path)
    assert found is not None
    assert (found.pid, found.about) == (first.pid, "stage quince")
    first.kill()
    first.wait()
    assert holder(path) is None, "what the file says does not count"


def test_the_record_tells_the_holder_to_other_namespaces(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel names no process there, so the token decides alone."""
    first = start(path, "time.sleep(60)")
    assert line(first) == "holds"
    monkeypatch.setattr(module, "_holder", lambda fd: module.Holder(0))
    os.environ[VARIABLE] = module._token(first.pid)
    lock = Lock(path)
    lock.acquire(refuse, 0.2)
    assert lock.shared
    first.kill()
    first.wait()


def test_a_token_is_a_process_and_its_start() -> None:
    pid, start_time = token().split(":")
    assert int(pid) == os.getpid()
    assert int(start_time) > 0


def test_a_run_that_holds_one_lock_shares_the_lock_of_the_run_that_called_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage's step starts an action, whose hook is a stage again: nobody waits for his own ancestor. What frees an inner lock leaves the outer one's token."""
    monkeypatch.delenv("KAIROS_BOOT_LOCK", raising=False)
    stage, action = Lock(str(tmp_path / "lock"), "stage boot"), Lock(str(tmp_path / "action"), "upgrade")
    stage.acquire(print)
    script = f"""
import sys
sys.path.insert(0, {os.path.abspath(f"{__file__}/../../..")!r})
from kairos_boot.system.lock import Lock
action, hook = Lock({str(tmp_path / "action")!r}), Lock({str(tmp_path / "lock")!r})
action.acquire(print, 2)
hook.acquire(print, 2)
print(action.shared, hook.shared)
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert (told.stdout, told.stderr) == ("False True\n", "")
    before = os.environ["KAIROS_BOOT_LOCK"]
    action.acquire(print)
    action.release()
    assert os.environ["KAIROS_BOOT_LOCK"] == before
    stage.release()
    assert "KAIROS_BOOT_LOCK" not in os.environ
