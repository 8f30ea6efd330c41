"""A file is replaced whole, whoever writes beside it, and nothing of an attempt that fails is left."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from kairos_boot.system.atomic import beside, clear, replace_file
from kairos_boot.system.host import Host

if TYPE_CHECKING:
    from pathlib import Path


def write(root: Path, content: bytes) -> None:
    with Host(str(root)).place("/file") as place:
        replace_file(place, content, 0o644, os.geteuid(), os.getegid())


def test_steps_that_overlap_write_one_after_the_other(tmp_path: Path) -> None:
    """Their temporary file has one name: each is complete before the next one is begun."""
    texts = [bytes([number]) * 200_000 for number in range(4)]
    failures: list[BaseException] = []

    def work(text: bytes) -> None:
        try:
            for _ in range(20):
                write(tmp_path, text)
                with Host(str(tmp_path)).place("/file") as place:
                    clear(place)
                assert (tmp_path / "file").read_bytes() in texts
        except BaseException as error:  # noqa: BLE001 - told below, in the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert os.listdir(tmp_path) == ["file"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """Here a directory took the name meanwhile."""
    with Host(str(tmp_path)).place("/file") as place:
        (tmp_path / "file").mkdir()
        with pytest.raises(OSError, match="directory"):
            replace_file(place, b"x", 0o644, os.geteuid(), os.getegid())
    assert os.listdir(tmp_path) == ["file"]


def test_what_a_cut_run_left_goes_first(tmp_path: Path) -> None:
    """Also a second name of a file that matters, which is not written to."""
    (tmp_path / "precious").write_text("mine")
    os.link(tmp_path / "precious", tmp_path / beside("file"))
    write(tmp_path, b"new")
    assert (tmp_path / "precious").read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["file", "precious"]


@pytest.mark.parametrize("name", ["x", "x" * 255, "ä" * 127, "\udcff" * 250])
def test_a_long_name_has_a_temporary_one_too(tmp_path: Path, name: str) -> None:
    """A file name has 255 bytes at most, however many letters these are."""
    with Host(str(tmp_path)).place(f"/{name}") as place:
        replace_file(place, b"x", 0o644, os.geteuid(), os.getegid())
    assert os.listdir(tmp_path) == [name]


def test_a_directory_in_the_way_of_the_temporary_file_keeps_nobody_from_writing(tmp_path: Path) -> None:
    """Any user of a directory like /tmp can make one there: it is moved aside, with what is in it."""
    (tmp_path / beside("file") / "x").mkdir(parents=True)
    write(tmp_path, b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert len(os.listdir(tmp_path)) == 2
