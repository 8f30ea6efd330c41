"""What a node is: host name, architecture, and what its os-release says."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kairos_boot.system.host import Host

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "aarch64_be": "arm64be", "loongarch64": "loong64"}
AT_START = os.uname().nodename
"""The kernel's host name when the program started: a `hostname` step does not change what `node` sees (docs/reference/conditions.md)."""


def hostname(host: Host) -> str:
    """The kernel's host name at the start of the program; of a tree on a disk, what its /etc/hostname says."""
    if host.online:
        return AT_START
    lines = (host.read("/etc/hostname") or b"").decode("utf-8", "replace").split()
    return lines[0] if lines else "localhost"


def architecture() -> str:
    """The architecture by the name that container images use: amd64, arm64, 386, arm, riscv64, ppc64le, s390x, …"""
    machine = os.uname().machine
    if machine.startswith("arm") or (machine == "aarch64" and sys.maxsize < 1 << 32):
        return "arm"
    if machine in ("i386", "i486", "i586", "i686") or (machine == "x86_64" and sys.maxsize < 1 << 32):
        return "386"
    return ARCHITECTURES.get(machine, machine)


def os_release(host: Host) -> Mapping[str, str]:
    """The variables of /etc/os-release, else of /usr/lib/os-release, without their quotes; empty where there is neither."""
    content = host.read("/etc/os-release")
    if content is None:
        content = host.read("/usr/lib/os-release") or b""
    return variables(content)


def variables(content: bytes) -> dict[str, str]:
    """The assignments of an os-release(5) file, values without their quotes."""
    from kairos_boot.system.keyvalue import values

    return values(content.decode("utf-8", "replace"))


def os_version(host: Host) -> str:
    """VERSION_ID; of AlmaLinux and Rocky the major version only (docs/reference/conditions.md)."""
    release = os_release(host)
    version = release.get("VERSION_ID", "")
    return version.partition(".")[0] if release.get("ID") in ("almalinux", "rocky") else version


def text(host: Host, path: str) -> str:
    """A file's text without blanks and NULs around it; empty where it cannot be read."""
    try:
        content = host.read(path)
    except OSError:
        return ""
    return (content or b"").decode("utf-8", "replace").strip("\0 \t\r\n")


def present(**values: str | float | None) -> dict[str, object]:
    """Those of *values* that are known, numbers as floats."""
    return {name: float(value) if isinstance(value, int) else value for name, value in values.items() if value}


def started(host: Host) -> float:
    """When this process began, in seconds since the kernel started; 0 where nothing tells."""
    said = (host.read("/proc/self/stat") or b"").rpartition(b")")[2].split()
    return int(said[19]) / os.sysconf("SC_CLK_TCK") if len(said) > 19 and said[19].isdigit() else 0.0
