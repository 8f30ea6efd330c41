"""A line for whoever started the program: systemd shows it in `systemctl status` of the unit, see sd_notify(3)."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "NOTIFY_SOCKET"


def status(text: str, environment: Mapping[str, str] | None = None) -> None:
    """Say how it stands. Where nobody listens, or takes no more, it is not said."""
    path = (os.environ if environment is None else environment).get(VARIABLE, "")
    if path[:1] not in ("/", "@"):
        return
    import _socket

    try:
        socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
        try:
            socket.sendto(f"STATUS={text}".encode("utf-8", "backslashreplace"), "\0" + path[1:] if path[0] == "@" else path)
        finally:
            socket.close()
    except OSError:
        return
