"""Shell texts that need no shell: one well-known program with plain words, as most commands of published configurations are.

The shell would start the program and wait for it, so nothing but the shell's own start is saved: a millisecond and more of each such
command. It is so only where dash and bash would do just that; anything else, and whatever cannot be started, is the shell's. A program
that is ended by a signal is told as that, as with bash, which replaces itself; dash would make it a status.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

SHELL = ("/bin/sh", "-c")
SHELLS = ("dash", "bash")
"""Those that start what is on the PATH; busybox may have a program of its own instead."""
PROGRAMS = frozenset(("chgrp", "chmod", "chown", "cp", "install", "ln", "mkdir", "modprobe", "mount", "mv", "passwd", "rm", "rmdir", "swapoff", "swapon", "sync",
                      "systemctl", "touch", "udevadm", "umount"))
"""No word of any shell is among them, and none looks at what a shell leaves in the environment (`_`, PWD, SHLVL)."""
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,:+@%= ")
"""Characters that mean themselves, and the blank."""


def words(argv: Sequence[str]) -> tuple[str, ...]:
    """What the shell call *argv* comes to as a program and its words; empty where it is no such call, or only the shell can tell."""
    if len(argv) != 3 or tuple(argv[:2]) != SHELL or not PLAIN.issuperset(argv[2]):
        return ()
    found = tuple(argv[2].split())
    if not found or found[0] not in PROGRAMS:
        return ()
    # Looked at each time: the initrd's process goes on in another root.
    return found if os.path.basename(os.path.realpath(SHELL[0])) in SHELLS else ()
