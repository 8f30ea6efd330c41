"""A guest whose every write to an ESP, its only disk, is recorded: vfat has no journal, and what a cut may leave of it is judged elsewhere."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import cut_recording
import machine as qemu
import rootfs

from tests.unit.esp_node import program

TOP = Path(__file__).resolve().parents[2]
PATHS = """\
import sys
sys.path[:0] = ["/prog", "/prog/tests/namespace", "/usr/lib/python3.11", "/usr/lib/python3.11/lib-dynload", "/usr/lib/python3/dist-packages"]
"""
"""How a guest's program begins that uses what `put_program` put there."""
UNUSED = ("__pycache__", "test", "tests", "idlelib", "lib2to3", "ensurepip", "tkinter", "turtledemo", "distutils", "pydoc_data", "config-*")
LARGE = 150_000
INIT = """\
#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmpfs /run
for name in virtio_pci virtio_blk vfat nls_cp437 nls_ascii nls_iso8859-1; do modprobe $name; done
until [ -b /dev/vda ]; do sleep 0.2; done
{before}python3 -S /guest.py
echo o >/proc/sysrq-trigger
sleep 60
"""


def record(base: Path, home: Path, guest: str, *, says: str, before: str = "", memory: int = 768, seconds: float = 600) -> list[cut_recording.Entry]:
    """Run the program *guest*, behind the shell's lines *before*, in the initrd of the node's disk *base*, with what lies below `home/root` in it and `home/esp`
    as the disk; every write and flush. The guest has *memory* MiB and *seconds* of time, and *says* how it ended.
    """
    log, console = home / "log", home / "console"
    log.write_bytes(b"")
    words: list[str | Path] = ["qemu-system-x86_64", "-machine", "q35", *qemu.processors(qemu.acceleration()), "-m", str(memory), "-display", "none", "-no-reboot", "-nic", "none",
             "-serial", f"file:{console}", "-kernel", base.parent / "vmlinuz", "-initrd", initrd(base, home, guest, before), "-append", "console=ttyS0 rdinit=/start panic=1 quiet",
             "-blockdev", f"driver=file,node-name=esp,filename={home / 'esp'}", "-blockdev", f"driver=file,node-name=log,filename={log}",
             "-blockdev", "driver=blklogwrites,node-name=both,file=esp,log=log", "-device", "virtio-blk-pci,drive=both"]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, timeout=seconds)
    assert says in console.read_text(errors="replace"), console.read_text(errors="replace")[-3000:]
    return cut_recording.read(log)


def initrd(base: Path, home: Path, guest: str, before: str) -> Path:
    """The node's own initrd, in which our script is the init: it has the interpreter, the program and the drivers."""
    root = home / "root"
    (root / "guest.py").write_text(guest)
    (root / "start").write_text(INIT.format(before=before))
    (root / "start").chmod(0o755)
    names = "\n".join(sorted(str(path.relative_to(root)) for path in root.rglob("*"))) + "\n"
    made = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=names.encode(), cwd=root, capture_output=True, check=True).stdout
    path = home / "initrd"
    path.write_bytes(made.ljust(-(-len(made) // 512) * 512, b"\0") + (base.parent / "initrd").read_bytes())
    return path


def read(disk: Path, name: str) -> bytes | None:
    """A file of the ESP, as a reader without a memory sees it; None where there is none."""
    done = subprocess.run(["mcopy", "-n", "-i", disk, f"::{name}", "-"], capture_output=True, check=False, env={**os.environ, "MTOOLS_SKIP_CHECK": "1"})
    return done.stdout if done.stdout or not done.returncode else None


def put_program(root: Path, *tests: str) -> None:
    """The whole program, what of Python's library it uses, and files of *tests*, in the guest's initrd."""
    shutil.copytree(rootfs.tree() / "usr/lib/python3.11", root / "usr/lib/python3.11", ignore=shutil.ignore_patterns(*UNUSED), symlinks=True)
    shutil.copytree(TOP / "kairos_boot", root / "prog/kairos_boot", ignore=shutil.ignore_patterns("__pycache__"))
    for path in tests:
        (root / "prog/tests" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(TOP / "tests" / path, root / "prog/tests" / path)


def system(word: str) -> bytes:
    """A program of many clusters, each of which is its own."""
    return program(word) + hashlib.shake_128(word.encode()).digest(LARGE)


def menu(disk: Path) -> dict[str, str]:
    """The files of the menu, and the program that each names. systemd-boot does not show a file that cannot be read, or names none."""
    listed = subprocess.run(["mdir", "-b", "-i", disk, "::loader/entries"], capture_output=True, text=True, check=False, env={**os.environ, "MTOOLS_SKIP_CHECK": "1"}).stdout
    files = {name: (read(disk, f"loader/entries/{name}") or b"").decode(errors="replace") for name in (line.rpartition("/")[2] for line in listed.splitlines())}
    return {name: text.split("efi ")[1].split()[0] for name, text in files.items() if "efi " in text}
