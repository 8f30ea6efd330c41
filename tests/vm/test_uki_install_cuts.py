"""A power cut at any instant of the installation of a node that is one signed file: the firmware finds no boot loader on the disk, so it is the medium's turn again, or a complete node.

Every write to the disk is recorded in a guest with the kernel of nodes, which has FAT, and what a cut may leave is judged by mtools and debugfs.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
import uuid
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import cut_recording
import cut_states
import esp_guest
import pytest
import rootfs
from esp_guest import menu, read, system

from kairos_boot.actions.layout import ESP
from kairos_boot.node.loader import LOADERS

pytestmark = [pytest.mark.vm, pytest.mark.root]

MIB = 1 << 20
SIZE = 600 * MIB
"""The partition of the firmware has the size from which on mkfs makes it FAT32, as on every real node."""
SECTOR = 512
STATES = 300
ROLES = ("active", "passive", "recovery")
CONFIG = "#cloud-config\nhostname: of-{word}\nusers: [{{name: kairos, groups: [admin]}}]\ninstall: {{device: auto, partitions: {{oem: {{size: 8}}, efi: {{size: 520}}}}}}\n"
GUEST = esp_guest.PATHS + """\
import os
from install_node import FILES, InstallNode
from kairos_boot.lifecycle.installing import Asked, install
from kairos_boot.lifecycle.uki_install import PLACES
from kairos_boot.lifecycle.uki_installing import UkiInstallation
from kairos_boot.system import mounts
os.makedirs("/sys/firmware", exist_ok=True)
mounts.mount("tmpfs", "/sys/firmware", "tmpfs")
os.makedirs("/sys/firmware/efi/efivars")
node = InstallNode("/node", files=dict.fromkeys(FILES))
for name in ("uki_install_mode", "live_mode"):
    node.write(f"/run/cos/{name}", "1")
node.write("/run/rootfsbase/x", "")
mounts.mount("tmpfs", "/run/rootfsbase", "tmpfs")
for name in LOADERS:
    node.write(f"/run/rootfsbase/{name}", open("/loader.efi", "rb").read())
def put(word):
    node.write("/run/rootfsbase/EFI/kairos/norole.efi", open(f"/{word}.efi", "rb").read())
    path = f"/{word}.yaml"
    config = node.collector().given(path, "")
    node.take(config)
    outcome = install(node, config, Asked(), UkiInstallation)
    assert not outcome.failures, outcome.failures
    print("installed:", word, node.lines[-1], flush=True)
def stopped(title):
    return (lambda done, total: os._exit(9)) if "passive" in title else (lambda done, total: None)
ours, child = node.progress, os.fork()
if not child:
    node.progress = stopped
    put("cut")
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
for place in PLACES.values():
    mounts.unmount(place)
