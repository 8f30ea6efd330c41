"""The marker of an action: what was begun, with which options, and how far it came, on the partition that the boot loader reads first.

Two things on COS_STATE: a file for the system that goes on with it, and `resume_entry` in the environment block, by which GRUB starts the entry that
goes on. Both are readable for GRUB (G2) before the phase that counts on them begins.
"""

from __future__ import annotations

import os

from kairos_boot.boot.resume import MARKER, read
from kairos_boot.errors import KairosError, reason
from kairos_boot.node import grubenv
from kairos_boot.records import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ENVIRONMENT = "grubenv"
RESUME = "resume_entry"
RESUMED = "resume_tries"
"""How often GRUB started the entry that goes on; it stops after six. Whoever came so far that he notes something has gone on, so the count begins anew."""
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
    told: tuple[str, ...] = ()
    """What failed of the phases that are done: extra ones."""


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
        """Write the marker, and tell GRUB. KairosError: no room, or the disk fails; whoever changed nothing yet withdraws it then.

        The file is first: GRUB's variable without it would be an action without the options that it was asked with.
        """
        self._write(self.begun)
        if self.entry:
            grubenv.save(f"{self.state}/{ENVIRONMENT}", {RESUME: self.entry, RESUMED: None})

    def begin(self, phase: str) -> None:
        """A phase starts."""
        self._write(replace(self.begun, started=phase))

    @property
    def failed_before(self) -> tuple[str, ...]:
        """What failed of the phases that are done."""
        return self.begun.told

    def end(self, phase: str, failure: str = "") -> None:
        """A phase is done, or is an extra one with a *failure*."""
        self._resumed = ""
        if failure:
            self.begun = replace(self.begun, told=(*self.begun.told, failure))
        if os.path.exists(f"{self.state}/{MARKER}"):  # the last phase took it away
            self._write(replace(self.begun, done=(*self.begun.done, phase), started="", cuts=0))

    def again(self) -> None:
        """A phase failed, and the next boot tries it once more."""
        self._write(replace(self.begun, started="", failures=self.begun.failures + 1))

    def give_up(self, cuts: int) -> str:
        """Take the phase that was cut short *cuts* times for done, and for failed, since a hook may end each boot; its name, or nothing."""
        phase = self.begun.started if self.begun.cuts >= cuts else ""
        if phase:
            self.begun = replace(self.begun, done=(*self.begun.done, phase), told=(*self.begun.told, f"{phase}: given up: {cuts} boots began it, and none came to its end"))
        return phase

    def fail(self, why: str) -> None:
        """It ended for good: GRUB goes back to its own choice, and the file says why."""
        try:
            forget_entry(self.state)
        finally:  # a damaged block tells GRUB nothing, and the file keeps other systems from going on
            self._write(replace(self.begun, failed=why))

    def withdraw(self, before: Begun | None) -> None:
        """Nothing was changed: GRUB makes its own choice, and *before* stands in the file again, as it did before this action."""
        if before is None:
            clear(self.state)
            return
        forget_entry(self.state)
        if load(self.state) == before:
            return
        try:
            self._write(before)
        except KairosError:
            clear(self.state)  # rather nothing than an action that nobody began
            raise

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

    path = f"{state}/{MARKER}"
    forget_entry(state)
    try:
        os.unlink(path)
        sync_directory(os.path.dirname(path))
    except FileNotFoundError:
        return
    except OSError as error:
        raise KairosError(f"the marker of the action cannot be removed: {reason(error)}", path) from error


def forget_entry(state: str) -> None:
    """GRUB makes its own choice again. A block that is none tells it nothing as it is. KairosError: the disk fails."""
    environment = f"{state}/{ENVIRONMENT}"
    try:
        found = grubenv.load(environment)
    except KairosError:
        return
    if RESUME in found or RESUMED in found:
        grubenv.save(environment, {RESUME: None, RESUMED: None})


def load(state: str) -> Begun | None:
    """What stands in the marker below *state*; None where nothing is begun. KairosError: it cannot be read: nobody guesses what was begun."""
    path = f"{state}/{MARKER}"
    found = read(path)
    if found is None:
        return None
    fields = {"action": str, "options": dict, "done": list, "started": str, "cuts": int, "failures": int, "told": list, "failed": str}
    values = {name: found[name] for name in fields if name in found}
    for name, value in values.items():
        if not isinstance(value, fields[name]):
            raise KairosError(f"the marker of the action is damaged: {name} is not what it should be", path, "remove it, and begin anew what it was")
    return Begun(**{"options": {}, **values, **{name: tuple(map(str, values.get(name, ()))) for name in ("done", "told")}})
