"""What templates may ask of a node: `.Values`, and the fields of a host name's template (docs/reference/templates.md).

Nothing is read before it is asked for, and nothing is written. Numbers are floats, as in the JSON that templates are used to;
what is not known has no key.
"""

from __future__ import annotations

import os
import time

from kairos_boot.lazy import LazyDict
from kairos_boot.system.identity import architecture, hostname, os_release, os_version, present, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kairos_boot.system.host import Host

__all__ = ("Values", "architecture", "gather", "hostname", "hostname_data", "os_release")

STARTED = time.time_ns()
ZONES = "/zoneinfo/"
LETTERS = b"1234567890abcdefghijklmnopqrstuvwxyz"


class Values(LazyDict):
    """A dict whose values are found out when they are asked for; one that turns out to be None or an empty list is no key."""

    __slots__ = ("_unread",)

    def __init__(self, known: Iterable[tuple[str, object]] | Mapping[str, object] = (), unread: Mapping[str, Callable[[], object]] | None = None) -> None:
        super().__init__(known)
        self._unread = dict(unread or {})

    def _find(self, key: object) -> None:
        find = self._unread.pop(key, None)  # type: ignore[call-overload]
        value = find() if find else None
        if value is not None and value != []:
            super().__setitem__(key, value)  # type: ignore[index]

    def _find_all(self) -> None:
        for key in tuple(self._unread):
            self._find(key)


def gather(host: Host) -> dict[str, object]:
    """The template data `.Values` of *host*. `Random` is another one each time; everything else is read when it is asked for."""

    def hardware(name: str) -> Callable[[], object]:
        def find() -> object:
            from kairos_boot.system import hardware as read

            return getattr(read, name)(host)

        return find

    return Values(unread={
        "sysinfo": _sysinfo, "node": lambda: _node(host), "os": lambda: _os(host), "kernel": lambda: _kernel(host),
        **{name: hardware(name) for name in ("product", "board", "chassis", "bios", "cpu", "memory", "storage", "network")},
        "Random": random_word, "ProtectedID": lambda: protected_id(machine_id(host)) or None,
    })


def hostname_data(host: Host) -> dict[str, object]:
    """The fields of a `hostname` template; `MachineID` and `ProtectedID` only where there is a machine id (B15)."""
    return Values(unread={"UUID": random_uuid, "Random": random_word, "MachineID": lambda: machine_id(host) or None,
                          "ProtectedID": lambda: protected_id(machine_id(host)) or None})


def machine_id(host: Host) -> str:
    """D-Bus' machine id, else systemd's, else nothing."""
    return _machine_id(host, "/var/lib/dbus/machine-id") or _machine_id(host, "/etc/machine-id")


def _machine_id(host: Host, path: str) -> str:
    """The machine id in a file; an empty file and `uninitialized` are none (machine-id(5))."""
    found = text(host, path)
    return found if len(found) == 32 and not found.strip("0123456789abcdefABCDEF") and found.strip("0") else ""


def protected_id(machine: str) -> str:
    """An id derived from the machine's, for those who must not know that one."""
    if not machine:
        return ""
    from hmac import digest

    return digest(machine.encode(), b"yip", "sha256").hex()


def random_word() -> str:
    """32 random digits and small letters."""
    word = b""
    while len(word) < 32:
        word += bytes(LETTERS[byte % 36] for byte in os.urandom(40) if byte < 252)  # 252 = 7 * 36: none is likelier
    return word[:32].decode()


def random_uuid() -> str:
    raw = bytearray(os.urandom(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    digits = raw.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _sysinfo() -> dict[str, object]:
    from kairos_boot import __version__

    seconds, rest = divmod(STARTED, 10**9)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))
    zone = time.strftime("%z", time.localtime(seconds))
    return {"version": __version__, "timestamp": f"{stamp}.{rest:09d}{'Z' if zone == '+0000' else zone[:3] + ':' + zone[3:]}"}


def _node(host: Host) -> dict[str, object]:
    def runs_on() -> str | None:
        from kairos_boot.system.hardware import hypervisor

        return hypervisor(host) or None

    return Values(present(hostname=hostname(host), machineid=_machine_id(host, "/etc/machine-id")),
                  {"hypervisor": runs_on, "timezone": lambda: _timezone(host) or None})


def _timezone(host: Host) -> str:
    try:
        link = os.readlink(host.entry("/etc/localtime"))
    except OSError:
        link = ""
    if ZONES in link:
        return link.partition(ZONES)[2]
    zone = text(host, "/etc/timezone")
    if not zone:
        for line in text(host, "/etc/sysconfig/clock").splitlines():
            if line.startswith("ZONE="):
                zone = line.removeprefix("ZONE=").strip("\"'")
    return zone


def _os(host: Host) -> dict[str, object]:
    release = os_release(host)
    vendor, name = release.get("ID", ""), release.get("PRETTY_NAME", "")
    loaders = (("amd64", "/lib64/ld-linux-x86-64.so.2"), ("i386", "/lib/ld-linux.so.2"))
    found = next((arch for arch, path in loaders if host.exists(path)), "") or architecture().replace("386", "i386")
    return present(name=name, vendor=vendor, version=os_version(host), release=_release(host, vendor, name), architecture=found)


def _release(host: Host, vendor: str, name: str) -> str:
    """The point release, from where each distribution keeps it."""
    if vendor == "debian":
        return text(host, "/etc/debian_version")
    if vendor == "ubuntu":
        return next((word for word in name.split() if word[:1].isdigit()), "")
    if vendor in ("almalinux", "centos", "rocky", "rhel"):
        words = text(host, f"/etc/{'redhat' if vendor == 'rhel' else vendor}-release").split()
        return next((word for word in words if word[:1].isdigit()), "")
    return ""


def _kernel(host: Host) -> dict[str, object]:
    running = os.uname()
    known = host.online
    return present(release=running.release if known else text(host, "/proc/sys/kernel/osrelease"),
                   version=running.version if known else text(host, "/proc/sys/kernel/version"), architecture=running.machine)
