"""What the files of packagers say agrees with the program and among themselves."""

from __future__ import annotations

import re
from pathlib import Path

import package_source

import kairos_boot

TOP = Path(__file__).resolve().parents[2]
DEBIAN = TOP / "packaging/debian"


def test_there_is_one_version() -> None:
    found = {
        package_source.version(),
        re.findall(r"^kairos-boot \((.+)-1\)", (DEBIAN / "changelog").read_text())[0],
        re.findall(r"(?m)^Version: +(.+)$", (TOP / "packaging/rpm/kairos-boot.spec").read_text())[0],
    }
    assert found == {kairos_boot.__version__}


def test_the_compiled_module_is_the_same_release_everywhere() -> None:
    """The one that the test node has."""
    spec = (TOP / "packaging/rpm/kairos-boot.spec").read_text()
    node = (TOP / "packaging/image/rootfs.py").read_text()
    assert f"{package_source.BLKID}.tar.gz" in spec
    assert f'"{package_source.BLKID.replace("-", "==")}"' in node


def test_the_source_archive_is_equal_byte_for_byte(tmp_path: Path) -> None:
    """Whoever makes it, with whatever umask: modes are those of an archive."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert package_source.archive(tmp_path / "a").read_bytes() == package_source.archive(tmp_path / "b").read_bytes()
