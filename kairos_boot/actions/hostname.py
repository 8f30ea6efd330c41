"""The node's name: the kernel's, and its line in /etc/hosts."""

from __future__ import annotations

import os

from kairos_boot.actions.edit import EditFile
from kairos_boot.errors import KairosError
from kairos_boot.records import record
from kairos_boot.system.host import Host


@record
class SetHostname:
    """The name that the running kernel gives; a tree that does not run has none."""

    name: str
    where: str = ""

    subject = "host name"

    def describe(self) -> str:
        return f"set the host name to {self.name}"

    def would_change(self, host: Host) -> bool | None:
        return os.uname().nodename != self.name if host.online else None

    def apply(self, host: Host) -> bool:
        """Tell the kernel, unless it knows. KairosError: it refuses."""
        if not self.would_change(host):
            return False
        from _socket import sethostname  # `socket` imports enum and selectors

        try:
            sethostname(self.name)
        except OSError as error:
            raise KairosError(f"cannot set the host name to {self.name}: {error.strerror}", self.where) from error
        return True


@record
class NameLoopback(EditFile):
    """Every line of 127.0.0.1 in /etc/hosts gives `localhost` and this name; other lines stay, none is added (docs/reference/hostname.md)."""

    name: str = ""

    def describe(self) -> str:
        return f"name 127.0.0.1 {self.name} in {self.path}"

    def edit(self, old: bytes | None) -> bytes:
        """The file with these lines replaced. KairosError: there is no file."""
        if old is None:
            raise KairosError(f"no such file: {self.path}", self.where, "make it with `files` if names are to be found in it")
        mine = f"127.0.0.1 localhost {self.name}".encode()
        lines = [mine if line.split()[:1] == [b"127.0.0.1"] else line for line in old.removesuffix(b"\n").split(b"\n")]
        return b"\n".join(lines) + b"\n" if old else old


@record
class NameNode(EditFile):
    """A line of 127.0.1.1 in /etc/hosts gives the node's names: `manage_etc_hosts` of a #cloud-config document (B12)."""

    names: tuple[str, ...] = ()

    def describe(self) -> str:
        return f"name 127.0.1.1 {' '.join(self.names)} in {self.path}"

    def edit(self, old: bytes | None) -> bytes:
        """The file with that line changed, or added behind those of 127.0.0.1; a new one has localhost, too."""
        mine = b"127.0.1.1 " + " ".join(self.names).encode()
        if old is None:
            return b"127.0.0.1 localhost\n" + mine + b"\n::1 localhost ip6-localhost ip6-loopback\n"
        lines = old.removesuffix(b"\n").split(b"\n") if old else []
        words = [line.split(b"#")[0].split() for line in lines]
        present = [number for number, found in enumerate(words) if found[:1] == [b"127.0.1.1"]]
        if any(words[number][1:] == mine.split()[1:] for number in present):
            return old
        if present:
            lines[present[0]] = mine
        else:
            local = [number for number, found in enumerate(words) if found[:1] == [b"127.0.0.1"]]
            lines.insert(local[-1] + 1 if local else len(lines), mine)
        return b"\n".join(lines) + b"\n"
