"""A disk as a file, made on a machine that builds images: whole or not at all, nothing of that machine in it, nothing left on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from kairos_boot.cli import installer
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import diskimage
from kairos_boot.system import blockdev, loop

if TYPE_CHECKING:
    from collections.abc import Iterator

from install_node import FILES, MENU  # type: ignore[import-not-found]  # beside this file
from oci_images import archive, image, small  # type: ignore[import-not-found]  # beside this file

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts and loop devices")]
TOP = Path(__file__).resolve().parents[2]
SMALL = ("install.partitions.state.size=10", "install.partitions.recovery.size=10", "install.partitions.oem.size=8", "install.partitions.efi.size=8",
         "install.partitions.persistent.size=16", "install.system.size=12")


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    """A small system."""
    for name, text in FILES.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    yield tmp_path / "tree"
    left = subprocess.run(["losetup", "--list", "--noheadings", "--output", "BACK-FILE"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in left, "no loop device is left"


def make(tree: Path | str, target: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run the program as somebody on a build machine does; *tree* is a directory, or a source as it is written."""
    settings = [word for setting in SMALL for word in ("--set", setting)]
    source = tree if isinstance(tree, str) else f"dir:{tree}"
    words = [sys.executable, "-m", "kairos_boot", "install", "--disk-image", str(target), "--source", source, *settings, *more]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=300, cwd="/", env={**os.environ, "PYTHONPATH": str(TOP)})


