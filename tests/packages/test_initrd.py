"""A node's tree finished by the packages alone: what an image needs is there, and its initrd is equal byte for byte in two builds."""

from __future__ import annotations

from pathlib import Path

import package_build
import package_tree
import pytest
import rootfs

from kairos_boot.actions.image_layers import NEEDED
from tests.packages.conftest import need_trees

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def debs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The packages for the release that the test node has."""
    need_trees()
    made, _ = package_build.deb(rootfs.SUITE, tmp_path_factory.mktemp("debs"), look=False)
    return [path for path in made if path.suffix == ".deb" and "dbgsym" not in path.name]


def test_two_trees_have_the_same_initrd_and_all_that_an_image_needs(debs: list[Path]) -> None:
    initrds = []
    for _ in range(2):
        chamber = package_tree.Chamber(rootfs.tree(), "node")
        try:
            # What else the packages ask for is in the tree; GRUB's tools are not, and only its editor runs on a node.
            chamber.run("dpkg", "--install", "--force-depends", *chamber.put(*debs, into="/tmp"))
            chamber.run("kairos-boot-image")
            lacking = [name for name in NEEDED if not (chamber.upper / name.lstrip("/")).exists() and not (chamber.tree / name.lstrip("/")).exists()]
            assert lacking == []
            initrds.append((chamber.upper / "boot/initrd").read_bytes())
        finally:
            chamber.close()
    assert initrds[0] == initrds[1]
