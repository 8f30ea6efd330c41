"""What the documents are read with: the protocol of who reads for `loading`, which opens no file by itself."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    Stamp = tuple[int, int, int, int, int, int]
    """Mode, device, inode, size, time of change of the content and of the inode in nanoseconds."""

    class Reader(Protocol):
        """What the documents are read with. Paths are those of the node; links are followed inside its root."""

        @property
        def root(self) -> str:
            """The directory below which paths are looked up; `/` on the running system."""

        def stamp(self, path: str) -> Stamp:
            """What *path* is, links followed. OSError: it is not there, or cannot be seen."""

        def names(self, path: str) -> list[tuple[str, bool]]:
            """The entries of the directory *path*, each with whether it is a directory itself (a link is not). OSError."""

        def read(self, path: str) -> bytes:
            """The content of the file *path*. OSError: it cannot be read, is no regular file, or too large."""

        def pipe(self, path: str) -> bytes:
            """What comes out of the pipe *path*. OSError."""

        def fetch(self, url: str) -> bytes:
            """The body of *url*. KairosError: it cannot be had."""

        def stdin(self) -> bytes:
            """All of standard input. OSError."""

        def now(self) -> int:
            """Nanoseconds since the epoch."""

        def kept(self, path: str) -> bytes | None:
            """The record at *path*, if it is there and the running user's alone."""

        def keep(self, path: str, data: bytes) -> None:
            """Replace the record at *path* atomically, readable for the running user only; quietly nothing if that fails."""
