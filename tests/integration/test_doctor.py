"""An image with nothing wrong is told so; each planted fault is found, by its path, with a remedy; nothing of the image is executed and nothing is changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.test_initramfs import cpio

if TYPE_CHECKING:
    from collections.abc import Callable

TOP = Path(__file__).resolve().parents[2]
PROGRAMS = "skopeo sh systemctl udevadm e2fsck mkfs.ext4 sfdisk mount umount chroot"
PACKED = """usr/bin/python3 usr/bin/kairos-boot usr/lib/systemd/system/kairos-boot-image.service usr/lib/systemd/system/kairos-boot-initrd.service
usr/bin/sh usr/bin/mount usr/bin/umount usr/sbin/e2fsck usr/sbin/blkid usr/bin/udevadm usr/bin/systemctl usr/sbin/modprobe usr/bin/cat usr/bin/grep usr/bin/mkdir usr/bin/sleep
usr/bin/test"""
RELEASE = "ID ID_LIKE NAME VERSION ARCH TARGETARCH FLAVOR FLAVOR_RELEASE FAMILY MODEL VARIANT RELEASE"
STEPS = """\
stages:
  rootfs:
    - name: Layout
      environment_file: /run/cos/cos-layout.env
      environment:
        RW_PATHS: /var /etc /srv
        PERSISTENT_STATE_PATHS: /etc/ssh /home
  boot:
    - name: Say so
      if: '[ -e /etc/os-release ] && command -v optional'
      commands:
        - optional --now; for name in a b; do mount "$name" || true; done
      files:
        - path: /etc/motd
          content: hello
          permissions: 0644
"""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The least tree that is an image."""
    root = tmp_path / "image"
    for path in "boot oem usr/local system/oem run tmp home opt root srv var/lib/dbus var/lock etc/ssh etc/cos proc sys dev usr/bin usr/lib/systemd/system usr/lib/modules/6.1".split():
        (root / path).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    shutil.copytree(TOP / "units", root / "usr/lib/systemd/system", dirs_exist_ok=True, symlinks=True)
    for name in ("systemd-udevd.service", "systemd-logind.service", "getty.target", "systemd-timesyncd.service"):
        write(root, f"usr/lib/systemd/system/{name}", "[Unit]\n")
    for name in (*PROGRAMS.split(), "kairos-boot", "python3"):
        write(root, f"usr/bin/{name}", "#!/bin/sh\ntouch /tmp/it-was-executed\n", 0o755)
    for name in ("kairos-agent", "kairos"):
        (root / "usr/bin" / name).symlink_to("kairos-boot")
    write(root, "usr/lib/modules/6.1/modules.dep", "")
    write(root, "boot/vmlinuz-6.1", "kernel")
    (root / "boot/vmlinuz").symlink_to("vmlinuz-6.1")
    (root / "boot/initrd").write_bytes(cpio(dict.fromkeys(PACKED.split(), b"x")))
    write(root, "etc/os-release", "ID=debian\n")
    write(root, "etc/kairos-release", "".join(f'KAIROS_{key}="x"\n' for key in RELEASE.split()))
    write(root, "etc/machine-id", "")
    write(root, "etc/shadow", "root:*:::::::\n", 0o640)
    write(root, "etc/cos/grub.cfg", "".join(f"menuentry 'x' --id {name} {{ }}\n" for name in ("cos", "fallback", "recovery", "statereset")))
    write(root, "system/oem/10.yaml", STEPS)
    return root


def write(root: Path, path: str, text: str, mode: int = 0o644) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)
    (root / path).chmod(mode)


def doctor(root: Path) -> tuple[int, list[dict[str, Any]]]:
    run = subprocess.run([sys.executable, "-m", "kairos_boot", "doctor", "--json", "--root", str(root)], cwd=TOP, capture_output=True, text=True, check=False, timeout=120)
    assert run.stderr == ""
    return run.returncode, json.loads(run.stdout)


def content(root: Path) -> dict[str, object]:
    return {str(path.relative_to(root)): (os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else "", path.lstat().st_mtime_ns) for path in sorted(root.rglob("*"))}


def test_nothing_is_found_in_a_good_image_and_nothing_of_it_changed(image: Path) -> None:
    before = content(image)
    code, found = doctor(image)
    assert (found, code) == ([], 0)
    assert content(image) == before
    run = subprocess.run([sys.executable, "-m", "kairos_boot", "doctor", "--root", str(image)], cwd=TOP, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "nothing found: 20 checks\n")


def step(text: str) -> Callable[[Path], None]:
    return lambda root: write(root, "system/oem/20.yaml", f"stages:\n  boot:\n    - name: Planted\n{text}")


def mask(root: Path, unit: str) -> None:
    (root / "etc/systemd/system").mkdir(parents=True)
    (root / "etc/systemd/system" / unit).symlink_to("/dev/null")


