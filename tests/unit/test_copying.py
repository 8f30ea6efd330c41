"""Large files copied: what is in the copy, its digest, its holes, and what a failure is."""

from __future__ import annotations

import hashlib
import os
import random
import resource
from typing import TYPE_CHECKING

import pytest

from kairos_boot.system import copying
from kairos_boot.system.copying import CHUNK, ZERO, copy_file, digest

if TYPE_CHECKING:
    from pathlib import Path

NOISE = random.Random(1).randbytes(3 * CHUNK + 777)


def put(path: Path, *pieces: tuple[int, bytes], size: int = 0) -> Path:
    """A file with holes between the pieces (offset, data)."""
    with path.open("wb") as file:
        for at, data in pieces:
            file.seek(at)
            file.write(data)
        file.truncate(max(size, file.tell()))
    return path


def copy(source: Path, target: Path, head: bytes = b"") -> tuple[str, list[tuple[int, int]]]:
    """Copy; the digest that is told, and the progress."""
    told: list[tuple[int, int]] = []
    one, other = os.open(source, os.O_RDONLY), os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        return copy_file(one, other, lambda done, size: told.append((done, size)), head), told
    finally:
        os.close(one)
        os.close(other)


FILES = {
    "empty": ((), 0),
    "one byte": (((0, b"x"),), 0),
    "only a hole": ((), 3 * CHUNK + 5),
    "noise": (((0, NOISE),), 0),
    "holes before, between and behind": (((CHUNK * 2, NOISE[:CHUNK + 1]), (CHUNK * 7 + 4096, NOISE)), CHUNK * 12 + 99),
    "zeros that are stored": (((0, NOISE[:100] + bytes(CHUNK * 2) + NOISE[:100] + bytes(len(ZERO) * 3 + 1)),), 0),
    "a zero first, then data": (((0, bytes(1) + NOISE[:len(ZERO)] + bytes(len(ZERO) - 1) + b"x"),), 0),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("head", [b"", b"head of its own", NOISE[:CHUNK + 3]], ids=["no head", "short head", "long head"])
def test_the_copy_has_the_content_and_the_digest_is_of_it(tmp_path: Path, name: str, head: bytes) -> None:
    """With another beginning where that is given, which is never longer than the file."""
    pieces, size = FILES[name]
    source = put(tmp_path / "source", *pieces, size=size)
    content = source.read_bytes()
    head = head[:len(content)]
    told, progress = copy(source, tmp_path / "target", head)
    wanted = head + content[len(head):]
    assert (tmp_path / "target").read_bytes() == wanted
    assert told == hashlib.sha256(wanted).hexdigest()
    assert [done for done, _ in progress] == sorted(done for done, _ in progress)
    assert not content or progress[-1] == (len(content), len(content))
    fd = os.open(tmp_path / "target", os.O_RDONLY)
    assert digest(fd) == told
    os.close(fd)


def test_holes_stay_holes_and_zeros_become_such(tmp_path: Path) -> None:
    source = put(tmp_path / "source", (0, NOISE[:4096]), (CHUNK * 4, bytes(CHUNK)), (CHUNK * 8, NOISE[:4096]), size=CHUNK * 20)
    copy(source, tmp_path / "target")
    assert (tmp_path / "target").stat().st_size == CHUNK * 20
    assert (tmp_path / "target").stat().st_blocks * 512 <= 8 * len(ZERO)


def test_a_head_over_a_hole_is_copied_in_pieces_as_large_as_any(tmp_path: Path) -> None:
    source = put(tmp_path / "source", size=3 * CHUNK)
    _, progress = copy(source, tmp_path / "target", NOISE[:2 * CHUNK])
    assert len(progress) <= 4


@pytest.mark.parametrize(("piece", "told"), [("copy", "became shorter"), ("digest", "Bad file descriptor")])
def test_what_cannot_be_read_is_an_error_and_no_digest(tmp_path: Path, piece: str, told: str) -> None:
    """The source while it is copied, and the copy while its digest is made; the thread ends."""
    source = put(tmp_path / "source", (0, NOISE))
    one = os.open(source, os.O_RDONLY)
    other = os.open(tmp_path / "target", os.O_RDWR | os.O_CREAT if piece == "copy" else os.O_WRONLY | os.O_CREAT)

    def shorten(done: int, size: int) -> None:
        os.truncate(source, CHUNK if piece == "copy" else len(NOISE))

    with pytest.raises(OSError, match=told):
        copy_file(one, other, shorten)
    os.close(one)
    os.close(other)


def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    """Here a limit of the size of files stands for it."""
    source = put(tmp_path / "source", (0, NOISE))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            import signal

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(NOISE) // 2, before[1]))
            copy(source, tmp_path / "target")
        except OSError as error:
            os.write(writer, (error.strerror or "").encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 100) == b"File too large"
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("mib", [4, 400])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, mib: int) -> None:
    """Far below 64 MiB, whatever the size: the buffers are two pieces."""
    import subprocess
    import sys
    from pathlib import Path as Place

    source = put(tmp_path / "source", *((at << 20, NOISE[:1000]) for at in range(0, mib, 2)), size=mib << 20)
    script = ("import os, resource, sys; sys.path[:0] = [sys.argv[1]]; from kairos_boot.system.copying import copy_file; "
              "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; "
              "copy_file(os.open(sys.argv[2], os.O_RDONLY), os.open(sys.argv[3], os.O_RDWR | os.O_CREAT)); "
              "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)")
    argv = [sys.executable, "-I", "-c", script, str(Place(copying.__file__).parents[2]), str(source), str(tmp_path / "target")]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    assert int(done.stdout) < 16 << 10
