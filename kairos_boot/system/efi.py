"""Variables of the firmware and of systemd-boot, as files of efivarfs: four bytes of attributes, then the value; texts are UTF-16 with a NUL at their end."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError, reason

DIRECTORY = "/sys/firmware/efi/efivars"
LOADER, GLOBAL = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f", "8be4df61-93ca-11d2-aa0d-00e098032b8c"
"""Whose a variable is: the boot loader's, the firmware's."""
SECURITY = "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
"""Whose the lists of keys are, db and dbx."""
X509, SHA256, X509_SHA256 = "a5c059a1-94e4-4aa7-87b5-ab155c2bf072", "c1c41626-504c-4092-aca9-41f936934328", "3bd2a492-96c0-4079-b420-fcf98ef103ed"
"""What may stand in them: a certificate, the hash of a program, that of the signed part of a certificate."""
KEPT = b"\x07\0\0\0"
"""The attributes of what outlasts a restart and is seen by the boot loader and by us: non-volatile, boot service, runtime."""
_GET_FLAGS, _SET_FLAGS, _IMMUTABLE = 0x80086601, 0x40086602, 0x10


def value(name: str, directory: str = DIRECTORY, owner: str = LOADER) -> bytes:
    """The value of a variable without its attributes; nothing where there is none."""
    try:
        with open(f"{directory}/{name}-{owner}", "rb") as file:
            return file.read()[4:]
    except OSError:
        return b""


def text(name: str, directory: str = DIRECTORY) -> str:
    """The text of a variable of the boot loader up to its first NUL, without control characters; nothing where there is none."""
    return _plain(_decoded(name, directory).partition("\0")[0])


def texts(name: str, directory: str = DIRECTORY) -> list[str]:
    """The texts of a variable that holds a list, each of which ends with a NUL."""
    return [_plain(part) for part in _decoded(name, directory).split("\0") if part]


def _decoded(name: str, directory: str) -> str:
    return value(name, directory).decode("utf-16-le", "replace")


def _plain(found: str) -> str:
    return "".join(char for char in found if char.isprintable())


def secure_boot(directory: str = DIRECTORY) -> bool:
    """Whether the firmware starts signed programs only."""
    return value("SecureBoot", directory, GLOBAL)[:1] == b"\1"


def signatures(name: str, directory: str = DIRECTORY) -> list[tuple[str, bytes]]:
    """The list `db` or `dbx`: of each entry its kind (a GUID) and its data. What is cut off ends the list."""
    found: list[tuple[str, bytes]] = []
    data, at = value(name, directory, SECURITY), 0
    while at + 28 <= len(data):
        size, head, each = (int.from_bytes(data[at + offset:at + offset + 4], "little") for offset in (16, 20, 24))
        if size < 28 + head or each <= 16 or at + size > len(data):
            break
        kind = _guid(data[at:at + 16])
        found += [(kind, data[start + 16:start + each]) for start in range(at + 28 + head, at + size - each + 1, each)]
        at += size
    return found


def _guid(raw: bytes) -> str:
    parts = (raw[3::-1], raw[5:3:-1], raw[7:5:-1], raw[8:10], raw[10:16])
    return "-".join(part.hex() for part in parts)


def write(name: str, content: str, directory: str = DIRECTORY) -> None:
    """Set a variable of the boot loader to a text, and read it back. KairosError: there are no such variables here, or the firmware refuses."""
    path = f"{directory}/{name}-{LOADER}"
    if not os.path.isdir(directory):
        raise KairosError("there are no EFI variables", directory, "they are in a node that UEFI started, where efivarfs is mounted")
    body = KEPT + f"{content}\0".encode("utf-16-le")
    try:
        _unlock(path)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            os.write(fd, body)  # the kernel hands one write to the firmware, whole
        finally:
            os.close(fd)
    except OSError as error:
        raise KairosError(f"the variable cannot be written: {reason(error)}", path, "is efivarfs mounted read-only, or the firmware's store full?") from error
    if text(name, directory) != content:
        raise KairosError("the firmware did not keep what was written", path, "restart, and try again")


def _unlock(path: str) -> None:
    """Take the flag away with which the kernel keeps variables that it does not know from being removed by chance."""
    import fcntl

    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        flags = bytearray(8)
        fcntl.ioctl(fd, _GET_FLAGS, flags)
        now = int.from_bytes(flags[:4], "little")
        if now & _IMMUTABLE:
            fcntl.ioctl(fd, _SET_FLAGS, (now & ~_IMMUTABLE).to_bytes(8, "little"))
    except OSError:
        return  # a file system without such flags; what cannot be written says so itself
    finally:
        os.close(fd)
