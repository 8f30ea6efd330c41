"""root=LABEL=… leads to the image that the menu names, whatever label is inside it (G9): the rules of udev and the entries of the menu agree."""

from __future__ import annotations

import re
from pathlib import Path

from kairos_boot.boot.cmdline import Cmdline
from kairos_boot.boot.image import STATE_DIRECTORY
from kairos_boot.boot.state import detect
from kairos_boot.lifecycle.switching import OURS

TOP = Path(__file__).resolve().parents[2]
RULES = TOP / "packaging/udev/61-kairos-boot.rules"
MENU = TOP / "packaging/image/grub.cfg"


def test_each_image_of_the_menu_has_the_link_of_its_label() -> None:
    links = dict(re.findall(r'ATTR\{loop/backing_file\}=="([^"]+)", SYMLINK\+="disk/by-label/([^"]+)"', RULES.read_text()))
    menu = MENU.read_text()
    menu = menu.replace('"$recovery_image"', re.findall(r"^set recovery_image=(\S+)", menu, re.MULTILINE)[0])  # else it is a squashfs, by no label of ours
    entries = set(re.findall(r'boot_image \w+ "\$\w+" (/cOS/\w+\.img) (COS_\w+)', menu))
    assert {(path.removeprefix(STATE_DIRECTORY), label) for path, label in links.items()} == entries
    for path, label in links.items():
        assert detect(Cmdline(f"root=LABEL={label} cos-img/filename={path}")).image_label == label


def test_the_rules_are_in_the_image_and_in_its_initrd_and_tell_an_image_of_ours() -> None:
    """An image without them is made passive by a copy under its own label."""
    assert f"/usr/lib/udev/rules.d/{RULES.name}" in OURS
    assert RULES.name in (TOP / "packaging/install").read_text()
    assert RULES.name in (TOP / "dracut/50kairos-boot/module-setup.sh").read_text()
