"""Entries of the boot menu: which there are, and which one the next boot takes (G7, G10)."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import trusted
from kairos_boot.node import grubenv
from kairos_boot.node.mode import STATE_MOUNT, boot_word, one_file
from kairos_boot.system import mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from kairos_boot.system.host import Host
    from kairos_boot.system.mounts import Mounted

MENUS = ("/etc/cos/grub.cfg", "/run/initramfs/cos-state/grub/grub.cfg", "/run/initramfs/cos-state/grub2/grub.cfg", "/etc/kairos/branding/grubmenu.cfg")
OEM = "/oem"
WAIT = 5.0
"""Seconds to wait for an action that is at its end."""


def names(host: Host) -> list[str]:
    """The ids of the entries in the menus of the node, else their titles, in order."""
    found: list[str] = []
    for path in MENUS:
        for line in (host.read(path) or b"").decode("utf-8", "replace").splitlines():
            words = line.split()
            if words[:1] != ["menuentry"]:
                continue
            name = words[words.index("--id") + 1] if "--id" in words[:-1] else line.partition('"')[2].partition('"')[0]
            if name and name not in found:
                found.append(name)
    return found


def select(host: Host, entry: str) -> str:
    """Let the next boot of *host* take *entry*, once; what to tell the operator. KairosError: no such entry, or no place that GRUB reads."""
    if one_file(host):
        return _select_file(host, entry)
    known = names(host)
    if not entry or not entry.isprintable():
        raise KairosError(f"not an entry of a boot menu: {entry!r}", hint="cos, fallback, recovery and statereset are entries")
    if known and entry not in known:
        raise KairosError(f"the boot menu has no entry {entry!r}", hint=f"there are: {', '.join(known)}")
    path = save(host, {"next_entry": entry})
    return f"the next boot takes the entry {entry}, once ({path}); reboot to go there"


def _select_file(host: Host, entry: str) -> str:
    """The same where systemd-boot has the menu; the entry of a reset is made where it is not there. KairosError: no such entry, or the firmware refuses."""
    from kairos_boot.lifecycle import uki_autoreset
    from kairos_boot.node import loader

    reset = uki_autoreset.is_meant(entry)
    if reset:
        uki_autoreset.make(host, WAIT)
    found = loader.find(host, entry)
    loader.select(host, found)
    tries = "; none of its tries is left, so it is started this once only" if found.left == 0 and not reset else ""
    return f"the next boot takes the entry {found.word}, once ({found.file}{tries}); reboot to go there"


def roll_back(host: Host) -> str:
    """Make the other system the default of *host* for good (G10); what to tell the operator. KairosError: neither of the two runs here."""
    trusted.refuse(host, "rollback", "for one boot: kairos-boot bootentry --select fallback")
    boot = boot_word(host)
    other = {"active_boot": "fallback", "passive_boot": "cos"}.get(boot)
    if other is None:
        raise KairosError(f"this is neither the active nor the passive system ({boot})", hint=f"choose an entry: kairos-boot bootentry --select cos{'' if host.root == '/' else f' --host-root {host.root}'}")
    path = save(host, {"saved_entry": None if other == "cos" else other})
    return f"the default is now {other} ({path}), until an upgrade or a reset; reboot to go there"


def save(host: Host, changes: Mapping[str, str | None]) -> str:
    """Set variables where GRUB reads them; the block's path. KairosError: no place that GRUB reads is mounted, or it cannot be written."""
    from contextlib import contextmanager

    trusted.refuse(host, "setting of GRUB")
    with contextmanager(_place)(host) as path:
        grubenv.save(path, changes)
    return path


def variables(host: Host) -> dict[str, str]:
    """What stands in the environment blocks as GRUB reads them: that of COS_STATE, and over it that of OEM where GRUB can read it (G7)."""
    found = grubenv.load(f"{host.path(STATE_MOUNT)}/grubenv")
    if _reads_oem(host, mounts.mounted()):
        found.update(grubenv.load(f"{host.path(OEM)}/grubenv"))
    return found


def _place(host: Host) -> Iterator[str]:
    """The block that GRUB reads last: on OEM; on COS_STATE where OEM is encrypted, which is made writable meanwhile (G7). KairosError: neither is mounted."""
    now = mounts.mounted()
    if mounts.at(host.path(OEM), now) is not None and _reads_oem(host, now):
        yield f"{host.path(OEM)}/grubenv"
        return
    if mounts.at(host.path(STATE_MOUNT), now) is None:
        raise KairosError("no place for the boot loader's settings is mounted", host.path(f"{OEM}/grubenv"),
                          "the OEM partition must be mounted there; in a pod, name the node's root with --host-root /host")
    from kairos_boot.lifecycle.writable import writable_state

    with writable_state(host, "the boot loader's settings", WAIT):
        yield f"{host.path(STATE_MOUNT)}/grubenv"


def _reads_oem(host: Host, now: Sequence[Mounted]) -> bool:
    """Whether what is mounted at OEM is no opened container, which the boot loader does not open."""
    oem = mounts.at(host.path(OEM), now)
    return oem is None or not os.path.realpath(oem.source).startswith("/dev/dm-")
