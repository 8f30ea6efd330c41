"""Package versions held by the package manager (docs/reference/package_pins.md). Entries of other packages stay."""

from __future__ import annotations

from kairos_boot.actions.base import Note
from kairos_boot.actions.edit import EditFile
from kairos_boot.actions.files import Owner, WriteFile
from kairos_boot.actions.run import Run
from kairos_boot.errors import KairosError
from kairos_boot.records import NOTHING, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kairos_boot.system.host import Host

APT = "/etc/apt/preferences.d/99-yip-pins"
APK = "/etc/apk/world"
DNF_CONF, DNF_LIST = "/etc/dnf/plugins/versionlock.conf", "/etc/dnf/plugins/versionlock.list"
ZYPPER = "/etc/zypp/locks"
PLAIN = {"LC_ALL": "C"}


def apt_preferences(pins: Mapping[str, str]) -> bytes:
    """The whole preferences file: pins above what is installed, so that a downgrade is one."""
    head = "# Pins of the cloud-config key package_pins, written by kairos-boot: edits do not stay.\n\n"
    return (head + "".join(f"Package: {name}\nPin: version {pins[name]}\nPin-Priority: 1001\n\n" for name in sorted(pins))).encode()


@record
class NoPins(Note):
    """The warning of a node that does not say what it is: none where a document is checked, since no node is asked there."""


@record
class PinWorld(EditFile):
    """Alpine's list of wanted packages gives these versions; what else is wanted stays wanted."""

    pins: Mapping[str, str] = NOTHING

    def describe(self) -> str:
        return f"pin {_shown(self.pins)} in {self.path}"

    def edit(self, old: bytes | None) -> bytes:
        words = (old or b"").decode("utf-8", "surrogateescape").split()
        todo = dict(sorted(self.pins.items()))
        new = []
        for word in words:
            name = _until(word, "=<>~@")
            if name not in self.pins:
                new.append(word)
            elif name in todo:
                new.append(f"{name}={todo.pop(name)}")
        new += [f"{name}={version}" for name, version in todo.items()]
        return old if old is not None and new == words else "".join(f"{word}\n" for word in new).encode("utf-8", "surrogateescape")


@record
class LockDnf:
    """dnf's list of version locks has an entry for each pin: the newest package that fits, else a pattern."""

    pins: Mapping[str, str] = NOTHING
    timeout: float = 0
    where: str = ""

    def describe(self) -> str:
        return f"lock {_shown(self.pins)} in {DNF_LIST}"

    def would_change(self, host: Host) -> bool | None:
        lines = self._lines(host)
        return not all(any(_fits(line, name, version) for line in lines) for name, version in self.pins.items())

    def _lines(self, host: Host) -> list[str]:
        return (host.read(DNF_LIST) or b"").decode("utf-8", "surrogateescape").splitlines()

    def apply(self, host: Host) -> bool:
        lines = self._lines(host)
        for name, version in sorted(self.pins.items()):
            if not any(_fits(line, name, version) for line in lines):
                lines = [line for line in lines if _name(line) != name] + [self._newest(host, name, version)]
        content = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
        return WriteFile(DNF_LIST, content, owner=Owner(), parent_mode=0o755, where=self.where).apply(host) if self.would_change(host) else False

    def _newest(self, host: Host, name: str, version: str) -> str:
        argv = ("dnf", "-q", "repoquery", "--qf", "%{name}-%{epoch}:%{version}-%{release}.%{arch}\n", f"{name}-{version}*")
        output = host.processes.run(argv, timeout=self.timeout, env=PLAIN).output
        return next((line.strip() for line in output.splitlines() if _fits(line.strip(), name, version)), f"{name}-{version}*")


@record
class LockZypper:
    """zypper holds one package."""

    name: str
    version: str
    timeout: float = 0
    where: str = ""

    def describe(self) -> str:
        return f"run zypper --non-interactive addlock {self.name}={self.version}"

    def would_change(self, host: Host) -> bool | None:
        for lock in (host.read(ZYPPER) or b"").decode("utf-8", "replace").split("\n\n"):
            fields = dict(line.partition(":")[::2] for line in lock.splitlines())
            if fields.get("solvable_name", "").strip() == self.name and self.version in fields.get("version", self.version):
                return False
        return True

    def apply(self, host: Host) -> bool:
        """Lock this version; a zypper that knows no versions locks the package. KairosError: neither."""
        if not self.would_change(host):
            return False
        command = ("zypper", "--non-interactive", "addlock")
        try:
            return Run((*command, f"{self.name}={self.version}"), timeout=self.timeout, env=PLAIN, where=self.where).apply(host)
        except KairosError:
            return Run((*command, self.name), timeout=self.timeout, env=PLAIN, where=self.where).apply(host)


def _shown(pins: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={pins[name]}" for name in sorted(pins))


def _until(text: str, stops: str) -> str:
    return text[:min((text.index(stop) for stop in stops if stop in text), default=len(text))]


def _fits(line: str, name: str, version: str) -> bool:
    """Whether a lock is one of *name* in *version*, with or without its epoch."""
    if not line.startswith(f"{name}-"):
        return False
    rest = line[len(name) + 1:]
    epoch, colon, after = rest.partition(":")
    return (after if colon and epoch.isdigit() else rest).startswith(version)


def _name(line: str) -> str:
    """The package of a lock: name-epoch:version-release.arch, or name-version* as written here."""
    parts = line.strip().removeprefix("!").rsplit("-", 2)
    if len(parts) == 3 and parts[1][:1].isdigit():
        return parts[0]
    head, _, version = line.strip().removeprefix("!").rpartition("-")
    return head if version[:1].isdigit() else ""
