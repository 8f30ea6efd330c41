"""A node that is one signed EFI program in a virtual machine, and other systems for it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import common
import machine as qemu
import uki
import variant
from vm import BOOT

MEMORY = 3072
EFIVARS = "/sys/firmware/efi/efivars"
LOOK = f"""\
say() {{ echo "== $1"; shift; "$@" 2>&1; echo "code $?"; }}
say sentinels ls /run/cos
say root findmnt /
say efi findmnt -no SOURCE,FSTYPE,OPTIONS /efi
say oem findmnt -no SOURCE,OPTIONS /oem
say persistent findmnt -no SOURCE,OPTIONS /usr/local
say cmdline cat /proc/cmdline
say state kairos-boot state get boot
say secureboot kairos-boot state get kairos.secureboot
say dmesg sh -c 'dmesg | grep -i secure'
say entries ls /efi/loader/entries
say menu kairos-boot bootentry
say selected sh -c 'cat {EFIVARS}/LoaderEntrySelected-* | tail -c +5 | tr -d "\\000"'
say ids sh -c 'cat {EFIVARS}/LoaderEntries-* | tail -c +5 | tr -d "\\000"'
say log cat /run/immucore/immucore.log
say failed systemctl --failed --no-legend --plain
say blessed systemctl show -P Result -P ActiveState systemd-bless-boot.service kairos-boot-assess.service boot-complete.target
"""


def told(machine: qemu.Machine) -> dict[str, str]:
    """What the running node tells, each answer by its name."""
    return told_by(machine, LOOK, 600)


def told_by(machine: qemu.Machine, script: str, seconds: float) -> dict[str, str]:
    """What a script of the running system tells, each answer by its name."""
    machine.wait_up(BOOT)
    parts = machine.ssh(script, seconds).split("== ")[1:]
    return {name: answer.rstrip() for name, _, answer in (part.partition("\n") for part in parts)}


def system(scratch: Path) -> Path:
    """The signed system of the disk."""
    raw, target = uki.disk(), scratch / "active.efi"
    if not target.exists():
        common.run("mcopy", "-n", "-i", f"{raw}@@{common.partition_start(raw, 'efi')}", "::EFI/kairos/active.efi", target)
    return target


def made_of(source: Path, target: Path, old: str, new: str) -> Path:
    """The signed system *source* with another word in its command line, signed again."""
    assert len(old) == len(new)

    def change(plain: Path) -> None:
        content = plain.read_bytes()
        assert content.count(old.encode()) == 1
        plain.write_bytes(content.replace(old.encode(), new.encode()))

    return _signed_again(source, target, change)


def without_root(source: Path, target: Path) -> Path:
    """The signed system *source* with an empty initrd, signed again: its kernel starts, finds no root, and gives up at once."""
    empty = target.with_suffix(".cpio")
    common.run("cpio", "-o", "-H", "newc", "--quiet", "-O", empty, stdin="")
    return _signed_again(source, target, lambda plain: common.run("objcopy", "--update-section", f".initrd={empty}", plain))


def _signed_again(source: Path, target: Path, change: Callable[[Path], object]) -> Path:
    secret = uki.plain_key(uki.SNAKEOIL, target.with_suffix(".key"))
    plain = target.with_suffix(".plain")
    shutil.copyfile(source, plain)
    common.run("sbattach", "--remove", plain)
    change(plain)
    uki.sign(plain, target, secret, uki.SNAKEOIL[1])
    plain.unlink()
    return target


def send(machine: qemu.Machine, path: Path, place: str = "/usr/local") -> None:
    """Bring a file to a directory of the node, else to its persistent partition."""
    with path.open("rb") as file:
        subprocess.run([*machine.ssh_command(), f"cat > {place}/{path.name}; sync"], stdin=file, check=True, timeout=300)


def started(scratch: Path, machines: list[qemu.Machine], name: str, stages: str = "", menu: Mapping[str, str] | None = None) -> qemu.Machine:
    """A node of its own that is up, with these *stages* in its configuration, and files of a *menu* that take the place of its only one."""
    overlay = variant.Overlay(uki.disk(), scratch / f"{name}.qcow2")
    overlay.fill("oem", "COS_OEM", {**variant.access(), **({"91_stages.yaml": stages} if stages else {})})
    if menu:
        _change_menu(overlay, scratch, menu)
    (scratch / name).mkdir()
    machine = qemu.Machine(overlay.path, scratch / name, secure=True, memory=MEMORY)
    machines.append(machine)
    machine.start()
    machine.wait_up(BOOT)
    return machine


def _change_menu(overlay: variant.Overlay, scratch: Path, menu: Mapping[str, str]) -> None:
    """Only what changes goes to the overlay: the partition has room for four systems."""
    start, size = (overlay.parts["efi"][what] * common.SECTOR for what in ("start", "size"))
    image = scratch / "esp.img"
    common.run("dd", f"if={overlay.raw}", f"of={image}", "bs=1M", f"skip={start // common.MIB}", f"count={size // common.MIB}", "conv=sparse", "status=none")
    common.run("mdel", "-i", image, "::loader/entries/active+3.conf")
    for name, content in menu.items():
        (scratch / name).write_text(content)
        common.run("mcopy", "-i", image, scratch / name, f"::loader/entries/{name}")
    with overlay.raw.open("rb") as old, image.open("rb") as new:
        old.seek(start)
        for at in range(0, size, common.MIB):
            before, after = old.read(common.MIB), new.read(common.MIB)
            if before != after:
                overlay.write_bytes(after, start + at)
    image.unlink()
