"""unpack_images of archives that nobody should get: each is one error with its place, and nothing of it is laid over the target."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import struct
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kairos_boot.modules import unpack_images
from tests.modules.test_unpack_images import layer, state

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.modules.conftest import MakeStep, Node

PACKERS: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "tar": bytes}
NOISE = random.Random(1)
FILES = {f"f{number}": NOISE.randbytes(9000).hex() for number in range(8)}


def member(**fields: object) -> bytes:
    """A good file, and one with odd headers."""
    out = io.BytesIO()
    pax = fields.pop("pax", {})
    assert isinstance(pax, dict)
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("good"))
        odd = tarfile.TarInfo("odd")
        odd.pax_headers = pax
        for name, value in fields.items():
            setattr(odd, name, value)
        tar.addfile(odd)
    return out.getvalue()


def base256(uid: int) -> bytes:
    """A uid in GNU's binary form, as no user can have it."""
    data = bytearray(member())
    at = data.index(b"odd\0")
    data[at + 108:at + 116] = b"\x80" + uid.to_bytes(7, "big")
    data[at + 148:at + 156] = b" " * 8
    data[at + 148:at + 156] = b"%06o\0 " % sum(data[at:at + 512])
    return bytes(data)


DAMAGED: dict[str, bytes] = {
    **{f"half a {kind}": pack(layer(FILES))[:40000] for kind, pack in PACKERS.items()},
    **{f"NULs in a {kind}": (packed := pack(layer(FILES)))[:30000] + bytes(200) + packed[30200:] for kind, pack in PACKERS.items() if kind != "tar"},
    "a wrong checksum at the end": gzip.compress(layer(FILES))[:-8] + struct.pack("<II", 7, len(layer(FILES))),
    "a wrong length at the end": gzip.compress(layer(FILES))[:-4] + b"\0\0\0\0",
    "no checksum at the end": gzip.compress(layer(FILES))[:-8],
    "a second half that is missing": gzip.compress(layer(FILES)[:2048]) + gzip.compress(layer(FILES)[2048:])[:-30],
    "something behind it": gzip.compress(layer(FILES)) + b"more",
    "a uid too large for PAX": member(pax={"uid": "99999999999999999999"}),
    "a uid too large for GNU": base256(1 << 40),
    "the uid that is nobody's": base256(0xFFFFFFFF),
    "a negative uid": member(pax={"uid": "-5"}),
    "no time": member(pax={"mtime": "nan"}),
    "an endless time": member(pax={"mtime": "inf"}),
    "a far time": member(pax={"mtime": "1e300"}),
    "a NUL in a path": member(pax={"path": "a\0b"}),
    "a NUL in a link": member(type=tarfile.SYMTYPE, pax={"linkpath": "a\0b"}),
    "an attribute that no file system has": member(pax={"SCHILY.xattr.nonsense": "x"}),
    "a way out": member(name="../out"),
    "a link to nothing": member(type=tarfile.LNKTYPE, linkname="nothing"),
    "a file below a link": layer({"f3": "new", "lib": ("link", "usr/lib"), "lib/file": "lost"}),
    "a file far below a file": layer({"f3": "new", "d": "text", "d/e/f/file": "lost"}),
    "nothing": b"",
    "a text": b"no archive\n" * 100,
    "an empty gzip": gzip.compress(b""),
}
LATE = {"an attribute that no file system has"}
"""What only the file system refuses: files before it are there."""


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_archive_is_one_error(machine: Node, step: MakeStep, tmp_path: Path, name: str) -> None:
    """Nothing is laid down, no temporary stays, and the next item is done."""
    (tmp_path / "bad").write_bytes(DAMAGED[name])
    (tmp_path / "good.tar").write_bytes(layer({"file": "text"}))
    target = tmp_path / "target"
    target.mkdir()
    (target / "f3").write_text("mine")
    before = state(target)
    items = [{"source": f"{tmp_path}/bad", "target": str(target)}, {"source": f"{tmp_path}/good.tar", "target": f"{tmp_path}/other"}]
    results = machine.do(unpack_images, step(unpack_images=items))
    assert str(results[0]).startswith("/oem/a.yaml: stages.s[0].unpack_images[0]: "), results
    assert results[1] is True
    if name not in LATE:
        assert state(target) == before
    assert not list(target.glob(".*"))
    assert not list(Path("/tmp/.kairos-boot").glob("image-*"))
    assert (tmp_path / "other/file").read_text() == "text"


@pytest.mark.parametrize("kind", PACKERS)
def test_a_good_archive_of_each_kind(machine: Node, step: MakeStep, tmp_path: Path, kind: str) -> None:
    """Whatever the file is called; of gzip all members count."""
    data = layer(FILES)
    packed = gzip.compress(data[:4096]) + gzip.compress(data[4096:]) if kind == "gz" else PACKERS[kind](data)
    (tmp_path / "image").write_bytes(packed)
    wanted = step(unpack_images=[{"source": f"{tmp_path}/image", "target": f"{tmp_path}/target"}])
    assert machine.do(unpack_images, wanted) == [True]
    assert {file.name: file.read_text() for file in (tmp_path / "target").iterdir()} == FILES
    assert machine.do(unpack_images, wanted) == [False]


def test_what_a_cut_run_left_goes_first(machine: Node, step: MakeStep, tmp_path: Path) -> None:
    """The names of temporaries are always the same; one in /tmp that a user took is moved out of the way, not obeyed."""
    (tmp_path / "image.tar").write_bytes(layer({"file": "text"}))
    wanted = step(unpack_images=[{"source": f"{tmp_path}/image.tar", "target": f"{tmp_path}/target"}])
    (tmp_path / "target").mkdir()
    (tmp_path / "target/.file.kairos-new").write_text("half")
    assert machine.do(unpack_images, wanted) == [True]
    assert os.listdir(tmp_path / "target") == ["file"]


@pytest.mark.root
def test_a_name_in_tmp_that_a_user_took(host: Node, step: MakeStep, tmp_path: Path) -> None:
    """A link, a file or a directory of a user: nothing goes there, and nothing of it is lost."""
    host.put("/srv/image.tar", gzip.compress(layer({"file": "text"})))
    os.mkdir(f"{host.root}/tmp")
    os.chmod(f"{host.root}/tmp", 0o1777)
    taken = Path(f"{host.root}/tmp/.kairos-boot")
    ways: list[Callable[[], object]] = [lambda: taken.symlink_to("/srv"), lambda: taken.write_text("mine"), taken.mkdir]
    for number, take in enumerate(ways):
        take()
        os.chown(taken, 2000, 2000, follow_symlinks=False)
        assert host.do(unpack_images, step(unpack_images=[{"source": "/srv/image.tar", "target": f"/srv/target{number}"}])) == [True]
        now = taken.lstat()
        assert (now.st_uid, now.st_mode & 0o7777) == (0, 0o700)
        taken.rmdir()
    assert len(os.listdir(f"{host.root}/tmp")) == 3
