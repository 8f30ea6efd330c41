"""Record every write and flush of a program to a disk: QEMU's storage daemon exports the disk as a file and keeps the log (format: dm-log-writes)."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HERE = Path(__file__).resolve().parent
FLUSH, FUA, DISCARD = 1, 2, 4
SECTOR = 512


class Entry(NamedTuple):
    """A write (*data*), a discard (*data* is None) of *size* bytes at *at*, or with flags FLUSH a flush."""

    at: int
    size: int
    flags: int
    data: bytes | None


@contextmanager
def exported(disk: Path, log: Path) -> Iterator[Path]:
    """*disk* as a file whose writes are logged to *log*."""
    place, pid = disk.with_suffix(".fuse"), disk.with_suffix(".pid")
    place.touch()
    log.write_bytes(b"")
    subprocess.run([
        "qemu-storage-daemon", "--blockdev", f"driver=file,node-name=f0,filename={disk},discard=unmap", "--blockdev", f"driver=file,node-name=l0,filename={log}",
        "--blockdev", "driver=blklogwrites,node-name=w0,file=f0,log=l0,discard=unmap",
        "--export", f"type=fuse,id=e0,node-name=w0,mountpoint={place},writable=on,allow-other=off", "--pidfile", str(pid), "--daemonize"], check=True)
    number = int(pid.read_text())
    try:
        yield place
    finally:
        os.kill(number, 15)
        end = time.monotonic() + 60
        while Path(f"/proc/{number}").exists():
            assert time.monotonic() < end, "the storage daemon does not end"
            time.sleep(0.02)


def run(disk: Path, control: str = "", environment: Mapping[str, str] | None = None, wrap: tuple[str, ...] = ()) -> dict[str, Any]:
    """Run the program over *disk* in a mount namespace of its own; what it told."""
    argv = ["unshare", "--mount", "--propagation", "private", *wrap, sys.executable, str(HERE / "cut_program.py"), str(disk), *([control] if control else [])]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False, env={**os.environ, **(environment or {})})
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def read(log: Path) -> list[Entry]:
    """The entries of a log, in order."""
    found = []
    with log.open("rb") as file:
        head = file.read(SECTOR)
        _, _, count, sector = struct.unpack_from("<QQQI", head)
        for _ in range(count):
            at, sectors, flags, _ = struct.unpack_from("<QQQQ", file.read(sector))
            size = sectors * sector
            data = None if flags & DISCARD or not size else file.read(size)
            found.append(Entry(at * sector, size, flags, data))
    return found
