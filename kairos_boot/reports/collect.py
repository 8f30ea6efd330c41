"""logs: what a report of a fault needs, in one archive. Nothing that may hold secrets is taken: no cloud-config, no shadow.

The kernel command line may hold both; it is in a file, in the kernel's messages and in journals.
"""

from __future__ import annotations

import io
import os
import re

from kairos_boot.errors import KairosError, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    import tarfile
    from collections.abc import Sequence

    from kairos_boot.system.host import Host

UNITS = ("kairos-boot-image", "kairos-boot-initrd", "cos-setup-fs", "cos-setup-boot", "cos-setup-network", "cos-setup-reconcile", "kairos-agent",
         "kairos-installer", "k3s", "k3s-agent", "k0scontroller", "k0sworker")
"""Units whose journal is taken."""
FILES = ("/run/cos/ledger", "/var/log/kairos-boot", "/run/immucore", "/var/log/kairos", "/run/cos/cos-layout.env", "/run/cos/fatal", "/oem/.kairos", "/etc/os-release",
         "/proc/cmdline", "/proc/mounts", "/proc/partitions")
"""Files, and directories whose files are taken."""
COMMANDS = {
    "journal/boot.log": ("journalctl", "-b", "--no-pager", "-o", "short-monotonic", "-t", "kairos-boot"),
    "system/failed-units.txt": ("systemctl", "--failed", "--no-pager"),
    "system/blocks.txt": ("lsblk", "-o", "NAME,SIZE,TYPE,FSTYPE,LABEL,PARTLABEL,PARTUUID,MOUNTPOINTS"),
    "system/kernel.log": ("dmesg",),
}
LIMIT = 30.0
"""Seconds a command may take."""
LARGEST = 16 << 20
"""Bytes taken of a file, from its end."""
CONFIGURED = re.compile(rb'"stages[.\[](?:\\.|[^"\\\n])*"|(stages[.\[][^\s=]*=)(?:"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|\S)+')
"""Configuration in dot notation."""
LOGIN = re.compile(rb"(\w://)[^/@\s]+@")
"""Who is logged in by an address, and by what password."""


def collect(host: Host, target: str) -> list[str]:
    """Write the archive *target* (.tar.gz, mode 0600) and return what could not be taken, with reasons. KairosError: it cannot be written."""
    import tarfile

    missed = []
    try:
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(fd, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
            for path in files(host):
                missed += _file(host, archive, path)
            for name, argv in {**COMMANDS, **{f"journal/{unit}.log": _journal(unit) for unit in UNITS}}.items():
                missed += _output(host, archive, name, argv)
    except OSError as error:
        raise KairosError(f"cannot be written: {reason(error)}", target) from error
    return missed


def _journal(unit: str) -> Sequence[str]:
    return ("journalctl", "-u", unit, "--no-pager", "-o", "short-iso")


def files(host: Host) -> list[str]:
    """The files of FILES that there are, and the logs of /var/log itself."""
    found = []
    if host.is_directory("/var/log"):
        found += [f"/var/log/{name}" for name in sorted(os.listdir(host.path("/var/log"))) if name.endswith(".log")]
    for path in FILES:
        if host.is_directory(path):
            found += [f"{path}/{name}" for name in sorted(os.listdir(host.path(path))) if not host.is_directory(f"{path}/{name}")]
        elif host.exists(path):
            found.append(path)
    return found


def _file(host: Host, archive: tarfile.TarFile, path: str) -> list[str]:
    try:
        data = host.read(path)
    except OSError as error:
        return [f"{path}: {reason(error)}"]
    if data is not None:
        _add(host, archive, f"files{path}", data[-LARGEST:])
    return []


def _output(host: Host, archive: tarfile.TarFile, name: str, argv: Sequence[str]) -> list[str]:
    try:
        result = host.processes.run(argv, timeout=LIMIT)
    except KairosError as error:
        return [str(error)]
    if result.output.strip() and "-- No entries --" not in result.output:
        _add(host, archive, name, result.output.encode("utf-8", "backslashreplace"))
    return [] if result.code == 0 and not result.timed_out else [f"{' '.join(argv)}: {result.explain(LIMIT)}"]


def _add(host: Host, archive: tarfile.TarFile, name: str, data: bytes) -> None:
    from tarfile import TarInfo

    data = LOGIN.sub(rb"\1(left out)@", CONFIGURED.sub(lambda found: (found[1] or b"") + b"(left out)", data))
    entry = TarInfo(name)
    entry.size, entry.mtime, entry.mode = len(data), int(host.clock()), 0o600
    archive.addfile(entry, io.BytesIO(data))
