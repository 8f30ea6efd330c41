"""The program that is cut: the real installation on a disk (runs as root, in a mount namespace of its own).

    cut_install.py BACKING HOME KERNEL [CONTROL]     BACKING is the disk, a file; KERNEL is what the system's kernel says; CONTROL is a wrong program

Prints how it ended, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path[:0] = [TOP, os.path.dirname(os.path.realpath(__file__)), f"{TOP}/tests/namespace"]

from initrds import initrd  # type: ignore[import-not-found]  # noqa: E402
from install_node import USER, InstallNode  # type: ignore[import-not-found]  # noqa: E402  # in another directory of tests

from kairos_boot.errors import KairosError  # noqa: E402
from kairos_boot.system import loop  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

SECTION = "install:\n  partitions: {state: {size: 10}, recovery: {size: 10}, oem: {size: 8}, persistent: {size: 16}}\n  system: {size: 12}\n"
CONTROLS: dict[str, Callable[[], None]] = {}


def control(function: Callable[[], None]) -> Callable[[], None]:
    """A wrong program by its name."""
    CONTROLS[function.__name__] = function
    return function


@control
def old_boot_code_stays() -> None:
    """The disk is not blanked first, so what is half overwritten is started."""
    from kairos_boot.actions import partitioning

    partitioning._blank = lambda disk: None
    from kairos_boot.system import partitions

    write: Any = partitions
    table = write.write_table

    def keeping(host: Any, disk: str, script: str, *options: str) -> None:
        with open(disk, "rb") as file:
            old = file.read(440)
        table(host, disk, script, *options)
        fd = os.open(disk, os.O_WRONLY)
        os.pwrite(fd, old, 0)
        os.fsync(fd)
        os.close(fd)

    write.write_table = keeping


@control
def boot_loader_first() -> None:
    """The disk can be booted before the recovery and the passive system are there."""
    from cut_controls import move

    from kairos_boot.lifecycle import installing

    move(installing, "boot-loader", "active")


@control
def nothing_durable() -> None:
    """Nothing is synced before the boot code is written."""
    from kairos_boot.system import checkpoint

    os.fsync = lambda fd: None
    os.sync = lambda: None
    checkpoint.checkpoint = lambda directory: None


@control
def boot_sector_before_core() -> None:
    """The sector that counts is written first."""
    from kairos_boot.lifecycle import bootcode
    from kairos_boot.system import grub

    def put(disk: str, slot: Any, sector: int, files: Any) -> bool:
        at = slot.start * sector
        boot, core = grub.core_at(files.boot, files.core, at)
        fd = os.open(disk, os.O_RDWR)
        os.pwrite(fd, boot, 0)
        os.fsync(fd)
        os.pwrite(fd, core, at)
        os.fsync(fd)
        os.close(fd)
        return True

    bootcode.put_bios = put


def main() -> None:
    """Install once."""
    backing, home, kernel, *wrong = sys.argv[1:]
    for name in wrong:
        CONTROLS[name]()
    node = InstallNode(home, files={"boot/vmlinuz": kernel, "boot/initrd": initrd(kernel * 20000)})
    node.own = [loop.attach(backing, read_only=False)]
    try:
        outcome = node.install(f"{USER}{SECTION}")
        told: dict[str, Any] = {"failures": list(outcome.failures)}
    except KairosError as error:
        told = {"error": str(error)}
    node.close()
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
