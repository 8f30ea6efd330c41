"""One node with three more disks: a blank one that is partitioned, a NoCloud disc and a config-drive; and clouds that do not answer.

Two boots: after the first one the blank disk is larger and the media carry something else. The node has a layout of its own, too.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import machine as qemu
import media
import pytest
import variant
from common import MIB, run
from layouts import marks
from vm import AT_ONCE, HERE, Node, oem_files

from kairos_boot.actions.datasource_found import BUDGET

pytestmark = [pytest.mark.vm, pytest.mark.root]

SECTOR = 512
KEYS = [f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{name}{'x' * (43 - len(name))} {name}" for name in ("ada", "metadata")]
USERDATA = f"""\
#cloud-config
hostname: from-disc
users:
  - name: ada
    shell: /bin/bash
    ssh_authorized_keys: ["{KEYS[0]}"]
write_files:
  - path: /etc/from-disc
    permissions: "0640"
    content: written
runcmd:
  - [touch, /run/runcmd-ran]
"""
METADATA = f"""\
instance-id: one
local-hostname: from-metadata
public-keys:
  - {KEYS[1]}
"""
SCRIPT = "#!/bin/sh\necho ran as $(id -un) >>/usr/local/script-runs\n"
PROBE = """
import json, os, subprocess
def run(*words):
    return subprocess.run(words, capture_output=True, text=True).stdout
def read(path):
    return open(path).read() if os.path.exists(path) else None
parts = ["/dev/vdb%d" % n for n in range(1, 6)]
print(json.dumps({
    "table": json.loads(run("sfdisk", "--json", "/dev/vdb"))["partitiontable"],
    "probes": {p: dict(line.split("=", 1) for line in run("blkid", "-p", "-o", "export", p).splitlines()) for p in parts},
    "kernel": {p: int(read("/sys/class/block/%s/size" % p[5:]) or 0) for p in parts},
    "size": int(read("/sys/class/block/vdb/size")),
    "links": sorted(os.listdir("/dev/disk/by-label")), "verify": run("sfdisk", "--verify", "/dev/vdb"),
    "sizes": [int(line) for line in read("/run/sizes").split()],
    "kept": read("/run/data/kept"),
    "swaps": run("swapon", "--show=NAME", "--noheadings").split(),
    "vda": [read("/run/vda-before"), run("sfdisk", "--dump", "/dev/vda")],
    "oem": {d: sorted(os.listdir(d)) for d in ("/oem/95_userdata", "/oem/96_script") if os.path.isdir(d)},
    "userdata": read("/oem/95_userdata/userdata.yaml"), "script": read("/oem/96_script/userdata"), "runs": read("/usr/local/script-runs"),
    "names": read("/run/names").split(), "passwd": run("getent", "passwd"),
    "ada": read("/home/ada/.ssh/authorized_keys"), "root": read("/root/.ssh/authorized_keys"),
    "file": read("/etc/from-disc"), "ran": os.path.exists("/run/runcmd-ran"),
    "nowhere": os.listdir("/run/nowhere") if os.path.isdir("/run/nowhere") else [],
    "media": [line for line in read("/proc/mounts").splitlines() if "/dev/vdc" in line or "/dev/vdd" in line],
}))
"""
DIGESTS = """
import hashlib, os
size = int(open("/sys/class/block/vdb/size").read()) * 512
with open("/dev/vdb", "rb") as disk:
    for start in (0, size - (1 << 20)):
        disk.seek(start)
        print(hashlib.sha256(disk.read(1 << 20)).hexdigest())
for number in (1, 3, 4):
    print(hashlib.sha256(open("/dev/vdb%d" % number, "rb").read()).hexdigest())
