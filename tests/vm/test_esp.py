"""The boot loader's files on the ESP are replaced: vfat has no journal, so every write is recorded in a guest, and what a cut may leave is judged by mtools and fsck.fat."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import cut_recording
import cut_states
import machine as qemu
import pytest

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
INIT = """\
#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmpfs /run
for name in virtio_pci virtio_blk vfat nls_cp437 nls_ascii nls_iso8859-1; do modprobe $name; done
until [ -b /dev/vda ]; do sleep 0.2; done
for name in fat fat_names; do
    cp /$name.py /usr/lib/kairos-boot/kairos_boot/system/$name.py
    rm -f /usr/lib/kairos-boot/kairos_boot/system/$name.pyc
done
python3 -S /guest.py
echo o >/proc/sysrq-trigger
sleep 60
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


def initrd(base: Path, home: Path) -> Path:
    """The node's own initrd, in which our script is the init: it has the interpreter, the program and the drivers."""
    root = home / "root"
    root.mkdir()
    (root / "guest.py").write_text(GUEST.format(number=2, files=FILES))
    for name in ("fat.py", "fat_names.py"):
        (root / name).write_text((TOP / "kairos_boot/system" / name).read_text())
    (root / "replace").write_text(INIT)
    (root / "replace").chmod(0o755)
    names = "\n".join(path.name for path in sorted(root.iterdir())) + "\n"
    made = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=names.encode(), cwd=root, capture_output=True, check=True).stdout
    path = home / "initrd"
    path.write_bytes(made.ljust(-(-len(made) // 512) * 512, b"\0") + (base.parent / "initrd").read_bytes())
    return path


def record(base: Path, home: Path) -> list[cut_recording.Entry]:
    """Let a guest replace version 1 by version 2 on the ESP; every write and flush."""
    log, console = home / "log", home / "console"
    log.write_bytes(b"")
    words: list[str | Path] = ["qemu-system-x86_64", "-machine", "q35", "-accel", qemu.acceleration(), "-cpu", "max", "-m", "768", "-display", "none", "-no-reboot", "-nic", "none",
             "-serial", f"file:{console}", "-kernel", base.parent / "vmlinuz", "-initrd", initrd(base, home), "-append", "console=ttyS0 rdinit=/replace panic=1 quiet",
             "-blockdev", f"driver=file,node-name=esp,filename={home / 'esp'}", "-blockdev", f"driver=file,node-name=log,filename={log}",
             "-blockdev", "driver=blklogwrites,node-name=both,file=esp,log=log", "-device", "virtio-blk-pci,drive=both"]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, timeout=600)
    assert "replaced: True" in console.read_text(errors="replace"), console.read_text(errors="replace")[-2000:]
    return cut_recording.read(log)


def read(disk: Path, name: str) -> bytes:
    """A file of the ESP, as a reader without a memory sees it."""
    return subprocess.run(["mcopy", "-n", "-i", disk, f"::{name}", "-"], capture_output=True, check=False, env={**os.environ, "MTOOLS_SKIP_CHECK": "1"}).stdout


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
