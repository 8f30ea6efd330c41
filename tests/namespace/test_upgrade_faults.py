"""What an upgrade says of the images when something fails, and what is said of an image that is written anew (G2, G9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.root

START = """
from upgrade_node import *
from kairos_boot.actions.image_file import CopyImage
from kairos_boot.lifecycle.upgrading import upgrade, settle
from kairos_boot.lifecycle import marker
from kairos_boot.errors import KairosError
from kairos_boot.node import grubenv
def writable():
    mounts.mount("", COS, options=("remount", "rw"))
def archive(node):
    import oci_images
    os.environ["TMPDIR"] = home + "/fetched"
    os.makedirs(home + "/fetched", exist_ok=True)
    oci_images.archive(home + "/image.tar", oci_images.image(oci_images.layer(node.new)))
    return "ocifile:" + home + "/image.tar"
def failing(work):
    try:
        work()
    except KairosError as error:
        return f"{type(error).__name__}: {error}"
"""


def test_an_image_that_is_written_anew_is_not_said_to_be_made_of_what_the_old_one_was(unshared: Callable[..., Any]) -> None:
    """Else an upgrade to the image that the node had before a reset would find nothing to do."""
    names, version, said = unshared(START + """
node = UpgradeNode(home)
source = archive(node)
upgrade(node, {"source": source})
writable()
CopyImage(COS + "/cOS/passive.img", COS + "/cOS/active.img", "COS_ACTIVE").apply(node.host)
names = sorted(os.listdir(COS + "/cOS"))
node.lines.clear()
upgrade(node, {"source": source})
tell([names, node.inside("active")["etc/version"], [line for line in node.lines if "nothing to do" in line]])
node.close()
""")
    assert "active.img.sha256" in names
    assert "active.img.source" not in names
    assert (version, said) == ("2", [])


@pytest.mark.parametrize(("boot", "tries", "refused"), [("passive", "xx", True), ("active", "xx", False), ("passive", "x", False)])
def test_a_system_that_was_started_in_vain_is_not_called_done(unshared: Callable[..., Any], boot: str, tries: str, refused: bool) -> None:
    """The system that runs may be in its second start; it is not one that came up in vain."""
    said, lines = unshared(START + f"""
node = UpgradeNode(home)
source = archive(node)
upgrade(node, {{"source": source}})
writable()
grubenv.save(COS + "/grubenv", {{"boot_tries": {tries!r}}})
os.rename("/run/cos/active_mode", "/run/cos/{boot}_mode")
node.lines.clear()
tell([failing(lambda: upgrade(node, {{"source": source}})), node.lines])
node.close()
""")
    assert bool(said and "started in vain" in said and "bootentry --select cos" in said) == refused
    assert any("nothing to do" in line for line in lines) != refused


def test_what_was_fetched_and_cannot_be_removed_is_told_and_the_upgrade_is_done(unshared: Callable[..., Any]) -> None:
    outcome, version, lines = unshared(START + """
node = UpgradeNode(home)
os.makedirs("/usr/local/tmp/.kairos-boot/source/busy")
mounts.mount("tmpfs", "/usr/local/tmp/.kairos-boot/source/busy", "tmpfs")
outcome = upgrade(node, {"source": "dir:" + node.new, "reboot": True})
tell([outcome.then, node.inside("active")["etc/version"], node.lines])
mounts.unmount("/usr/local/tmp/.kairos-boot/source/busy")
node.close()
""")
    assert (outcome, version) == ("reboot", "2")
    assert [line for line in lines if line.startswith("4 what was fetched cannot be removed")]
    assert any("Upgrade completed" in line for line in lines)
