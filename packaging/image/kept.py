"""The node of `make boot`: of one cache one run at a time, and a node that an earlier run kept is ended only as what it is."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import time
from pathlib import Path

from common import say

PATIENCE = 10.0
"""Seconds until QEMU has ended."""
_held: list[int] = []


class BusyError(Exception):
    """Another run works there."""


def alone(home: Path) -> None:
    """Have *home* to this process until it ends. BusyError: another run has it, whose node must not be ended."""
    lock = os.open(home / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        other = os.pread(lock, 32, 0).decode(errors="replace").strip()
        os.close(lock)
        raise BusyError(f"another run works in {home} (process {other}), and its node goes on: wait for its end, or have a cache of your own (XDG_CACHE_HOME)") from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    _held.append(lock)


def end(home: Path, disk: Path, patience: float = PATIENCE) -> bool:
    """End the node that an earlier run kept in *home* and that runs from *disk*, and say so before; whether there was one. BusyError: it does not end.

    The number of its process may be another's by now: only what has that disk on its command line is it.
    """
    try:
        pid = int((home / "pid").read_text())
        watched = os.pidfd_open(pid)
    except (OSError, ValueError):
        return False
    try:
        process = Path(f"/proc/{pid}")
        if str(disk).encode() not in process.joinpath("cmdline").read_bytes():
            return False
        began = time.strftime("%H:%M", time.localtime(process.stat().st_ctime))
        say(f"ending the node that a run kept at {began} (KEEP=1, process {pid}): it has the disk {disk}; a cache of its own (XDG_CACHE_HOME) would let it go on")
        signal.pidfd_send_signal(watched, signal.SIGTERM)
        if not select.select([watched], [], [], patience)[0]:
            raise BusyError(f"the node (process {pid}) does not end within {patience:g} s, and has the disk {disk}")
    except OSError:  # it ended by itself
        pass
    finally:
        os.close(watched)
    return True
