"""The marker of an action: what was begun, with which options, and how far it came, on the partition that the boot loader reads first.

Two things on COS_STATE: a file for the system that goes on with it, and `resume_entry` in the environment block, by which GRUB starts the entry that
goes on. Both are readable for GRUB (G2) before the phase that counts on them begins.
"""

from __future__ import annotations

import os

from kairos_boot.boot.resume import MARKER
from kairos_boot.errors import KairosError, reason
from kairos_boot.node import grubenv
from kairos_boot.records import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ENVIRONMENT = "grubenv"
RESUME = "resume_entry"
TRIES = 2
"""How often a half-done action is tried by itself."""


@record
class Begun:
    """What stands in the marker."""

    action: str
    options: dict[str, Any]
    done: tuple[str, ...] = ()
    started: str = ""
    cuts: int = 0
    """How often the phase that was started was cut short."""
    failures: int = 0
    failed: str = ""
    """Why it ended for good, or nothing."""


class Marker:
    """The marker below *state*, the directory where COS_STATE is mounted writable; *entry* is what GRUB starts to go on, or nothing."""

    def __init__(self, state: str, entry: str, begun: Begun) -> None:
        self.state, self.entry, self.begun = state, entry, begun
        self._resumed = begun.started

    @property
    def done(self) -> tuple[str, ...]:
        """The phases that are done."""
        return self.begun.done

    @property
    def started(self) -> str:
        """The phase that a cut ended, or nothing."""
        return self._resumed

    def arm(self) -> None:
        """Write the marker, and tell GRUB. KairosError: no room, or the disk fails."""
        self._write(self.begun)
        if self.entry:
            grubenv.save(f"{self.state}/{ENVIRONMENT}", {RESUME: self.entry})

    def begin(self, phase: str) -> None:
        """A phase starts."""
        self._write(replace(self.begun, started=phase))

    def end(self, phase: str) -> None:
        """A phase is done."""
        self._resumed = ""
        if os.path.exists(f"{self.state}/{MARKER}"):  # the last phase took it away
            self._write(replace(self.begun, done=(*self.begun.done, phase), started="", cuts=0))

    def again(self) -> None:
        """A phase failed, and the next boot tries it once more."""
        self._write(replace(self.begun, started="", failures=self.begun.failures + 1))

    def fail(self, why: str) -> None:
        """It ended for good: GRUB goes back to its own choice, and the file says why."""
        grubenv.save(f"{self.state}/{ENVIRONMENT}", {RESUME: None})
        self._write(replace(self.begun, failed=why))

    def clear(self) -> None:
        """Nothing is begun any more."""
        clear(self.state)

    def _write(self, begun: Begun) -> None:
        import json

        from kairos_boot.system.atomic import write_file
        from kairos_boot.system.checkpoint import checkpoint

        self.begun = begun
        path = f"{self.state}/{MARKER}"
        text = json.dumps({name: getattr(begun, name) for name in begun.__match_args__}, indent=1) + "\n"
        try:
            write_file(path, text.encode(), 0o600)
            checkpoint(os.path.dirname(path))
        except OSError as error:
            raise KairosError(f"the marker of the action cannot be written: {reason(error)}", path, "make room on COS_STATE") from error


def clear(state: str) -> None:
    """Take the marker below *state* away, the boot loader's part first. KairosError: the disk fails."""
    from kairos_boot.system.atomic import sync_directory

    environment, path = f"{state}/{ENVIRONMENT}", f"{state}/{MARKER}"
    if RESUME in grubenv.load(environment):
        grubenv.save(environment, {RESUME: None})
    try:
        os.unlink(path)
        sync_directory(os.path.dirname(path))
    except FileNotFoundError:
        return
    except OSError as error:
        raise KairosError(f"the marker of the action cannot be removed: {reason(error)}", path) from error


def load(state: str) -> Begun | None:
    """What stands in the marker below *state*; None where nothing is begun. A marker that cannot be read counts as one without anything done."""
    import json

    try:
        with open(f"{state}/{MARKER}", encoding="utf-8") as file:
            found = json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return Begun("", {})
    if not isinstance(found, dict):
        return Begun("", {})
    fields = {"action": str, "options": dict, "started": str, "cuts": int, "failures": int, "failed": str}
    values = {name: found[name] for name, kind in fields.items() if isinstance(found.get(name), kind)}
    done = found.get("done")
    return Begun(**{"action": "", "options": {}, **values, "done": tuple(map(str, done)) if isinstance(done, list) else ()})
