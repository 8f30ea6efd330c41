"""datasource with real media: file systems on loop devices, which stand in the node as disks and optical drives."""

from __future__ import annotations

import gzip
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kairos_boot.actions.datasource_discs import MEDIA, _devices
from kairos_boot.system.mounts import mounted
from tests.namespace.test_datasource_clouds import KEYS, STORED, Node

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: loop devices and mounts")]
USERDATA = "#cloud-config\nhostname: user\n"
METADATA = f"instance-id: i-1\nlocal-hostname: node01\npublic-keys:\n- {KEYS[0]}\n"
Insert = Callable[..., Path]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node without block devices."""
    made = Node(tmp_path / "node")
    for path in ("sys/class/block", "dev"):
        (tmp_path / "node" / path).mkdir(parents=True)
    return made


@pytest.fixture
def insert(tmp_path: Path, node: Node) -> Iterator[Insert]:
    """Makes a device of the node: `insert("vdb", "cidata", {"user-data": "…"})`; content None is a broken one."""
    loops = []

    def make(name: str, label: str, files: dict[str, str | bytes] | None, kind: str = "ext4") -> Path:
        tree, image = tmp_path / f"tree-{name}", tmp_path / f"{name}.img"
        tree.mkdir()
        for path, content in (files or {}).items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_bytes(content if isinstance(content, bytes) else content.encode())
        if kind == "squashfs":
            subprocess.run(["mksquashfs", str(tree), str(image), "-quiet", "-no-progress"], check=True, capture_output=True)
        else:
            subprocess.run(["mkfs.ext4", "-q", "-L", label, "-O", "^has_journal", "-d", str(tree), str(image), "2048"], check=True, capture_output=True)
        if files is None:
            os.truncate(image, 65536)  # its superblock is there, most of it is not
        loop = subprocess.run(["losetup", "-f", "--show", str(image)], check=True, text=True, capture_output=True).stdout.strip()
        loops.append(loop)
        os.mknod(f"{node.root}/dev/{name}", stat.S_IFBLK | 0o600, os.stat(loop).st_rdev)
        Path(f"{node.root}/sys/class/block/{name}").mkdir()
        return image

    yield make
    for loop in loops:
        subprocess.run(["losetup", "-d", loop], check=True)


def traces(node: Node) -> list[str]:
    """Mounts and directories that a look has left behind."""
    left = [item.target for item in mounted() if item.target.startswith(node.root)]
    return left + (os.listdir(f"{node.root}/run/kairos-boot") if os.path.isdir(f"{node.root}/run/kairos-boot") else [])


@pytest.mark.parametrize("label", ["cidata", "CIDATA", "CiData"])
def test_a_nocloud_disc_gives_user_data_name_and_keys(node: Node, insert: Insert, label: str) -> None:
    image = insert("vdb1", label, {"user-data": USERDATA, "meta-data": METADATA})
    before = image.read_bytes()
    node.pull("cdrom")
    assert node.errors == []
    assert node.warnings == []
    assert node.files(STORED)["userdata"] == node.files(STORED)["userdata.yaml"] == USERDATA
    assert node.files() == {"hostname": "node01", "ssh/authorized_keys": KEYS[0] + "\n"}
    assert node.hostname() == "node01\n"
    assert node.keys() == [KEYS[0]]
    assert traces(node) == []
    assert stat.S_IMODE(os.stat(f"{node.root}/run/kairos-boot").st_mode) == 0o700
    state = node.state()
    assert not any(node.pull("cdrom"))
    now = node.state()
    private = f"{node.root}/run/kairos-boot/."
    assert {**now, private: ()} == {**state, private: ()}, "the second run wrote something"
    assert image.read_bytes() == before, "the medium was written to"


def test_a_second_name_of_the_file_counts(node: Node, insert: Insert) -> None:
    insert("vdb", "cidata", {"config": USERDATA})
    node.pull("cdrom")
    assert node.files(STORED)["userdata.yaml"] == USERDATA


@pytest.mark.parametrize("keys", [f"public-keys: {KEYS[0]}", f"public-keys: {{me: '{KEYS[0]}'}}", f"public_keys: ['{KEYS[0]}']",
                                  f"public-keys: {{me: ['{KEYS[0]}']}}"])
def test_keys_are_taken_in_every_form_of_the_metadata(node: Node, insert: Insert, keys: str) -> None:
    insert("vdb", "cidata", {"user-data": USERDATA, "meta-data": keys + "\n"})
    node.pull("cdrom")
    assert node.keys() == [KEYS[0]]


def test_a_config_drive_gives_user_data_name_and_keys(node: Node, insert: Insert) -> None:
    insert("vdb", "config-2", {"openstack/latest/user_data": gzip.compress(USERDATA.encode()),
                               "openstack/latest/meta_data.json": f'{{"hostname": "node01", "public_keys": {{"me": "{KEYS[0]}"}}}}'})
    node.pull("config-drive")
    assert node.errors == []
    assert node.files(STORED)["userdata.yaml"] == USERDATA
    assert node.hostname() == "node01\n"
    assert node.keys() == [KEYS[0]]


def test_an_optical_disc_needs_no_label_but_a_labelled_one_comes_first(node: Node, insert: Insert) -> None:
    insert("sr0", "other", {"user-data": "#cloud-config\n# other\n"})
    node.pull("cdrom")
    assert node.files(STORED)["userdata"] == "#cloud-config\n# other\n"
    insert("vdz", "cidata", {"user-data": USERDATA})
    node.pull("cdrom")
    assert node.files(STORED)["userdata"] == USERDATA


def test_any_file_system_that_the_kernel_knows_is_read(node: Node, insert: Insert) -> None:
    insert("sr0", "", {"user-data": USERDATA}, kind="squashfs")
    node.pull("cdrom")
    assert node.files(STORED)["userdata"] == USERDATA


@pytest.mark.parametrize(("name", "label"), [("loop7", "cidata"), ("ram0", "cidata"), ("vdb", "data"), ("vdb", "config-2")])
def test_other_devices_are_not_read(node: Node, insert: Insert, name: str, label: str) -> None:
    insert(name, label, {"user-data": USERDATA, "openstack/latest/user_data": USERDATA})
    node.pull("cdrom")
    assert node.errors == []
    assert "no metadata/userdata found (cdrom: no medium)" in node.notes[0]


def test_a_medium_without_user_data_hides_no_other(node: Node, insert: Insert) -> None:
    insert("vdb", "cidata", {"meta-data": "local-hostname: nobody\n"})
    insert("vdc", "CIDATA", {"user-data": USERDATA})
    node.pull("cdrom")
    assert node.files(STORED)["userdata"] == USERDATA
    assert node.hostname() == "", "the name is that of another medium"


def test_a_damaged_medium_is_told_and_the_next_one_read(node: Node, insert: Insert) -> None:
    insert("vdb", "cidata", None)
    insert("vdc", "cidata", {"user-data": USERDATA})
    node.pull("cdrom")
    assert node.files(STORED)["userdata"] == USERDATA
    assert [text for text in node.errors if "cdrom: /dev/vdb: it cannot be read" in text]
    assert traces(node) == []


@pytest.mark.parametrize("name", ["vdb", "sr0"])
def test_a_medium_that_cannot_be_read_is_a_failure_that_names_it(node: Node, insert: Insert, name: str) -> None:
    """Decision B14: somebody labelled it for us."""
    insert(name, "cidata", None)
    node.pull("config-drive", "cdrom")
    assert len(node.errors) == 1
    assert f"cdrom: /dev/{name}: it cannot be read: " in node.errors[0]


def test_a_disc_of_somebody_else_is_no_failure(node: Node, insert: Insert) -> None:
    """In a drive may be anything."""
    insert("sr0", "music", None)
    node.pull("cdrom", "config-drive")
    assert node.errors == []
    assert "no metadata/userdata found" in node.notes[0]


def test_a_label_in_the_boot_sector_alone_counts(node: Node, tmp_path: Path, insert: Insert) -> None:
    """Tools that make small FAT images write it there and not into the root directory. The kernel here need not know FAT."""
    image = insert("vdb", "x", {})
    subprocess.run(["mkfs.fat", "-n", "CIDATA", image], check=True, capture_output=True)
    raw = image.read_bytes()
    at = raw.rindex(b"CIDATA     ")
    assert raw.index(b"CIDATA     ") < 512 <= at
    image.write_bytes(raw[:at] + bytes(32) + raw[at + 32:])
    devices = list(_devices(MEDIA["cdrom"], node))
    assert devices == [("/dev/vdb", ("vfat",), True)]


def test_a_link_of_a_medium_leads_nowhere_outside_it(node: Node, insert: Insert, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("SECRET")
    (tmp_path / "tree-vdb").mkdir()
    (tmp_path / "tree-vdb/user-data").symlink_to(tmp_path / "secret")
    (tmp_path / "tree-vdb").rename(tmp_path / "linked")
    image = tmp_path / "linked.img"
    subprocess.run(["mkfs.ext4", "-q", "-L", "cidata", "-O", "^has_journal", "-d", str(tmp_path / "linked"), str(image), "2048"], check=True)
    insert("vdb", "x", {})
    loop = subprocess.run(["losetup", "-f", "--show", str(image)], check=True, text=True, capture_output=True).stdout.strip()
    try:
        os.unlink(f"{node.root}/dev/vdb")
        os.mknod(f"{node.root}/dev/vdb", stat.S_IFBLK | 0o600, os.stat(loop).st_rdev)
        node.pull("cdrom")
    finally:
        subprocess.run(["losetup", "-d", loop], check=True)
    assert "no metadata/userdata found" in node.notes[0]
    assert node.files() == {}


def test_a_directory_or_pipe_in_place_of_the_file_stops_nothing(node: Node, insert: Insert) -> None:
    insert("vdb", "cidata", {"user-data/file": "x"})
    insert("vdc", "cidata", {"user-data": USERDATA})
    node.pull("cdrom")
    assert node.files(STORED)["userdata"] == USERDATA
    assert [text for text in node.errors if "user-data is not a plain file" in text]


def test_broken_metadata_costs_the_metadata_only(node: Node, insert: Insert) -> None:
    insert("vdb", "cidata", {"user-data": USERDATA, "meta-data": "local-hostname: [\n"})
    node.pull("cdrom")
    assert node.files(STORED)["userdata"] == USERDATA
    assert [text for text in node.errors if "meta-data: not YAML" in text]


def test_a_medium_comes_before_the_network_wherever_it_stands_in_the_list(node: Node, insert: Insert) -> None:
    insert("vdb", "cidata", {"user-data": USERDATA})
    node.pull("digitalocean", "cdrom")
    assert any("(found: cdrom)" in text for text in node.said)
