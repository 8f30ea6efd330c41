"""Machines that become nodes: their configurations, their disks, and what a node tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import machine as qemu
import variant
from common import run
from vm import BOOT, HERE

LOOK = (HERE / "install_look.py").read_text()
INSTALL = 1800
"""Seconds for an installation, against hanging only."""


def document(name: str) -> str:
    """A configuration of this directory, with the key that lets us in."""
    variant.access()
    return (HERE / "install" / name).read_text().replace("@KEY@", variant.SSH_KEY.with_suffix(".pub").read_text().strip())


def look(machine: qemu.Machine) -> dict[str, Any]:
    """What the running node tells."""
    machine.wait_up(BOOT)
    told: dict[str, Any] = json.loads(machine.ssh(f"/usr/bin/python3 - <<'EOF'\n{LOOK}\nEOF", 600))
    return told


def empty(path: Path, size: str) -> Path:
    """A disk with nothing on it."""
    run("qemu-img", "create", "-q", "-f", "qcow2", path, size)
    return path


def said(machine: qemu.Machine, words: str) -> str:
    """What the program prints, and its exit code."""
    return machine.ssh(f"kairos-agent {words} 2>&1; echo code $?", INSTALL)
