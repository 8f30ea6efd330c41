"""layout on real disks: GPT tables on loop devices, with the kernel's own partitions and file systems."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from kairos_boot.actions.layout import ArrangeDisk, NewPartition
from kairos_boot.errors import KairosError
from kairos_boot.system.blkid import probe
from kairos_boot.system.host import Host
from kairos_boot.system.partitions import Table, node_of, read_table, tell_kernel
from kairos_boot.system.process import Processes, Result

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: loop devices")]
MIB = 1 << 20


class Disk:
    """A loop device over a sparse file."""

    def __init__(self, file: Path, mib: int) -> None:
        self.file = file
        with file.open("wb") as out:
            out.truncate(mib * MIB)
        self.node = subprocess.run(["losetup", "-f", "--show", str(file)], check=True, text=True, capture_output=True).stdout.strip()

    def resize(self, mib: int) -> None:
        """Let the disk grow, as a virtual one does."""
        with self.file.open("r+b") as out:
            out.truncate(mib * MIB)
        subprocess.run(["losetup", "-c", self.node], check=True)

    def sfdisk(self, script: str, *options: str) -> None:
        """Write a table as somebody else would."""
        subprocess.run(["sfdisk", "-q", "--no-reread", "--no-tell-kernel", *options, self.node], input=script, text=True, check=True, capture_output=True)
        tell_kernel(Host("/"), self.node)

    def table(self) -> Table:
        """What is on it now."""
        found = read_table(Host("/"), self.node)
        assert found
        return found

    def part(self, number: int) -> str:
        """The node of a partition."""
        return node_of(self.node, number)

    def close(self) -> None:
        """Take it away."""
        subprocess.run(["partx", "-d", self.node], check=False, capture_output=True)
        subprocess.run(["losetup", "-d", self.node], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of 200 MiB with an empty GPT."""
    made = Disk(tmp_path / "disk", 200)
    made.sfdisk("label: gpt\n")
    yield made
    made.close()


def arrange(disk: Disk, *partitions: NewPartition, **more: Any) -> ArrangeDisk:
    """The action for *disk*."""
    return ArrangeDisk(disk.node, partitions=partitions, where="/oem/x.yaml:1:1", **more)


