"""What an action is, what it tells, and the two that do nothing."""

from __future__ import annotations

from kairos_boot.errors import KairosError
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from kairos_boot.system.host import Host

    class Action(Protocol):
        """One change of a node.

        One that says how something is to be from now on has a `subject`, too: what it has the last word on (a path, `user x`, `unit x`). What that is
        later is compared with it (drift); of two actions about one thing the later counts.
        """

        def describe(self) -> str:
            """One line for people: a verb and its object, without secrets (C5)."""

        def would_change(self, host: Host) -> bool | None:
            """Whether `apply` would change something; None where only doing it tells (a command)."""

        def apply(self, host: Host) -> Effect:
            """Make the node so; True if something changed. KairosError: it could not be done, the node is as it was."""


def untold(_action: object, _host: Host) -> bool | None:
    """Only doing it tells: `would_change = untold` of an action."""
    return None


def always(_action: object, _host: Host) -> bool | None:
    """It is done each time."""
    return True


def never(_action: object, _host: Host) -> bool | None:
    """It changes nothing by itself."""
    return False


@record
class Told:
    """What an action has to tell its plan besides whether something *changed*, which it counts as; *note* is for the record, without secrets."""

    changed: bool = False
    note: str = ""

    def __bool__(self) -> bool:
        return self.changed


if TYPE_CHECKING:
    Effect = bool | Told
    """What `apply` gives."""


@record
class Invalid:
    """An item of a document that is wrong: it fails when its turn comes, with its place, and the later items are done."""

    where: str
    message: str
    hint: str = ""

    def describe(self) -> str:
        return str(self._error())

    would_change = untold

    def apply(self, host: Host) -> bool:  # noqa: ARG002
        raise self._error()

    def _error(self) -> KairosError:
        return KairosError(self.message, self.where, self.hint)


@record
class Note:
    """Something worth a warning, or, if it is *quiet*, a word: it is recorded, and nothing fails."""

    where: str
    message: str
    hint: str = ""
    quiet: bool = False

    def describe(self) -> str:
        return str(KairosError(self.message, self.where, self.hint))

    would_change = never

    def apply(self, host: Host) -> bool:  # noqa: ARG002
        return False
