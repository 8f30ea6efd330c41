"""Looking for partitions by what libblkid finds on them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.system import blkid
from kairos_boot.system.host import Host

if TYPE_CHECKING:
    from pathlib import Path


def test_without_the_library_nobody_is_told_that_there_is_no_such_partition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not looked for once a device either."""
    monkeypatch.setitem(sys.modules, "blkid", None)
    for path in (tmp_path / "sys/class/block/sda1", tmp_path / "empty"):
        path.mkdir(parents=True)
    for root in (tmp_path, tmp_path / "empty"):
        with pytest.raises(KairosError, match="the Python module blkid is missing"):
            blkid.find(Host(str(root)), "LABEL", "COS_STATE")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(KairosError, match="neither a file nor a disk"):
        blkid.probe(str(tmp_path / "pipe"))


def test_a_name_that_the_library_does_not_take_is_told(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/b\xff.raw")
    with open(path, "wb"):
        pass
    with pytest.raises(KairosError, match="no UTF-8 text"):
        blkid.probe(path)
