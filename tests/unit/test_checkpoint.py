"""What the boot loader may not see is told, whoever changed it (G2): the one place that knows it has the log itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
CHANGES = {
    "a variable": 'grubenv.save("grubenv", {"a": "1"})',
    "a variable of an action": 'SetVariables(home + "/grubenv", {"a": "1"}).apply(host)',
    "a variable at the end of a boot": 'resume.hand_on(grubenv, "grubenv")',
    "the marker of an action": 'marker.Marker(home, "statereset", marker.Begun("reset", {})).arm()',
    "the end of a marker": "marker.forget_entry(home)",
    "the verdict on a boot": 'assessment.settle(home, "boot_tries", assessment.Verdict((), ()), "x")',
    "a second name": 'LinkImage(home + "/image", home + "/link").apply(host)',
    "a switch": 'SwitchImage(home + "/image", home + "/next", "").apply(host)',
    "an image": 'put(Host("/", Fine()), "x", home + "/new", lambda new: open(new, "w").close() or "0" * 64)',
    "the end of an installation": "MakeDurable((home,)).apply(host)",
}
SCRIPT = """
import os, sys
sys.path.insert(0, {top!r})
from types import SimpleNamespace
from kairos_boot.actions.image_file import put
from kairos_boot.boot import resume
from kairos_boot.lifecycle import assessment, marker
from kairos_boot.lifecycle.bootloader import SetVariables
from kairos_boot.lifecycle.install import MakeDurable
from kairos_boot.lifecycle.switching import LinkImage, SwitchImage
from kairos_boot.node import grubenv
from kairos_boot.system.host import Host
class Fine:
    def run(self, argv, **how):
        return SimpleNamespace(code=0, timed_out=False, output="")
home, host = os.getcwd(), Host("/")
{change}
{change}
"""


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_what_cannot_be_frozen_is_told_once_whoever_changes_it(tmp_path: Path, change: str) -> None:
    """The kernel freezes a file system for nobody who lacks CAP_SYS_ADMIN, as in a pod."""
    prefix = ["setpriv", "--bounding-set=-sys_admin"] if not os.geteuid() else []
    if prefix and not shutil.which("setpriv"):
        pytest.skip("setpriv (package util-linux) is not here")
    (tmp_path / "image").touch()
    (tmp_path / "grubenv").write_bytes(b"# GRUB Environment Block\nboot_tries=x\nresume_entry=x\n".ljust(1024, b"#"))
    done = subprocess.run([*prefix, sys.executable, "-c", SCRIPT.format(top=str(TOP), change=change)], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.count("its journal may hold what the boot loader does not see")) == (0, 1), done.stderr
