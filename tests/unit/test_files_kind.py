"""A name that is no file never becomes one: devices and pipes, whatever key writes there."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.system.accounts import Accounts
from kairos_boot.system.host import Host

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs a device")]


def test_an_account_file_that_leads_to_a_device_leaves_it_a_device(tmp_path: Path) -> None:
    """The null device reads as empty, like a file that is not there; it must not take the accounts' place."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "dev").mkdir()
    os.mknod(tmp_path / "dev/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    (tmp_path / "etc/group").symlink_to("/dev/null")
    with Accounts(Host(str(tmp_path))) as accounts:
        accounts.ensure_group("new")
        with pytest.raises(KairosError, match="not a regular file"):
            accounts.save()
    assert stat.S_ISCHR((tmp_path / "dev/null").lstat().st_mode)
