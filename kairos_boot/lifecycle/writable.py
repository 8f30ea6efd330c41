"""COS_STATE, or another place, writable for a while: within an action, or while none runs."""

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


class Remounted:
    """`with Remounted(host, place, log):` makes what is mounted at *place* writable, and leaves it as it was. KairosError: the kernel refuses.

    It takes no lock: it is for an action, which holds that of the actions itself. The *log*, else that of the process, tells when the place stays writable: what was done there is done, and is no failure.
    """

    def __init__(self, host: Host, place: str, log: Log | None = None) -> None:
        self._host, self._place = host, place
        self._log = log or Journal()
        self._changed = False

    def __enter__(self) -> None:
        """Make it writable."""
        self._changed = Remount(self._place).apply(self._host)

    def __exit__(self, *raised: object) -> None:
        """Leave it as it was."""
        if not self._changed:
            return
        try:
            Remount(self._place, writable=False).apply(self._host)
        except KairosError as error:  # somebody writes there, or has a file open that is gone
            self._log(4, f"{self._place} stays writable until the next boot: {error.message}", kind="warning")


class Writable:
    """`with Writable(host, place, about, limit):` is `Remounted` while no action runs; it holds their lock. KairosError: one still runs after *limit* seconds, or the
    kernel refuses.

    An action that began meanwhile would find the place writable, and lose that in its midst. The *log* also tells when an action has to be waited for.
    """

    def __init__(self, host: Host, place: str, about: str, limit: float, log: Log | None = None, lock: str = ACTIONS) -> None:
        self._limit = limit
        self._log = log or Journal()
        self._held = Lock(lock, about=about)
        self._remounted = Remounted(host, place, self._log)

    def __enter__(self) -> None:
        """Wait for an action that runs, and remount."""
        try:
            self._held.acquire(lambda text: self._log(6, text, kind="lock"), self._limit)
        except KairosError as error:
            raise KairosError(f"an action is running: {error.message}", error.where, "wait for it; kairos-boot status tells what it does") from error
        try:
            self._remounted.__enter__()
        except BaseException:
            self._held.release()
            raise

    def __exit__(self, *raised: object) -> None:
        """Leave it as it was."""
        try:
            self._remounted.__exit__(*raised)
        finally:
            self._held.release()


def writable_state(host: Host, about: str, limit: float, log: Log | None = None, lock: str = ACTIONS) -> Writable:
    """COS_STATE, as `Writable` makes it."""
    return Writable(host, STATE_MOUNT, about, limit, log, lock)
