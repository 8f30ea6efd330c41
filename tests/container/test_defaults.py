"""The default configurations of the image, each stage run twice on a real system: what they make, and that they make it once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.container.conftest import Container, Layer

pytestmark = [pytest.mark.container, pytest.mark.root]

TOP = Path(__file__).resolve().parents[2]
CONFIGS = "/defaults"
"""Not /system/oem: the tests emit each stage at the moment they choose."""
ACTIVE, RECOVERY, RESET = "active_mode", "recovery_mode", "autoreset_mode"


@pytest.fixture(scope="module")
def node(layer: Layer) -> Layer:
    """The image's configurations, the directories that a node's partitions are mounted on, and no identity."""
    layer.write({f"{CONFIGS}/{path.name}": path.read_text() for path in (TOP / "packaging/image/oem").glob("*.yaml")})
    layer.write({"/oem/.mounted": "", "/usr/local/.mounted": "", "/etc/resolv.conf": "nameserver 192.0.2.1\n"})
    layer.link("/etc/systemd/system/ssh.service", "/dev/null")
    layer.link("/etc/systemd/system/systemd-networkd-wait-online.service", "/dev/null")
    return layer


def emit(container: Container, stage: str, mode: str = ACTIVE) -> dict[str, Any]:
    """Run *stage* as in a boot of that mode; the outcome as the program tells it."""
    container.run("sh", "-c", f"rm -f /run/cos/*_mode; mkdir -p /run/cos; printf 1 > /run/cos/{mode}")
    said = container.run("sh", "-c", f"kairos-boot run-stage --json {stage} {CONFIGS} 2> /run/said", check=False)
    outcome: dict[str, Any] = json.loads(said)
    return outcome


def failures(outcome: dict[str, Any]) -> list[str]:
    return [record.get("error") or record.get("message") or "" for record in outcome["records"] if "failed" in (record.get("result"), record.get("severity"))]


def environment(container: Container, path: str) -> dict[str, str]:
    """The file as a shell reads it."""
    said = container.run("env", "-i", "sh", "-c", f"set -a; . {path}; env")
    return dict(line.split("=", 1) for line in said.splitlines())


@pytest.mark.parametrize("stage", ["rootfs", "initramfs", "fs"])
@pytest.mark.parametrize("mode", [ACTIVE, RECOVERY, RESET])
def test_nothing_fails_and_a_second_run_changes_nothing(container: Container, stage: str, mode: str) -> None:
    """Decisions C7."""
    first = emit(container, stage, mode)
    assert (first["result"], failures(first)) == ("done", [])
    second = emit(container, stage, mode)
    changed = [record for record in second["records"] if record.get("result") == "changed"]
    assert (second["result"], second["changed"], changed) == ("done", False, [])


@pytest.fixture
def active(container: Container) -> Container:
    """A node that came up from nothing in a normal boot."""
    container.run("sh", "-c", 'for dir in /oem /usr/local; do grep -q " $dir " /proc/mounts || mount --bind $dir $dir; done')
    container.run("sh", "-c", "rm -rf /run/cos/*.env /etc/issue.d /usr/local/etc /etc/hostname /etc/hosts; : > /etc/machine-id; hostname nothing")
    for stage in ("rootfs", "initramfs", "fs"):
        emit(container, stage)
    return container


def test_the_layout_has_the_paths_that_nodes_have_had_for_years(active: Container) -> None:
    layout = environment(active, "/run/cos/cos-layout.env")
    assert layout["VOLUMES"] == "LABEL=COS_PERSISTENT:/usr/local"
    assert layout["RW_PATHS"] == "/var /etc /srv"
    paths = layout["PERSISTENT_STATE_PATHS"].split()
    assert len(paths) == len(set(paths)) == 37
    assert {"/etc/systemd", "/etc/ssh", "/home", "/root", "/var/log", "/var/lib/kairos"} <= set(paths)
    assert environment(active, "/run/cos/extra-layout.env")["PERSISTENT_STATE_PATHS"] == "/snap /var/snap /var/lib/snapd"


@pytest.mark.parametrize("mode", [RECOVERY, RESET])
def test_recovery_and_reset_leave_the_persistent_partition_alone(container: Container, mode: str) -> None:
    """Decisions D8: autoreset_mode counts wherever recovery_mode does."""
    container.run("sh", "-c", "rm -f /run/cos/*.env")
    emit(container, "rootfs", mode)
    assert "extra-layout.env" not in container.run("ls", "/run/cos").split()
    layout = environment(container, "/run/cos/cos-layout.env")
    assert layout["OVERLAY"] == "tmpfs:25%"
    assert not {"VOLUMES", "PERSISTENT_STATE_PATHS", "RW_PATHS"} & set(layout)


def test_paths_chosen_at_installation_are_added_once(active: Container) -> None:
    active.run("sh", "-c", "echo 'CUSTOM_BIND_MOUNTS=\"/data /home\"' > /run/cos/custom-layout.env; echo 'CUSTOM_EPHEMERAL_MOUNTS=/scratch' >> /run/cos/custom-layout.env")
    for _ in range(2):
        assert failures(emit(active, "rootfs")) == []
        layout = environment(active, "/run/cos/cos-layout.env")
        assert layout["RW_PATHS"] == "/var /etc /srv /scratch"
        paths = layout["PERSISTENT_STATE_PATHS"].split()
        assert (paths[-1], paths.count("/home"), paths.count("/data")) == ("/data", 1, 1)
        assert layout["VOLUMES"] == "LABEL=COS_PERSISTENT:/usr/local"
    active.run("rm", "/run/cos/custom-layout.env")


def test_the_machine_id_is_made_once_and_comes_back(active: Container) -> None:
    made = active.read("/etc/machine-id")
    assert len(made.strip()) == 32
    assert active.read("/usr/local/etc/machine-id") == made
    for lost in ("", "uninitialized", "0123456789abcdef0123456789abcdef"):
        active.run("sh", "-c", f"echo '{lost}' > /etc/machine-id")
        emit(active, "initramfs")
        assert active.read("/etc/machine-id") == made
    assert active.run("sh", "-c", "ls -A /usr/local/etc").split() == ["hostname", "hosts", "machine-id"]


@pytest.mark.parametrize("damaged", ["0123456789abcdef", "g123456789abcdef0123456789abcdef", ""])
def test_a_saved_machine_id_that_is_none_is_put_aside_and_a_new_one_is_saved(active: Container, damaged: str) -> None:
    made = active.read("/etc/machine-id")
    active.run("sh", "-c", f"printf '{damaged}' > /usr/local/etc/machine-id; : > /etc/machine-id")
    assert failures(emit(active, "initramfs")) == []
    now = active.read("/etc/machine-id")
    assert len(now.strip()) == 32
    assert active.read("/usr/local/etc/machine-id") == now
    if damaged:
        assert active.read("/usr/local/etc/machine-id.damaged") == damaged
    active.run("sh", "-c", f"rm -f /usr/local/etc/machine-id.damaged; printf '{made.strip()}\n' | tee /etc/machine-id > /usr/local/etc/machine-id")


def test_the_host_name_is_made_of_the_machine_id_and_an_own_one_stays(active: Container) -> None:
    name = f"kairos-{active.read('/etc/machine-id')[:4]}"
    assert active.run("hostname").strip() == name
    assert active.read("/etc/hostname").strip() == name
    assert f"127.0.0.1 localhost {name}" in active.run("runuser", "-u", "nobody", "cat", "/etc/hosts").splitlines()
    active.run("sh", "-c", "echo mine > /etc/hostname; echo '192.0.2.9 friend' >> /etc/hosts")
    active.run("rm", "/etc/hostname", "/etc/hosts")  # as the next boot's /etc begins
    emit(active, "initramfs")
    assert active.read("/etc/hostname").strip() == "mine"
    assert "192.0.2.9 friend" in active.read("/etc/hosts").splitlines()


def test_the_administrator_is_locked_until_the_owner_opens_the_account(active: Container) -> None:
    assert active.run("id", "-nG", "kairos").split() == ["kairos", "admin"]
    assert active.run("getent", "group", "admin").split(":")[2] == "900"
    assert active.run("getent", "shadow", "kairos").split(":")[1].startswith("!")
    assert active.run("getent", "passwd", "kairos").strip().endswith(":/home/kairos:/bin/bash")
    assert active.run("stat", "-c", "%U %a", "/home/kairos").split()[0] == "kairos"


def test_sudo_takes_the_rule_of_the_administrators(active: Container) -> None:
    active.run("visudo", "--check", "--strict")
    assert "(ALL) NOPASSWD: ALL" in active.run("sudo", "-l", "-U", "kairos")


def test_administrators_may_write_configurations(active: Container) -> None:
    for path in ("/oem", "/usr/local/cloud-config"):
        assert active.run("stat", "-c", "%U:%G %a", path).strip() == "root:admin 770"


def test_host_keys_are_made_once(active: Container) -> None:
    keys = active.run("sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub")
    assert [line.split()[0] for line in keys.splitlines()] == ["ecdsa-sha2-nistp256", "ssh-ed25519"]
    assert set(active.run("sh", "-c", "stat -c %a /etc/ssh/ssh_host_*_key").split()) == {"600"}
    active.run("sh", "-c", "rm /etc/ssh/ssh_host_ecdsa_key; : > /etc/ssh/ssh_host_ecdsa_key")  # as a power cut leaves it
    emit(active, "initramfs")
    again = active.run("sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub").splitlines()
    assert again[1] == keys.splitlines()[1]
    assert again[0] != keys.splitlines()[0]
    assert active.run("sh", "-c", "ls /etc/ssh | grep -F .new || true") == ""


def test_wired_links_ask_for_an_address_and_the_owner_wins(active: Container) -> None:
    active.run("test", "-s", "/run/systemd/network/20-dhcp.network")
    assert active.run("systemctl", "is-enabled", "systemd-networkd").strip() == "enabled"
    active.run("sh", "-c", "printf '[Match]\\nName=en*\\n[Network]\\nAddress=192.0.2.7/24\\n' > /etc/systemd/network/20-dhcp.network")
    emit(active, "initramfs")
    assert "192.0.2.7" in active.run("systemd-analyze", "cat-config", "systemd/network/20-dhcp.network")
    active.run("rm", "/etc/systemd/network/20-dhcp.network")


def test_recovery_is_told_by_name_and_screen(container: Container) -> None:
    container.run("sh", "-c", "rm -rf /etc/issue.d")
    emit(container, "initramfs", RECOVERY)
    assert container.run("hostname").strip() == "cos-recovery"
    assert "recovery system" in container.run("script", "-qec", "agetty --show-issue -", "/dev/null")
    emit(container, "initramfs", RESET)
    assert "after a reset that did not come to its end" in container.run("script", "-qec", "agetty --show-issue -", "/dev/null")


def test_the_kernel_settings_are_names_that_the_kernel_knows(container: Container) -> None:
    """The container may not set them, and one is the machine's own: a network namespace shows it read only, or not at all. That they are there is seen all the same."""
    planned = container.run("kairos-boot", "plan", "boot", CONFIGS, check=False)
    for name in ("vm.max_map_count", "fs.inotify.max_user_instances", "fs.inotify.max_user_watches"):
        assert f"set /proc/sys/{name.replace('.', '/')} to" in planned
        container.run("test", "-e", "/proc/sys/" + name.replace(".", "/"))
    assert Path("/proc/sys/net/core/rmem_max").exists()
    refused = [line for line in planned.splitlines() if line.lstrip().startswith("!")]
    assert [line for line in refused if "stages.boot[0].sysctl.net.core.rmem_max:" not in line] == []
