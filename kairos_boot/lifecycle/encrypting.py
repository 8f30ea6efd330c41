"""`install.encrypted_partitions`: which partitions are containers, what makes and shows their key, and what a system needs that opens them."""

from __future__ import annotations

import os

from kairos_boot.actions.encryption import TERMINALS, Close, Encrypt, RecoveryKey, ShowKey
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle.phases import Phase
from kairos_boot.node.partitions import LABELS
from kairos_boot.node.sections import ENCRYPTED, unencryptable
from kairos_boot.records import record, replace
from kairos_boot.system import authenticode, luks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from kairos_boot.lifecycle.target import Target
    from kairos_boot.node.settings import Setting
    from kairos_boot.system.host import Host

INITRD, UNIT = "boot/initrd", "usr/lib/systemd/system/kairos-boot-crypt.service"
LIBRARIES = ("/libtss2-esys.so", "/libcryptsetup-token-systemd-tpm2.so")
"""Without these an initrd opens containers by the recovery key alone: somebody has to type it at each boot."""


@record
class Encryption:
    """The partitions that become containers, and their common key; where it is shown."""

    names: tuple[str, ...]
    key: RecoveryKey
    terminals: tuple[str, ...] = TERMINALS
    then: str = ""
    """What follows the installation at once: `reboot`, `poweroff`, or nothing."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is said where nobody has the time to write the key down."""
        return (f"{self.then}: the machine does not wait until somebody has read the recovery key; record its console",) if self.then else ()

    def phase(self, target: Target, again: str) -> Phase:
        """The phase that makes and opens the containers on the partitions of *target*."""
        return Phase("encrypt", "encrypt partitions", tuple(Encrypt(target.nodes[name], LABELS[name], self.key) for name in self.names), again=again)

    def hindered(self, host: Host) -> str:
        """Why this machine makes no containers; empty where it does."""
        try:
            Encrypt("", "", self.key).check(host)
            ShowKey(self.key, (), "", self.terminals).check(host)
        except KairosError as error:
            return error.message
        return ""

    def showing(self, target: Target, again: str) -> Phase:
        """The phase that shows the key."""
        return Phase("recovery-key", "show the recovery key", (ShowKey(self.key, tuple(LABELS[name] for name in self.names), target.disk, self.terminals),), again=again, notes=self.warnings)

    def closing(self, target: Target) -> tuple[Close, ...]:
        """What closes the containers again."""
        return tuple(Close(_mapper(target, name)) for name in self.names)

    def opened(self, target: Target) -> Target:
        """*target* with the content of each container in the place of its partition."""
        nodes = {**target.nodes, **{name: luks.mapped(_mapper(target, name)) for name in self.names}}
        opened: Target = replace(target, nodes=nodes)
        return opened


def asked(settings: Setting, section: Mapping[str, Any], *, image: bool, prepared: bool, terminals: tuple[str, ...], then: str) -> Encryption | None:
    """What *section*, `install` of *settings*, says; *then* follows at once. KairosError: it cannot be meant, or not done."""
    install = settings.value.get("install")
    for problem in unencryptable(install) if install is not None else ():
        raise KairosError(problem.message, problem.where, problem.hint)
    words = section.get("encrypted_partitions") or ()
    names = tuple(dict.fromkeys(ENCRYPTED[str(word)] for word in words))
    if not names:
        return None
    where = "install.encrypted_partitions"
    if image:
        raise KairosError("partitions of a disk image are not encrypted: the TPM of this machine is not the node's", where, "install the node by a live medium")
    if prepared:
        raise KairosError("partitions that are there already are not formatted (no-format), and so not encrypted", where, "leave one of the two out")
    return Encryption(names, RecoveryKey(), terminals, then)


def by_default(terminals: tuple[str, ...], then: str) -> Encryption:
    """What is asked for where a node of one signed file is made and its configuration says nothing: all that can be encrypted."""
    return Encryption(tuple(dict.fromkeys(ENCRYPTED.values())), RecoveryKey(), terminals, then)


def left_plain(encryption: Encryption | None, why: str) -> str:
    """What is said of the partitions that *encryption* leaves as they are, and *why* it does; empty where there are none."""
    within = encryption.names if encryption else ()
    plain = [LABELS[name] for name in dict.fromkeys(ENCRYPTED.values()) if name not in within]
    if not plain:
        return ""
    one = len(plain) == 1
    return f"{' and '.join(plain)} {'is' if one else 'are'} not encrypted ({why}): who has the disk reads and writes {'it' if one else 'them'}"


def must_open(host: Host, tree: str, name: str) -> None:
    """KairosError: the initrd of the system *name*, which is at *tree*, opens no containers: the node would be without its configuration, or its data."""
    _must_have_unit(host, f"{tree}/{INITRD}", None, f"/{INITRD}", name)


def must_open_signed(host: Host, program: str, name: str, *, alone: bool = False) -> None:
    """The same of the signed file *program*, whose initrd is a part of it; where nobody asked for containers it must surely open them *alone*, by the TPM."""
    path = host.path(program)
    _must_have_unit(host, path, authenticode.read(path).sections.get(".initrd", (0, 0)), "the initrd", name, alone=alone)


def _must_have_unit(host: Host, path: str, part: tuple[int, int] | None, called: str, name: str, *, alone: bool = False) -> None:
    from kairos_boot.system.initramfs import NoProgramError, names

    try:
        found = names(path, host.processes, part)
    except NoProgramError:
        if alone:
            raise
        return  # the program that packed it is not on this node
    lacking = [library for library in LIBRARIES if not any(library in path for path in found)] if alone else []
    if UNIT in found and lacking:
        raise KairosError(f"{called} of what is to become the system lacks the TPM's libraries ({', '.join(library[1:] for library in lacking)})", name)
    if UNIT not in found:
        raise KairosError(f"{called} of what is to become the system opens no encrypted partitions: it lacks {UNIT}", name,
                          "make it with dracut --add kairos-boot-crypt, in an image with cryptsetup and the TPM's libraries (libtss2)")


def _mapper(target: Target, name: str) -> str:
    return os.path.basename(target.nodes[name])
