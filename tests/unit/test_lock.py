"""One run at a time (B13): a second waits, a child of the holder does not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.system.lock import Lock

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys, time
from kairos_boot.system.lock import Lock
lock = Lock(sys.argv[1])
lock.acquire(lambda text: print("waits", flush=True), float(sys.argv[2]))
print("holds", flush=True)
{body}
lock.release()
"""


def refuse(text: str) -> None:
    """Nobody is to be waited for."""
    pytest.fail(text)


def start(path: str, body: str, limit: float = 30.0) -> subprocess.Popen[str]:
    """Another process that takes the lock and then does *body*."""
    return subprocess.Popen([sys.executable, "-c", HOLD.format(body=body), path, str(limit)], stdout=subprocess.PIPE, text=True, close_fds=False)


def test_a_second_run_waits_says_so_and_gets_the_lock_when_the_first_ends(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    lock = Lock(path)
    lock.acquire(refuse)
    environment = os.environ.pop("KAIROS_BOOT_LOCK")
    second = start(path, "")
    os.environ["KAIROS_BOOT_LOCK"] = environment
    assert second.stdout
    assert second.stdout.readline() == "waits\n"
    lock.release()
    assert second.stdout.readline() == "holds\n"
    assert second.wait(30) == 0


def test_waiting_has_an_end_and_the_error_names_the_holder(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    holder = start(path, "time.sleep(60)")
    assert holder.stdout
    assert holder.stdout.readline() == "holds\n"
    try:
        with pytest.raises(KairosError, match=f"process {holder.pid}"):
            Lock(path).acquire(lambda _: None, 0.2)
    finally:
        holder.kill()
        holder.wait()


def test_a_child_of_the_holder_does_not_wait(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    lock = Lock(path)
    lock.acquire(refuse)
    child = start(path, "")
    assert child.communicate(timeout=30)[0] == "holds\n"
    lock.release()


def test_what_outlived_its_run_does_not_share_the_next_ones_lock(tmp_path: Path) -> None:
    """A background process has the old descriptor and the variable; the lock of another run is not its own."""
    path = str(tmp_path / "lock")
    first = Lock(path)
    first.acquire(refuse)
    inherited = os.dup(first.fd)
    os.set_inheritable(inherited, True)
    first.release()
    holder = start(path, "time.sleep(60)")
    assert holder.stdout
    assert holder.stdout.readline() == "holds\n"
    os.environ["KAIROS_BOOT_LOCK"] = str(inherited)
    try:
        with pytest.raises(KairosError, match="still holds"):
            Lock(path).acquire(lambda _: None, 0.2)
    finally:
        del os.environ["KAIROS_BOOT_LOCK"]
        os.close(inherited)
        holder.kill()
        holder.wait()


def test_the_lock_is_free_again_although_a_background_child_kept_its_descriptor(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    lock = Lock(path)
    lock.acquire(refuse)
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    lock.release()
    before = time.monotonic()
    Lock(path).acquire(refuse, 1)
    assert time.monotonic() - before < 30
    child.kill()
    child.wait()
