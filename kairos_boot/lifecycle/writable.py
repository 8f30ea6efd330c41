"""COS_STATE, or another place, writable for a moment, besides the actions: none of them begins or ends meanwhile."""

from __future__ import annotations

from kairos_boot.actions.filesystem import Remount
from kairos_boot.errors import KairosError
from kairos_boot.node.mode import STATE_MOUNT
from kairos_boot.system.journal import Journal
from kairos_boot.system.lock import ACTIONS, Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.stages.runner import Log
    from kairos_boot.system.host import Host


class Writable:
    """`with Writable(host, place, about, limit):` makes what is mounted at *place* writable, and leaves it as it was. KairosError: an action still runs after
    *limit* seconds, or the kernel refuses.

    An action that began meanwhile would find it writable, and lose that in its midst. The *log*, else that of the process, tells when it has to be waited
    for, and when the place stays writable: what was done there is done, and is no failure.
    """

    def __init__(self, host: Host, place: str, about: str, limit: float, log: Log | None = None, lock: str = ACTIONS) -> None:
        self._host, self._place, self._limit = host, place, limit
        self._log = log or Journal()
        self._held = Lock(lock, about=about)
        self._changed = False

    def __enter__(self) -> None:
        """Wait for an action that runs, and remount."""
        try:
            self._held.acquire(lambda text: self._log(6, text, kind="lock"), self._limit)
        except KairosError as error:
            raise KairosError(f"an action is running: {error.message}", error.where, "wait for it; kairos-boot status tells what it does") from error
        try:
            self._changed = Remount(self._place).apply(self._host)
        except BaseException:
            self._held.release()
            raise

    def __exit__(self, *raised: object) -> None:
        """Leave it as it was."""
        try:
            if self._changed:
                self._read_only_again()
        finally:
            self._held.release()

    def _read_only_again(self) -> None:
        try:
            Remount(self._place, writable=False).apply(self._host)
        except KairosError as error:  # somebody writes there, or has a file open that is gone
            self._log(4, f"{error.where} stays writable until the next boot: {error.message}", kind="warning")


def writable_state(host: Host, about: str, limit: float, log: Log | None = None, lock: str = ACTIONS) -> Writable:
    """COS_STATE, as `Writable` makes it."""
    return Writable(host, STATE_MOUNT, about, limit, log, lock)
