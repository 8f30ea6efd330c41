"""The machine below a node, from /sys and /proc: the facts product … network of templates (docs/reference/templates.md)."""

from __future__ import annotations

import os

from kairos_boot.system.identity import present, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from kairos_boot.system.host import Host

DMI = "/sys/class/dmi/id/"
TABLES = "/sys/firmware/dmi/tables/DMI"
NO_UUID = "00000000-0000-0000-0000-000000000000"
CLOCKS = {"kvm-clock": "kvm", "hyperv": "hyperv", "xen": "xenhvm"}
"""Clock sources that the kernel offers under a hypervisor: CPUID, which names it, is no file."""
VENDORS = {"VMware": "vmware", "Parallels": "parallels", "BHYVE": "bhyve", "Bochs": "bochs", "QEMU": "unknown"}
MEMORY_TYPES = {0x01: "Other", 0x03: "DRAM", 0x07: "RAM", 0x0F: "SDRAM", 0x12: "DDR", 0x13: "DDR2", 0x14: "DDR2 FB-DIMM", 0x18: "DDR3", 0x1A: "DDR4",
                0x1B: "LPDDR", 0x1C: "LPDDR2", 0x1D: "LPDDR3", 0x1E: "LPDDR4", 0x20: "HBM", 0x21: "HBM2", 0x22: "DDR5", 0x23: "LPDDR5"}
"""Memory types of the SMBIOS specification, 7.18.2."""


def product(host: Host) -> dict[str, Any]:
    """The machine as sold; boards without firmware tables are named by the device tree."""
    name = text(host, DMI + "product_name") or text(host, "/proc/device-tree/model")
    serial = text(host, DMI + "product_serial") or text(host, "/proc/device-tree/serial-number")
    return present(name=name, vendor=text(host, DMI + "sys_vendor"), version=text(host, DMI + "product_version"), serial=serial,
                   uuid=text(host, DMI + "product_uuid").lower() or NO_UUID, sku=text(host, DMI + "product_sku"))


def board(host: Host) -> dict[str, Any]:
    return present(**{key: text(host, f"{DMI}board_{file}") for key, file in (
        ("name", "name"), ("vendor", "vendor"), ("version", "version"), ("serial", "serial"), ("assettag", "asset_tag"))})


def chassis(host: Host) -> dict[str, Any]:
    """The case; `type` is SMBIOS' number."""
    kind = text(host, DMI + "chassis_type")
    return present(type=int(kind) if kind.isdigit() else None, **{key: text(host, f"{DMI}chassis_{file}") for key, file in (
        ("vendor", "vendor"), ("version", "version"), ("serial", "serial"), ("assettag", "asset_tag"))})


def bios(host: Host) -> dict[str, Any]:
    return present(**{key: text(host, f"{DMI}bios_{key}") for key in ("vendor", "version", "date")})


def cpu(host: Host) -> dict[str, Any]:
    """Processors: `speed` in MHz, `cache` in KB; `cpus` are sockets."""
    first: dict[str, str] = {}
    sockets, cores, threads, socket = set(), set(), 0, ""
    for line in text(host, "/proc/cpuinfo").splitlines():
        key, colon, value = line.partition(":")
        key, value = key.strip(), value.strip()
        if key == "processor" and value.isdigit():
            threads, socket = threads + 1, ""
        elif key == "physical id":
            socket = value
            sockets.add(value)
        elif key == "core id":
            cores.add((socket, value))
        if colon:
            first.setdefault(key, value)
    speed = next((_word(entry, 0x14) for kind, entry in _tables(host) if kind == 4 and _word(entry, 0x14)), 0)
    return present(vendor=first.get("vendor_id"), model=" ".join(first.get("model name", "").split()), speed=speed or _number(first.get("cpu MHz", "")),
                   cache=_number(first.get("cache size", "")), cpus=len(sockets) or min(threads, 1), cores=len(cores) or threads, threads=threads)


