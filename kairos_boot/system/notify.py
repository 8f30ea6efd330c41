"""What whoever started the program is told: a line that `systemctl status` of the unit shows, and how long it may take, see sd_notify(3)."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "NOTIFY_SOCKET"


def status(text: str, environment: Mapping[str, str] | None = None) -> None:
    """Say how it stands. Where nobody listens, or takes no more, it is not said."""
    _send(f"STATUS={text}", os.environ if environment is None else environment)


def extend(seconds: float, environment: Mapping[str, str] | None = None) -> None:
    """Ask for so much time from now on, whatever limit the unit has."""
    _send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}", os.environ if environment is None else environment)


def _send(text: str, environment: Mapping[str, str]) -> None:
    path = environment.get(VARIABLE, "")
    if path[:1] not in ("/", "@"):
        return
    import _socket

    try:
        socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
        try:
            socket.sendto(text.encode("utf-8", "backslashreplace"), "\0" + path[1:] if path[0] == "@" else path)
        finally:
            socket.close()
    except OSError:
        return
