"""Settings of the running kernel: compared first, written in place."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record
from kairos_boot.system.descriptors import Held
from kairos_boot.system.host import Host


@record
class WriteKernel:
    """A file of /proc/sys or /sys with this value."""

    path: str
    value: str
    where: str = ""

    @property
    def subject(self) -> str:
        return self.path

    def describe(self) -> str:
        return f"set {self.path} to {self.value!r}"

    def would_change(self, host: Host) -> bool | None:
        """Whether it has another value; None on a tree that does not run. KairosError: there is no such setting, or it is one that nobody can set.

        In a network namespace Linux shows some settings of the whole machine, such as net.core.rmem_max, to be read only.
        """
        now = host.read(self.path)
        if now is None and not host.online:
            return None
        if now is None:
            raise KairosError(f"no such kernel setting: {self.path}", self.where)
        if now.decode("utf-8", "replace").split() == self.value.split():
            return False
        if not os.stat(host.path(self.path)).st_mode & 0o222:
            raise KairosError(f"cannot set {self.path} to {self.value!r}: the kernel lets nobody change it here", self.where)
        return True

    def apply(self, host: Host) -> bool:
        """Write the value unless it is there. KairosError: no such setting, or the kernel refuses the value."""
        try:
            if self.would_change(host) is False:
                return False
            with Held(os.open(host.path(self.path), os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)) as fd:
                os.write(fd, self.value.encode())
        except FileNotFoundError as error:
            raise KairosError(f"no such kernel setting: {self.path}", self.where) from error
        except OSError as error:
            raise KairosError(f"cannot set {self.path} to {self.value!r}: {reason(error)}", self.where) from error
        return True