put("one")
put("two")
print("all: done", flush=True)
""".replace("LOADERS", repr(LOADERS))
"""One installation ends in its midst, the next one is over what that left, the last one over a node."""


def loader() -> bytes:
    """The boot loader, the same one in each installation: one that is left of an older node is whole."""
    return system("loader")


@pytest.fixture(scope="module")
def recorded(base_disk: Path, scratch: Path) -> list[cut_recording.Entry]:
    """Every write and flush of three installations."""
    root = scratch / "root"
    esp_guest.put_program(root, "unit/esp_node.py", "namespace/install_node.py", "namespace/initrds.py")
    tool = root / "usr/sbin/mkfs.fat"  # no node needs it in its initrd
    tool.parent.mkdir(parents=True)
    shutil.copy(rootfs.tree() / "usr/sbin/mkfs.fat", tool)
    for word in ("cut", "one", "two"):
        (root / f"{word}.efi").write_bytes(system(word))
        (root / f"{word}.yaml").write_text(CONFIG.format(word=word))
    (root / "loader.efi").write_bytes(loader())
    with (scratch / "esp").open("wb") as file:
        file.truncate(SIZE)
    return esp_guest.record(base_disk, scratch, GUEST, says="all: done", memory=1024, seconds=900)


def tables(disk: Path) -> Iterator[list[tuple[bytes, int, int]]]:
    """The partitions of each table that is whole, by type, start and bytes: of the first one, then of its copy at the end."""
    with disk.open("rb") as file:
        for at in (SECTOR, SIZE - SECTOR):
            head = os.pread(file.fileno(), SECTOR, at)
            if head[:8] != b"EFI PART":
                continue
            length, total = struct.unpack_from("<II", head, 12)
            first, count, each, of_entries = struct.unpack_from("<QIII", head, 72)
            entries = os.pread(file.fileno(), count * each, first * SECTOR)
            if not 92 <= length <= SECTOR or zlib.crc32(head[:16] + bytes(4) + head[20:length]) != total or zlib.crc32(entries) != of_entries:
                continue
            places = (struct.unpack_from("<16s16sQQ", entries, number * each) for number in range(count))
            yield [(kind, start * SECTOR, (end + 1 - start) * SECTOR) for kind, _, start, end in places if any(kind)]


def starts(disk: Path) -> Path | None:
    """What mtools call the partition from which a firmware starts a whole boot loader, if it finds one there."""
    wanted = uuid.UUID(ESP).bytes_le
    places = (Path(f"{disk}@@{start}") for table in tables(disk) for kind, start, _ in table if kind == wanted)
    return next((place for place in places if read(place, LOADERS[0]) == loader()), None)


def faults(disk: Path, scratch: Path) -> list[str] | None:
    """What a node that a firmware starts lacks; None where it starts nothing."""
    place = starts(disk)
    if place is None:
        return None
    programs = {name: read(place, path) or b"" for name, path in menu(place).items()}
    found = [f"{role}: {sorted(programs)}" for role in ROLES if f"{role}+3.conf" not in programs]
    words = {word for word in ("cut", "one", "two") for content in programs.values() if content == system(word)}
    found += [f"{name} leads to no whole system" for name, content in programs.items() if content not in map(system, words)]
    if len(words) != 1:
        return [*found, f"the systems are of several installations: {sorted(words)}"]
    configuration = written(disk, scratch)
    return found if configuration == CONFIG.format(word=words.pop()) else [*found, f"the configuration is {configuration!r}"]


def written(disk: Path, scratch: Path) -> str:
    """The configuration on COS_OEM as the kernel of the node finds it, its journal replayed."""
    _, start, size = next(tables(disk))[1]
    copy = scratch / "oem.img"
    with disk.open("rb") as file:
        copy.write_bytes(os.pread(file.fileno(), size, start))
    subprocess.run(["e2fsck", "-fy", copy], capture_output=True, check=False)
    return subprocess.run(["debugfs", "-R", "cat /90_custom.yaml", copy], capture_output=True, text=True, check=False).stdout


class Replay:
    """A disk in each state in which a cut may leave it, and what is wrong with it then."""

    def __init__(self, scratch: Path) -> None:
        self.scratch, self.state, self.durable = scratch, scratch / "state", scratch / "durable"
        for path in (self.state, self.durable):
            with path.open("wb") as file:
                file.truncate(SIZE)
        self.seen, self.started = 0, 0
        self.faults: list[str] = []

    def epoch(self, number: int, writes: Sequence[cut_recording.Entry]) -> None:
        """Judge what a cut may leave of these writes, all of which are durable then."""
        seen = set()
        with self.state.open("r+b", buffering=0) as state, self.durable.open("r+b", buffering=0) as durable:
            for title, kept in cut_states.crashes(writes, number):
                digest = hashlib.sha256(b"".join(entry.at.to_bytes(8) + hashlib.sha256(content(entry)).digest() for entry in kept)).digest()
                if digest in seen:
                    continue
                seen.add(digest)
                for entry in kept:
                    os.pwrite(state.fileno(), content(entry), entry.at)
                self.judge(f"epoch {number}, {title}")
                for entry in kept:
                    os.pwrite(state.fileno(), os.pread(durable.fileno(), entry.size, entry.at), entry.at)
            for entry in writes:
                for file in (state, durable):
                    os.pwrite(file.fileno(), content(entry), entry.at)

    def judge(self, title: str) -> None:
        """Look at the disk as it is now."""
        self.seen += 1
        found = faults(self.state, self.scratch)
        if found is not None:
            self.started += 1
            self.faults += [f"{title}: {fault}" for fault in found]


def content(entry: cut_recording.Entry) -> bytes:
    """What a write leaves; a discard leaves zeros."""
    return entry.data if entry.data is not None else bytes(entry.size)


def test_at_every_instant_a_firmware_starts_nothing_of_the_disk_or_a_complete_node(recorded: list[cut_recording.Entry], scratch: Path) -> None:
    """And the installation is begun again over what one left that was cut off, with the disk chosen by itself."""
    replay = Replay(scratch)
    for number, writes in enumerate(cut_states.epochs(recorded)):
        replay.epoch(number, writes)
    assert replay.faults == []
    assert replay.seen > STATES
    assert 0 < replay.started < replay.seen
    assert faults(replay.state, scratch) == []


def test_a_boot_loader_that_reaches_the_disk_before_the_systems_is_found_out(recorded: list[cut_recording.Entry], scratch: Path) -> None:
    """The check itself is checked: as if the last installation never flushed the disk's cache."""
    epochs = cut_states.epochs(recorded)
    blanked = [number for number, writes in enumerate(epochs) if any(entry.at == 0 for entry in writes)][-1]
    replay = Replay(scratch)
    for writes in epochs[:blanked]:
        for path in (replay.state, replay.durable):
            with path.open("r+b", buffering=0) as file:
                for entry in writes:
                    os.pwrite(file.fileno(), content(entry), entry.at)
    replay.epoch(0, [entry for writes in epochs[blanked:] for entry in writes])
    assert replay.faults
