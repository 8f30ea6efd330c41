"""Who may enter and become root: a setting of the ssh server, and the directory of sudo's rules (B12)."""

from __future__ import annotations

from kairos_boot.actions.base import never
from kairos_boot.actions.edit import EditFile
from kairos_boot.actions.files import Owner, WriteFile
from kairos_boot.actions.units import BOOTED, ask
from kairos_boot.errors import KairosError
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kairos_boot.system.host import Host

DROP_INS = "/etc/ssh/sshd_config.d"
OURS = f"{DROP_INS}/00-cloud-init.conf"
"""Sorted first: the server keeps the first value that it reads."""
SERVERS = ("ss[h].service", "ssh[d].service")
"""Patterns, which stand for loaded units only: what does not run is not named as missing."""
DEEPEST = 16
"""So deep may files of the server be included, as the server has it: beyond that it does not start."""
RULES = "/etc/sudoers.d"


@record
class ServerSetting:
    """*keyword* of sshd_config(5) has *value* for everybody: the line that counts is changed, or a drop-in written."""

    MAIN = ("/etc/ssh/sshd_config", "/usr/etc/ssh/sshd_config")
    """The file that the server reads first; the second is the vendor's, which stays as it is."""

    keyword: str
    value: str
    where: str = ""

    def describe(self) -> str:
        return f"set {self.keyword} {self.value} of the ssh server"

    def would_change(self, host: Host) -> bool | None:
        return self._write(host) is not None

    def apply(self, host: Host) -> bool:
        """Change the line, or write the drop-in. KairosError: a file that cannot be changed comes before it."""
        write = self._write(host)
        return write is not None and write.apply(host)

    def _write(self, host: Host) -> WriteFile | None:
        main = next((path for path in self.MAIN if host.exists(path)), self.MAIN[0])
        lines = _lines(host, main)
        for path, number, words in self._global(host, main, lines):
            if words[0].lower() == "include":
                if path == main and f"{DROP_INS}/*.conf" in words[1:] and not host.exists(OURS):
                    return self._drop_in()
            elif words[1:2] == [self.value]:
                return None
            elif path == OURS:
                return self._drop_in()
            elif path == main and path == self.MAIN[0]:
                lines[number] = f"{self.keyword} {self.value}"
                return WriteFile(path, "\n".join(lines).encode("utf-8", "surrogateescape"), owner=Owner(), where=self.where)
            else:
                raise KairosError(f"{path}:{number + 1} sets {self.keyword} before anything that could be changed here", self.where, "change the image's file")
        if main != self.MAIN[0]:
            return self._drop_in()
        end = next((number for number, line in enumerate(lines) if line.split()[:1] and line.split()[0].lower() == "match"), None)
        text = f"{self.keyword} {self.value}"
        if end is None:
            lines[len(lines) - (lines[-1:] == [""]):] = [text, ""]
        else:
            lines.insert(end, text)
        return WriteFile(main, "\n".join(lines).encode("utf-8", "surrogateescape"), owner=Owner(), where=self.where)

    def _drop_in(self) -> WriteFile:
        return WriteFile(OURS, f"{self.keyword} {self.value}\n".encode(), 0o600, Owner(0, 0), 0o755, where=self.where)

    def _global(self, host: Host, path: str, lines: list[str], depth: int = 0) -> Iterator[tuple[str, int, list[str]]]:
        """File, line from 0 and words of each line of the keyword or of `Include` that holds for everybody, in the order in which they are read."""
        if depth > DEEPEST:
            raise KairosError(f"{path} is included more than {DEEPEST} files deep, and the server does not read that", self.where, "does a file include itself?")
        for number, line in enumerate(lines):
            words = [word.strip('"') for word in line.replace("=", " ", 1).split()]
            first = words[0].lower() if words else ""
            if first == "match":
                return
            if first == self.keyword.lower():
                yield path, number, words
            elif first == "include":
                yield path, number, words
                for pattern in words[1:]:
                    for below in _found(host, pattern):
                        yield from self._global(host, below, _lines(host, below), depth + 1)


def _found(host: Host, pattern: str) -> list[str]:
    """The files that an `Include` names, in their order."""
    from fnmatch import fnmatchcase
    from os import listdir

    directory, _, name = (pattern if pattern.startswith("/") else f"/etc/ssh/{pattern}").rpartition("/")
    try:
        return [f"{directory}/{each}" for each in sorted(listdir(host.path(directory))) if fnmatchcase(each, name)]
    except OSError:
        return []


def _lines(host: Host, path: str) -> list[str]:
    return (host.read(path) or b"").decode("utf-8", "surrogateescape").split("\n")


@record
class ReloadServer:
    """A running ssh server reads its configuration again, which was changed. It is not waited for (C11)."""

    timeout: float = 0
    where: str = ""

    def describe(self) -> str:
        return "let a running ssh server read its setting"

    would_change = never

    def apply(self, host: Host) -> bool:
        if not host.exists(BOOTED):
            return False
        ask(host, ("systemctl", "--no-block", "try-reload-or-restart", *SERVERS), self.timeout, self.where)
        return True


@record
class IncludeRules(EditFile):
    """A main file of sudo that does not read /etc/sudoers.d does so afterwards; where there is none, none is made."""

    def describe(self) -> str:
        return f"let {self.path} read {RULES}"

    def _needed(self, host: Host) -> bool:
        old = host.read(self.path)
        if old is None:
            return False
        return not any(line.split() in ([b"#includedir", RULES.encode()], [b"@includedir", RULES.encode()]) for line in old.split(b"\n"))

    def edit(self, old: bytes | None) -> bytes:
        text = old or b""
        return text + (b"" if text.endswith(b"\n") or not text else b"\n") + f"@includedir {RULES}\n".encode()

    def would_change(self, host: Host) -> bool | None:
        return self._needed(host)

    def apply(self, host: Host) -> bool:
        return self._needed(host) and EditFile.apply(self, host)