def digest(file: Path) -> str:
    """Every byte of a disk."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_partitions_are_added_with_name_type_size_and_file_system(disk: Disk) -> None:
    action = arrange(disk, NewPartition("a", "A", 50, "ext4"), NewPartition("efi", "E", 40, "vfat", bootable=True),
                     NewPartition("raw", "", 10, "none"), NewPartition("rest", "R", 0, "ext4"))
    assert action.would_change(Host("/"))
    assert action.apply(Host("/")) is True
    table = disk.table()
    assert [(s.name, table.mib(s.size)) for s in table.slots] == [("a", 50), ("efi", 40), ("raw", 10), ("rest", 98)]
    assert [s.type[:8] for s in table.slots] == ["0FC63DAF", "C12A7328", "0FC63DAF", "0FC63DAF"]
    assert [(probe(disk.part(n)).fstype, probe(disk.part(n)).label) for n in (1, 2, 3, 4)] == [("ext4", "A"), ("vfat", "E"), ("", ""), ("ext4", "R")]
    assert all(s.start % 2048 == 0 for s in table.slots)


def test_a_second_run_writes_nothing(disk: Disk) -> None:
    action = arrange(disk, NewPartition("a", "A", 50, "ext4"), NewPartition("", "LABELLED", 20, "ext4"), expand=0)
    assert action.apply(Host("/")) is True
    before = digest(disk.file)
    assert action.would_change(Host("/")) is False
    assert action.apply(Host("/")) is False
    assert digest(disk.file) == before


def test_an_existing_name_or_label_is_left_alone(disk: Disk) -> None:
    disk.sfdisk('size=20MiB, name="a"\nsize=20MiB\n', "--append")
    subprocess.run(["mkfs.ext4", "-q", "-L", "KEPT", disk.part(2)], check=True)
    subprocess.run(["mkfs.ext4", "-q", disk.part(1)], check=True)
    before = [probe(disk.part(n)).uuid for n in (1, 2)]
    assert arrange(disk, NewPartition("a", "NEW", 50, "ext2"), NewPartition("", "KEPT", 50, "ext2")).apply(Host("/")) is False
    assert [probe(disk.part(n)).uuid for n in (1, 2)] == before
    assert len(disk.table().slots) == 2


def test_what_does_not_fit_is_refused_before_anything_is_written(disk: Disk) -> None:
    before = digest(disk.file)
    with pytest.raises(KairosError, match="not enough free space for big: 300 MiB wanted, 148 MiB free"):
        arrange(disk, NewPartition("a", "A", 50, "ext4"), NewPartition("big", "B", 300, "ext4")).apply(Host("/"))
    assert digest(disk.file) == before


def test_where_a_new_partition_will_lie_is_empty_before_the_table_names_it(disk: Disk) -> None:
    """Else a cut behind the table leaves a partition with a file system that nobody made, and what was in it."""
    disk.sfdisk('size=50MiB, name="old"\n', "--append")
    start = disk.table().slots[0].start * disk.table().sector
    subprocess.run(["mkfs.ext4", "-q", "-L", "OLD", disk.part(1)], check=True)
    subprocess.run(["sfdisk", "-q", "--no-reread", "--no-tell-kernel", "--delete", disk.node, "1"], check=True)
    found: list[bool] = []

    class Cut(Processes):
        def run(self, argv: Sequence[str], **more: Any) -> Result:
            if "--append" in argv:
                with disk.file.open("rb") as file:
                    found.append(any(os.pread(file.fileno(), MIB, start)))
                return Result(1, "cut")
            return super().run(argv, **more)

    with pytest.raises(KairosError, match="cut"):
        arrange(disk, NewPartition("a", "A", 50, "ext4")).apply(Host("/", Cut()))
    assert found == [False]


def test_a_partition_that_an_interrupted_run_left_unformatted_is_formatted(disk: Disk) -> None:
    """The table was written, then the power went."""
    disk.sfdisk('size=50MiB, name="a"\n', "--append")
    assert arrange(disk, NewPartition("a", "A", 50, "ext4")).apply(Host("/")) is True
    assert probe(disk.part(1)).label == "A"


def test_content_that_nobody_knows_is_never_formatted(disk: Disk) -> None:
    disk.sfdisk('size=50MiB, name="a"\n', "--append")
    with open(disk.part(1), "r+b") as out:
        out.seek(5000)
        out.write(b"precious")
    before = digest(disk.file)
    assert arrange(disk, NewPartition("a", "A", 50, "ext4")).apply(Host("/")) is False
    assert digest(disk.file) == before


def test_the_last_partition_grows_to_the_end_with_its_files_and_leaves_the_backup_table_whole(disk: Disk, tmp_path: Path) -> None:
    arrange(disk, NewPartition("a", "A", 50, "ext4")).apply(Host("/"))
    mount = tmp_path / "mnt"
    mount.mkdir()
    subprocess.run(["mount", disk.part(1), str(mount)], check=True)
    (mount / "file").write_text("kept")
    subprocess.run(["umount", str(mount)], check=True)
    disk.resize(400)
    assert arrange(disk, expand=0).would_change(Host("/"))
    assert arrange(disk, expand=0).apply(Host("/")) is True
    table = disk.table()
    assert table.mib(table.slots[0].size) == 398
    assert "No errors detected" in subprocess.run(["sfdisk", "--verify", disk.node], text=True, capture_output=True, check=True).stdout
    assert subprocess.run(["e2fsck", "-fn", disk.part(1)], capture_output=True, check=False).returncode == 0
    subprocess.run(["mount", disk.part(1), str(mount)], check=True)
    try:
        assert (mount / "file").read_text() == "kept"
        assert os.statvfs(mount).f_blocks * os.statvfs(mount).f_frsize > 350 * MIB
    finally:
        subprocess.run(["umount", str(mount)], check=True)
    assert arrange(disk, expand=0).apply(Host("/")) is False


def may_resize() -> bool:
    """Whether this process has CAP_SYS_RESOURCE (24), which ext4 asks for when it grows mounted."""
    status = Path("/proc/self/status").read_text()
    return bool(int(status.split("CapEff:")[1].split()[0], 16) >> 24 & 1)


@pytest.mark.skipif(not may_resize(), reason="needs CAP_SYS_RESOURCE, which this sandbox lacks")
def test_a_mounted_file_system_grows(disk: Disk, tmp_path: Path) -> None:
    arrange(disk, NewPartition("a", "A", 50, "ext4")).apply(Host("/"))
    subprocess.run(["mount", disk.part(1), str(tmp_path)], check=True)
    try:
        assert arrange(disk, expand=100).apply(Host("/")) is True
        assert os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize > 80 * MIB
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_file_system_that_a_power_cut_left_small_grows(disk: Disk) -> None:
    disk.sfdisk('size=50MiB, name="a"\n', "--append")
    subprocess.run(["mkfs.ext4", "-q", disk.part(1)], check=True)
    disk.sfdisk(", +\n", "-N", "1")
    assert arrange(disk, expand=0).apply(Host("/")) is True
    assert arrange(disk, expand=0).apply(Host("/")) is False


@pytest.mark.parametrize(("fstype", "message"), [("swap", "swap cannot be grown"), ("vfat", "vfat cannot be grown"), ("none", "no file system that can be grown")])
def test_what_cannot_be_grown_is_refused_before_the_table_changes(disk: Disk, fstype: str, message: str) -> None:
    arrange(disk, NewPartition("a", "", 50, fstype)).apply(Host("/"))
    before = digest(disk.file)
    with pytest.raises(KairosError, match=message):
        arrange(disk, expand=0).apply(Host("/"))
    assert digest(disk.file) == before


@pytest.mark.skipif(not shutil.which("cryptsetup"), reason="needs cryptsetup")
def test_an_encrypted_partition_that_fills_its_disk_needs_nothing_and_another_one_is_refused(disk: Disk) -> None:
    """Each boot of a node asks for it, by the image's defaults: an encrypted one is not degraded for that."""
    disk.sfdisk('size=50MiB, name="a"\n', "--append")
    subprocess.run(["cryptsetup", "luksFormat", "-q", "--type", "luks2", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--key-file", "-", disk.part(1)], input=b"key", check=True)
    with pytest.raises(KairosError, match="crypto_LUKS cannot be grown"):
        arrange(disk, expand=0).apply(Host("/"))
    disk.sfdisk(", +\n", "-N", "1")
    before = digest(disk.file)
    assert arrange(disk, expand=0).apply(Host("/")) is False
    assert digest(disk.file) == before


def test_a_partition_is_never_made_smaller(disk: Disk) -> None:
    arrange(disk, NewPartition("a", "", 50, "ext4")).apply(Host("/"))
    with pytest.raises(KairosError, match="50 MiB and is not made smaller"):
        arrange(disk, expand=20).apply(Host("/"))
    with pytest.raises(KairosError, match="not enough free space: 500 MiB wanted, 198 MiB possible"):
        arrange(disk, expand=500).apply(Host("/"))


def test_a_damaged_backup_header_is_mended(disk: Disk) -> None:
    arrange(disk, NewPartition("a", "A", 50, "ext4")).apply(Host("/"))
    with disk.file.open("r+b") as out:
        out.seek(-512, 2)
        out.write(bytes(512))
    assert arrange(disk, NewPartition("b", "B", 50, "ext4")).apply(Host("/")) is True
    assert [s.name for s in disk.table().slots] == ["a", "b"]
    with disk.file.open("rb") as back:
        back.seek(-512, 2)
        assert back.read(8) == b"EFI PART"


def test_an_mbr_disk_is_refused_and_unchanged(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "mbr", 100)
    try:
        disk.sfdisk("label: dos\nsize=20MiB\n")
        before = digest(disk.file)
        with pytest.raises(KairosError, match="only GPT partition tables are supported, and this one is dos"):
            arrange(disk, NewPartition("a", "A", 20, "ext4")).apply(Host("/"))
        assert digest(disk.file) == before
    finally:
        disk.close()


def test_a_disk_without_a_table_is_refused_unless_it_is_to_be_initialized(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "blank", 100)
    try:
        with pytest.raises(KairosError, match="no partition table"):
            arrange(disk, NewPartition("a", "A", 20, "ext4")).apply(Host("/"))
        action = arrange(disk, NewPartition("a", "A", 20, "ext4"), initialize=True)
        assert action.apply(Host("/")) is True
        assert disk.table().guid.lower() == "769727dd-ff87-5c57-9c07-674630fc7a00"  # UUIDv5 of YIP_DISK, as in yip
        before = digest(disk.file)
        assert action.apply(Host("/")) is False
        assert digest(disk.file) == before
    finally:
        disk.close()


def test_a_disk_in_use_is_not_initialized(disk: Disk, tmp_path: Path) -> None:
    arrange(disk, NewPartition("a", "A", 50, "ext4")).apply(Host("/"))
    subprocess.run(["mount", disk.part(1), str(tmp_path)], check=True)
    try:
        with pytest.raises(KairosError, match="in use"):
            arrange(disk, initialize=True, disk_name="other").apply(Host("/"))
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_script_names_the_disk_and_its_failure_is_told(disk: Disk, tmp_path: Path) -> None:
    script = tmp_path / "pick"
    script.write_text(f'#!/bin/sh\n[ "$1" = small ] && echo {disk.node} || {{ echo disk not found >&2; exit 1; }}\n')
    script.chmod(0o755)
    action = ArrangeDisk(script=(str(script), "small"), partitions=(NewPartition("a", "A", 20, "ext4"),))
    assert action.apply(Host("/")) is True
    with pytest.raises(KairosError, match="disk not found"):
        ArrangeDisk(script=(str(script),), expand=0).apply(Host("/"))
    script.write_text("#!/bin/sh\n")
    with pytest.raises(KairosError, match="its output is empty"):
        ArrangeDisk(script=(str(script),), expand=0).apply(Host("/"))


def test_a_link_to_a_disk_is_followed_and_no_other_disk_is_touched(disk: Disk, tmp_path: Path) -> None:
    other = Disk(tmp_path / "other", 100)
    try:
        other.sfdisk("label: gpt\nsize=20MiB\n")
        before = digest(other.file)
        link = tmp_path / "by-id"
        link.symlink_to(disk.node)
        ArrangeDisk(str(link), partitions=(NewPartition("a", "A", 20, "ext4"),)).apply(Host("/"))
        assert [s.name for s in disk.table().slots] == ["a"]
        assert probe(disk.part(1)).label == "A"
        assert digest(other.file) == before
    finally:
        other.close()


def test_partitions_of_an_image_file_are_made_and_formatted(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    with image.open("wb") as out:
        out.truncate(100 * MIB)
    action = ArrangeDisk(str(image), initialize=True, partitions=(NewPartition("a", "IMAGE", 40, "ext4"),))
    assert action.apply(Host("/")) is True
    assert action.apply(Host("/")) is False
    copy = tmp_path / "copy"
    with image.open("rb") as back, copy.open("wb") as out:
        back.seek(MIB)
        shutil.copyfileobj(back, out)
    assert probe(str(copy)).label == "IMAGE"
    assert str(image) not in subprocess.run(["losetup", "-l"], text=True, capture_output=True, check=True).stdout


def test_gaps_in_the_numbering_are_no_obstacle(disk: Disk) -> None:
    arrange(disk, NewPartition("a", "A", 20, "ext4"), NewPartition("b", "B", 20, "ext4"), NewPartition("c", "C", 20, "ext4")).apply(Host("/"))
    subprocess.run(["sfdisk", "-q", "--no-reread", "--delete", disk.node, "2"], check=True, capture_output=True)
    tell_kernel(Host("/"), disk.node)
    assert arrange(disk, NewPartition("d", "D", 20, "ext4"), expand=0).apply(Host("/")) is True
    final = disk.table().final
    assert final
    assert final.name == "d"
    assert probe(disk.part(final.number)).label == "D"


def test_a_label_is_found_where_udev_has_made_no_link(disk: Disk) -> None:
    disk.sfdisk("size=20MiB\n", "--append")
    subprocess.run(["mkfs.ext4", "-q", "-L", f"zz-one-{os.getpid()}", disk.part(1)], check=True)
    assert not os.path.exists(f"/dev/disk/by-label/zz-one-{os.getpid()}")
    assert ArrangeDisk(label=f"zz-one-{os.getpid()}", expand=40, where="x").apply(Host("/")) is True
    assert [slot.size for slot in disk.table().slots] == [40 * MIB // 512]


def test_a_label_that_two_file_systems_have_is_refused(disk: Disk) -> None:
    disk.sfdisk("size=20MiB\nsize=20MiB\n", "--append")
    for number in (1, 2):
        subprocess.run(["mkfs.ext4", "-q", "-L", f"zz-two-{os.getpid()}", disk.part(number)], check=True)
    before = digest(disk.file)
    with pytest.raises(KairosError, match=r"several partitions are meant: /dev/loop[0-9]+p1, /dev/loop[0-9]+p2"):
        ArrangeDisk(label=f"zz-two-{os.getpid()}", expand=0, where="x").apply(Host("/"))
    assert digest(disk.file) == before


@pytest.mark.parametrize(("kind", "link"), [("label", False), ("label", True), ("by-label", True), ("by-uuid", True), ("by-partlabel", True), ("by-partuuid", True)])
def test_a_name_that_partitions_of_two_disks_have_is_an_error_that_lists_them_whatever_udevs_link_says(disk: Disk, tmp_path: Path, kind: str, link: bool) -> None:
    """Of two, udev's link shows one: which is chance (C6, D9)."""
    other = Disk(tmp_path / "other", 100)
    value = str(uuid4()) if kind in ("by-uuid", "by-partuuid") else f"zz-{os.getpid()}"
    folder = Path("/dev/disk", kind if kind != "label" else "by-label")
    made = folder.parent.exists(), folder.exists()
    try:
        other.sfdisk("label: gpt\n")
        for each in (disk, other):
            entry = {"by-partlabel": f', name="{value}"', "by-partuuid": f", uuid={value}"}.get(kind, "")
            each.sfdisk(f"size=20MiB{entry}\n", "--append")
            name = {"by-uuid": ["-U", value], "by-label": ["-L", value], "label": ["-L", value]}.get(kind, [])
            subprocess.run(["mkfs.ext4", "-q", *name, each.part(1)], check=True)
        if link:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / value).symlink_to(other.part(1))
        before = digest(disk.file), digest(other.file)
        action = ArrangeDisk(label=value, expand=0) if kind == "label" else ArrangeDisk(f"/dev/disk/{kind}/{value}", expand=0)
        both = sorted([disk.part(1), other.part(1)], key=os.path.basename)
        for ask in (action.would_change, action.apply):
            with pytest.raises(KairosError, match=f"several partitions are meant: {both[0]}, {both[1]}"):
                ask(Host("/"))
        assert (digest(disk.file), digest(other.file)) == before
    finally:
        if link:
            (folder / value).unlink(missing_ok=True)
            if not made[1]:
                folder.rmdir()
            if not made[0]:
                folder.parent.rmdir()
        other.close()


def test_of_two_disks_that_one_is_meant_which_was_booted_from_and_the_nodes_own_labels_are_on_no_other(disk: Disk, tmp_path: Path) -> None:
    other = Disk(tmp_path / "other", 100)

    class Booted(Host):
        def read(self, path: str) -> bytes | None:
            return f"DISK={os.path.basename(disk.node)}\n".encode() if path == "/run/kairos-boot/boot-disk" else super().read(path)

    try:
        other.sfdisk("label: gpt\n")
        for each, labels in ((disk, ("zz-data",)), (other, ("zz-data", "COS_ZZ"))):
            for number, label in enumerate(labels, 1):
                each.sfdisk("size=20MiB\n", "--append")
                subprocess.run(["mkfs.ext4", "-q", "-L", label, each.part(number)], check=True)
        before = digest(other.file)
        assert ArrangeDisk(label="zz-data", expand=40).apply(Booted("/")) is True
        assert disk.table().mib(disk.table().slots[0].size) == 40
        with pytest.raises(KairosError, match="another disk than the one that was booted from"):
            ArrangeDisk(label="COS_ZZ", expand=0).apply(Booted("/"))
        assert digest(other.file) == before
    finally:
        other.close()


@pytest.mark.parametrize(("action", "message"), [
    ({"partitions": (NewPartition("a", "A", 20, "ext4"), NewPartition("b", "B", 20, "swap"))}, "it needs mkswap"),
    ({"partitions": (NewPartition("a", "A", 20, "ext4"), NewPartition("b", "", 20, "none")), "expand": 0}, "no file system that can be grown"),
    ({"partitions": (NewPartition("a", "A", 20, "ext4"), NewPartition("b", "B", 20, "vfat")), "expand": 0}, "vfat cannot be grown"),
    ({"partitions": (NewPartition("a", "A", 20, "ext4"), NewPartition("b", "B", 40, "ext4")), "expand": 30}, "not made smaller"),
    ({"partitions": (NewPartition("a", "A", 20, "ext4"),), "expand": 5000}, "not enough free space"),
    ({"partitions": (NewPartition("a", "A", 20, "ext4"), NewPartition("b", "B", 900, "ext4")), "initialize": True, "disk_name": "new"}, "not enough free space"),
    ({"partitions": (NewPartition("a", "A", 20, "ext4"), NewPartition("b", "B", 20, "swap")), "initialize": True, "disk_name": "new"}, "it needs mkswap"),
    ({"partitions": (NewPartition("a", "A", 20, "ext4"), NewPartition("b", "B", 0, "xfs")), "initialize": True, "disk_name": "new"}, "b: it is too small for xfs"),
    ({"partitions": (NewPartition("a", "A", 20, "ext4"), NewPartition("b", "B", 108, "btrfs")), "initialize": True, "disk_name": "new"}, "b: it is too small for btrfs"),
    ({"partitions": (NewPartition("a", "A", 20, "ext4"), NewPartition("b", "B", 8, "fat16")), "initialize": True, "disk_name": "new"}, "b: it is too small for fat16"),
])
def test_a_layout_that_cannot_be_done_to_its_end_is_not_begun(disk: Disk, tmp_path: Path, action: dict[str, Any], message: str) -> None:
    """C9: every program, label, size and number is looked at before the first write; a plan says the same."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sfdisk", "mkfs.ext4", "mkfs.fat", "e2fsck", "resize2fs"):
        (tools / name).symlink_to(shutil.which(name) or f"/usr/sbin/{name}")
    host = Host("/", Processes(environment={"PATH": str(tools)}))
    before = digest(disk.file)
    made = ArrangeDisk(disk.node, where="x", **action)
    for ask in (made.would_change, made.apply):
        with pytest.raises(KairosError, match=message):
            ask(host)
    assert digest(disk.file) == before


def test_a_plan_says_of_a_file_system_left_small_what_a_run_does(disk: Disk) -> None:
    disk.sfdisk('size=50MiB, name="a"\n', "--append")
    subprocess.run(["mkfs.ext4", "-q", disk.part(1)], check=True)
    assert arrange(disk).would_change(Host("/")) is False
    disk.sfdisk(", +\n", "-N", "1")
    assert arrange(disk, expand=0).would_change(Host("/")) is True
    assert arrange(disk, expand=0).apply(Host("/")) is True
    assert arrange(disk, expand=0).would_change(Host("/")) is False
    assert arrange(disk, expand=0).apply(Host("/")) is False
