"""A live medium and the node that it installs, started by firmware that knows the keys that machines are sold with, and starts nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import iso
import machine as qemu
import media
import pytest
from ahead import Ahead
from installs import document, empty, said
from vm import BOOT

pytestmark = [pytest.mark.vm, pytest.mark.root, pytest.mark.long]

TRUST = """\
od -An -tu1 -j4 /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c
kairos-boot state get kairos.secureboot; echo
grep -o '[[].*[]]' /sys/kernel/security/lockdown
dmesg | grep -i 'secure boot'
"""
"""What the firmware, the program and the kernel say of Secure Boot."""
PROGRAMS = """\
mkdir /run/esp && mount -o ro /dev/disk/by-partlabel/efi /run/esp && cd /run/esp/EFI/BOOT
cmp BOOTX64.EFI /usr/lib/shim/shimx64.efi.signed && cmp mmx64.efi /usr/lib/shim/mmx64.efi.signed && cmp grubx64.efi /usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed && echo theirs
cd / && find /run/esp -type f && umount /run/esp
"""


def signed(home: Path, machines: list[qemu.Machine]) -> dict[str, Any]:
    """The signed disc, in a machine whose firmware starts what Microsoft signed and nothing else; installed by hand, and started by the same firmware."""
    beside = media.qcow2(media.fat_disc(home / "cidata.img", "cidata", {"user-data": document("live.yaml"), "meta-data": ""}))
    machine = qemu.Machine(empty(home / "disk.qcow2", "8G"), home, secure=True, keys=qemu.MICROSOFT, memory=3072, others=[beside])
    machines.append(machine)
    machine.start(disc=iso.iso(signed=True))
    machine.wait_up(BOOT)
    told: dict[str, Any] = {"live": machine.ssh(TRUST), "live boot": machine.ssh("kairos-boot state get boot")}
    machine.ssh(f"cat > /tmp/mixed.yaml <<'EOF'\n{document('mixed.yaml')}\nEOF")
    told["installed"] = said(machine, "manual-install --device /dev/vda /tmp/mixed.yaml")
    told["programs"] = machine.ssh(PROGRAMS)
    machine.ssh("reboot", check=False)
    machine.wait_off()
    machine.start()
    machine.wait_up(BOOT)
    return {**told, "node": machine.ssh(TRUST), "node boot": machine.ssh("kairos-boot state get boot"), "status": machine.ssh("kairos-boot status; true")}


AHEAD = [("trusted", signed)]


@pytest.fixture(scope="module")
def trusted(ahead: Ahead) -> Any:
    return ahead.result(signed)


@pytest.mark.parametrize("boot", ["live", "node"])
def test_the_signed_disc_and_the_node_it_installs_boot_with_secure_boot_on(trusted: dict[str, Any], boot: str) -> None:
    """The firmware says so, the program and the kernel, which is locked down, as no other one would be."""
    firmware, program, lockdown, *kernel = trusted[boot].splitlines()
    assert (firmware.strip(), program, lockdown) == ("1", "true", "[integrity]")
    assert any("secure boot enabled" in line.lower() for line in kernel)
    assert trusted[f"{boot} boot"] == {"live": "livecd_boot", "node": "active_boot"}[boot]


def test_the_installed_node_has_the_signed_programs_and_is_good(trusted: dict[str, Any]) -> None:
    """Shim, GRUB and MokManager byte for byte; GRUB finds its menu by the name that Debian built in."""
    assert trusted["installed"].endswith("code 0\n"), trusted["installed"]
    assert trusted["programs"].startswith("theirs\n")
    assert "/run/esp/EFI/debian/grub.cfg" in trusted["programs"].splitlines()
    assert trusted["status"].startswith("OK: ")
