"""Partitions of which the content is encrypted: the container, the TPM that opens it, and the one key that people keep for the day when it does not."""

from __future__ import annotations

import os

from kairos_boot.actions.base import always
from kairos_boot.actions.partitioning import FEATURES
from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record
from kairos_boot.system import filesystems, luks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host

TERMINALS = ("/dev/tty", "/dev/console")
"""Where a key is shown: whoever gave the command, else whoever sits at the machine."""


class RecoveryKey:
    """A key that no record, no error and no description shows."""

    def __init__(self) -> None:
        self._text = luks.new_key()

    def __repr__(self) -> str:
        return "RecoveryKey(…)"

    def reveal(self) -> str:
        """The key itself."""
        return self._text


@record
class Encrypt:
    """A new container on *node*, with an empty file system in it under the same *label*; it is open afterwards. All that was there is lost."""

    node: str
    label: str
    key: RecoveryKey

    @property
    def name(self) -> str:
        """The kernel's name of the partition, which is that of the opened container, too."""
        return os.path.basename(self.node)

    def describe(self) -> str:
        """The container, and who opens it."""
        return f"encrypt {self.node}: a LUKS2 container with an ext4 {self.label}, opened by the TPM (PCR {luks.PCRS}) or by the recovery key"

    would_change = always

    def check(self, host: Host) -> None:
        """KairosError: what makes or opens a container is not there."""
        filesystems.need(host, luks.PROGRAMS)
        if not filesystems.mountable(host, "dm-crypt"):
            raise KairosError("the kernel of this system opens no containers: it has no dm-crypt", self.node, "install from a system with it, or leave encrypted_partitions out")
        luks.must_have_tpm(host)
        luks.must_measure(host)

    def apply(self, host: Host) -> bool:
        """Make it, seal it, open it, format what is in it. KairosError: a tool or the TPM refuses."""
        from kairos_boot.system.blockdev import look_again

        luks.make(host, self.node, self.label, self.key.reveal())
        luks.seal(host, self.node, self.key.reveal())
        opened = luks.attach(host, self.node, self.name, self.key.reveal())
        filesystems.make(host, opened, "ext4", self.label, features=FEATURES)
        look_again(host, [self.node, host.real(opened)])
        return True


@record
class Close:
    """The container *name* is closed, where it is open."""

    name: str

    def describe(self) -> str:
        """The container."""
        return f"close {luks.mapped(self.name)}"

    def would_change(self, host: Host) -> bool | None:
        """Whether it is open."""
        return host.exists(luks.mapped(self.name))

    def apply(self, host: Host) -> bool:
        """Close it. KairosError: it is in use."""
        if not self.would_change(host):
            return False
        luks.detach(host, self.name)
        return True


@record
class ShowKey:
    """The recovery *key* of *labels*, once, on the first of *terminals* that is there: it is written nowhere else."""

    key: RecoveryKey
    labels: tuple[str, ...]
    disk: str
    terminals: tuple[str, ...] = TERMINALS

    def describe(self) -> str:
        """That it is shown, and nothing of it."""
        return f"show the recovery key of {' and '.join(self.labels)} once, on the terminal: it is kept nowhere"

    would_change = always

    def check(self, host: Host) -> None:
        """KairosError: nobody would see it."""
        os.close(self._open(host))

    def apply(self, host: Host) -> bool:
        """Show it. KairosError: no terminal takes it; the disk is not bootable yet."""
        from kairos_boot.system.descriptors import write_all

        fd = self._open(host)
        text = (f"\nThe recovery key of {' and '.join(self.labels)} on {self.disk}. Write it down now: it is kept nowhere and not shown again.\n\n"
                f"    {self.key.reveal()}\n\nThe node asks for it when its TPM does not open these partitions.\n\n")
        try:
            write_all(fd, text.replace("\n", "\r\n").encode())
        except OSError as error:
            raise KairosError(f"the recovery key cannot be shown: {reason(error)}", self.terminals[-1]) from error
        finally:
            os.close(fd)
        return True

    def _open(self, host: Host) -> int:
        for path in self.terminals:
            try:
                return os.open(host.path(path), os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
            except OSError:
                continue
        raise KairosError("there is no terminal to show the recovery key on", " ".join(self.terminals), "install from a shell with a terminal, or with a console")
