"""COS_STATE, or another place, writable for a moment, besides the actions: none of them begins or ends meanwhile."""

from __future__ import annotations

from kairos_boot.actions.filesystem import Remount
from kairos_boot.errors import KairosError
from kairos_boot.node.state import STATE_MOUNT
from kairos_boot.system.journal import Journal
from kairos_boot.system.lock import ACTIONS, Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kairos_boot.stages.runner import Log
    from kairos_boot.system.host import Host


def writable_state(host: Host, about: str, limit: float, log: Log | None = None, lock: str = ACTIONS) -> Iterator[None]:
    """Make COS_STATE writable, as `writable` does."""
    yield from writable(host, STATE_MOUNT, about, limit, log, lock)


def writable(host: Host, place: str, about: str, limit: float, log: Log | None = None, lock: str = ACTIONS) -> Iterator[None]:
    """Make what is mounted at *place* writable, and leave it as it was. For `contextlib.contextmanager`. KairosError: an action still runs after *limit*
    seconds, or the kernel refuses.

    An action that began meanwhile would find it writable, and lose that in its midst. The *log*, else that of the process, tells when it has to be waited
    for, and when the place stays writable: what was done there is done, and is no failure.
    """
    log = log or Journal()
    held = Lock(lock, about=about)
    try:
        held.acquire(lambda text: log(6, text, kind="lock"), limit)
    except KairosError as error:
        raise KairosError(f"an action is running: {error.message}", error.where, "wait for it; kairos-boot status tells what it does") from error
    try:
        changed = Remount(place).apply(host)
        try:
            yield
        finally:
            if changed:
                _read_only_again(host, place, log)
    finally:
        held.release()


def _read_only_again(host: Host, place: str, log: Log) -> None:
    try:
        Remount(place, writable=False).apply(host)
    except KairosError as error:  # somebody writes there, or has a file open that is gone
        log(4, f"{error.where} stays writable until the next boot: {error.message}", kind="warning")
