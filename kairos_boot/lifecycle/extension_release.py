"""Whether systemd would merge an image: what it says it is made for, held against what a system says of itself (extension-release in os-release(5))."""

from __future__ import annotations

import os
from contextlib import contextmanager

from kairos_boot.errors import Explained, KairosError
from kairos_boot.records import record
from kairos_boot.system.identity import variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kairos_boot.boot.extensions import Kind
    from kairos_boot.system.host import Host

MOUNT = "/run/kairos-boot/extension"
FILE_SYSTEMS = ("squashfs", "erofs", "ext4", "btrfs")
"""What an image without a partition table may be; one with a table is looked into by systemd-dissect."""
PREFIX = "extension-release."
LOOSE = "user.extension-release.strict"
"""Attribute of a release file that holds whatever its image is called, where it is off."""
ARCHITECTURES = {"x86_64": "x86-64", "aarch64": "arm64", "riscv64": "riscv64", "ppc64le": "ppc64-le", "s390x": "s390x", "i686": "x86", "loongarch64": "loongarch64"}
"""How systemd calls machines."""
SECONDS = 60.0


@record
class Release:
    """What an image says it is made for; *values* is None where nobody here can look into it, and *why* says why."""

    values: Mapping[str, str] | None
    why: str = ""


def names_of(name: str, kind: Kind) -> tuple[str, ...]:
    """What systemd calls the image *name*: newer ones also take the kind off."""
    base = name.removesuffix(".raw")
    return tuple(dict.fromkeys((base, base.removesuffix(f".{kind.name}"))))


def read(host: Host, kind: Kind, path: str, name: str) -> Release:
    """What the image at *path* of this machine, which is to be called *name*, is made for. KairosError: it is no image, or no extension."""
    from kairos_boot.system.blkid import probe

    if os.geteuid():
        return Release(None, "it needs root to look into the image")
    fstype = probe(path).fstype
    if fstype in FILE_SYSTEMS:
        with contextmanager(_mounted)(path, fstype, name) as place:
            return Release(variables(_file(f"{place}/{kind.releases}", kind, name)))
    return _dissected(host, kind, path, name)


def _mounted(path: str, fstype: str, name: str) -> Iterator[str]:
    from kairos_boot.system import loop, mounts
    from kairos_boot.system.private import private_directory

    place = f"{MOUNT}-{os.getpid()}"
    node = loop.attach(path)
    try:
        with Explained("the image cannot be mounted", name, "copy it again: it is damaged, or the kernel does not know its file system"):
            private_directory(os.path.dirname(place))
            private_directory(place)
            mounts.mount(node, place, fstype, ("ro", "nodev", "nosuid", "noexec"))
        try:
            yield place
        finally:
            mounts.unmount(place, detach=True)
            os.rmdir(place)
    finally:
        loop.detach(node)


def _file(directory: str, kind: Kind, name: str) -> bytes:
    """The release file that counts for an image called *name*. KairosError: there is none."""
    try:
        found = [file for file in sorted(os.listdir(directory)) if file.startswith(PREFIX) and os.path.isfile(f"{directory}/{file}") and not os.path.islink(f"{directory}/{file}")]
    except OSError:
        found = []
    own = next((f"{PREFIX}{base}" for base in names_of(name, kind) if f"{PREFIX}{base}" in found), "")
    loose = [file for file in found if _is_loose(f"{directory}/{file}")]
    chosen = own or (loose[0] if len(loose) == 1 else "")
    if not chosen and found:
        raise KairosError(f"the image is {found[0].removeprefix(PREFIX)!r} by its /{kind.releases}/{found[0]}, and systemd merges no image of another name", name,
                          f"call it {found[0].removeprefix(PREFIX)}.raw")
    if not chosen:
        raise KairosError(f"the image is no {kind.name}: it has no /{kind.releases}/{PREFIX}{names_of(name, kind)[0]}", name, f"build it as one, see systemd-{kind.name}(8)")
    with open(f"{directory}/{chosen}", "rb") as file:
        return file.read(1 << 16)


def _is_loose(path: str) -> bool:
    try:
        return os.getxattr(path, LOOSE, follow_symlinks=False).strip(b"\0\n").lower() in (b"0", b"false", b"no", b"n", b"off", b"f")
    except OSError:
        return False


def _dissected(host: Host, kind: Kind, path: str, name: str) -> Release:
    """The same by systemd's own program. KairosError: it finds no file system, or no release file of that name."""
    said = ""
    for base in names_of(name, kind):
        try:
            result = host.processes.run(("systemd-dissect", "--copy-from", path, f"/{kind.releases}/{PREFIX}{base}", "-"), timeout=SECONDS, env={"LC_ALL": "C"})
        except KairosError:
            return Release(None, "it has partitions, and systemd-dissect, which looks into such images, is not here")
        if not result.code and not result.timed_out:
            return Release(variables(result.output.encode("utf-8", "surrogateescape")))
        said = said or result.output.strip()[-300:]
    raise KairosError(f"it is no image of a {kind.name} called {names_of(name, kind)[-1]}: {said}", name, "copy it again, or build it as one: a squashfs, erofs or ext4 image, or one with partitions")


def misfit(values: Mapping[str, str], system: Mapping[str, str], kind: Kind) -> str:
    """Why systemd would not merge an image made for *values* into a system whose os-release is *system*; nothing where it would."""
    level = f"{kind.name.upper()}_LEVEL"
    scope = values.get(f"{kind.name.upper()}_SCOPE", "")
    machine = values.get("ARCHITECTURE", "")
    here = ARCHITECTURES.get(os.uname().machine, "")
    if scope and "system" not in scope.split():
        return f"it is not for a running system, but for {scope}"
    if machine not in ("", "_any") and here and machine != here:
        return f"it is for {machine}, and this machine is {here}"
    if values.get("ID") == "_any":
        return ""
    for key, wanted in (("ID", values.get("ID", "")), (level, values.get(level, "")), ("VERSION_ID", values.get("VERSION_ID", ""))):
        has = system.get(key, "")
        if key == level:
            if wanted and has:  # systemd asks for no version then
                return "" if wanted == has else _unlike(key, wanted, has)
        elif key == "VERSION_ID" and not has:
            return ""  # of a system that has no versions
        elif wanted != has:
            return _unlike(key, wanted, has)
    return ""


def _unlike(key: str, wanted: str, has: str) -> str:
    return f"it is for {key}={wanted}, and the system has {key}={has}" if wanted else f"it does not say which {key} it is for, and the system has {key}={has}"
