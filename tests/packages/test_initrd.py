"""A node's tree finished by the packages alone: what an image needs is there, and its initrd is equal byte for byte in two builds."""

from __future__ import annotations

import package_tree
import packaged
import pytest

from kairos_boot.actions.image_layers import NEEDED
from tests.packages.conftest import need_trees

pytestmark = pytest.mark.root


def test_two_trees_have_the_same_initrd_and_all_that_an_image_needs() -> None:
    need_trees()
    initrds = []
    for _ in range(2):
        chamber = package_tree.Chamber(packaged.base(), "node")
        try:
            chamber.run("dpkg", "--install", *chamber.put(*packaged.debs(), into="/tmp"))
            chamber.run("kairos-boot-image")
            lacking = [name for name in NEEDED if not (chamber.upper / name.lstrip("/")).exists() and not (chamber.tree / name.lstrip("/")).exists()]
            assert lacking == []
            initrds.append((chamber.upper / "boot/initrd").read_bytes())
        finally:
            chamber.close()
    assert initrds[0] == initrds[1]
