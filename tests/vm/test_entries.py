"""One node through its boot entries: cos, fallback, recovery under BIOS, cos under UEFI, cos with a disk that hardly moves, and once more.

Each boot is made once and looked at by the tests below it; what one leaves on the disk is what the next one is asked about.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import machine as qemu
import node as layout
import pytest
import variant
import yaml
from common import TOP, write_tree
from vm import AT_ONCE, BOOT, Node, oem_files

pytestmark = [pytest.mark.vm, pytest.mark.root]

STAGES = [f"{stage}{part}" for stage in ("rootfs", "initramfs", "fs", "boot", "network") for part in (".before", "", ".after")]
OEM = layout.OEM
LASTING = ("/srv/kept", "/srv/gone/kept", "/usr/lib/modprobe.d")
FLEETING = ("/srv/gone", "/home/guest", "/opt/x/y", "/srv")
"""Paths of oem/70_paths.yaml and what lies around them: the deepest one that holds a directory decides (D11)."""
NAME = "deb.debian.org"
CRAWL = 64 * 1024
"""Bytes a second at which reading a shell and its library takes longer than the limit of a condition, 30 s."""


@pytest.fixture(scope="module")
def cos(base_disk: Path, scratch: Path, machines: list[qemu.Machine]) -> Node:
    """The first boot of a new node, entry cos, BIOS."""
    overlay = variant.Overlay(base_disk, scratch / "node.qcow2")
    overlay.write_oem(oem_files("oem"), AT_ONCE)
    machine = qemu.Machine(overlay.path, scratch)
    machines.append(machine)
    return Node(machine).boot()


@pytest.fixture(scope="module")
def fallback(cos: Node) -> Node:
    """The boot after it: entry fallback, chosen once."""
    cos.machine.ssh(
        f"echo {' '.join([*LASTING, *FLEETING])} >/run/own-paths;"
        " echo kept >/usr/local/kept; echo kept >/etc/ssh/sshd_config.d/kept.conf.off; echo kept >/root/kept;"
        " echo gone >/etc/gone; echo gone >/srv/gone.txt; echo gone >/var/tmp/gone;"
        " for path in $(cat /run/own-paths); do echo written >$path/written; done; sync; grub-editenv /oem/grubenv set next_entry=fallback"
    )
    return cos.reboot()


@pytest.fixture(scope="module")
def recovery(fallback: Node) -> Node:
    """The boot after that: entry recovery, chosen once."""
    fallback.machine.ssh("grub-editenv /oem/grubenv set next_entry=recovery")
    return fallback.reboot()


@pytest.fixture(scope="module")
def uefi(recovery: Node) -> Node:
    """The last boot: the same disk under UEFI, nothing chosen."""
    recovery.machine.press_power()
    recovery.machine.uefi = True
    return Node(recovery.machine).boot()


@pytest.fixture(scope="module")
def crawling(uefi: Node) -> Node:
    """One more boot under BIOS, whose disk hardly moves while the node gets its identity."""
    machine = uefi.machine
    machine.press_power()
    machine.uefi = False
    machine.start()
    machine.wait_console(r"Stage rootfs: ", BOOT)
    machine.throttle(CRAWL)
    machine.wait_console(r"Stage initramfs: ", BOOT)
    machine.throttle(0)
    return Node(machine).look()


@pytest.fixture(scope="module")
def fifth(crawling: Node) -> Node:
    """The fifth boot of the system itself."""
    return crawling.reboot()


def modes(node: Node) -> dict[str, str]:
    """The boot state's sentinels."""
    return {name: text for name, text in node.facts["cos"].items() if name.endswith("_mode") or name == "unknown"}


def image_of(node: Node) -> str:
    """The image file that the root file system is in."""
    device = node.mount("/")[0].removeprefix("/dev/")
    assert node.facts["loops_read_only"][device] == "1"
    assert node.facts["loops_direct"][device] == "1"  # the image is not in memory twice
    return str(node.facts["loops"][device])


# Entry cos


def test_entry_cos_reaches_multi_user_without_a_failed_unit(cos: Node) -> None:
    assert cos.facts["failed"] == []
    assert cos.facts["state"] == "running"
    assert cos.facts["units"]["multi-user.target"]["ActiveState"] == "active"


