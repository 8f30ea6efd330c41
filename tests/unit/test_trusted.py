"""Which files root executes where others may have put them: one rule for providers and health checks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kairos_boot.system.host import Host
from kairos_boot.system.trusted import resolved, untrusted

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs other owners")]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    for directory in ("system/checks", "usr/bin", "srv/others"):
        (tmp_path / directory).mkdir(parents=True)
    for name in ("system/checks/good", "usr/bin/true"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    os.chown(tmp_path / "srv/others", 1000, 1000)
    (tmp_path / "srv/others/link").symlink_to("/usr/bin/true")
    (tmp_path / "system/checks/link").symlink_to("/usr/bin/true")
    (tmp_path / "system/checks/away").symlink_to("/srv/others/link")
    return Host(str(tmp_path))


def test_roots_own_file_is_run_by_the_name_that_was_looked_at(host: Host) -> None:
    assert untrusted(host, "/system/checks/good") == ""
    assert untrusted(host, "/system/checks/link") == ""
    assert resolved(host, "/system/checks/link") == "/usr/bin/true"


def test_a_link_in_somebody_elses_directory_is_not_followed(host: Host) -> None:
    """Though it leads to a program of root's now."""
    assert untrusted(host, "/srv/others/link") == "/srv/others belongs to user 1000, not to root"


def test_a_directory_that_others_can_write_counts(host: Host, tmp_path: Path) -> None:
    (tmp_path / "system/checks").chmod(0o777)
    assert untrusted(host, "/system/checks/good") == "others than root can write /system/checks (mode 0777)"


def test_what_is_not_there_is_not_run(host: Host) -> None:
    assert untrusted(host, "/system/checks/none") == "No such file or directory"
