"""The first boot of a node does what the configuration's root asks for: its bundles, and the boot loader's settings. What failed is tried again in the next boot."""

from __future__ import annotations

import os

from kairos_boot.errors import Explained
from kairos_boot.lifecycle import entries
from kairos_boot.lifecycle.bundles import BringOnce, named, phases
from kairos_boot.lifecycle.configuration import grub_options
from kairos_boot.lifecycle.phases import Engine, Memory, Phase
from kairos_boot.node import grubenv
from kairos_boot.node.mode import boot_word
from kairos_boot.records import record
from kairos_boot.system.atomic import write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from kairos_boot.lifecycle.wired import Machine
    from kairos_boot.system.host import Host

FIRST = "/usr/local/.kairos/sentinel_firstboot"
"""Is there when the first boot did its part; Kairos looks for it, too."""
LOCK = "/run/kairos-boot/first-boot"


@record
class BootLoaderSettings:
    """Variables for the boot loader, where it reads them (G7)."""

    changes: Mapping[str, str | None]

    def describe(self) -> str:
        """The names, and what they become."""
        return "set for the boot loader: " + ", ".join(f"{name}={value}" for name, value in self.changes.items())

    def would_change(self, host: Host) -> bool | None:
        """Whether one of them is another one now; None where they lie on a partition that is not writable."""
        path = host.path(f"{entries.OEM}/grubenv")
        now = grubenv.load(path)
        return any(now.get(name) != value for name, value in self.changes.items()) if host.exists(f"{entries.OEM}/grubenv") else None

    def apply(self, host: Host) -> bool:
        """Set them. KairosError: they do not fit, or no place that the boot loader reads is mounted."""
        if self.would_change(host) is False:
            return False
        entries.save(host, self.changes)
        return True


def is_due(host: Host) -> bool:
    """Whether the first boot of a node has still to do its part: in a system that keeps what it writes, so neither in recovery nor on a medium."""
    return boot_word(host) in ("active_boot", "passive_boot") and not host.exists(FIRST) and os.path.ismount(host.path("/usr/local"))


def first_boot(machine: Machine, data: Mapping[str, Any]) -> tuple[str, ...]:
    """Do what the configuration *data* asks the first boot for, and in later boots what failed; what failed now.

    A target that can never be had is told, and no reason to come back.
    """
    host = machine.host
    found, faults = named(data.get("bundles"), "bundles")
    for fault in faults:
        machine.log(4, str(fault), kind="failure", stage="first-boot")
        machine.ledger.write("problem", stage="first-boot", severity="warning", where=fault.where, message=fault.message, hint=fault.hint)
    todo = phases([BringOnce(each) for each in found], strict=False, again="what was done is not done again")
    if options := grub_options(data):
        todo.append(Phase("boot-loader", "grub_options for the boot loader", (BootLoaderSettings(options),), again="they are set again", extra=True))
    failures = Engine("first-boot", host, machine.ledger, machine.log).run(todo, Memory()) if todo else []
    if not failures:
        with Explained("the first boot cannot be noted", FIRST):
            write_file(host.path(FIRST), b"", 0o600)
    return (*failures, *(str(fault) for fault in faults))
