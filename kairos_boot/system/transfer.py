"""Large bodies: streamed to where they belong, and resumed where the server vouches for it (B4, docs/reference/downloads.md)."""

from __future__ import annotations

import time

from kairos_boot.errors import KairosError
from kairos_boot.shown import shown
from kairos_boot.system.http import TIMEOUT, TRIES, Clock, DiskError, HttpRequest, TransferError, tried

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from kairos_boot.system.http import Answer

    class Sink(Protocol):
        """Takes a body, perhaps in parts."""

        def begin(self, answer: Answer) -> None:
            """The first good answer is there; called once. KairosError: there is no place for it."""

        def have(self) -> int:
            """Bytes of the body that it has."""

        def room(self) -> int:
            """Bytes that there is room for."""

        def reset(self) -> None:
            """Forget them: the body begins anew."""

        def write(self, data: bytes) -> None:
            """Take more. OSError: the disk refuses. TransferError: the body has to be sent again."""


def download(url: str, sink: Sink, *, timeout: float | None = None, tries: int = TRIES, pause: Callable[[float], None] = time.sleep) -> Answer:
    """Stream the body at *url* into *sink* and return the answer.

    A transfer that breaks off is resumed where the server vouches, by a strong ETag, that the rest belongs to the same content, and
    begun again where not. *timeout* is for a whole try, 0 is none; None: 30 s until the body begins, which then has to keep moving.
    KairosError: as `fetch`, or no room.
    """
    tag = ""
    begun = False

    def once() -> Answer:
        nonlocal tag, begun
        have = sink.have() if begun else 0
        headers = {"Range": f"bytes={have}-", "If-Range": tag} if have and tag else {}
        with HttpRequest(url, headers, Clock(TIMEOUT if timeout is None else timeout, moving=timeout is None)) as http:
            answer = http.answer
            if not begun:
                sink.begin(answer)
                begun = True
            if http.status == 206 and not (tag and _continues(answer, have, tag)):
                tag = ""
                sink.reset()
                raise TransferError("the server sent another part than asked for")
            if http.status != 206:
                sink.reset()
                tag = _strong_tag(answer)
            length = answer.headers.get("content-length", "")
            if length.isdecimal() and int(length) > sink.room():
                raise KairosError(f"{shown(url)}: no room for {int(length)} bytes", hint="free some space, or choose another path")
            for data in http.blocks():
                _write(sink, data)
        return answer

    return tried(url, once, tries, pause)


def _write(sink: Sink, data: bytes) -> None:
    try:
        sink.write(data)
    except OSError as error:
        raise DiskError(error.errno, error.strerror) from error


def _strong_tag(answer: Answer) -> str:
    tag = answer.headers.get("etag", "")
    return tag if tag.startswith('"') and answer.headers.get("accept-ranges", "").lower() == "bytes" else ""


def _continues(answer: Answer, have: int, tag: str) -> bool:
    given = answer.headers.get("content-range", "").lower().removeprefix("bytes").strip()
    return have > 0 and given.startswith(f"{have}-") and answer.headers.get("etag", tag) == tag
