"""A host's paths stay below its root, whatever its links say."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.system.host import Host

if TYPE_CHECKING:
    from pathlib import Path


def test_links_are_followed_inside_the_root(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "usr").mkdir()
    (tmp_path / "etc/absolute").symlink_to("/usr/file")
    (tmp_path / "etc/relative").symlink_to("../usr/file")
    (tmp_path / "etc/escape").symlink_to("../../../../../etc/passwd")
    host = Host(str(tmp_path))
    for name in ("absolute", "relative"):
        assert host.path(f"/etc/{name}") == f"{tmp_path}/usr/file"
    assert host.path("/etc/escape") == f"{tmp_path}/etc/passwd"
    assert host.entry("/etc/absolute") == f"{tmp_path}/etc/absolute"


def test_a_directory_link_on_the_way_is_followed_also_for_an_entry(tmp_path: Path) -> None:
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    assert Host(str(tmp_path)).entry("/lib/x") == f"{tmp_path}/usr/lib/x"


def test_a_circle_of_links_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(KairosError, match="symbolic links"):
        Host(str(tmp_path)).path("/a")


def test_a_path_with_a_nul_is_an_error_of_the_item(tmp_path: Path) -> None:
    for host in (Host("/"), Host(str(tmp_path))):
        for look in (host.path, host.entry, host.real, host.read):
            with pytest.raises(KairosError, match="NUL"):
                look("/a\0b")


def test_the_system_itself_is_taken_as_written() -> None:
    host = Host("/")
    assert host.path("/etc/../etc/hosts") == "/etc/../etc/hosts"
    assert host.real("/proc/self/exe") == os.path.realpath("/proc/self/exe")
    assert host.online
    assert not Host("/usr").online


def test_a_missing_file_reads_as_nothing(tmp_path: Path) -> None:
    host = Host(str(tmp_path))
    assert host.read("/none") is None
    assert not host.exists("/none")
    (tmp_path / "file").write_bytes(b"text")
    assert host.read("/file") == b"text"
    assert host.read("/file/below") is None
