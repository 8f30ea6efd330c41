"""Facts of a node: read when asked for, floats for numbers, no key for what is unknown, nothing written."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.facts import Facts
from kairos_boot.system.facts import gather, hostname_data

if TYPE_CHECKING:
    from tests.modules.conftest import Node

MACHINE = "3f1c0a5d9b7e4c2896d1e0f2a4b6c8da"
CPUINFO = "".join(f"processor\t: {number}\nvendor_id\t: GenuineIntel\nmodel name\t: Some   CPU @ 2GHz\ncpu MHz\t\t: 2100.5\ncache size\t: 512 KB\n"
                  f"physical id\t: {number // 4}\ncore id\t\t: {number // 2 % 2}\nflags\t\t: fpu hypervisor\n\n" for number in range(8))


def values(host: Node) -> dict[str, Any]:
    """The facts as plain data, as a template's `toJson` shows them."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(gather(host))))
    return plain


def structure(kind: int, **words: int) -> bytes:
    """An SMBIOS structure with these 16-bit words at these offsets, one text after it."""
    area = bytearray(0x20)
    area[0], area[1] = kind, len(area)
    for name, value in words.items():
        offset = int(name[1:], 16)
        area[offset:offset + 2] = value.to_bytes(2, "little")
    return bytes(area) + b"text\0\0"


def test_an_empty_node_has_every_section_and_no_guess(host: Node) -> None:
    """What cannot be read has no key; the product's UUID is all zeros then."""
    found = values(host)
    assert set(found) == {"sysinfo", "node", "os", "kernel", "product", "board", "chassis", "bios", "cpu", "memory", "Random"}
    assert found["product"] == {"uuid": "00000000-0000-0000-0000-000000000000"}
    assert (found["board"], found["chassis"], found["bios"], found["cpu"], found["memory"]) == ({}, {}, {}, {}, {})
    assert "machineid" not in found["node"]


def test_os_and_node(host: Node) -> None:
    """os-release, the machine's id, the zone behind /etc/localtime."""
    host.put("/etc/os-release", 'ID=debian\nPRETTY_NAME="Lab Linux 7.4 (Quince)"\nVERSION_ID="7.4"\n')
    host.put("/etc/debian_version", "7.4.1\n")
    host.put("/etc/machine-id", MACHINE + "\n")
    host.put("/etc/hostname", "lab\n")
    host.put("/lib64/ld-linux-x86-64.so.2")
    os.symlink("/usr/share/zoneinfo/Europe/Rome", host.root + "/etc/localtime")
    found = values(host)
    assert found["os"] == {"name": "Lab Linux 7.4 (Quince)", "vendor": "debian", "version": "7.4", "release": "7.4.1", "architecture": "amd64"}
    assert found["node"] == {"hostname": "lab", "machineid": MACHINE, "timezone": "Europe/Rome"}
    assert found["ProtectedID"] == hmac.new(MACHINE.encode(), b"yip", hashlib.sha256).hexdigest()


def test_point_releases(host: Node) -> None:
    """Where each distribution keeps its own; AlmaLinux' version is the major one."""
    host.put("/etc/os-release", 'ID=almalinux\nPRETTY_NAME="AlmaLinux 9.4 (Seafoam Ocelot)"\nVERSION_ID="9.4"\n')
    host.put("/etc/almalinux-release", "AlmaLinux release 9.4 (Seafoam Ocelot)\n")
    assert values(host)["os"]["version"] == "9"
    assert values(host)["os"]["release"] == "9.4"
    host.put("/etc/os-release", 'ID=ubuntu\nPRETTY_NAME="Ubuntu 24.04.1 LTS"\nVERSION_ID="24.04"\n')
    assert values(host)["os"]["release"] == "24.04.1"