def memory(host: Host) -> dict[str, Any]:
    """Memory: `speed` in MT/s, `size` in MB, from the firmware's table of modules, else the kernel's total."""
    size = speed = 0
    kind = ""
    for number, entry in _tables(host):
        if number != 17 or _word(entry, 0x0C) in (0, 0xFFFF):
            continue
        units = _word(entry, 0x0C)
        megabytes = int.from_bytes(entry[0x1C:0x20], "little") if units == 0x7FFF else (units & 0x7FFF) // 1024 if units & 0x8000 else units
        size += megabytes
        kind = kind or MEMORY_TYPES.get(_word(entry[:0x13], 0x12), "")
        speed = speed or _word(entry, 0x15)
    if not size:
        for line in text(host, "/proc/meminfo").splitlines():
            if line.startswith("MemTotal:"):
                size = _number(line.partition(":")[2]) // 1024
    return present(type=kind, speed=speed, size=size)


def storage(host: Host) -> list[dict[str, Any]]:
    """Physical disks, `size` in GB; no discs, no floppies, nothing virtual."""
    found = []
    for name, path in _devices(host, "/sys/block"):
        if name.startswith(("fd", "sr")):
            continue
        sectors = text(host, f"{path}/size")
        number = text(host, f"{path}/dev")
        serial = text(host, f"{path}/device/serial") or text(host, f"{path}/serial") or _udev(host, f"b{number}", "ID_SERIAL_SHORT")
        found.append(present(name=name, driver=_driver(host, f"{path}/device"), vendor=text(host, f"{path}/device/vendor"),
                             model=text(host, f"{path}/device/model"), serial=serial, size=int(sectors) // 1953125 if sectors.isdigit() else None))
    return found


def network(host: Host) -> list[dict[str, Any]]:
    """Physical network devices; `speed` is that of the link, in Mb/s."""
    found = []
    for name, path in _devices(host, "/sys/class/net"):
        speed = text(host, f"{path}/speed")
        found.append(present(name=name, driver=_driver(host, f"{path}/device"), macaddress=text(host, f"{path}/address"),
                             speed=int(speed) if speed.isdigit() else None))
    return found


def hypervisor(host: Host) -> str:
    """What the node runs on, or nothing: by what the kernel found (a clock, /sys/hypervisor) and by the firmware's vendor."""
    if text(host, "/sys/hypervisor/type") == "xen":
        return "xenpv" if text(host, "/sys/hypervisor/guest_type") == "PV" else "xenhvm"
    clocks = text(host, "/sys/devices/system/clocksource/clocksource0/available_clocksource")
    for sign, name in CLOCKS.items():
        if sign in clocks:
            return name
    made = text(host, DMI + "sys_vendor")
    for sign, name in VENDORS.items():
        if made.startswith(sign):
            return name
    flags = next((line for line in text(host, "/proc/cpuinfo").splitlines() if line.startswith("flags")), "")
    return "unknown" if " hypervisor" in flags else ""


def _devices(host: Host, directory: str) -> Iterator[tuple[str, str]]:
    """Name and path of each device in a class of /sys that hangs on real hardware."""
    try:
        names = sorted(os.listdir(host.path(directory)))
    except OSError:
        return
    for name in names:
        real = host.real(f"{directory}/{name}").removeprefix("" if host.root == "/" else host.root)
        if "/devices/virtual/" not in real and host.exists(f"{real}/device"):
            yield name, real


def _driver(host: Host, device: str) -> str:
    """The driver of a device, or of the controller it belongs to (NVMe)."""
    for path in (f"{device}/driver", f"{device}/device/driver"):
        if host.exists(path):
            return os.path.basename(host.real(path))
    return ""


def _udev(host: Host, device: str, key: str) -> str:
    lines = text(host, f"/run/udev/data/{device}").splitlines()
    return next((line.partition("=")[2] for line in lines if line.startswith(f"E:{key}=")), "")


def _number(value: str) -> int:
    digits = value.strip().partition(" ")[0].partition(".")[0]
    return int(digits) if digits.isdigit() else 0


def _word(entry: bytes, offset: int) -> int:
    return int.from_bytes(entry[offset:offset + 2], "little")


def _tables(host: Host) -> Iterator[tuple[int, bytes]]:
    """Type and formatted area of each SMBIOS structure; texts after it are skipped."""
    try:
        data = host.read(TABLES) or b""
    except OSError:
        return
    position = 0
    while position + 4 <= len(data):
        kind, length = data[position], data[position + 1]
        end = data.find(b"\0\0", position + length)
        if length < 4 or end < 0:
            return
        yield kind, data[position:position + length]
        position = end + 2
