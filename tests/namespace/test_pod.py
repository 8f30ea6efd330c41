"""The script of the Kubernetes Plan, as its pod runs it: another root directory, the node at /host, a secret of symbolic links (packaging/kubernetes)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.root

TOP = Path(__file__).resolve().parents[2]
SECRET = "run/system-upgrade/secrets/kairos-boot-reset"
GRUBENV = b"# GRUB Environment Block\n".ljust(1024, b"#")
USERS = "#cloud-config\nusers:\n- name: a\n  groups: [admin]\n"
NSENTER = """\
#!/bin/sh
# Stands in for the one that enters the namespaces of the node's PID 1: the program of the node works on the node's root, anything else is only noted.
echo "$*" >>/asked
while [ "$1" != -- ]; do shift; done
shift
case $1 in
/usr/bin/kairos-boot) shift; exec PYTHON -m kairos_boot "$@" --host-root /host ;;
esac
"""
POD = """\
set -e
pod=$1/pod
mkdir -p "$pod" && mount -t tmpfs tmpfs "$pod" && cd "$pod"
mkdir -p host proc dev tmp stand-in SECRET
for name in bin etc lib lib64 opt sbin usr work; do
    if [ -L "/$name" ]; then cp -P "/$name" .; elif [ -d "/$name" ]; then mkdir "$name"; mount --rbind "/$name" "$name"; fi
done
mkdir -p "./$2" && mount --bind "$2" "./$2"
mount -t proc proc proc
mount --bind /dev dev
mount --bind "$1/node/oem" "$1/node/oem"
mount --rbind "$1/node" host
cp -a "$1/secret/." SECRET/
cp "$1/nsenter" stand-in/nsenter
touch asked
code=0
chroot . env -i PATH=/stand-in:/usr/bin:/bin GRACE=0 PYTHONPATH="$2" /bin/sh "/SECRET/reset.sh" || code=$?
cp asked "$1/asked"
exit $code
""".replace("SECRET", SECRET)


class Ran(NamedTuple):
    """What a run of the pod left."""

    code: int
    said: str
    asked: list[str]


def run(home: Path, configuration: str) -> Ran:
    """Run the pod, its secret having this configuration."""
    version = home / "secret/..2025_01_01"
    version.mkdir(parents=True, exist_ok=True)
    (version / "cloud-config.yaml").write_text(configuration)
    (version / "reset.sh").write_text((TOP / "packaging/kubernetes/reset.sh").read_text())
    for name, target in (("..data", version.name), ("cloud-config.yaml", "..data/cloud-config.yaml"), ("reset.sh", "..data/reset.sh")):
        link = home / "secret" / name
        if not link.is_symlink():
            link.symlink_to(target)
    (home / "nsenter").write_text(NSENTER.replace("PYTHON", str(Path(sys.executable).resolve())))
    (home / "nsenter").chmod(0o755)
    done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", POD, "sh", home, TOP], capture_output=True, text=True, timeout=120, check=False)
    return Ran(done.returncode, done.stdout + done.stderr, (home / "asked").read_text().splitlines())


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """The node's root directory, its OEM partition being a directory that is mounted."""
    root = tmp_path / "node"
    (root / "oem").mkdir(parents=True)
    (root / "run/cos").mkdir(parents=True)
    (root / "etc/cos").mkdir(parents=True)
    (root / "etc/cos/grub.cfg").write_text((TOP / "packaging/image/grub.cfg").read_text())
    (root / "oem/grubenv").write_bytes(GRUBENV)
    (root / "oem/90_custom.yaml").write_text("#cloud-config\nhostname: old\n")
    return root


def test_the_first_run_writes_the_configuration_and_lets_the_node_reset_itself(node: Path) -> None:
    """The job fails, since the node restarts under it; the file is nobody's to read but root's and its group's."""
    ran = run(node.parent, USERS + "hostname: new\n")
    assert ran.code == 1, ran.said
    written = node / "oem/90_custom.yaml"
    assert (written.read_text(), written.stat().st_mode & 0o7777, written.is_symlink()) == (USERS + "hostname: new\n", 0o640, False)
    assert (node / "oem/grubenv").read_bytes() == (b"# GRUB Environment Block\nnext_entry=statereset\n").ljust(1024, b"#")
    assert ran.asked == [f"--target 1 --mount --ipc -- {words}" for words in ("/usr/bin/kairos-boot reset --next-boot --with /oem/90_custom.yaml.new", "systemctl reboot")]
    assert sorted(path.name for path in (node / "oem").iterdir()) == ["90_custom.yaml", "grubenv"]


def test_a_second_run_with_the_same_configuration_asks_for_nothing(node: Path) -> None:
    run(node.parent, USERS + "hostname: new\n")
    (node / "oem/grubenv").write_bytes(GRUBENV)  # the reset used the entry up
    ran = run(node.parent, USERS + "hostname: new\n")
    assert (ran.code, ran.asked) == (0, []), ran.said
    assert (node / "oem/grubenv").read_bytes() == GRUBENV


def test_another_configuration_is_another_reset(node: Path) -> None:
    run(node.parent, USERS + "hostname: new\n")
    (node / "oem/grubenv").write_bytes(GRUBENV)
    ran = run(node.parent, USERS + "hostname: newer\n")
    assert (ran.code, len(ran.asked)) == (1, 2), ran.said
    assert "hostname: newer" in (node / "oem/90_custom.yaml").read_text()


def test_a_boot_loader_that_cannot_be_told_leaves_the_configuration_as_it_was(node: Path) -> None:
    """Else the next run would take the node for one that has been reset."""
    (node / "oem/grubenv").write_text("not a block")
    ran = run(node.parent, USERS + "hostname: new\n")
    assert ran.code not in (0, 1) or "systemctl" not in " ".join(ran.asked), ran.said
    assert "hostname: old" in (node / "oem/90_custom.yaml").read_text()


@pytest.mark.parametrize(("configuration", "said"), [
    (USERS + "hostname: [\n", "not YAML"),
    ("#cloud-config\nuser:\n- name: a\n  groups: [admin]\n", "no user of the configuration is in the group admin"),
    (USERS + "reset: {reset-oem: true}\n", "would erase this configuration"),
    (USERS + "reset: {reset-oem: 'true'}\n", "would erase this configuration"),
    (USERS.replace("#cloud-config", "# cloud-config"), "#cloud-config"),
])
def test_a_configuration_that_would_lock_everybody_out_changes_nothing(node: Path, configuration: str, said: str) -> None:
    """Nobody could log in to mend it, and the reset has erased the rest."""
    ran = run(node.parent, configuration)
    assert ran.code not in (0, 1), ran.said
    assert said in ran.said
    assert "systemctl" not in " ".join(ran.asked)
    assert (node / "oem/grubenv").read_bytes() == GRUBENV
    assert {path.name for path in (node / "oem").iterdir()} == {"90_custom.yaml", "grubenv"}
    assert "hostname: old" in (node / "oem/90_custom.yaml").read_text()


def test_a_node_whose_other_documents_erase_the_configuration_is_not_reset(node: Path) -> None:
    """It would come back without it, and the Plan would reset it again and again."""
    (node / "oem/50_other.yaml").write_text("#cloud-config\nreset:\n  reset-oem: true\n")
    ran = run(node.parent, USERS)
    assert ran.code not in (0, 1), ran.said
    assert "would erase this configuration" in ran.said
    assert (node / "oem/grubenv").read_bytes() == GRUBENV
