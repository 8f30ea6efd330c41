"""Runs on the node: which marks of an earlier boot are there, as JSON; then leaves its own. Told what must last (`LASTS`)."""

from __future__ import annotations

import json
import os

LASTS = {
    "/home": True, "/home/guest": False, "/var/lib/layout": True, "/var/lib/layout/inner": False, "/var/lib/layout/inner/kept": True,
    "/usr/lib/sysctl.d": True, "/lib/sysctl.d": True, "/usr/lib/modprobe.d": False, "/etc/ssh": True, "/etc": False, "/srv": False, "/var/log": True,
    "/root": True, "/usr/local": True, "/oem": True, "/tmp": False,
}
"""Directories that can be written, and whether what is written there is there in the next boot."""


def main(root: str = "") -> dict[str, bool]:
    """Where a mark was; then there is one everywhere."""
    there = {path: os.path.exists(f"{root}{path}/mark-of-the-layout") for path in LASTS}
    for path in LASTS:
        with open(f"{root}{path}/mark-of-the-layout", "w", encoding="utf-8") as file:
            file.write("here")
    return there


if __name__ == "__main__":
    print(json.dumps(main()))