"""


class Disks:
    """The node's media, as the host has them."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.data = scratch / "data.qcow2"
        run("qemu-img", "create", "-q", "-f", "qcow2", self.data, "512M")
        self.media = self.burn("first", USERDATA, METADATA, SCRIPT)

    def burn(self, name: str, userdata: str, metadata: str, script: str) -> list[Path]:
        """A NoCloud disc and a config-drive."""
        nocloud = media.iso_disc(self.scratch / f"nocloud-{name}.img", "cidata", {"user-data": userdata, "meta-data": metadata})
        config = media.fat_disc(self.scratch / f"config-{name}.img", "config-2",
                                {"openstack/latest/user_data": script, "openstack/latest/meta_data.json": '{"uuid": "1"}'})  # fmt: skip
        return [media.qcow2(nocloud), media.qcow2(config)]


def probe(node: Node) -> Node:
    """With what this module looks at in `facts["disks"]`."""
    told = node.host.run("/usr/bin/python3 -c %s", PROBE)
    assert told.rc == 0, told.stderr
    node.facts["disks"] = json.loads(told.stdout)
    node.facts["marks"] = json.loads(node.host.run("/usr/bin/python3 -c %s", (HERE / "layouts/marks.py").read_text()).stdout)
    return node


@pytest.fixture(scope="module")
def disks(scratch: Path) -> Disks:
    """A blank disk and two media."""
    return Disks(scratch)


@pytest.fixture(scope="module")
def first(base_disk: Path, scratch: Path, machines: list[qemu.Machine], disks: Disks) -> Node:
    """The first boot."""
    overlay = variant.Overlay(base_disk, scratch / "node.qcow2")
    overlay.write_oem({**oem_files("disks", "clouds"), "40_layout.yaml": (HERE / "layouts/40_layout.yaml").read_text()}, AT_ONCE)
    machine = qemu.Machine(overlay.path, scratch, others=[disks.data, *disks.media])
    machines.append(machine)
    return probe(Node(machine).boot())


@pytest.fixture(scope="module")
def again(first: Node) -> dict[str, Any]:
    """The stage that partitions, once more on the running node: its records, and digests of the disk before and after."""
    host = first.host
    before = host.run("/usr/bin/python3 -c %s", DIGESTS).stdout.split()
    lines = int(host.run("cat /run/cos/ledger/*.jsonl | wc -l").stdout)
    told = host.run("kairos-boot run-stage boot")
    after = host.run("/usr/bin/python3 -c %s", DIGESTS).stdout.split()
    records = host.run(f"tail -n +{lines + 1} /run/cos/ledger/*.jsonl").stdout.splitlines()
    return {"code": told.rc, "text": told.stdout + told.stderr, "before": before, "after": after, "records": [json.loads(line) for line in records]}


@pytest.fixture(scope="module")
def second(first: Node, again: dict[str, Any], disks: Disks) -> Node:
    """The next boot: the blank disk has grown, and the media have been exchanged."""
    first.machine.press_power()
    run("qemu-img", "resize", "-q", disks.data, "768M")
    other = disks.burn("second", USERDATA.replace("from-disc", "exchanged"), METADATA.replace("one", "two"), SCRIPT + "# another\n")
    first.machine.others = [disks.data, *other]
    return probe(Node(first.machine).boot())


def written(path: Path) -> list[tuple[int, int]]:
    """Where something was written to a qcow2 overlay since it was made: start and end in bytes."""
    return [(part["start"], part["start"] + part["length"]) for part in json.loads(run("qemu-img", "map", "-U", "--output=json", path))
            if part["depth"] == 0 and part["data"]]  # fmt: skip


def parts(node: Node) -> list[dict[str, Any]]:
    """The partitions of the blank disk."""
    found: list[dict[str, Any]] = node.facts["disks"]["table"]["partitions"]
    return found


# layout