def test_the_root_is_the_read_only_image(cos: Node) -> None:
    assert image_of(cos).endswith("/cOS/active.img")
    assert "ro" in cos.mount("/")[2].split(",")
    assert cos.host.run("touch /usr/try").rc != 0


def test_the_mode_is_told_by_one_sentinel_that_contains_1(cos: Node) -> None:
    assert modes(cos) == {"active_mode": "1"}


def test_grub_tells_the_partition_that_the_image_lies_on(cos: Node) -> None:
    [token] = [word for word in cos.facts["cmdline"] if word.startswith("kairos.state=")]
    assert token == f"kairos.state=PARTUUID={cos.facts['labels']['COS_STATE'][1]}"
    assert cos.mount("/run/initramfs/cos-state")[0] == cos.facts["labels"]["COS_STATE"][0]


def test_the_plan_of_the_image_is_what_the_first_boot_did(cos: Node, tmp_path: Path) -> None:
    """`plan --all --root` of the tree that the image was made of, before there was a boot: the same steps in the same order, the same ones left out.

    What it cannot know it says: a condition that it shows with `if` is for the boot to decide.
    """
    tree = tmp_path / "tree"
    layout.build(tree)
    write_tree(tree, {f"oem/{name}": content for name, content in oem_files("oem").items()})
    words = [sys.executable, "-m", "kairos_boot", "plan", "--all", "--json", "--root", str(tree), "--cmdline", " ".join(cos.facts["cmdline"])]
    told = json.loads(subprocess.run(words, cwd=TOP, capture_output=True, text=True, check=False).stdout)["steps"]
    planned = [step for step in told if step["stage"] in STAGES]
    did = [step for step in cos.steps() if step["stage"] in STAGES]
    assert [(step["stage"], step["step"]) for step in did] == [(step["stage"], step["step"]) for step in planned]
    # A path below the root has other words in the initrd: the condition is the same one.
    left_out = [step.get("reason", "").partition(":")[0] if step["result"] == "skipped" else "" for step in did]
    assert [(step["step"], reason) for step, reason in zip(planned, left_out, strict=True) if not step["if"] and step["skip"].partition(":")[0] != reason] == []
    assert {reason for step, reason in zip(planned, left_out, strict=True) if step["if"]} <= {"", "if", "if_files"}
    assert [step["step"] for step in did if step["result"] == "failed"] == [step["step"] for step in planned if not step["if"] and any(action["sign"] == "!" for action in step["actions"])]


@pytest.mark.parametrize("path", ["/etc", "/var", "/srv"])
def test_ephemeral_paths_are_overlays(cos: Node, path: str) -> None:
    kind, options = cos.mount(path)[1:]
    assert kind == "overlay"
    assert "rw" in options.split(",")


def test_every_persistent_path_is_bound_from_the_persistent_partition(cos: Node) -> None:
    [step] = [step for step in yaml.safe_load((OEM / "00_rootfs.yaml").read_text())["stages"]["rootfs"] if "persistent partition" in step["name"]]
    paths = step["environment"]["PERSISTENT_STATE_PATHS"].split()
    device = cos.facts["labels"]["COS_PERSISTENT"][0]
    assert len(paths) > 30
    assert {path: cos.mount(path)[0] for path in paths} == dict.fromkeys(paths, device)


def test_the_partitions_and_the_temporary_directory_are_mounted(cos: Node) -> None:
    for path, label in (("/oem", "COS_OEM"), ("/usr/local", "COS_PERSISTENT")):
        device, _, options = cos.mount(path)
        assert device == cos.facts["labels"][label][0]
        assert "rw" in options.split(",")
    assert "ro" in cos.mount("/run/initramfs/cos-state")[2].split(",")
    assert cos.mount("/tmp")[1] == "tmpfs"
    assert cos.mount("/run/overlay")[1] == "tmpfs"


def test_fstab_tells_what_is_mounted(cos: Node) -> None:
    places = {fields[1] for fields in cos.facts["fstab"]}
    assert {"/", "/etc", "/var", "/srv", "/oem", "/usr/local", "/etc/ssh", "/run/initramfs/cos-state"} <= places
    assert not [place for place in places if place.startswith("/sysroot")]


def test_every_stage_and_substage_ran_once_and_in_order(cos: Node) -> None:
    assert [line[0] for line in cos.facts["order"] if not line[0].startswith("reconcile")] == STAGES


