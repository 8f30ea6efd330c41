"""How the reset of this boot ended: a note in /run, for the unit that ends the boot."""

from __future__ import annotations

import os

from kairos_boot.boot.resume import RESET
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import marker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kairos_boot.system.host import Host

NOTE = "/run/kairos-boot/reset-failed"


def note_failure(host: Host, error: KairosError, *, again: bool) -> None:
    """Leave the reason, and whether the next boot tries it *again*."""
    _write(host, {"message": error.message, "where": error.where, "hint": error.hint, "again": again})


def note_done(host: Host) -> None:
    """It came to its end, whatever the exit code says of hooks."""
    _write(host, {"done": True})


def forget(host: Host) -> None:
    """A reset begins: what was noted of an earlier one of this boot is not its end."""
    try:
        os.unlink(host.path(NOTE))
    except OSError:
        return  # there is none


def failure(host: Host, state: str) -> tuple[KairosError, bool] | None:
    """Why the reset of this boot failed, and whether the next boot goes on with it; None where it is done.

    One that left no note was killed: the marker below *state*, where it has mounted COS_STATE, tells whether it is to be gone on with.
    """
    import json

    try:
        told = json.loads(host.read(NOTE) or b"")
        if told.get("done") is True:
            return None
        return KairosError(str(told["message"]), str(told["where"]), str(told["hint"])), bool(told["again"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return KairosError("it ended without a word: it was killed, or is itself at fault", hint="see journalctl -b -u kairos-reset"), _begun(host.path(state))


def _begun(state: str) -> bool:
    try:
        found = marker.load(state)
    except KairosError:
        return False  # that a person has to see
    return found is not None and found.action == RESET and not found.failed


def _write(host: Host, told: dict[str, Any]) -> None:
    import json

    from kairos_boot.system.private import private_directory

    try:
        private_directory(os.path.dirname(host.path(NOTE)))
        with open(host.path(NOTE), "w", encoding="utf-8") as file:
            json.dump(told, file)
    except OSError:
        return  # the journal has it
