"""Image files with a file system (runs inside the namespace, too)."""

from __future__ import annotations

import subprocess


def make_file_system(path: str, label: str, source: str = "", mib: int = 16) -> str:
    """An ext4 file system in a file, filled from a directory."""
    with open(path, "wb") as file:
        file.truncate(mib << 20)
    subprocess.run(["/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-L", label, *(["-d", source] if source else []), path], check=True, stdout=subprocess.DEVNULL)
    return path