def test_the_firmwares_tables(host: Node) -> None:
    """Names from /sys, memory modules and the processor's speed from the SMBIOS tables, numbers as floats."""
    for name, text in {"product_name": "X1", "sys_vendor": "ACME", "product_uuid": "ABCD-EF", "chassis_type": "3", "board_asset_tag": "T1", "bios_date": "01/02/2024"}.items():
        host.put("/sys/class/dmi/id/" + name, text + "\n")
    empty = structure(17)
    table = structure(4, _14=3600) + structure(17, _0c=8192, _12=0x1A, _15=3200) + empty + structure(17, _0c=0x7FFF, _1c=0x8000) + structure(127)
    host.put("/sys/firmware/dmi/tables/DMI", table)
    host.put("/proc/cpuinfo", CPUINFO)
    found = values(host)
    assert found["product"] == {"name": "X1", "vendor": "ACME", "uuid": "abcd-ef"}
    assert found["chassis"] == {"type": 3.0}
    assert found["board"] == {"assettag": "T1"}
    assert found["bios"] == {"date": "01/02/2024"}
    assert found["cpu"] == {"vendor": "GenuineIntel", "model": "Some CPU @ 2GHz", "speed": 3600.0, "cache": 512.0, "cpus": 2.0, "cores": 4.0, "threads": 8.0}
    assert found["memory"] == {"type": "DDR4", "speed": 3200.0, "size": 8192.0 + 32768.0}
    assert isinstance(found["cpu"]["threads"], float)


def test_a_damaged_table_is_no_crash(host: Node) -> None:
    """Whatever the firmware wrote: what is whole counts, and the kernel's own figures stand in."""
    host.put("/proc/meminfo", "MemTotal:        4096000 kB\n")
    for table in (b"\0", b"\x11\x00\0\0\0\0", b"\x11\xff\0\0rest", b"\x11\x10" + b"\1" * 14 + b"\0\0", structure(17)[:20], os.urandom(300)):
        host.put("/sys/firmware/dmi/tables/DMI", table)
        assert values(host)["memory"].get("size", 1.0) > 0


def test_devices_are_the_physical_ones(host: Node) -> None:
    """Disks and network cards that hang on hardware, sorted, with the driver's name."""
    for path, files in {
        "/sys/devices/pci0/nvme/nvme0/nvme0n1": {"size": "1953125000\n", "dev": "259:0\n", "device/model": "Fast Disk   \n", "device/serial": "S1 \n"},
        "/sys/devices/pci0/sr0": {"size": "2097151\n", "device/model": "DVD\n"},
        "/sys/devices/virtual/block/loop0": {"size": "100\n"},
        "/sys/devices/pci0/net/eth0": {"address": "02:00:00:00:00:01\n", "speed": "1000\n", "device/id": "x"},
        "/sys/devices/virtual/net/lo": {"address": "00:00:00:00:00:00\n"},
    }.items():
        for name, text in files.items():
            host.put(f"{path}/{name}", text)
        name = os.path.basename(path)
        directory = "/sys/class/net" if "/net/" in path else "/sys/block"
        os.makedirs(host.root + directory, exist_ok=True)
        os.symlink(".." + ("/../" if "net" in path else "/") + path.removeprefix("/sys/"), f"{host.root}{directory}/{name}")
    host.put("/sys/bus/pci/drivers/e1000e/.keep")
    os.symlink("/sys/bus/pci/drivers/e1000e", host.root + "/sys/devices/pci0/net/eth0/device/driver")
    found = values(host)
    assert found["storage"] == [{"name": "nvme0n1", "model": "Fast Disk", "serial": "S1", "size": 1000.0}]
    assert found["network"] == [{"name": "eth0", "driver": "e1000e", "macaddress": "02:00:00:00:00:01", "speed": 1000.0}]


