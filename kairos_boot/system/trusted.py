"""Whether root may execute a file that lies where others may have put it (C12): one rule for whatever looks for programs in a directory."""

from __future__ import annotations

import os
import stat

from kairos_boot.errors import KairosError, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host


def untrusted(host: Host, path: str) -> str:
    """Why root must not execute *path*; empty: it may, by the name that `resolved` gives.

    Every directory on the way counts, that of a link and that of what it leads to, since its owner could put another file there.
    """
    try:
        real = resolved(host, path)
        for part in dict.fromkeys([*_way(resolved(host, os.path.dirname(path))), *_way(real)]):
            status = os.stat(host.path(part))
            sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
            if status.st_uid != 0:
                return f"{part} belongs to user {status.st_uid}, not to root"
            if status.st_mode & 0o022 and not (sticky and part != real):
                return f"others than root can write {part} (mode {status.st_mode & 0o7777:04o})"
    except OSError as error:
        return reason(error)
    except KairosError as error:
        return error.message
    if not stat.S_ISREG(status.st_mode):
        return "it is no file"
    return "" if status.st_mode & 0o111 else "it is not executable"


def resolved(host: Host, path: str) -> str:
    """*path* in the system of *host*, without a link on its way. KairosError: it leads nowhere."""
    return host.real(path).removeprefix("" if host.root == "/" else host.root)


def _way(path: str) -> list[str]:
    """*path* and all directories above it, the root first."""
    return [path[:at] or "/" for at in (0, *(i for i, char in enumerate(path) if char == "/" and i), len(path))]
