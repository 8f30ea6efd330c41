"""A TPM and a kernel that opens containers, for machines without: programs of ours stand for `cryptsetup open` and `close` (a loop device behind the container's
header) and for systemd-cryptenroll, and record all that they were given as arguments and by variables. cryptsetup makes containers and keys for real.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from kairos_boot.system import loop, mounts

HEADER = 16 << 20


def put(home: str, *, tpm: str = "/dev/tpmrm0", modules: str = "kernel/dm-crypt.ko:") -> None:
    """Have them in this mount namespace; they write below *home*. Without *tpm* there is none; *modules* are those of the kernel."""
    real = shutil.which("cryptsetup")
    assert real
    shutil.copy(real, f"{home}/cryptsetup.real")
    Path(home, "mapper").mkdir()
    os.makedirs("/dev/mapper", exist_ok=True)  # a machine that has used no device mapper has none
    mounts.mount(f"{home}/mapper", "/dev/mapper", options=("bind",))
    recorded = f"""#!/bin/sh
printf '%s ' "${{0##*/}}" "$@" >>{home}/calls; echo >>{home}/calls; env >>{home}/environment
"""
    fake = {real: f"""case $1 in
open) for last; do :; done; eval "node=\\${{$(($# - 1))}}"; ln -s $(losetup -f --show -o {HEADER} $node) /dev/mapper/$last ;;
close) [ -L /dev/mapper/$2 ] || exit 4; losetup -d $(readlink /dev/mapper/$2); rm /dev/mapper/$2 ;;
*) exec {home}/cryptsetup.real "$@" ;;
esac
""", "/usr/bin/systemd-cryptenroll": f"""case $* in
*list) echo '{tpm or "No suitable TPM2 devices found."}' ;;
*) for last; do :; done; {home}/cryptsetup.real open --test-passphrase --key-file - $last ;;
esac
"""}
    for path, text in fake.items():
        ours = Path(home, f"fake-{Path(path).name}")
        ours.write_text(recorded + text)
        ours.chmod(0o755)
        mounts.mount(str(ours), path, options=("bind",))
    Path("/lib/modules").mkdir(exist_ok=True)
    mounts.mount("tmpfs", "/lib/modules", "tmpfs")
    known = Path("/lib/modules", os.uname().release, "modules.dep")
    known.parent.mkdir()
    known.write_text(modules)
    Path(home, "terminal").write_text("")


def open_ones() -> list[str]:
    """The names of the containers that are open."""
    return [name for name in os.listdir("/dev/mapper") if name != "control"]


def close(node: Any) -> None:
    """What was left open is closed, and then *node* is."""
    for name in open_ones():
        loop.detach(os.readlink(f"/dev/mapper/{name}"))
    node.close()


def opens(home: str, node: str, key: str) -> bool:
    """Whether *key* is one of the container on *node*."""
    return not subprocess.run([f"{home}/cryptsetup.real", "open", "--test-passphrase", "--key-file", "-", node], input=key.encode(), check=False).returncode


def inside(node: str) -> str:
    """A loop device of the content of the container on *node*; whoever asks for it detaches it."""
    found: str = subprocess.run(["losetup", "-f", "--show", "-o", str(HEADER), node], check=True, capture_output=True, text=True).stdout
    return found.strip()


def keys_shown(home: str) -> list[str]:
    """The keys that the terminal showed."""
    return [line.strip() for line in Path(home, "terminal").read_text().splitlines() if line.startswith("    ")]
