"""What the checks of doctor look at."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kairos_boot.cloudconfig.model import Document, Problem
    from kairos_boot.system.host import Host

    Fault = tuple[str, str, str, str]
    """Severity, place, what is wrong, what to do."""

PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


class Examined:
    """What checks look at: the system below the root of *host*, its *documents* and what is wrong with them.

    *packed* tells the names in an initrd, *speaks* is what the shell says of a text that is none (nothing: it is one); *runs* says that the system is this one.
    """

    def __init__(self, host: Host, documents: Sequence[Document], problems: Sequence[Problem], packed: Callable[[str], set[str]],
                 speaks: Callable[[str], str], *, runs: bool) -> None:
        self.host, self.documents, self.problems = host, documents, problems
        self.packed, self.speaks, self.runs = packed, speaks, runs

    def text(self, path: str) -> str:
        """The content of a text file; empty where there is none that can be read."""
        try:
            return (self.host.read(path) or b"").decode("utf-8", "replace")
        except (OSError, KairosError):
            return ""

    def names(self, path: str) -> list[str]:
        """What is in a directory; nothing where there is none."""
        try:
            return sorted(os.listdir(self.host.path(path)))
        except (OSError, KairosError):
            return []

    def status(self, path: str) -> os.stat_result | None:
        """That of what *path* leads to, inside of the root."""
        try:
            return os.stat(self.host.path(path))
        except (OSError, KairosError):
            return None

    def link(self, path: str) -> str:
        """Where the link *path* points, as it is written; empty where there is none."""
        try:
            return os.readlink(self.host.entry(path))
        except (OSError, KairosError):
            return ""

    def program(self, name: str) -> str:
        """Where the program *name*, a path or a word of the PATH, lies; empty: it cannot be run."""
        for path in (name,) if "/" in name else [f"{directory}/{name}" for directory in PATH]:
            status = self.status(path)
            if status and status.st_mode & 0o111 and status.st_mode & 0o170000 == 0o100000:
                return path
        return ""
