"""Where people read what happens: the journal with structured fields, else plain lines on standard error (E2).

If standard error is the journal, each message goes there once, with its fields. Otherwise it is a line on standard error, and
the journal gets it beside that, also of a run by hand. No journal: nothing is lost, nothing fails.
"""

from __future__ import annotations

import os
import sys

from kairos_boot.records import NOTHING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

SOCKET = "/run/systemd/journal/socket"
IDENTIFIER = "kairos-boot"
MESSAGE_IDS = {
    "stage-start": "7c566172f73f4add84e53a0e7d4fa9db",
    "stage-end": "794209113aae408abfa036469b0fdf4c",
    "step-start": "794dd5c893e94167aabe3017b2bd35b0",
    "step-skipped": "bf41784acfe244349e356f22fb2e60ee",
    "step-end": "7d4b07915add45d38e9d298c5f26dd2c",
    "failure": "4643a2ef00734bc485a1d6d8d9e197dd",
    "problem": "60be7f3ba0d048678cc0c35c3db5f17b",
    "warning": "75ecf70ade574399b9a22db1e42055e9",
    "drift": "c9f610d98e294500a6ca47bf29c18d28",
    "drift-repaired": "7d0e4fb39ef84e0fb2363d920c3f75aa",
    "part": "6ad21eef763e4d02a3469b59e0ecf31d",
}
"""Of each event, what `journalctl MESSAGE_ID=` finds it by; explained in packaging/catalog/kairos-boot.catalog."""
LEVELS = {"error": 3, "warning": 4, "debug": 7, "trace": 7}
"""Values of LOGLEVEL; anything else means 6, info. Standard error only: the journal gets everything."""
LONGEST = 64 * 1024
"""Bytes of a message; a datagram has a limit, and a command may say anything."""
PATIENCE = 2.0
"""Seconds to wait for a journal that does not read."""


class Journal:
    """A log: call it with a priority (syslog's, 3 error to 7 debug), a text, and what it is about."""

    def __init__(self, environment: Mapping[str, str] | None = None, path: str = SOCKET, stderr: TextIO | None = None) -> None:
        environment = os.environ if environment is None else environment
        self._path = path
        self._stderr = stderr
        self._threshold = LEVELS.get(environment.get("LOGLEVEL", "").lower(), 6)
        self._captured = _is_journal(self._out(), environment.get("JOURNAL_STREAM", ""))
        self._send = _Sender(path)

    def _out(self) -> TextIO:
        return sys.stderr if self._stderr is None else self._stderr

    def __call__(self, priority: int, message: str, *, kind: str = "", stage: str = "", step: str = "", file: str = "",
                 module: str = "", more: Mapping[str, str] = NOTHING) -> None:
        """One message. *kind* is the event's name; *more* are fields of it alone, by their names without KAIROS_."""
        sent = self._send(datagram(priority, message, {
            "MESSAGE_ID": MESSAGE_IDS.get(kind, ""), "KAIROS_EVENT": kind, "KAIROS_STAGE": stage, "KAIROS_STEP": step, "KAIROS_FILE": file,
            "KAIROS_MODULE": module, **{f"KAIROS_{name}": value for name, value in more.items()}}))
        if sent and self._captured:
            return
        if priority <= self._threshold:
            self._print(f"<{priority}>" if self._captured else "", message)

    def _print(self, prefix: str, message: str) -> None:
        lines = message.rstrip("\n").split("\n")
        if not "".join(lines).isprintable():
            from kairos_boot.shown import plain

            lines = [plain(line) for line in lines]
        text = "".join(f"{prefix}{line}\n" for line in lines)
        out = self._out()
        try:
            out.write(text.encode("utf-8", "backslashreplace").decode("utf-8"))
            out.flush()
        except (OSError, ValueError):
            pass  # nobody reads; the ledger has it


class _Sender:
    """Sends datagrams to the journal's socket; gives up after the first that it does not take."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket: object = None
        self._lost = False

    def __call__(self, data: bytes) -> bool:
        """Whether the journal has it."""
        if self._lost:
            return False
        import _socket

        try:
            if not isinstance(self._socket, _socket.socket):
                self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
                self._socket.settimeout(PATIENCE)
            self._socket.sendto(data, self._path)
        except OSError:
            self._lost = True
            return False
        return True


def datagram(priority: int, message: str, fields: Mapping[str, str]) -> bytes:
    """A message in the journal's native form; a value with a line break is given with its length. Empty fields are left out."""
    parts = []
    for name, value in {"MESSAGE": message, "PRIORITY": str(priority), "SYSLOG_IDENTIFIER": IDENTIFIER, **fields}.items():
        if not value:
            continue
        data = value.encode("utf-8", "backslashreplace")
        if len(data) > LONGEST:
            middle = f" [… {len(data) - LONGEST} bytes left out …] ".encode()
            data = (data[:LONGEST // 2] + middle + data[-LONGEST // 2:]).decode("utf-8", "ignore").encode()
        if b"\n" in data:
            parts.append(name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n")
        else:
            parts.append(name.encode() + b"=" + data + b"\n")
    return b"".join(parts)


def _is_journal(stream: TextIO, named: str) -> bool:
    """Whether *stream* is the connection to the journal that JOURNAL_STREAM (`DEVICE:INODE`) names."""
    if not named:
        return False
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return named == f"{found.st_dev}:{found.st_ino}"
