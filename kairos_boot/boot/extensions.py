"""System extensions of a boot: those that the node's owner enabled for it are linked where systemd-sysext and systemd-confext look."""

from __future__ import annotations

import os

from kairos_boot.boot.state import ACTIVE, PASSIVE, RECOVERY
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kairos_boot.system.host import Host

COMMON = "common"
STATES = (ACTIVE, PASSIVE, RECOVERY, COMMON)
"""The boots that an extension can be enabled for; a directory of links for each."""
SUFFIX = ".raw"


@record
class Kind:
    """What systemd merges: `sysext` into /usr and /opt, `confext` into /etc."""

    name: str
    store: str
    """Where the images lie; those of a boot are links in a directory below it."""
    run: str
    """Where systemd finds those of this boot."""
    releases: str
    """The directory in an image that says which systems it is for."""
    note: str
    """What systemd calls the list of what it merged, in each directory that it merged something into."""

    @property
    def program(self) -> str:
        """The program that merges them, and its unit without the ending."""
        return f"systemd-{self.name}"


SYSEXT = Kind("sysext", "/var/lib/kairos/extensions", "/run/extensions", "usr/lib/extension-release.d", "extensions")
CONFEXT = Kind("confext", "/var/lib/kairos/confexts", "/run/confexts", "etc/extension-release.d", "confexts")


def link(root: Host, mode: str, warn: Callable[[str], None], run: str = "") -> list[str]:
    """Link what is enabled in *root* for the boot *mode*, and for every boot; the links. What cannot be merged is told by *warn*.

    /run outlives the switch to *root*, so a link leads to where the image will be then. *run* stands before the places of the links.
    """
    made: list[str] = []
    for kind in (SYSEXT, CONFEXT):
        for state in (mode, COMMON):
            for name in _names(root, f"{kind.store}/{state}", warn):
                path, new = f"{kind.store}/{state}/{name}", f"{run}{kind.run}/{name}"
                if not os.path.isfile(root.path(path)):
                    warn(f"{path}: the {kind.name} is not there, and is not merged: install it again, or kairos-boot {kind.name} disable {name} --{state}")
                elif new not in made:
                    made += _link(path, new, warn)
    return made


def _names(root: Host, directory: str, warn: Callable[[str], None]) -> list[str]:
    try:
        found = os.listdir(root.path(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []  # as on almost every node
    except OSError as error:
        warn(f"{directory}: its extensions are not merged: {error.strerror}")
        return []
    return sorted(name for name in found if name.endswith(SUFFIX) and not name.startswith("."))


def _link(path: str, new: str, warn: Callable[[str], None]) -> list[str]:
    try:
        os.makedirs(os.path.dirname(new), 0o755, exist_ok=True)
        os.symlink(path, new)
    except OSError as error:
        warn(f"{new}: {path} is not merged: {error.strerror}")
        return []
    return [new]
