"""What is in an initrd is told whatever its archives are packed with; what is damaged is no answer."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.system import initramfs
from kairos_boot.system.host import Host

if TYPE_CHECKING:
    from pathlib import Path

EARLY, LATE = {"kernel/x86/microcode/GenuineIntel.bin": b"\x01" * 37}, {"usr/bin/kairos-boot": b"#!", "usr/lib/empty": b"", "init": bytes(range(256)) * 999}


def cpio(files: dict[str, bytes]) -> bytes:
    """An archive as `cpio -H newc` makes it."""
    made = b""
    for name, content in {**files, "TRAILER!!!": b""}.items():
        numbers = [1, 0o100644, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
        made += b"070701" + b"".join(b"%08x" % number for number in numbers) + name.encode() + b"\0"
        made += b"\0" * (-len(made) % 4) + content
        made += b"\0" * (-len(made) % 4)
    return made + b"\0" * (-len(made) % 512)


def by(*words: str) -> bytes:
    if not shutil.which(words[0]):
        pytest.skip(f"{words[0]} is not here")
    return subprocess.run(words, input=cpio(LATE), capture_output=True, check=True).stdout


PACKED = {
    "plain": lambda: cpio(LATE), "gzip": lambda: gzip.compress(cpio(LATE)), "xz": lambda: lzma.compress(cpio(LATE), check=lzma.CHECK_CRC32), "bzip2": lambda: bz2.compress(cpio(LATE)),
    "lzma": lambda: lzma.compress(cpio(LATE), lzma.FORMAT_ALONE), "zstd": lambda: by("zstd", "-qc"), "zstd checked": lambda: by("zstd", "-qc", "--check", "-19"), "lz4": lambda: by("lz4", "-lqc"),
}


@pytest.mark.parametrize("kind", PACKED)
def test_all_names_are_told_behind_early_microcode_and_before_another_archive(tmp_path: Path, kind: str) -> None:
    late = {"late": b"x"}
    (tmp_path / "initrd").write_bytes(cpio(EARLY) + PACKED[kind]() + b"\0" * 8 + gzip.compress(cpio(late)))
    assert initramfs.names(str(tmp_path / "initrd"), Host("/").processes) == {*EARLY, *LATE, *late}


@pytest.mark.parametrize("kind", PACKED)
def test_one_that_was_cut_is_refused(tmp_path: Path, kind: str) -> None:
    whole = PACKED[kind]()
    (tmp_path / "initrd").write_bytes(whole[: len(whole) // 3])
    with pytest.raises(KairosError, match=r"it cannot be read as an initrd: .*; make it again"):
        initramfs.names(str(tmp_path / "initrd"), Host("/").processes)


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"#!/bin/sh\nexit 0\n", b"070701" + b"z" * 200, b"\x28\xb5\x2f\xfd"])
def test_what_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "initrd").write_bytes(content)
    with pytest.raises(KairosError, match="initrd"):
        initramfs.names(str(tmp_path / "initrd"), Host("/").processes)


def test_one_that_is_missing_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(KairosError, match=r"/initrd: .*No such file"):
        initramfs.names(str(tmp_path / "initrd"), Host("/").processes)