PLANTED: dict[str, tuple[Callable[[Path], object], str, str, str]] = {
    "no kernel": (lambda root: (root / "boot/vmlinuz").unlink(), "error", "/boot/vmlinuz", "there is no kernel"),
    "kernel link to nowhere": (lambda root: (root / "boot/vmlinuz-6.1").unlink(), "error", "/boot/vmlinuz", "it leads to vmlinuz-6.1, which is not there"),
    "modules of another kernel": (lambda root: (root / "usr/lib/modules/6.1").rename(root / "usr/lib/modules/6.2"), "error", "/boot/vmlinuz", "there are modules for 6.2"),
    "initrd without our half": (lambda root: (root / "boot/initrd").write_bytes(cpio({"init": b""})), "error", "/boot/initrd", "it lacks usr/bin/python3, usr/bin/kairos-boot"),
    "initrd cut": (lambda root: (root / "boot/initrd").write_bytes(cpio({"init": b"x" * 900})[:500]), "error", "", "cannot be read as an initrd"),
    "unit masked": (lambda root: mask(root, "cos-setup-fs.service"),
                    "error", "/etc/systemd/system/cos-setup-fs.service", "it is masked"),
    "stage not started": (lambda root: (root / "usr/lib/systemd/system/multi-user.target.wants/cos-setup-boot.service").unlink(), "error",
                          "/usr/lib/systemd/system/cos-setup-boot.service", "multi-user.target does not start it"),
    "udev masked in /etc": (lambda root: mask(root, "systemd-udevd.service"),
                            "error", "/etc/systemd/system/systemd-udevd.service", "it is masked"),
    "unit with a program that is missing": (lambda root: write(root, "etc/systemd/system/a.service", "[Service]\nExecStart=/usr/bin/absent --x\n"), "error",
                                            "/etc/systemd/system/a.service:2", "ExecStart calls /usr/bin/absent"),
    "mount point missing": (lambda root: (root / "oem").rmdir(), "error", "/oem", "the directory is missing"),
    "host key": (lambda root: write(root, "etc/ssh/ssh_host_ed25519_key", "secret"), "error", "/etc/ssh/ssh_host_ed25519_key", "a host key is baked in"),
    "machine id": (lambda root: write(root, "etc/machine-id", "0123456789abcdef" * 2 + "\n"), "error", "/etc/machine-id", "a machine id is baked in"),
    "shadow readable": (lambda root: (root / "etc/shadow").chmod(0o644), "error", "/etc/shadow", "opens it to others"),
    "configuration writable": (lambda root: (root / "system/oem/10.yaml").chmod(0o666), "error", "/system/oem/10.yaml", "lets everybody write what root executes"),
    "no entry to reset": (lambda root: write(root, "etc/cos/grub.cfg", "menuentry --id cos\nmenuentry --id=fallback\nmenuentry --id 'recovery'\n"), "error", "/etc/cos/grub.cfg",
                          "no entry with the id statereset"),
    "nothing keeps the time": (lambda root: (root / "usr/lib/systemd/system/systemd-timesyncd.service").unlink(), "warning", "", "nothing keeps the time"),
    "release without a name": (lambda root: write(root, "etc/kairos-release", 'KAIROS_ID=""\n'), "warning", "/etc/kairos-release", "it does not say KAIROS_ID, KAIROS_ID_LIKE"),
    "program of ours missing": (lambda root: (root / "usr/bin/sfdisk").unlink(), "error", "sfdisk", "in no directory of the PATH"),
    "unknown key": (step("      comands: [x]\n"), "error", "/system/oem/20.yaml:4:7: stages.boot[0].comands", "unknown key 'comands'"),
    "order that names nothing": (step("      after: [{name: nobody}]\n"), "error", "/system/oem/20.yaml:4:15: stages.boot[0].after[0]", "nobody"),
    "text of no shell": (step("      commands: ['if true']\n"), "error", "/system/oem/20.yaml:4:18: stages.boot[0].commands[0]", "the shell does not take this text"),
    "program of a step missing": (step("      commands: ['sleep() { :; }; sleep; cd / && absent --x']\n"), "warning", "/system/oem/20.yaml:4:18: stages.boot[0].commands[0]", "it calls absent"),
    "mode of nobody": (step("      files: [{path: /x, permissions: 0}]\n"), "warning", "/system/oem/20.yaml:4:39: stages.boot[0].files[0].permissions", "lets nobody read it (0000)"),
    "mode of everybody": (step("      files: [{path: /x, permissions: 0666}]\n"), "warning", "/system/oem/20.yaml:4:39: stages.boot[0].files[0].permissions", "lets everybody write it"),
    "one path twice": (step("      if: '[ -e /etc/os-release ] && command -v optional'\n      files: [{path: /etc/motd, content: bye, permissions: 0644}]\n"), "warning",
                       "/system/oem/20.yaml:5:22: stages.boot[0].files[0].path", "it writes /etc/motd differently from /system/oem/10.yaml:14:17: stages.boot[0].files[0].path"),
    "persistent path that is not there": (lambda root: write(root, "system/oem/10.yaml", STEPS.replace("/etc/ssh /home", "/usr/lib/absent /home")), "error",
                                          "/system/oem/10.yaml:7:33: stages.rootfs[0].environment.PERSISTENT_STATE_PATHS", "/usr/lib/absent is to persist"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found_by_its_place_with_a_remedy(image: Path, fault: str) -> None:
    plant, severity, where, message = PLANTED[fault]
    plant(image)
    code, found = doctor(image)
    [told] = [each for each in found if message in each["message"]]
    assert (told["severity"], told["where"]) == (severity, where)
    assert told["hint"] or ":" in told["message"]
    assert code == (severity == "error")


def test_a_tree_that_is_no_image_is_told_all_it_lacks(tmp_path: Path) -> None:
    code, found = doctor(tmp_path)
    assert code == 1
    assert {"kernel", "initrd", "units", "mount points", "program", "boot menu"} <= {each["check"] for each in found}


def test_a_root_that_is_not_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-m", "kairos_boot", "doctor", "--root", str(tmp_path / "absent")], cwd=TOP, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (3, "")
    assert "no such directory" in run.stderr
