"""A reset that was asked for or cut short, and a system that came up all the same: the boot loader is told once more (D8, G2)."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kairos_boot.boot.cmdline import Cmdline
    from kairos_boot.boot.failures import Environment
    from kairos_boot.boot.state import BootState

ENTRY = "statereset"
MARKER = "cOS/action.json"
RESET, UPGRADE = "reset", "upgrade"
FACTORY_RESET = "systemd.factory_reset"
SENT = "reset_asked"
"""Counts in the boot loader's environment how often a boot handed on to the reset; the reset itself takes it away."""
MOST = 2


def asked_for(state: BootState, cmdline: Cmdline, images: str) -> str:
    """Why this boot, of a system that cannot reset itself, hands on to the reset; empty where it does not. *images* is where COS_STATE is mounted.

    KairosError: there is a marker that cannot be read. Nobody knows that it is one of a reset, and a reset erases; GRUB starts a real one by itself.
    """
    if state.mode not in ("active", "passive"):
        return ""
    if cmdline.has(FACTORY_RESET):
        return f"the kernel command line asks for a reset ({FACTORY_RESET})"
    return "a reset was cut short" if _begun(f"{images}/{MARKER}") else ""


def _begun(path: str) -> bool:
    """Whether the marker is one of a reset that is still to be ended. That of an upgrade is for the node itself to look at, once it is up."""
    found = read(path)
    return found is not None and found.get("action") == RESET and not found.get("failed")


def read(path: str) -> dict[str, Any] | None:
    """The marker at *path*, as it stands there; None where there is none. KairosError: it cannot be read, or is none."""
    if not os.path.lexists(path):
        return None
    import json

    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except OSError as error:
        raise _unreadable(path, reason(error)) from error
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, "it is damaged") from error
    if not isinstance(found, dict) or not isinstance(found.get("action"), str):
        raise _unreadable(path, "it is damaged")
    return found


def _unreadable(path: str, why: str) -> KairosError:
    return KairosError(f"what was begun on this node is not known: its marker cannot be read ({why})", path,
                       "remove it, and upgrade or reset the node if it is not as it should be")


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
