"""A tree is taken away whatever its shape, and nothing that a link leads to."""

from __future__ import annotations

import os
import tarfile
from typing import TYPE_CHECKING

from kairos_boot.actions.remove import Remove
from kairos_boot.system.host import Host
from kairos_boot.system.layers import unpack
from kairos_boot.system.trees import remove

if TYPE_CHECKING:
    from pathlib import Path

LEVELS = 1100
"""More than Python's stack, a process' descriptors and a path reach."""


def deep(top: Path) -> None:
    """A directory with a file and directories inside one another."""
    top.mkdir()
    (top / "file").write_text("x")
    here = os.open(top, os.O_DIRECTORY)
    for _ in range(LEVELS):
        os.mkdir("deep", dir_fd=here)
        below = os.open("deep", os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


def test_depth_is_no_limit(tmp_path: Path) -> None:
    deep(tmp_path / "tree")
    assert Remove("/tree").apply(Host(str(tmp_path)))
    assert os.listdir(tmp_path) == []


def test_the_directory_itself_may_stay(tmp_path: Path) -> None:
    deep(tmp_path / "tree")
    assert Remove("/tree", content=True).apply(Host(str(tmp_path)))
    assert os.listdir(tmp_path / "tree") == []


def test_a_file_of_an_image_takes_the_place_of_a_tree(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    deep(tmp_path / "root/tree")
    (tmp_path / "tree").write_text("x")
    with tarfile.open(tmp_path / "layer.tar", "w") as tar:
        tar.add(tmp_path / "tree", "tree")
    root = os.open(tmp_path / "root", os.O_DIRECTORY)
    assert unpack([str(tmp_path / "layer.tar")], root)
    os.close(root)
    assert (tmp_path / "root/tree").read_text() == "x"


def test_links_are_removed_and_not_what_they_lead_to(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").write_text("x")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/link").symlink_to(tmp_path / "other")
    (tmp_path / "link").symlink_to("other")
    for name in ("tree", "link", "nothing"):
        remove(str(tmp_path / name))
    assert os.listdir(tmp_path) == ["other"]
    assert (tmp_path / "other/file").read_text() == "x"
