"""Runs on the node: what a reset left, as one JSON document."""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import stat
import subprocess

STATE = "/run/initramfs/cos-state"
APART = ("dev", "proc", "run", "sys", "tmp", "lost+found")
"""What is mounted on in every system, and what each new file system has: no part of a tree."""


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


def entry(path: str) -> tuple[object, ...]:
    """All that is to be the same of a file, or a directory, in two trees."""
    now = os.lstat(path)
    content = ""
    if stat.S_ISLNK(now.st_mode):
        content = os.readlink(path)
    elif stat.S_ISREG(now.st_mode):
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "blake2b").hexdigest()
    return (now.st_mode, now.st_uid, now.st_gid, now.st_rdev, int(now.st_mtime), content, attributes(path))


def attributes(path: str) -> list[tuple[str, bytes]]:
    """Capabilities and the like, by name."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.ENOTSUP:  # a squashfs file none of whose files has any
            raise
        names = []
    return sorted((name, os.getxattr(path, name, follow_symlinks=False)) for name in names)


def tree(image: str, place: str) -> dict[str, tuple[object, ...]]:
    """Everything in an image, by its path."""
    os.makedirs(place)
    subprocess.run(["mount", "-o", "ro,loop", image, place], check=True)
    found = {}
    for folder, folders, names in os.walk(place):
        folders[:] = [name for name in folders if folder != place or name not in APART]
        found.update({f"{folder}/{name}".removeprefix(place): entry(f"{folder}/{name}") for name in (*folders, *names)})
    subprocess.run(["umount", place], check=True)
    os.rmdir(place)
    return found


def differences(image: str, wanted: dict[str, tuple[object, ...]]) -> list[str]:
    """Some of the paths that are another thing in the image, or only in one of the two."""
    found = tree(image, "/run/ours")
    return sorted(path for path in found.keys() | wanted.keys() if found.get(path) != wanted.get(path))[:20]


def images() -> dict[str, object]:
    """Both images against the recovery image, behind the block that has the label, or against the tree in a squashfs file; and the digests beside them."""
    os.makedirs("/run/recovery", exist_ok=True)
    if not os.path.ismount("/run/recovery"):
        subprocess.run(["mount", "-o", "ro", beside("/oem", "COS_RECOVERY"), "/run/recovery"], check=True)
    squashfs = "/run/recovery/cOS/recovery.squashfs"
    wanted = tree(squashfs, "/run/theirs") if os.path.exists(squashfs) else {}
    found: dict[str, object] = {"entries": len(wanted)}
    for name in ("active", "passive"):
        image = f"{STATE}/cOS/{name}.img"
        if wanted:
            found[name] = differences(image, wanted)
        else:
            found[name] = subprocess.run(["cmp", "--ignore-initial=4096", image, "/run/recovery/cOS/recovery.img"], capture_output=True, check=False).returncode
        with open(image, "rb") as file:
            found[f"{name} digest"] = hashlib.file_digest(file, "sha256").hexdigest() == read(f"{image}.sha256").split()[0] if wanted else None
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
