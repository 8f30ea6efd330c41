"""The processes that this one descends from: what is known of it where a step took the variables away that would tell."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

VERB = b"run-stage"


def ancestors() -> Iterator[int]:
    """The process ids, the nearest first. Who lost its parent has that which took its place."""
    pid = os.getppid()
    while pid > 0:
        yield pid
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                pid = int(file.read().rsplit(b")", 1)[1].split()[1])
        except (OSError, IndexError, ValueError):
            return


def called_alike() -> bool:
    """Whether an ancestor is this program, called to run the same stage with the same words."""
    own = _call("self")
    return bool(own) and any(_call(str(pid)) == own for pid in ancestors())


def _call(process: str) -> tuple[str, ...]:
    """The interpreter and the words of the verb; nothing of another program, be it one that starts this one, such as timeout(1)."""
    try:
        with open(f"/proc/{process}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
        return (os.readlink(f"/proc/{process}/exe"), *map(os.fsdecode, words[words.index(VERB):]))
    except (OSError, ValueError):
        return ()
