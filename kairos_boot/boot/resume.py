"""A reset that was asked for or cut short, and a system that came up all the same: the boot loader is told once more (D8, G2)."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.boot.cmdline import Cmdline
    from kairos_boot.boot.failures import Environment
    from kairos_boot.boot.state import BootState

ENTRY = "statereset"
MARKER = "cOS/action.json"
UPGRADE = "upgrade"
FACTORY_RESET = "systemd.factory_reset"
SENT = "reset_asked"
"""Counts in the boot loader's environment how often a boot handed on to the reset; the reset itself takes it away."""
MOST = 2


def asked_for(state: BootState, cmdline: Cmdline, images: str) -> str:
    """Why this boot, of a system that cannot reset itself, hands on to the reset; empty where it does not. *images* is where COS_STATE is mounted."""
    if state.mode not in ("active", "passive"):
        return ""
    if cmdline.has(FACTORY_RESET):
        return f"the kernel command line asks for a reset ({FACTORY_RESET})"
    return "a reset was cut short" if _begun(f"{images}/{MARKER}") else ""


def _begun(path: str) -> bool:
    """Whether the marker is one of a reset that is still to be ended. That of an upgrade is for the node itself to look at, once it is up."""
    if not os.path.exists(path):
        return False
    import json

    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return True  # begun, and cut as it was noted
    return not (isinstance(found, dict) and (found.get("failed") or found.get("action") == UPGRADE))


def hand_on(environment: Environment, block: str) -> bool:
    """Let the next start be the reset; False if that was tried before and another system came up each time. KairosError: it cannot be written."""
    count = environment.load(block).get(SENT, "")
    number = int(count) if count.isdecimal() else 0
    if number >= MOST:
        return False
    environment.save(block, {"next_entry": ENTRY, SENT: str(number + 1)})
    return True


def refused(why: str) -> KairosError:
    return KairosError(f"{why}, and the boot loader has started another entry {MOST} times", hint=f"choose the entry {ENTRY} in the boot menu")
