"""The boot loader's files on the ESP are replaced: vfat has no journal, so every write is recorded in a guest, and what a cut may leave is judged by mtools and fsck.fat."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import cut_recording
import cut_states
import esp_guest
import pytest
from esp_guest import read

TOP = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.vm, pytest.mark.root]

SIZE = 64 << 20
FILES = {"EFI/BOOT/grubx64.efi": 300_000, "EFI/BOOT/BOOTX64.EFI": 200_000}
GUEST = """\
import sys
sys.path[:0] = ["/usr/lib/kairos-boot", "/usr/lib/python3/dist-packages"]
from kairos_boot.system import fat
from kairos_boot.system.host import Host
files = {{name: bytes((at * {number} + (at >> 8) + size) & 0xFF for at in range(size)) for name, size in {files}.items()}}
print("replaced:", fat.put_files(Host("/"), "/dev/vda", files), flush=True)
"""
BEFORE = """\
for name in fat fat_names; do
    cp /$name.py /usr/lib/kairos-boot/kairos_boot/system/$name.py
    rm -f /usr/lib/kairos-boot/kairos_boot/system/$name.pyc
done
"""


def content(number: int, size: int) -> bytes:
    """What a file of version *number* has."""
    return bytes((at * number + (at >> 8) + size) & 0xFF for at in range(size))


def partition(path: Path) -> bytes:
    """An ESP with version 1."""
    with path.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.vfat", "-F", "32", path], check=True, stdout=subprocess.DEVNULL)
    for folder in ("EFI", "EFI/BOOT"):
        subprocess.run(["mmd", "-i", path, f"::{folder}"], check=True)
    for name, size in FILES.items():
        subprocess.run(["mcopy", "-i", path, "-", f"::{name}"], input=content(1, size), check=True)
    return path.read_bytes()


def record(base: Path, home: Path) -> list[cut_recording.Entry]:
    """Let a guest replace version 1 by version 2 on the ESP; every write and flush."""
    root = home / "root"
    root.mkdir()
    for name in ("fat.py", "fat_names.py"):
        (root / name).write_text((TOP / "kairos_boot/system" / name).read_text())
    return esp_guest.record(base, home, GUEST.format(number=2, files=FILES), before=BEFORE, says="replaced: True")


def test_at_every_instant_each_file_is_the_whole_old_one_or_the_whole_new_one(base_disk: Path, tmp_path: Path) -> None:
    before = partition(tmp_path / "esp")
    entries = record(base_disk, tmp_path)
    state, faults = tmp_path / "state", []
    seen: set[bytes] = set()
    durable = bytearray(before)
    for number, epoch in enumerate(cut_states.epochs(entries)):
        for title, writes in cut_states.crashes(epoch, number):
            disk = bytearray(durable)
            cut_states.apply(disk, writes)
            digest = hashlib.sha256(disk).digest()
            if digest in seen:
                continue
            seen.add(digest)
            state.write_bytes(disk)
            faults += [f"epoch {number}, {title}: {name}" for name, size in FILES.items() if read(state, name) not in (content(1, size), content(2, size))]
            checked = subprocess.run(["fsck.fat", "-n", state], capture_output=True, text=True, check=False).stdout
            faults += [f"epoch {number}, {title}: {line}" for line in checked.splitlines() if "share clusters" in line or "Bad short file name" in line]
        cut_states.apply(durable, epoch)
    assert faults == []
    assert len(seen) > 50
    state.write_bytes(durable)
    assert [read(state, name) for name in FILES] == [content(2, size) for size in FILES.values()]
    assert [read(state, f"{name}.old") for name in FILES] == [content(1, size) for size in FILES.values()]


def test_the_judge_finds_a_file_that_is_written_in_place(tmp_path: Path) -> None:
    """The check itself is checked: half of a new file in the clusters of the old one."""
    partition(tmp_path / "esp")
    name, size = next(iter(FILES.items()))
    with (tmp_path / "esp").open("r+b") as file:
        disk = file.read()
        file.seek(disk.index(content(1, size)[:4096]))
        file.write(content(2, size)[:4096])
    assert read(tmp_path / "esp", name) not in (content(1, size), content(2, size))
