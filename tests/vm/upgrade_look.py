"""Runs on the node: what an upgrade left, as one JSON document."""

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


def run(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


def images() -> dict[str, list[object]]:
    """Version, label and inode of both images."""
    return {name: [run("debugfs", "-R", "cat /etc/node-version", f"{STATE}/cOS/{name}.img") or "1", run("e2label", f"{STATE}/cOS/{name}.img"),
                   os.stat(f"{STATE}/cOS/{name}.img").st_ino] for name in ("active", "passive")}


print(json.dumps({
    "version": read("/etc/node-version").strip() or "1", "state": variables(f"{STATE}/grubenv"), "oem": variables("/oem/grubenv"),
    "on state": sorted(os.listdir(f"{STATE}/cOS")), "images": images(), "hooks": read("/oem/hooks").splitlines(), "mine": read("/usr/local/mine"),
    "kept": read("/oem/kept"), "events": read("/usr/local/.kairos-state"), "inside": read("/etc/written-inside").strip(),
    "root": [run("findmnt", "-no", "SOURCE", "/"), run("losetup", "-nlO", "BACK-FILE", run("findmnt", "-no", "SOURCE", "/"))],
    "readonly": "ro" in run("findmnt", "-no", "OPTIONS", STATE).split(","), "assess": run("journalctl", "-u", "kairos-boot-assess.service", "-o", "cat", "--no-pager"),
    "records": [record for path in glob.glob("/run/cos/ledger/*.jsonl") for record in map(json.loads, read(path).splitlines()) if record["kind"] in ("phase", "problem")],
}))