def test_a_blank_disk_gets_a_gpt_with_the_partitions_in_their_order_and_sizes(first: Node) -> None:
    disks = first.facts["disks"]
    assert disks["table"]["label"] == "gpt"
    assert [part["name"] for part in parts(first)] == ["first", "exchange", "paging", "raw", "data"]
    assert [part["size"] * SECTOR // MIB for part in parts(first)][:4] == [64, 64, 64, 8]
    assert parts(first)[0]["start"] * SECTOR == MIB
    for one, next_one in zip(parts(first), parts(first)[1:], strict=False):
        assert one["start"] + one["size"] == next_one["start"]
    assert "No errors detected" in disks["verify"]


def test_the_kernel_has_the_partitions_of_the_table(first: Node) -> None:
    assert list(first.facts["disks"]["kernel"].values()) == [part["size"] for part in parts(first)]


def test_each_partition_has_its_file_system_and_label(first: Node) -> None:
    probes = first.facts["disks"]["probes"]
    found = [(probes[part["node"]].get("TYPE"), probes[part["node"]].get("LABEL")) for part in parts(first)]
    assert found == [("ext4", "FIRST"), ("vfat", "EXCHANGE"), ("swap", "PAGING"), (None, None), ("ext4", "DATA")]


def test_udev_knows_the_new_file_systems(first: Node) -> None:
    assert {"FIRST", "EXCHANGE", "PAGING", "DATA"} <= set(first.facts["disks"]["links"])


def test_the_new_file_systems_are_used_in_the_same_stage(first: Node) -> None:
    assert first.mount("/run/data")[0] == "/dev/vdb5"
    assert first.mount("/run/exchange")[:2] == ["/dev/vdb2", "vfat"]
    assert first.facts["disks"]["swaps"] == ["/dev/vdb3"]


def test_a_mounted_ext4_grows_with_its_partition_to_the_end_of_the_disk(first: Node) -> None:
    disks = first.facts["disks"]
    before, after = disks["sizes"]
    assert before < 128 * MIB
    last = parts(first)[-1]
    assert disks["size"] - 2 * MIB // SECTOR <= last["start"] + last["size"] < disks["size"]
    assert after > before + 150 * MIB
    assert after > last["size"] * SECTOR * 0.85
    assert disks["kept"] == "kept\n"


def test_the_second_run_changes_nothing(again: dict[str, Any]) -> None:
    assert again["code"] == 0, again["text"]
    items = [r for r in again["records"] if r["kind"] == "item" and r["module"] == "layout"]
    assert [item["result"] for item in items] == ["unchanged", "unchanged"]
    assert len(again["before"]) == 5
    assert again["after"] == again["before"]


def test_a_disk_that_grew_keeps_its_partitions_and_the_last_one_takes_the_room(first: Node, second: Node) -> None:
    disks = second.facts["disks"]
    assert [{**part, "size": 0} for part in parts(second)] == [{**part, "size": 0} for part in parts(first)]
    assert [part["size"] for part in parts(second)[:-1]] == [part["size"] for part in parts(first)[:-1]]
    assert disks["table"]["id"] == first.facts["disks"]["table"]["id"]
    assert "No errors detected" in disks["verify"]
    assert disks["sizes"][1] > disks["sizes"][0] + 230 * MIB
    assert disks["kept"] == "kept\n"


@pytest.mark.parametrize("name", ["first", "second"])
def test_the_disk_of_the_node_is_left_alone(name: str, request: pytest.FixtureRequest, base_disk: Path) -> None:
    node = request.getfixturevalue(name)
    before, after = node.facts["disks"]["vda"]
    assert after == before
    table = json.loads(run("sfdisk", "--json", base_disk))["partitiontable"]["partitions"]
    ranges = {part["name"]: (part["start"] * SECTOR, (part["start"] + part["size"]) * SECTOR) for part in table}
    for start, end in written(node.machine.disk):
        touched = [part for part, (begin, finish) in ranges.items() if start < finish and end > begin]
        # Not `state`: the kernel writes to a journal's superblock even when it mounts read-only.
        assert not {"bios", "efi", "recovery"} & set(touched), f"bytes {start} to {end} were written"


# Datasources


def test_the_initrd_takes_user_data_and_metadata_from_the_nocloud_disc(first: Node) -> None:
    [step] = first.steps(stage="rootfs.before", step="Datasources.NoCloud")
    assert step["result"] == "done", step
    assert first.facts["disks"]["oem"]["/oem/95_userdata"] == ["00_metadata.yaml", "userdata", "userdata.yaml"]
    assert first.facts["disks"]["userdata"] == USERDATA


def test_the_first_boot_has_the_users_keys_host_name_and_file_of_the_disc(first: Node) -> None:
    disks = first.facts["disks"]
    [ada] = [line for line in disks["passwd"].splitlines() if line.startswith("ada:")]
    assert ada.endswith(":/bin/bash")
    assert disks["ada"].splitlines() == [KEYS[0]]
    assert KEYS[1] in disks["root"].splitlines()
    assert disks["names"] == ["from-disc"]
    assert disks["file"] == "written"
    assert disks["ran"]


def test_the_script_of_the_config_drive_runs_as_root(first: Node) -> None:
    [step] = first.steps(stage="network", step="Datasources.Script")
    assert step["result"] == "done", step
    assert first.facts["disks"]["script"] == SCRIPT
    assert first.facts["disks"]["runs"] == "ran as root\n"


def test_the_media_are_read_and_neither_written_nor_kept_mounted(first: Node, disks: Disks) -> None:
    assert first.facts["disks"]["media"] == []
    assert [written(path) for path in disks.media] == [[], []]


def test_media_are_taken_once(second: Node) -> None:
    disks = second.facts["disks"]
    assert second.steps(stage="rootfs.before", step="Datasources.NoCloud")[0]["result"] == "skipped"
    assert second.steps(stage="network", step="Datasources.Script")[0]["result"] == "skipped"
    assert disks["userdata"] == USERDATA
    assert disks["script"] == SCRIPT
    assert disks["runs"] == "ran as root\n"


def test_the_next_boot_has_the_users_keys_and_host_name_of_what_was_taken(second: Node) -> None:
    disks = second.facts["disks"]
    assert [line for line in disks["passwd"].splitlines() if line.startswith("ada:")]
    assert disks["ada"].splitlines() == [KEYS[0]]
    assert KEYS[1] in disks["root"].splitlines()
    assert disks["names"] == ["from-disc"]
    assert disks["file"] == "written"


@pytest.mark.parametrize("name", ["first", "second"])
def test_clouds_that_do_not_answer_cost_at_most_their_budget_and_are_named(name: str, request: pytest.FixtureRequest) -> None:
    node = request.getfixturevalue(name)
    items = [r for r in node.facts["ledger"] if r["kind"] == "item" and (r["stage"], r["step"]) == ("network", "Datasources.Clouds")]
    [search] = [item for item in items if item["action"].startswith("look for")]
    [note] = [item["action"] for item in items if "no metadata/userdata found" in item["action"]]
    assert "failed" not in {item["result"] for item in items}
    for provider in ("aws", "gcp", "openstack", "azure", "hetzner", "vultr", "digitalocean", "metaldata", "scaleway", "maas", "vmware"):
        assert re.search(rf"\b{provider}\b", note), provider
    assert search["duration"] > 1, "an address that answers is not dead"
    assert search["duration"] < BUDGET + 3, "3 s are for threads that an emulated processor starts"
    assert node.facts["disks"]["nowhere"] == []


def test_the_node_is_up_and_a_cloud_that_is_not_there_is_no_failure(first: Node) -> None:
    assert first.facts["units"]["multi-user.target"]["ActiveState"] == "active"
    assert first.facts["failed"] == []


# An owner's layout: paths that hold, hide and equal each other


def test_what_is_written_lasts_where_the_layout_says_so_and_nowhere_else(first: Node, second: Node) -> None:
    """Decision D11."""
    assert not any(first.facts["marks"].values())
    assert second.facts["marks"] == marks.LASTS


def test_nothing_of_the_layout_failed_and_the_table_has_each_mount_once(second: Node) -> None:
    assert [r for r in second.facts["ledger"] if r["kind"] == "mount" and r["result"] != "done"] == []
    places = [fields[1] for fields in second.facts["fstab"]]
    assert len(places) == len(set(places))
