"""What is in the initrd of the test node, which has no encrypted partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kairos_boot.system.initramfs import names
from kairos_boot.system.process import Processes

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.vm, pytest.mark.root]


def test_an_initrd_that_does_not_ask_for_the_module_of_encrypted_partitions_has_none_of_its_files(base_disk: Path) -> None:
    """Nor the libraries of the TPM."""
    found = names(str(base_disk.parent / "initrd"), Processes())
    assert "usr/lib/systemd/system/kairos-boot-initrd.service" in found
    assert [path for path in found if "kairos-boot-crypt" in path or "libtss2" in path] == []
