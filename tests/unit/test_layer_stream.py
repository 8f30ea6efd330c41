"""A layer is read without trust in it: what is small when it is fetched takes little memory when it is unpacked."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from kairos_boot.system.layer_stream import HEADER, Layer, Stream, members

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_header_of_any_size_is_not_read_into_memory(tmp_path: Path, kind: bytes) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, 4 * HEADER
    path = tmp_path / "layer"
    path.write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(4 * HEADER)))
    with path.open("rb") as file, pytest.raises(ValueError, match="a header of the archive has"):
        list(members(Stream(file.fileno(), Layer(str(path), path.stat().st_size), lambda _: None)))


def test_a_large_file_and_a_long_name_are_read(tmp_path: Path) -> None:
    """The limit is one of headers."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name in ("n" * 5000, "last"):
            member = tarfile.TarInfo(name)
            member.size = 3 * HEADER
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    path = tmp_path / "layer"
    path.write_bytes(made.getvalue())
    fd = os.open(path, os.O_RDONLY)
    assert [member.name for member in members(Stream(fd, Layer(str(path), path.stat().st_size), lambda _: None))] == ["n" * 5000, "last"]
    os.close(fd)
