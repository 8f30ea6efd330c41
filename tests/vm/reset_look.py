"""Runs on the node: what a reset left, as one JSON document."""

from __future__ import annotations

import glob
import json
import os
import subprocess

STATE = "/run/initramfs/cos-state"


def read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def variables(path: str) -> dict[str, str]:
    """What an environment block has; a variable without a value counts as absent, as for GRUB's tests."""
    found = dict(line.split("=", 1) for line in read(path).splitlines() if "=" in line and line[0] != "#")
    return {name: value for name, value in found.items() if value}


def beside(directory: str, label: str) -> str:
    """The partition with this label on the disk of what is mounted there: there may be other disks with the same labels."""
    device = subprocess.run(["findmnt", "-no", "SOURCE", directory], capture_output=True, text=True, check=True).stdout.strip()
    disk = subprocess.run(["lsblk", "-ndo", "PKNAME", device], capture_output=True, text=True, check=True).stdout.strip()
    listed = json.loads(subprocess.run(["lsblk", "--json", "--list", "-o", "LABEL,PATH", f"/dev/{disk}"], capture_output=True, text=True, check=True).stdout)
    [found] = [part["path"] for part in listed["blockdevices"] if part["label"] == label]
    return str(found)


def images() -> dict[str, object]:
    """Both images against the recovery image, behind the block that has the label, and the digests beside them."""
    os.makedirs("/run/recovery", exist_ok=True)
    if not os.path.ismount("/run/recovery"):
        subprocess.run(["mount", "-o", "ro", beside("/oem", "COS_RECOVERY"), "/run/recovery"], check=True)
    found: dict[str, object] = {}
    for name in ("active", "passive"):
        image = f"{STATE}/cOS/{name}.img"
        found[name] = subprocess.run(["cmp", "--ignore-initial=4096", image, "/run/recovery/cOS/recovery.img"], capture_output=True, check=False).returncode
        found[f"{name} label"] = subprocess.run(["e2label", image], capture_output=True, text=True, check=False).stdout.strip()
        found[f"{name} inside"] = subprocess.run(["debugfs", "-R", "cat /etc/written-inside", image], capture_output=True, text=True, check=False).stdout.strip()
    return found


def kept() -> list[dict[str, object]]:
    """The records of phases in the kept records of boots."""
    lines = [line for path in sorted(glob.glob("/var/log/kairos-boot/*.jsonl")) for line in read(path).splitlines()]
    return [record for record in map(json.loads, lines) if record["kind"] == "phase"]


print(json.dumps({
    "state": variables(f"{STATE}/grubenv"), "oem": variables("/oem/grubenv"), "on state": sorted(os.listdir(f"{STATE}/cOS")), "images": images(),
    "hooks": read("/oem/hooks").splitlines(), "written": read("/usr/local/written"), "mine": read("/usr/local/mine"), "kept": read("/oem/kept"),
    "once": sorted(os.path.basename(path) for path in glob.glob("/run/once-*")), "events": read("/usr/local/.kairos-state"), "phases": kept(),
}))
