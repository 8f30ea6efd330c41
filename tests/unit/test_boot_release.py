"""What system it is, as stage rootfs sees it in the initrd."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kairos_boot.boot.build import name_the_system

OWN = 'NAME=dracut\nID=dracut\nVERSION_ID="106-6"\n'
IMAGE = 'NAME="Debian GNU/Linux"\nID=debian\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n'


def initrd(top: Path) -> str:
    """An initrd's root as dracut leaves it, with the image's beside it."""
    for path in ("etc", "usr/lib", "sysroot/etc", "sysroot/usr/lib"):
        (top / path).mkdir(parents=True)
    (top / "usr/lib/initrd-release").write_text(OWN)
    (top / "etc/os-release").symlink_to("../usr/lib/initrd-release")
    return f"{top}/sysroot"


@pytest.mark.parametrize("link", ["../usr/lib/os-release", "/usr/lib/os-release"])
def test_it_is_the_images_however_that_points_to_it(tmp_path: Path, link: str) -> None:
    sysroot = initrd(tmp_path)
    (tmp_path / "sysroot/usr/lib/os-release").write_text(IMAGE)
    (tmp_path / "sysroot/etc/os-release").symlink_to(link)
    for _ in range(2):
        name_the_system(sysroot, f"{tmp_path}/etc/os-release")
    assert (tmp_path / "etc/os-release").read_text() == IMAGE
    assert (tmp_path / "usr/lib/initrd-release").read_text() == OWN
    assert sorted(os.listdir(tmp_path / "etc")) == ["os-release"]


def test_an_image_that_does_not_say_leaves_what_the_initrd_says(tmp_path: Path) -> None:
    name_the_system(initrd(tmp_path), f"{tmp_path}/etc/os-release")
    assert (tmp_path / "etc/os-release").read_text() == OWN
