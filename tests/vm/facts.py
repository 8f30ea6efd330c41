"""Runs on the node: what its tests look at, as one JSON document, since each ssh session takes seconds under emulation."""

from __future__ import annotations

import glob
import json
import os
import subprocess

UNITS = ["cos-setup-fs.service", "cos-setup-boot.service", "cos-setup-network.service", "multi-user.target", "kairos-boot-initrd.service", "started-in-fs.service"]


def read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def run(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def show(unit: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in run("systemctl", "show", unit).splitlines() if "=" in line)


def main() -> None:
    status = subprocess.run(["kairos-boot", "status", "--steps"], capture_output=True, text=True, check=False)
    ledgers = sorted(glob.glob("/run/cos/ledger/*.jsonl"))
    facts = {
        "state": run("systemctl", "is-system-running").strip(),
        "cmdline": read("/proc/cmdline").split(),
        "efi": os.path.isdir("/sys/firmware/efi"),
        "cos": {os.path.basename(path): read(path) for path in glob.glob("/run/cos/*") if os.path.isfile(path)},
        "mounts": [line.split()[:4] for line in read("/proc/mounts").splitlines()],
        "loops": of_loops("loop/backing_file"),
        "loops_read_only": of_loops("ro"),
        "loops_direct": of_loops("loop/dio"),
        "labels": labels(),
        "order": [line.split() for line in read("/run/order").splitlines()],
        "units": {unit: show(unit) for unit in UNITS},
        "failed": [line.split()[0] for line in run("systemctl", "--failed", "--plain", "--no-legend").splitlines()],
        "waits": run("journalctl", "-b", "-q", "-o", "cat", "KAIROS_EVENT=lock").splitlines(),
        "ledgers": len(ledgers),
        "ledger": [json.loads(line) for path in ledgers for line in read(path).splitlines()],
        "kept": sorted(os.path.basename(path) for path in glob.glob("/var/log/kairos-boot/*.jsonl")),
        "grubenv": read("/oem/grubenv").rstrip("#"),
        "status": [status.returncode, status.stdout, status.stderr],
        "initrd_log": read("/run/immucore/immucore.log"),
        "machine_id": read("/etc/machine-id").strip(),
        "host_key": read("/etc/ssh/ssh_host_ed25519_key.pub").strip(),
        "fstab": [line.split() for line in read("/etc/fstab").splitlines() if line.strip() and line[0] != "#"],
    }
    print(json.dumps(facts))


def of_loops(file: str) -> dict[str, str]:
    """What *file* of a loop device's directory in sysfs says, by the device."""
    return {path.split("/")[3]: read(path).strip() for path in glob.glob(f"/sys/block/loop*/{file}")}


def labels() -> dict[str, list[str]]:
    """Device and partition GUID by the label of the file system on the partition."""
    listed = json.loads(run("lsblk", "--json", "--list", "-o", "LABEL,PATH,PARTUUID") or '{"blockdevices": []}')
    return {part["label"]: [part["path"], part["partuuid"]] for part in listed["blockdevices"] if part["label"] and part["partuuid"]}


main()