def test_what_the_node_runs_on(host: Node) -> None:
    """By the clocks that the kernel offers, else by the firmware's vendor, else unknown."""
    host.put("/proc/cpuinfo", CPUINFO)
    assert values(host)["node"]["hypervisor"] == "unknown"
    host.put("/sys/class/dmi/id/sys_vendor", "VMware, Inc.\n")
    assert values(host)["node"]["hypervisor"] == "vmware"
    host.put("/sys/devices/system/clocksource/clocksource0/available_clocksource", "kvm-clock tsc acpi_pm \n")
    assert values(host)["node"]["hypervisor"] == "kvm"


def test_nothing_is_written(host: Node) -> None:
    """No machine id is made or copied."""
    host.put("/var/lib/dbus/machine-id", MACHINE)
    before = host.state()
    values(host)
    dict(hostname_data(host))
    assert host.state() == before


def test_random_words(host: Node) -> None:
    """The same within one text, another in the next."""
    one, two = gather(host), gather(host)
    assert re.fullmatch("[0-9a-z]{32}", str(one["Random"]))
    assert one["Random"] == one["Random"] != two["Random"]


def test_a_host_names_fields(host: Node) -> None:
    """D-Bus' machine id counts first, an empty one does not; a version 4 UUID."""
    host.put("/etc/machine-id", MACHINE + "\n")
    host.put("/var/lib/dbus/machine-id", "")
    data = hostname_data(host)
    assert data["MachineID"] == MACHINE
    assert re.fullmatch("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", str(data["UUID"]))
    host.put("/var/lib/dbus/machine-id", "d" * 32)
    assert hostname_data(host)["MachineID"] == "d" * 32


def test_templates_read_them(host: Node) -> None:
    """Fields, ranges, indexes, missing keys and whole sections, as templates use them."""
    host.put("/etc/hostname", "lab\n")
    host.put("/proc/cpuinfo", CPUINFO)
    facts = Facts(lambda: gather(host), lambda: hostname_data(host))
    text = ("{{ .Values.node.hostname }} {{ .Values.cpu.threads }} {{ .Values.storage }} {{ range $k, $v := .Values.cpu }}{{ $k }},{{ end }} "
            '{{ hasKey .Values "network" }}')
    assert facts.render(text, "") == "lab 8 <no value> cache,cores,cpus,model,speed,threads,vendor, false"
    assert [text for _, text in facts.warnings] == ["this node does not have .Values.storage: <no value> stands for it; give it a value with default"]


@pytest.mark.parametrize("content", ["", "uninitialized\n", "0" * 32, "3f1c\n", "not hexadecimal at all, but 32 c.\n"])
def test_a_machine_id_that_is_not_there_yet_is_none(host: Node, content: str) -> None:
    """The first boot's file says so (machine-id(5)): a template that prints it is told about, a host name made of it is refused (B15)."""
    host.put("/etc/machine-id", content)
    facts = Facts(lambda: gather(host), lambda: hostname_data(host))
    assert facts.render("{{ .Values.node.machineid }}{{ .Values.ProtectedID }}", "f:1:2") == "<no value><no value>"
    [(where, text)] = facts.warnings
    assert (where, ".Values.node.machineid, .Values.ProtectedID" in text) == ("f:1:2", True)
    for template in ("kairos-{{ trunc 4 .MachineID }}", "{{ .ProtectedID }}"):
        with pytest.raises(KairosError, match="no machine id yet"):
            facts.render_hostname(template)


def test_one_field_costs_no_more_than_that_field() -> None:
    """A host name in a template reads no hardware and imports no cryptography."""
    script = ("import sys\nfrom kairos_boot.system.facts import gather\nfrom kairos_boot.system.host import Host\ngather(Host())['node']['hostname']\n"
              "print(*sys.modules)")
    loaded = subprocess.run((sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {os.getcwd()!r})\n{script}"),
                            capture_output=True, text=True, check=True).stdout.split()
    assert not {"hmac", "hashlib", "kairos_boot.system.hardware", "re", "typing", "subprocess", "socket"} & set(loaded)
