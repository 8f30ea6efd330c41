"""A node in a virtual machine, as its tests see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import machine as qemu
import testinfra
import variant
from common import SECTOR, run

AT_ONCE = {"menu_timeout": "0"}
"""The boot menu's variables: nobody sits before it."""
HERE = Path(__file__).resolve().parent
BOOT = 900
"""Seconds for a whole boot, against hanging only: one takes 50 to 90 under emulation, several times that on a busy machine."""


class Node:
    """A machine, and what its present boot told."""

    def __init__(self, machine: qemu.Machine) -> None:
        self.machine = machine
        self.facts: dict[str, Any] = {}
        self.host: Any = None

    def boot(self, **how: Any) -> Node:
        """Switch on, wait until the boot is over, and take the facts; a new Node, so that the facts of the last boot stay."""
        self.machine.start(**how)
        return self.look()

    def reboot(self) -> Node:
        """As the node's owner would, into whatever entry comes."""
        self.machine.reboot()
        return self.look()

    def look(self) -> Node:
        """The running node, seen anew."""
        self.machine.wait_up(BOOT)
        seen = Node(self.machine)
        config = self.machine.scratch / "ssh_config"
        config.write_text("Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n  IdentitiesOnly yes\n")
        seen.host = testinfra.get_host(f"ssh://root@127.0.0.1:{self.machine.port}", ssh_config=str(config), ssh_identity_file=str(variant.SSH_KEY))
        told = seen.host.run("/usr/bin/python3 -c %s", (HERE / "facts.py").read_text())
        assert told.rc == 0, told.stderr
        seen.facts = json.loads(told.stdout)
        return seen

    def mount(self, where: str) -> list[str]:
        """Source, type and options of what is mounted last on *where*."""
        found = [[what, kind, options] for what, place, kind, options in self.facts["mounts"] if place == where]
        assert found, f"nothing is mounted on {where}"
        return found[-1]

    def steps(self, **wanted: str) -> list[dict[str, Any]]:
        """The ledger's records of steps with these fields."""
        return [r for r in self.facts["ledger"] if r["kind"] == "step" and all(r.get(name) == value for name, value in wanted.items())]


def oem_files(*folders: str) -> dict[str, str | bytes]:
    """The files of directories beside this one, and the one that lets us in."""
    files: dict[str, str | bytes] = {path.name: path.read_bytes() for folder in folders for path in sorted((HERE / folder).iterdir())}
    return {**files, **variant.access()}


def leads_with(node: Node) -> list[str]:
    """The entries that status names before anything else."""
    head = node.facts["status"][1].split("\nDEGRADED: ")[0]
    return [line.split()[2] for line in head.splitlines() if line.startswith("THE ENTRY ")]


def damage_inside(overlay: variant.Overlay, partition: str, image: str, path: str, scratch: Path) -> None:
    """Overwrite the first block of the file *path* that is inside an image: its file system is whole, its content is not."""
    copy = scratch / "image"
    run("debugfs", "-R", f"dump {image} {copy}", f"{overlay.raw}?offset={overlay.parts[partition]['start'] * SECTOR}")
    first = int(run("debugfs", "-R", f"blocks {path}", copy).split()[0])
    copy.unlink()
    overlay.damage(partition, image, skip=first * variant.BLOCK, length=variant.BLOCK)