def cat(disk: Path, partition: str, path: str) -> str:
    """A file as GRUB reads it."""
    done = subprocess.run(["grub-fstest", str(disk), "cat", f"(loop0,{partition}){path}"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode("utf-8", "replace")


def table(disk: Path) -> dict[str, object]:
    """What sfdisk says of it."""
    told: dict[str, object] = json.loads(subprocess.run(["sfdisk", "--json", str(disk)], capture_output=True, check=True).stdout)["partitiontable"]
    assert isinstance(told["partitions"], list)
    for part in told["partitions"]:
        del part["node"]
    return {name: value for name, value in told.items() if name != "device"}


def test_a_disk_image_is_a_node_for_both_firmwares(tree: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("#cloud-config\n# mine\nusers: [{name: a, groups: [admin]}]\ninstall: {grub_options: {extra_cmdline: foobarzz}}\n"
                      f"stages: {{before-install: [{{commands: ['touch {tmp_path}/ran']}}], after-install-chroot: [{{files: [{{path: /made, content: x}}]}}]}}\n")
    disk = tmp_path / "disk.raw"
    done = make(tree, disk, "--config", str(config))
    assert done.returncode == 0, done.stderr
    assert cat(disk, "gpt3", "/90_custom.yaml") == config.read_text()
    assert "extra_cmdline=foobarzz" in cat(disk, "gpt3", "/grubenv")
    assert cat(disk, "gpt5", "/grub2/grub.cfg") == MENU
    assert "remoterecovery" in cat(disk, "gpt5", "/grubmenu")
    assert cat(disk, "gpt2", "/EFI/BOOT/BOOTX64.EFI").startswith("MZ")
    with disk.open("rb") as file:
        assert file.read(440).strip(b"\0")
    assert not (tmp_path / "ran").exists(), "a step of the node does not run on the machine that builds"
    assert disk.stat().st_blocks * 512 < disk.stat().st_size, "it is sparse"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "disk.raw", "tree"]


def test_an_archive_of_a_container_image_becomes_a_node_with_its_digest_noted(tmp_path: Path) -> None:
    archive(str(tmp_path / "a.tar"), image(small({name: text if isinstance(text, bytes) else text.encode() for name, text in FILES.items()})))
    disk = tmp_path / "disk.raw"
    done = make(f"ocifile:{tmp_path}/a.tar", disk)
    assert done.returncode == 0, done.stderr
    assert cat(disk, "gpt5", "/grub2/grub.cfg") == MENU
    assert f"ocifile://{tmp_path}/a.tar@sha256:" in cat(disk, "gpt6", "/.kairos-state")


def test_identifiers_follow_from_the_seed(tree: Path, tmp_path: Path) -> None:
    tables = []
    for number, seed in enumerate((("--seed", "a"), ("--seed", "a"), ("--seed", "b"))):
        disk = tmp_path / f"{number}.raw"
        assert make(tree, disk, *seed).returncode == 0
        uuid = subprocess.run(["debugfs", "-R", "show_super_stats -h", f"{disk}?offset={_start(disk, 'oem')}"], capture_output=True, text=True, check=True).stdout
        tables.append((table(disk), next(line for line in uuid.splitlines() if line.startswith("Filesystem UUID"))))
    assert tables[0] == tables[1]
    assert tables[0][0] != tables[2][0]
    assert tables[0][1] != tables[2][1]


def test_what_fails_leaves_no_file_and_an_older_one_as_it_is(tree: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    disk.write_text("older")
    (tree / "usr/share/kairos-boot/grub/core.img").write_bytes(b"x" * (1 << 20))  # larger than its place, which only the last phase finds
    done = make(tree, disk)
    assert done.returncode == 3
    assert "GRUB's core has" in done.stderr
    assert disk.read_text() == "older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk.raw", "tree"]


@pytest.mark.parametrize("path", ["disk.raw", "usr/share/disk.raw"])
def test_an_image_is_not_written_into_what_it_is_made_of(tree: Path, path: str) -> None:
    """The next one would have the whole of it in its systems, with all that it was configured with."""
    done = make(tree, tree / path)
    assert (done.returncode, "written into what it is made of" in done.stderr) == (3, True), done.stderr
    assert not (tree / path).exists()


def test_nor_over_it(tmp_path: Path) -> None:
    source, link = tmp_path / "system.img", tmp_path / "link.img"
    source.touch()
    os.link(source, link)
    for path in (source, link):
        with pytest.raises(KairosError, match="written into what it is made of"):
            diskimage.must_be_elsewhere(str(path), str(source))
    diskimage.must_be_elsewhere(str(tmp_path / "disk.raw"), str(source))


@pytest.mark.parametrize(("more", "code", "said"), [
    (("--size", "100M"), 3, "does not fit in the target disk"), (("--size", "x"), 2, "not a size"), (("--size", "99999999T"), 2, "more than any file holds"), (("--firmware", "coreboot"), 2, "--firmware is bios, efi or both"),
    (("/dev/null",), 2, "no device"), (("--config", "/nowhere"), 3, "no such file")])
def test_what_cannot_be_made_is_refused(tree: Path, tmp_path: Path, more: tuple[str, ...], code: int, said: str) -> None:
    done = make(tree, tmp_path / "disk.raw", *more)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


def test_a_plan_makes_nothing(tree: Path, tmp_path: Path) -> None:
    done = make(tree, tmp_path / "disk.raw", "--plan", "--json")
    assert done.returncode == 0, done.stderr
    names = [phase["phase"] for phase in json.loads(done.stdout)]
    does = {phase["phase"]: phase["does"] for phase in json.loads(done.stdout)}
    assert does["partition"][0].startswith(f"in the new file {tmp_path}/disk.raw, "), "no device of this machine is said to be erased"
    assert "erase" not in done.stdout
    assert any(line.endswith(f" into {tmp_path}/disk.raw") for line in does["boot-loader"])
    assert any("no --config" in line for line in does["configuration"]), "nobody was looked for who can log in"
    assert names == ["partition", "mount", "active", "configuration", "menu", "after-install-chroot", "recovery", "passive", "record", "boot-loader", "unmount"]
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


@pytest.mark.parametrize("more", [(), ("--plan",)])
@pytest.mark.parametrize(("lacks", "said"), [("boot/vmlinuz", "lacks /boot/vmlinuz"), ("usr/share/kairos-boot/grub/bootx64.efi", "no boot loader for UEFI")])
def test_a_plan_refuses_what_the_run_does(tree: Path, tmp_path: Path, lacks: str, said: str, more: tuple[str, ...]) -> None:
    (tree / lacks).unlink()
    done = make(tree, tmp_path / "disk.raw", *more)
    assert (done.returncode, done.stdout, said in done.stderr) == (3, "", True), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


@pytest.mark.parametrize("more", [(), ("--plan",)])
def test_nothing_of_a_build_stays_on_its_machine(tree: Path, tmp_path: Path, more: tuple[str, ...]) -> None:
    """Neither its record nor its documents; and what has a name like its own while it is written is somebody else's."""
    config = tmp_path / "config.yaml"
    config.write_text("#cloud-config\nusers: [{name: a, groups: [admin]}]\n")
    (tmp_path / "disk.raw.new").write_text("mine")
    here = tmp_path / "scratch"
    here.mkdir()
    settings = [word for setting in SMALL for word in ("--set", setting)]
    words = ["install", "--disk-image", str(tmp_path / "disk.raw"), "--source", f"dir:{tree}", "--config", str(config), *settings, *more]
    program = f"import os, sys; sys.path.insert(0, {str(TOP)!r}); from kairos_boot.cli.main import program; os._exit(program({words!r}))"  # as the entry ends
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=300, cwd="/", env={**os.environ, "TMPDIR": str(here)})
    assert done.returncode == 0, done.stderr
    assert [path.name for path in here.iterdir() if path.name != ".kairos-boot"] == []
    assert (tmp_path / "disk.raw.new").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", *([] if more else ["disk.raw"]), "disk.raw.new", "scratch", "tree"]


def test_nothing_of_a_build_stays_where_it_was_killed_either(tree: Path, tmp_path: Path) -> None:
    """But the file that the next build takes away: no directory is made in TMPDIR that only an end in order removes."""
    here, disk = tmp_path / "scratch", tmp_path / "disk.raw"
    here.mkdir()
    settings = [word for setting in SMALL for word in ("--set", setting)]
    words = ["unshare", "--mount", "--propagation", "private", sys.executable, "-m", "kairos_boot", "install", "--disk-image", str(disk), "--source", f"dir:{tree}", *settings]
    with subprocess.Popen(words, cwd="/", env={**os.environ, "PYTHONPATH": str(TOP), "TMPDIR": str(here)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as build:
        while build.poll() is None and not os.path.exists(f"{disk}{diskimage.NEW}"):
            time.sleep(0.01)
        build.kill()
    assert [path.name for path in here.rglob("*") if path.name != ".kairos-boot"] == []
    done = make(tree, disk)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk.raw", "scratch", "tree"]


def test_a_disk_image_is_its_owners_alone_from_its_beginning(tmp_path: Path) -> None:
    """C5: the passwords and tokens of a configuration are in it, whatever the umask."""
    path = tmp_path / "disk.raw"
    path.write_text("an older one, readable for all")
    old = os.umask(0)
    try:
        with contextmanager(diskimage.made)(str(path), 1 << 20):
            assert [file.stat().st_mode & 0o777 for file in tmp_path.iterdir() if file != path] == [0o600]
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_a_killed_build_left_goes_with_the_next_one(tmp_path: Path) -> None:
    """The file and its loop device; a build that still runs is left alone."""
    path = str(tmp_path / "disk.raw")
    killed = tmp_path / f"disk.raw{diskimage.NEW}"
    killed.write_bytes(bytes(1 << 20))
    node = loop.attach(str(killed), read_only=False)
    inode = killed.stat().st_ino
    with killed.open("rb") as held, contextmanager(diskimage.made)(path, 1 << 20):
        assert os.fstat(held.fileno()).st_nlink == 0
        assert os.fstat(held.fileno()).st_ino == inode
        with pytest.raises(KairosError, match="another build makes this disk image"), contextmanager(diskimage.made)(path, 1 << 20):
            pass
        assert killed.exists()
    assert not loop.attached(path, writable=True), node
    assert [file.name for file in tmp_path.iterdir()] == ["disk.raw"]


KILLED = """
import os, subprocess, sys, time
sys.path.insert(0, {top!r})
from contextlib import contextmanager
from kairos_boot.lifecycle import diskimage
from kairos_boot.system import blockdev, loop, mounts
home = {home!r}
with contextmanager(diskimage.made)(home + "/disk.raw", 32 << 20) as node:
    blockdev.tell(node, {{1: (1 << 20, 24 << 20)}})
    subprocess.run(["mkfs.ext4", "-q", node + "p1"], check=True)
    os.mkdir(home + "/place")
    mounts.mount(node + "p1", home + "/place", "ext4")
    with open(home + "/place/image", "wb") as file:
        file.truncate(4 << 20)
    with contextmanager(loop.held)(home + "/place/image", read_only=False) as inner:
        print(node, inner, flush=True)
        time.sleep(600)
"""


def test_a_build_that_was_killed_in_an_image_leaves_nothing_in_use(tmp_path: Path) -> None:
    """The loop device of the image that it worked in keeps the partition, which nobody has mounted any more."""
    script = KILLED.format(top=str(TOP), home=str(tmp_path))
    with subprocess.Popen(["unshare", "--mount", "--propagation", "private", sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as build:
        assert build.stdout is not None
        node, inner = build.stdout.readline().split()
        build.kill()
    with contextmanager(diskimage.made)(str(tmp_path / "disk.raw"), 1 << 20):
        pass
    assert not os.path.exists(f"{node}p1")
    assert not loop.attached(str(tmp_path / "place/image")), inner
    assert sorted(file.name for file in tmp_path.iterdir()) == ["disk.raw", "place"]


def test_a_partition_that_somebody_uses_is_named_with_what_to_do(tmp_path: Path) -> None:
    """Nothing of it waits for the next boot of this machine."""
    nodes, busy = [], []

    def build() -> None:
        with contextmanager(diskimage.made)(str(tmp_path / "disk.raw"), 32 << 20, patience=0.0) as node:
            nodes.append(node)
            blockdev.tell(node, {1: (1 << 20, 24 << 20)})
            busy.append(os.open(f"{node}p1", os.O_RDONLY))

    try:
        with pytest.raises(KairosError, match="a partition of it is in use") as caught:
            build()
    finally:
        for fd in busy:
            os.close(fd)
        for node in nodes:
            blockdev.tell(node, {})
    assert "losetup -d" in str(caught.value)
    assert "boot" not in caught.value.hint


def test_whoever_only_looks_at_a_partition_is_waited_for(tmp_path: Path) -> None:
    """As udev, which opens each partition that appears: it is gone in a moment, and no reason to give an installation up."""
    with contextmanager(diskimage.made)(str(tmp_path / "disk.raw"), 32 << 20) as node:
        blockdev.tell(node, {1: (1 << 20, 24 << 20)})
        looks = subprocess.Popen(["sh", "-c", 'exec 3<"$1" && echo looks && sleep 0.3', "sh", f"{node}p1"], stdout=subprocess.PIPE)
        assert looks.stdout is not None
        assert looks.stdout.readline() == b"looks\n"
        blockdev.tell(node, {1: (2 << 20, 24 << 20)}, patience=30.0)
        assert blockdev.known(node) == {1: (2 << 20, 24 << 20)}
        looks.communicate()


def _start(disk: Path, name: str) -> int:
    parts = table(disk)["partitions"]
    assert isinstance(parts, list)
    return next(int(part["start"]) * 512 for part in parts if part["name"] == name)


def test_without_a_device_and_without_install_auto_nothing_is_installed() -> None:
    """The program guesses at no disk, and says how to name one."""
    words = [sys.executable, "-m", "kairos_boot", "install", "--source", "dir:/"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300, cwd="/", env={**os.environ, "PYTHONPATH": str(TOP)})
    assert done.returncode == 3
    assert "no device is named, and the configuration does not allow an installation by itself" in done.stderr
    assert "kairos-boot install /dev/" in done.stderr


def test_a_configuration_that_cannot_be_had_is_told_of(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "kairos_boot", "manual-install", str(tmp_path / "none.yaml")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300, cwd="/", env={**os.environ, "PYTHONPATH": str(TOP)})
    assert (done.returncode, "no such file" in done.stderr) == (3, True)


def test_what_is_wrong_with_a_setting_of_the_call_is_placed_there(tmp_path: Path) -> None:
    """It is no word of the kernel command line of the machine that builds."""
    words = [sys.executable, "-m", "kairos_boot", "install", "--disk-image", str(tmp_path / "x"), "--source", "dir:/", "--set", "install.partitions.state.size=much"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300, cwd="/", env={**os.environ, "PYTHONPATH": str(TOP)})
    assert done.returncode == 3
    assert "--set install.partitions.state.size: " in done.stderr
    assert "/proc/cmdline" not in done.stderr


def test_an_address_is_called_unknown_where_the_server_says_so_and_not_for_its_digits() -> None:
    """Kairos' words are for the answer 404, and not for an address that has it in its name, whose server is not there."""
    with pytest.raises(KairosError) as caught:
        installer.on_this_machine("http://127.0.0.1:9/404.yaml", (), looks=True)
    assert "not found in remote" not in caught.value.message
    assert "127.0.0.1:9/404.yaml" in str(caught.value)
    nothing = type("Nothing", (BaseHTTPRequestHandler,), {"do_GET": lambda self: self.send_error(404), "log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), nothing)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(KairosError, match="configuration file not found in remote address"):
            installer.on_this_machine(f"http://127.0.0.1:{server.server_port}/x.yaml", (), looks=True)
    finally:
        server.shutdown()
        server.server_close()