def test_rootfs_runs_in_the_initrd_before_the_layout_and_initramfs_in_the_node_after_it(cos: Node) -> None:
    seen = {stage: (place, int(mounted)) for stage, place, mounted in cos.facts["order"]}
    for part in (".before", "", ".after"):
        assert seen[f"rootfs{part}"] == ("initrd", 0)
        assert seen[f"initramfs{part}"][0] == "node"
        assert seen[f"initramfs{part}"][1] >= 2


def test_what_initramfs_wrote_is_in_the_running_node(cos: Node) -> None:
    made = cos.host.file("/etc/made/in-initramfs")
    assert made.content_string == "chrooted"
    assert (made.mode, made.user) == (0o640, "root")


def test_stage_boot_had_its_effects_and_the_step_that_does_not_apply_is_recorded_with_its_reason(cos: Node) -> None:
    assert cos.host.sysctl("vm.swappiness") == 17
    assert cos.host.user("somebody").shell == "/bin/sh"
    assert not cos.host.file("/run/must-not-exist").exists
    [skipped] = [step for step in cos.steps(stage="boot", result="skipped") if "60_effects" in step["file"]]
    assert "no_such_mode" in skipped["reason"]


def test_nothing_failed_by_the_ledger(cos: Node) -> None:
    assert cos.facts["ledgers"] == 1
    wrong = [r for r in cos.facts["ledger"] if r.get("result") in {"failed", "missing"} or (r["kind"] == "problem" and r["severity"] == "error")]
    assert wrong == []
    ended = [r["stage"] for r in cos.facts["ledger"] if r["kind"] == "stage" and r["event"] == "end"]
    assert [stage for stage in ended if stage in STAGES] == STAGES


def test_status_names_every_stage_and_every_step_of_ours(cos: Node) -> None:
    code, text, errors = cos.facts["status"]
    assert (code, errors) == (0, "")
    for word in [*STAGES, "Kernel setting", "Not here", "no_such_mode"]:
        assert word in text


def test_starting_the_reconcile_service_runs_the_stage_again(cos: Node) -> None:
    count = "grep -c ^reconcile /run/order"
    before = int(cos.host.run(count).stdout or 0)
    assert cos.host.run("systemctl start cos-setup-reconcile && systemctl start cos-setup-reconcile").rc == 0
    assert int(cos.host.run(count).stdout) == before + 6


def test_reconcile_is_armed_for_5_and_60_minutes(cos: Node) -> None:
    shown = cos.host.run("systemctl show cos-setup-reconcile.timer").stdout
    assert "ActiveState=active" in shown
    assert "OnBootUSec=5min" in shown
    assert "OnUnitActiveUSec=1h" in shown


def test_the_journal_tells_what_ran(cos: Node) -> None:
    assert "Kernel setting" in cos.host.run("journalctl --no-pager -o cat KAIROS_STAGE=boot").stdout
    by_unit = cos.host.run("journalctl --no-pager -o cat -u cos-setup-network").stdout
    assert "Running stage: network.after" in by_unit
    assert "Order" in by_unit


def test_the_initrd_half_has_its_readable_log(cos: Node) -> None:
    log = cos.facts["initrd_log"]
    for stage in STAGES[:6]:
        assert f"Running stage: {stage}" in log


def test_the_default_configurations_are_valid(cos: Node) -> None:
    told = cos.host.run("kairos-boot validate /system/oem")
    assert told.rc == 0, told.stdout


def test_a_service_that_a_step_of_fs_starts_is_queued_and_runs(cos: Node) -> None:
    """Decision C11: it waits for sysinit.target, which waits for the stage; the stage does not wait for it."""
    assert cos.facts["units"]["started-in-fs.service"]["ActiveState"] == "active"
    [step] = cos.steps(stage="fs", step="Unit.Start it")
    assert step["result"] == "done"
    assert step["duration"] < 300, "a generous limit: waiting for itself would take 10 min"
    [note] = [r["action"] for r in cos.facts["ledger"] if r["kind"] == "item" and "queued: started-in-fs starts when cos-setup-fs.service" in r["action"]]
    assert note.startswith("/oem/80_unit.yaml:")


def test_names_resolve(cos: Node) -> None:
    """By the name servers of the lease; a name is asked for where this machine itself can resolve one."""
    assert cos.host.run("systemctl is-active systemd-resolved").stdout.strip() == "active"
    assert [line for line in cos.host.file("/etc/resolv.conf").content_string.splitlines() if line.startswith("nameserver ")]
    try:
        socket.getaddrinfo(NAME, 80)
    except OSError:
        return
    assert cos.host.run(f"getent ahosts {NAME}").rc == 0


