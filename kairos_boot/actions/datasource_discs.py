"""Media with user data: NoCloud (label `cidata`) and config-drive (label `config-2`), mounted read-only where nobody else looks."""

from __future__ import annotations

import errno
import os
import stat

from kairos_boot.actions.datasource_found import LIMIT, AbsentError, Found
from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kairos_boot.actions.datasource_found import Deadline
    from kairos_boot.system.host import Host

OPTIONS = ("ro", "nosuid", "nodev", "noexec")
NEVER = ("loop", "ram", "zram", "fd")
"""Block devices that no medium of a provider is; looking at a floppy drive takes seconds."""
UNKNOWN = ("iso9660", "udf", "vfat")
"""What is tried on an optical disc whose content libblkid finds ambiguous (iso9660 and udf on one disc)."""
ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


@record
class Medium:
    """What a provider's medium is called, and where on it things are."""

    label: str
    userdata: tuple[str, ...]
    metadata: str


MEDIA = {
    "cdrom": Medium("cidata", ("user-data", "config"), "meta-data"),
    "config-drive": Medium("config-2", ("openstack/latest/user_data",), "openstack/latest/meta_data.json"),
}


def look(medium: Medium, provider: str, host: Host, deadline: Deadline) -> Found:
    """What the first device that carries *medium* with user data has, else the first with metadata.

    AbsentError: there is no medium. KairosError: there is one, and it cannot be used.
    """
    best, faults, seen = Found(provider), [], "no medium"
    for node, fstypes, ours in _devices(medium, host):
        if not deadline.left():
            seen = "the time for all providers is over"
            break
        seen, found = "nothing on it", Found(provider)
        try:
            _read_device(medium, found, host, node, fstypes)
        except KairosError as error:
            found.faults.append(error.message)
        except OSError as error:
            found.faults.append(f"it cannot be read: {reason(error)}")
        if ours or found:  # any other disc in a drive is nobody's fault
            faults += [f"{node}: {fault}" for fault in found.faults]
        if found and not best:
            best = found
        if found.userdata:
            best = found
            break
    if not best:
        raise KairosError("; ".join(faults)) if faults else AbsentError(seen)
    best.faults = faults
    return best


def _devices(medium: Medium, host: Host) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """The devices to look at, their file systems, whether they bear the label: those that do, then every other optical disc."""
    from kairos_boot.system.blkid import probe

    try:
        names = sorted(name for name in os.listdir(host.path("/sys/class/block")) if not name.startswith(NEVER))
    except OSError:
        return
    discs: list[tuple[str, tuple[str, ...], bool]] = []
    for name in names:
        node = f"/dev/{name.replace('!', '/')}"
        optical = name.startswith("sr") and name[2:].isdecimal()
        try:
            content = probe(host.path(node))
        except KairosError:
            if optical and _has_medium(host.path(node)):
                discs.append((node, UNKNOWN, False))
            continue
        labels = (content.label.lower(), content.boot_label.lower())  # some tools name a FAT file system in its first sector only
        if medium.label in labels and content.fstype:
            yield node, (content.fstype,), True
        elif optical and content.fstype:
            discs.append((node, (content.fstype,), False))
    yield from discs


def _has_medium(node: str) -> bool:
    try:
        os.close(os.open(node, os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _read_device(medium: Medium, found: Found, host: Host, node: str, fstypes: tuple[str, ...]) -> None:
    """Mount the device, read, and take everything away again."""
    from kairos_boot.system.mounts import mount, unmount
    from kairos_boot.system.private import DIRECTORY, private_directory

    base = host.path(DIRECTORY)
    private_directory(base)
    directory = f"{base}/medium-{os.urandom(8).hex()}"
    os.mkdir(directory, 0o700)
    try:
        for position, fstype in enumerate(fstypes):
            try:
                mount(host.path(node), directory, fstype, OPTIONS)
                break
            except OSError:
                if position == len(fstypes) - 1:
                    raise
        try:
            _read_tree(medium, found, directory)
        finally:
            unmount(directory, detach=True)
    finally:
        os.rmdir(directory)


def _read_tree(medium: Medium, found: Found, directory: str) -> None:
    for name in medium.userdata:
        content = _read(directory, name)
        if content is not None:
            found.userdata = content
            break
    text = _read(directory, medium.metadata)
    if text:
        try:
            _take_metadata(found, text)
        except KairosError as error:
            found.faults.append(f"{medium.metadata}: {error.message}")


def _take_metadata(found: Found, text: bytes) -> None:
    """Name and keys out of a NoCloud `meta-data` (YAML) or an OpenStack `meta_data.json`."""
    from kairos_boot.system.plainyaml import load

    document = load(text)
    if document is None:
        return
    if not isinstance(document, dict):
        raise KairosError("it is no map of names and values")
    name = document.get("local-hostname") or document.get("hostname")
    if isinstance(name, str) and name:
        found.take_hostname(name.encode())
    found.take_keys(_keys(document.get("public-keys") or document.get("public_keys")))


def _keys(value: object) -> list[str]:
    """Keys as services write them: a text, a list of texts, or a map of names to either."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [key for item in value for key in _keys(item)] if isinstance(value, list) else []


def _read(directory: str, name: str) -> bytes | None:
    """A file of the medium, links followed inside it only; None where there is none. KairosError: no plain file, or too large."""
    from kairos_boot.system.host import Host

    try:
        fd = os.open(Host(directory).path(f"/{name}"), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in ABSENT:
            return None
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise KairosError(f"{name} is not a plain file")
    with open(fd, "rb") as file:
        content = file.read(LIMIT + 1)
    if len(content) > LIMIT:
        raise KairosError(f"{name} is larger than {LIMIT} bytes")
    return content
