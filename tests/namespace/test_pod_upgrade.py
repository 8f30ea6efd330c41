"""suc-upgrade as the pod of a Plan runs it: the image is the pod's root, the node at /host, the cluster's own files over those of the image (G7)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.root

TOP = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
POD = """\
set -e
cd "$1/new"
mkdir -p host proc sys dev tmp run oem usr/local usr/bin usr/sbin stand-in
mount --bind . . && cd "$1/new"
for name in bin etc lib lib64 opt root usr; do
    if [ -L "/$name" ]; then [ -e "$name" ] || cp -P "/$name" .; elif [ -d "/$name" ] && [ "$name" != etc ]; then mkdir -p "$name"; mount --rbind "/$name" "$name"; fi
done
mkdir -p "./$2" && mount --bind "$2" "./$2"
mount -t tmpfs tmpfs usr/local
printf 'of the cluster' >"$1/hosts" && mount --bind "$1/hosts" etc/hosts
mount -t proc proc proc; mount --rbind /sys sys
mount -t tmpfs tmpfs host
mkdir -p host/dev host/run host/oem host/usr/local host/etc
for name in dev run oem usr/local; do mount --rbind "/$name" "host/$name"; done
cp "$1/os-release" host/etc/os-release
code=0
chroot . env -i PATH=/stand-in:/usr/sbin:/usr/bin:/sbin:/bin GRACE=0 KUBERNETES_SERVICE_HOST=10.0.0.1 FORCE="${3:-}" PYTHONPATH="$2" /bin/sh /stand-in/suc-upgrade $4 || code=$?
exit $code
"""
START = f"""
from upgrade_node import *
import subprocess
from dataclasses import dataclass
def stand_in(name, content):
    node.write(node.new + "/stand-in/" + name, content)
    os.chmod(node.new + "/stand-in/" + name, 0o755)
def pod(arguments="", force=""):
    done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", {POD!r}, "sh", home, {str(TOP)!r}, force, arguments], capture_output=True, text=True, timeout=100)
    return [done.returncode, done.stdout + done.stderr]
def prepare():
    fields = {{name: [part.node, part.disk, part.label, part.fstype] for name in ("state", "recovery", "oem", "persistent") if (part := getattr(node.node_disk, name))}}
    node.write("/run/partitions.json", json.dumps(fields))
    node.write(home + "/os-release", "ID=old\\n")
    node.write(node.new + "/etc/hosts", "of the image")
    stand_in("kairos-boot", "#!/bin/sh\\nexec {Path(sys.executable).resolve()} {HERE}/pod_program.py \\"$@\\"\\n")
    stand_in("nsenter", "#!/bin/sh\\necho \\"$*\\" >>/host/oem/asked\\n")
    stand_in("suc-upgrade", open({str(TOP / "packaging/kubernetes/suc-upgrade")!r}).read())
"""


def test_a_node_becomes_what_the_image_of_the_pod_is(unshared: Callable[..., Any]) -> None:
    """What is mounted in the pod is no part of it; the job fails, since the node restarts under it; a second run on the new system does nothing."""
    first, active, passive, asked, second, mounted = unshared(START + """
node = UpgradeNode(home, image_mib=64, state_mib=300)
prepare()
first = pod()
active, passive = node.inside("active"), node.inside("passive")
node.write(home + "/os-release", text(node.new + "/etc/os-release"))
tell([first, {name: active.get(name) for name in ("etc/version", "etc/hosts", "host/etc/os-release", "oem/kept", "run/partitions.json")}, passive["etc/version"],
      text("/oem/asked"), pod(), [m.target for m in mounts.mounted() if "pod" in m.target]])
node.close()
""")
    assert first[0] == 1
    assert "Upgrade completed" in first[1], first[1]
    assert active == {"etc/version": "2", "etc/hosts": "of the image", "host/etc/os-release": None, "oem/kept": None, "run/partitions.json": None}
    assert passive == "active"
    assert asked == "--target 1 --mount --ipc -- systemctl reboot\n"
    assert second == [0, "the node runs this version: nothing to do\n"]
    assert mounted == []


def test_a_node_that_went_back_is_not_given_the_same_image_again(unshared: Callable[..., Any]) -> None:
    second, third = unshared(START + """
node = UpgradeNode(home, image_mib=64, state_mib=300)
prepare()
pod()
os.rename("/run/cos/active_mode", "/run/cos/passive_mode")
second = pod()
third = pod(force="true")
tell([second, third])
node.close()
""")
    assert second[0] == 1
    assert "went back" in second[1]
    assert third[0] == 1
    assert "Upgrade completed" in third[1]


def test_a_node_whose_release_file_is_not_its_images_is_upgraded_once(unshared: Callable[..., Any]) -> None:
    """A stage may change the file. The mark of another boot says that the image was given and started; in the boot of the upgrade itself the run is not done."""
    same, other = unshared(START + """
node = UpgradeNode(home, image_mib=64, state_mib=300)
prepare()
pod()
same = pod()
mark = text("/oem/.kairos/suc-upgrade-active").splitlines()
node.write("/oem/.kairos/suc-upgrade-active", mark[0] + "\\nanother-boot\\n")
tell([same, pod()])
node.close()
""")
    assert same[0] == 1, same
    assert other == [0, "the node was given this version and has started with it: nothing to do\n"]


def test_the_recovery_system_is_upgraded_once_and_the_node_does_not_restart(unshared: Callable[..., Any]) -> None:
    first, second, asked, version = unshared(START + """
node = UpgradeNode(home, image_mib=64, state_mib=300)
prepare()
first, second = pod("--recovery"), pod("--recovery")
version = with_state(node.recovery.node, home, lambda place: content(place + "/cOS/recovery.img")["etc/version"])
tell([first, second, text("/oem/asked"), version])
node.close()
""")
    assert first[0] == 0, first
    assert second == [0, "the recovery system has this version: nothing to do\n"]
    assert (asked, version) == (None, "2")


def test_what_is_no_node_is_refused(unshared: Callable[..., Any]) -> None:
    code, said = unshared(START + """
node = UpgradeNode(home, image_mib=64, state_mib=300)
prepare()
os.rename("/run/cos", "/run/other")
tell(pod())
node.close()
""")
    assert code == 3
    assert "this is not the root directory of a node" in said


@pytest.mark.parametrize(("stage", "code", "done"), [("after-upgrade", 1, True), ("before-upgrade", 4, False)])
def test_a_hook_that_fails_behind_the_switch_does_not_keep_the_node_from_its_new_system(unshared: Callable[..., Any], stage: str, code: int, done: bool) -> None:
    """Else every retry of the pod would write the image again. One that stops the upgrade is another matter."""
    first, mark, asked, version = unshared(START + f"""
node = UpgradeNode(home, image_mib=64, state_mib=300, steps="stages:\\n  {stage}:\\n  - commands: ['exit 7']\\n")
prepare()
tell([pod(), text("/oem/.kairos/suc-upgrade-active"), text("/oem/asked"), node.inside("active")["etc/version"]])
node.close()
""")
    assert first[0] == code, first
    assert (mark is not None, asked is not None, version) == (done, done, "2" if done else "active")
