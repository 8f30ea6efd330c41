"""Runs on the node, live or installed: what it says of itself, and what is on it, as one JSON document."""

from __future__ import annotations

import glob
import json
import os
import subprocess


def read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def run(words: str) -> str:
    """What a shell's words print, errors among it."""
    return subprocess.run(words, shell=True, capture_output=True, text=True, check=False).stdout.strip()


STATE = "/run/initramfs/cos-state"
print(json.dumps({
    "state": json.loads(run("kairos-agent state --json") or "{}"), "state boot": run("kairos-agent state boot"), "cmdline": read("/proc/cmdline"),
    "oem": {name: read(f"/oem/{name}") for name in os.listdir("/oem")}, "modes": [oct(os.stat(path).st_mode & 0o7777) for path in ("/oem", "/usr/local/cloud-config") if os.path.exists(path)],
    "on state": {os.path.basename(path): read(path) for path in (f"{STATE}/grubmenu", f"{STATE}/grubcustom", f"{STATE}/grub_boot_assessment")},
    "menu": read("/etc/cos/grub.cfg"), "layout": read("/run/cos/cos-layout.env"), "foo": read("/etc/foo").strip(), "live": os.path.exists("/run/cos/live_mode"),
    "root": next((line for line in read("/proc/1/mountinfo").splitlines() if " / / " in line), ""), "mounts": run("mount"),
    "tmp": run("echo kept > /tmp/kept && cat /tmp/kept"), "version": run(". /etc/kairos-release && echo $KAIROS_VERSION"), "installer": run("systemctl status kairos-installer 2>&1"),
    "owner": run("id -Gn kairos; su - kairos -c 'sudo -n id -u'"), "shadow": next((line for line in read("/etc/shadow").splitlines() if line.startswith("kairos:")), ""),
    "blkid": run("blkid"), "names": run("lsblk -nro NAME,PARTLABEL /dev/vda"), "bound": [os.path.ismount(path) for path in ("/var/bind1", "/var/bind2")],
    "efi": os.path.isdir("/sys/firmware/efi"), "sources": sorted(glob.glob("/oem/*/*")), "journal": run("journalctl -b -o cat | grep 'Failed with result'"),
    "disk": run("kairos-boot state get persistent.name"), "source": run("findmnt -no SOURCE /oem"), "status": run("kairos-boot status"),
}))
