"""Which boot this is, by the sentinels that the initrd leaves: all that most verbs ask of a node's state, and it costs nothing to load."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host

SENTINELS = "/run/cos"
MODES = (("autoreset_mode", "autoreset_boot"), ("active_mode", "active_boot"), ("passive_mode", "passive_boot"), ("recovery_mode", "recovery_boot"),
         ("live_mode", "livecd_boot"))
"""Sentinel and word; a reset boot has the sentinel of recovery, too, so it comes first (D8)."""
RECOVERY_WORDS = ("recovery_boot", "autoreset_boot")
"""What `boot_word` says in the recovery system."""
STATE_MOUNT = "/run/initramfs/cos-state"


def boot_word(host: Host) -> str:
    """`active_boot`, `passive_boot`, `recovery_boot`, `autoreset_boot`, `livecd_boot` or `unknown`."""
    return next((word for name, word in MODES if host.exists(f"{SENTINELS}/{name}")), "unknown")


def one_file(host: Host) -> bool:
    """Whether the whole system is one signed EFI program (trusted boot), installed or on an installation medium."""
    return any(host.exists(f"{SENTINELS}/uki_{kind}_mode") for kind in ("boot", "install"))
