"""The Debian tree of the test node."""

from __future__ import annotations

import struct

import pytest
import rootfs

pytestmark = [pytest.mark.root, pytest.mark.container]


def test_no_byte_code_is_checked_against_its_source() -> None:
    """All files of the tree get one time stamp: what is checked would count as old, and a node's root is read-only, so each start would compile it anew."""
    checked = [path.name for path in (rootfs.tree() / "usr/lib").rglob("*.pyc") if struct.unpack("<I", path.read_bytes()[4:8]) != (1,)]
    assert checked == []
