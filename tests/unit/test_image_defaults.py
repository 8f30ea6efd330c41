"""The image's own configurations: what a node is hangs on no shell and on no time limit."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kairos_boot.stages.shelltest import decided
from kairos_boot.system.host import Host

DEFAULTS = Path(__file__).resolve().parents[2] / "packaging/image/oem"
STEPS = [(path.name, step) for path in sorted(DEFAULTS.glob("*.yaml")) for stage in yaml.safe_load(path.read_text())["stages"].values() for step in stage]
CONDITIONS = sorted({step["if"] for _, step in STEPS if "if" in step})
IDENTITY = "0123456789abcdef0123456789abcdef\n"


def node(root: Path, state: str) -> Host:
    """A node of which only grep is there, or a whole one, or one with the traces of power cuts."""
    content = {"fresh": {}, "whole": {"etc/machine-id": IDENTITY, "usr/local/etc/machine-id": IDENTITY, "usr/local/etc/hosts": "x", "etc/hosts": "x", "etc/hostname": "x"},
               "cut": {"etc/machine-id": "", "usr/local/etc/machine-id": "garbage\n", "etc/hosts": "", "etc/hostname": ""}}[state]
    mounts = {"proc/mounts": "/dev/vda5 /usr/local ext4 rw 0 0\n/dev/vda2 /oem ext4 rw 0 0\n", "bin/grep": "#!", "usr/lib/systemd/systemd-resolved": "#!"}
    for path, text in {**mounts, **content}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
        (root / path).chmod(0o755)
    return Host(str(root))


@pytest.mark.parametrize("state", ["fresh", "whole", "cut"])
@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_condition_is_decided_without_a_shell(tmp_path: Path, condition: str, state: str) -> None:
    """A shell has a time limit, and on slow storage a node became another one by it."""
    assert decided(condition, node(tmp_path, state)) is not None


def test_no_time_limit_ends_what_makes_or_keeps_an_identity_or_persistent_directories() -> None:
    files = {"00_rootfs.yaml", "01_identity.yaml", "08_ssh.yaml"}
    found = [(file, step) for file, step in STEPS if file in files and "commands" in step]
    assert {file for file, _ in found} == files
    assert [step["name"] for _, step in found if step.get("timeout") != 0] == []


@pytest.mark.parametrize(("saved", "now", "steps"), [
    ("", "", ["Make a machine id"]), ("", "uninitialized\n", ["Make a machine id"]), ("", IDENTITY, ["Keep the machine id", "Keep the machine id that systemd made"]),
    (IDENTITY, "", ["Bring the machine id back"]), (IDENTITY, "f" * 32 + "\n", ["Bring the machine id back"]), (IDENTITY, "uninitialized\n", ["Bring the machine id back"]),
    (IDENTITY, IDENTITY, []),
])
def test_a_new_machine_id_is_made_only_where_none_is_saved(tmp_path: Path, saved: str, now: str, steps: list[str]) -> None:
    host = node(tmp_path, "fresh")
    for path, text in (("etc/machine-id", now), ("usr/local/etc/machine-id", saved)):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    named = [step for _, step in STEPS if "achine id" in step.get("name", "")]
    assert [step["name"] for step in named if decided(step["if"], host)] == steps
