"""Work for a package manager: its commands, and what it has installed already (docs/reference/packages.md)."""

from __future__ import annotations

from kairos_boot.actions.run import Run
from kairos_boot.errors import KairosError
from kairos_boot.records import record, replace
from kairos_boot.system.keyvalue import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kairos_boot.system.host import Host

FAMILIES = {
    "debian": "apt", "ubuntu": "apt", "fedora": "dnf", "rocky": "dnf", "ol": "dnf", "almalinux": "dnf", "rhel": "dnf", "centos": "dnf", "openEuler": "dnf",
    "openeuler": "dnf", "amzn": "dnf", "arch": "pacman", "alpine": "apk", "opensuse-leap": "zypper", "opensuse-tumbleweed": "zypper", "opensuse": "zypper",
    "suse": "zypper", "sles": "zypper",
}
"""Package managers by ID, or a word of ID_LIKE, of os-release."""
COMMANDS: dict[str, dict[str, tuple[str, ...]]] = {
    "apt": {"refresh": ("apt-get", "-y", "update"), "upgrade": ("apt-get", "-y", "upgrade"),
            "install": ("apt-get", "-y", "--no-install-recommends", "install"), "remove": ("apt-get", "-y", "remove")},
    "apk": {"refresh": ("apk", "update"), "upgrade": ("apk", "upgrade", "--no-cache"),
            "install": ("apk", "add", "--no-cache"), "remove": ("apk", "del", "--no-cache")},
    "dnf": {"refresh": ("dnf", "makecache"), "upgrade": ("dnf", "update", "-y"),
            "install": ("dnf", "install", "-y", "--setopt=install_weak_deps=False"), "remove": ("dnf", "remove", "-y")},
    "yum": {"refresh": ("yum", "makecache"), "upgrade": ("yum", "update", "-y"), "install": ("yum", "install", "-y"), "remove": ("yum", "remove", "-y")},
    "zypper": {"refresh": ("zypper", "refresh"), "upgrade": ("zypper", "update", "-y"),
               "install": ("zypper", "install", "-y", "--no-recommends"), "remove": ("zypper", "remove", "-y")},
    "pacman": {"refresh": ("pacman", "-Sy", "--noconfirm"), "upgrade": ("pacman", "-Syu", "--noconfirm"),
               "install": ("pacman", "-S", "--noconfirm"), "remove": ("pacman", "-R", "--noconfirm")},
}
"""The words of each manager, as configurations know them."""
QUERIES = {"apt": ("dpkg-query", "-W", "-f", "${db:Status-Status}\n"), "apk": ("apk", "info", "-e"), "dnf": ("rpm", "-q"), "yum": ("rpm", "-q"),
           "zypper": ("rpm", "-q"), "pacman": ("pacman", "-Q")}
NOTHING_KNOWN = "nothing"
"""What an os-release that is not there says: so it is where documents are checked without a node."""
QUIET = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._:")


@record
class Manage:
    """One phase of *family*'s manager: refresh, upgrade, install or remove. Without a family it is the node's, when it runs.

    A refresh serves the names in *names*, if there are any, and is left out when they are all installed.
    """

    family: str
    phase: str
    names: tuple[str, ...] = ()
    timeout: float = 0
    retries: int = 0
    where: str = ""

    def describe(self) -> str:
        """The command; what has its work done already is not run."""
        return "run " + " ".join(self._words(self.family) if self.family else ("the package manager to", self.phase, *self.names))

    def _words(self, manager: str) -> tuple[str, ...]:
        return COMMANDS[manager][self.phase] + (self.names if self.phase in ("install", "remove") else ())

    def would_change(self, host: Host) -> bool | None:
        """False where every package is there, or gone; None where only the manager knows."""
        if not self.names or not self.family:
            return None
        if self.phase == "remove":
            return False if all(_installed(host, self.family, (name,), self.timeout) is False for name in self.names) else None
        return False if _installed(host, self.family, self.names, self.timeout) else None

    def apply(self, host: Host) -> bool:
        """Run it. KairosError: it failed, with its own words."""
        if not self.family:
            family, distribution = family_of(host.read)
            if not family:
                raise unknown(distribution, self.where)
            return bool(replace(self, family=family).apply(host))
        if self.would_change(host) is False:
            return False
        words = self._words(_manager(host, self.family))
        return Run(words, timeout=self.timeout, retries=self.retries, env=QUIET, where=self.where).apply(host)


def family_of(read: Callable[[str], bytes | None]) -> tuple[str, str]:
    """The package manager of the node whose files *read* gives, empty if unknown, and what its os-release says it is."""
    content = read("/etc/os-release") or read("/usr/lib/os-release") or b""
    found = values(content.decode("utf-8", "replace"))
    words = [found.get("ID", ""), *found.get("ID_LIKE", "").split()]
    return next((FAMILIES[word] for word in words if word in FAMILIES), ""), f"ID={words[0]!r}" if words[0] else NOTHING_KNOWN


def unknown(distribution: str, where: str) -> KairosError:
    return KairosError(f"unknown package manager: os-release says {distribution}", where, f"known are {', '.join(sorted(FAMILIES))}")


def _manager(host: Host, family: str) -> str:
    """The older name of dnf, where there is no dnf."""
    older = family == "dnf" and not host.exists("/usr/bin/dnf") and host.exists("/usr/bin/yum")
    return "yum" if older else family


def _installed(host: Host, family: str, names: tuple[str, ...], timeout: float) -> bool | None:
    """Whether all these packages are installed; None if a name is more than a name, or nobody can tell."""
    if not all(set(name) <= PLAIN and not name.startswith("-") for name in names):
        return None
    try:
        result = host.processes.run((*QUERIES[family], *names), timeout=timeout, env=QUIET)
    except KairosError:
        return None  # the manager itself will say what is missing
    lines = result.output.split("\n")
    if family == "apt":
        return result.code == 0 and set(filter(None, lines)) == {"installed"}
    return len(list(filter(None, lines))) == len(names) if family == "apk" else result.code == 0