def test_the_journal_explains(cos: Node) -> None:
    """`journalctl -x`, from the catalogue of the image."""
    told = cos.host.run("journalctl --no-pager -x -u cos-setup-boot").stdout
    assert "The steps that the cloud-config documents define for stage boot are run now" in told


def test_the_unit_of_the_initrd_is_known(cos: Node) -> None:
    unit = cos.facts["units"]["kairos-boot-initrd.service"]
    assert (unit["LoadState"], unit["Result"]) == ("loaded", "success")


def test_the_link_to_a_persistent_path_leads_to_it(cos: Node) -> None:
    assert cos.mount("/usr/lib/modprobe.d")[0] == cos.facts["labels"]["COS_PERSISTENT"][0]
    assert cos.host.file("/usr/lib/modprobe.d").listdir(), "what the image has there is there"


# Entry fallback


def test_entry_fallback_boots_the_passive_image_once(fallback: Node) -> None:
    assert modes(fallback) == {"passive_mode": "1"}
    assert image_of(fallback).endswith("/cOS/passive.img")
    assert "next_entry=fallback" not in fallback.facts["grubenv"]


def test_persistent_files_and_edits_survive_a_reboot(fallback: Node) -> None:
    for path in ("/usr/local/kept", "/etc/ssh/sshd_config.d/kept.conf.off", "/root/kept"):
        assert fallback.host.file(path).content_string == "kept\n", path


def test_ephemeral_files_do_not_survive(fallback: Node) -> None:
    told = fallback.host.run("ls -d /etc/gone /srv/gone.txt /var/tmp/gone")
    assert told.stdout == ""


def test_paths_that_lie_in_each_other_keep_what_they_should(fallback: Node) -> None:
    """Decision D11: the deepest mount decides, also below one that lasts longer or less long, and where a link leads."""
    found = fallback.host.run(f"cd /; ls -d {' '.join(f'{path}/written' for path in (*LASTING, *FLEETING))}").stdout.split()
    assert found == [f"{path}/written" for path in sorted(LASTING)]


def test_the_ledgers_of_both_boots_are_kept(fallback: Node) -> None:
    assert len(fallback.facts["kept"]) == 2
    assert fallback.host.run("kairos-boot status --boot -1").rc == 0


# Entry recovery


def test_entry_recovery_boots_the_recovery_image(recovery: Node) -> None:
    assert modes(recovery) == {"recovery_mode": "1"}
    assert image_of(recovery).endswith("/cOS/recovery.img")
    [token] = [word for word in recovery.facts["cmdline"] if word.startswith("kairos.state=")]
    assert token == f"kairos.state=PARTUUID={recovery.facts['labels']['COS_RECOVERY'][1]}"


def test_recovery_does_not_touch_the_persistent_partition(recovery: Node) -> None:
    device = recovery.facts["labels"]["COS_PERSISTENT"][0]
    assert [place for what, place, _, _ in recovery.facts["mounts"] if what == device] == []
    assert recovery.mount("/usr/local")[1] == "overlay"


# UEFI


def test_entry_cos_reaches_multi_user_under_uefi(uefi: Node) -> None:
    assert uefi.facts["efi"]
    assert modes(uefi) == {"active_mode": "1"}
    assert uefi.facts["failed"] == []
    assert uefi.facts["state"] == "running"


def test_the_chosen_entries_were_for_one_boot_each(uefi: Node) -> None:
    entries: list[Any] = [line for line in uefi.facts["grubenv"].splitlines() if line.startswith("next_entry=")]
    assert entries in ([], ["next_entry="])


# A disk that hardly moves


def test_the_node_stays_who_it_is_over_five_boots(cos: Node, fallback: Node, uefi: Node, crawling: Node, fifth: Node) -> None:
    """Recovery, which does not touch the persistent partition, lies between them; no limit may end what makes an identity."""
    assert crawling.facts["failed"] == fifth.facts["failed"] == []
    for name in ("machine_id", "host_key"):
        assert cos.facts[name]
        assert [node.facts[name] for node in (fallback, uefi, crawling, fifth)] == [cos.facts[name]] * 4
