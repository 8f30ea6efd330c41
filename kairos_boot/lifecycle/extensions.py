"""The extensions of a node: images on the persistent partition, and links that say which boots take them (docs/extensions.md).

The initrd links those of a boot for systemd (`boot/extensions`). An image is looked into before it takes its name; what appears is whole.
"""

from __future__ import annotations

import os

from kairos_boot.boot.extensions import CONFEXT, STATES, SUFFIX, SYSEXT
from kairos_boot.errors import Explained, KairosError
from kairos_boot.lifecycle import extension_release
from kairos_boot.nearest import did_you_mean
from kairos_boot.records import record
from kairos_boot.system.atomic import beside, create_file, finish_file, rename_over, sync_place
from kairos_boot.system.descriptors import Held
from kairos_boot.system.identity import os_release
from kairos_boot.system.mounts import mounted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from kairos_boot.boot.extensions import Kind
    from kairos_boot.system.host import Host
    from kairos_boot.system.mounts import Mounted
    from kairos_boot.system.place import Place

SECONDS = 120.0
WRITABLE = 0o022
"""Bits of an image's mode that it never keeps: what others may write would become the system's programs."""


@record
class Extension:
    """An image called *name*; *enabled* are the boots that take it, *merged* is whether this one has it."""

    name: str
    path: str
    size: int = 0
    enabled: tuple[str, ...] = ()
    merged: bool = False
    fits: bool | None = None
    """Whether systemd would merge it into the running system; None: nobody here can look into it."""
    why: str = ""
    """Why not."""

    @property
    def data(self) -> dict[str, object]:
        """The fields, for programs."""
        return {"name": self.name, "path": self.path, "size": self.size, "enabled": list(self.enabled), "merged": self.merged, "fits": self.fits, "why": self.why}


def names(host: Host, kind: Kind, state: str = "") -> list[str]:
    """The images that are there, or, with *state*, that it takes; a link that leads nowhere is one, too."""
    try:
        found = os.listdir(host.path(f"{kind.store}/{state}".rstrip("/")))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(name for name in found if name.endswith(SUFFIX) and not name.startswith("."))


def enabled(host: Host, kind: Kind, name: str) -> tuple[str, ...]:
    """The boots that take *name*."""
    return tuple(state for state in STATES if name in names(host, kind, state))


def chosen(host: Host, kind: Kind, wanted: str, state: str = "") -> str:
    """The one image that *wanted* names: its name, with or without the ending, else an expression that is found in it. KairosError: several, or none;
    nothing where a *state* takes none of that name.
    """
    from kairos_boot.stages.patterns import search

    if not wanted:
        raise KairosError(f"the name of the {kind.name} is empty", hint=f"kairos-boot {kind.name} list tells which there are")
    known = names(host, kind, state)
    for name in (wanted, wanted + SUFFIX):
        if name in known:
            return name
    found = [name for name in known if search(wanted, name)]
    if len(found) > 1:
        raise KairosError(f"several {kind.name}s have such a name: {', '.join(found)}", wanted, "name one of them")
    if not found and not state:
        raise KairosError(f"there is no such {kind.name} in {kind.store}", wanted, did_you_mean(wanted, [name.removesuffix(SUFFIX) for name in known]) or f"kairos-boot {kind.name} list tells which there are")
    return found[0] if found else ""


def look(host: Host, kind: Kind, listed: Sequence[str]) -> list[Extension]:
    """What is known of each of *listed*."""
    now = merged(kind, mounted() if host.online else ())
    system = os_release(host)
    found = []
    for name in listed:
        path, states = f"{kind.store}/{name}", enabled(host, kind, name)
        try:
            size = os.stat(host.path(path)).st_size
            fits, why = judged(host, kind, path, name, system)
        except OSError:
            size, fits, why = 0, False, "the image is not there"
        is_merged = any(base in now for base in extension_release.names_of(name, kind))
        found.append(Extension(name, path, size, states, is_merged, fits, why))
    return found


def judged(host: Host, kind: Kind, path: str, name: str, system: Mapping[str, str]) -> tuple[bool | None, str]:
    """Whether systemd would merge the image at *path* into *system*, and why not."""
    try:
        release = extension_release.read(host, kind, host.path(path), name)
    except KairosError as error:
        return False, error.message
    if release.values is None:
        return None, release.why
    why = extension_release.misfit(release.values, system, kind)
    return not why, why


def merged(kind: Kind, mounts: Sequence[Mounted]) -> set[str]:
    """What systemd has merged now, by its own note in each merged directory."""
    found: set[str] = set()
    for mount in mounts:
        if mount.source == kind.name and mount.fstype == "overlay":
            try:
                with open(f"{mount.target}/.{kind.program}/{kind.note}", encoding="utf-8", errors="surrogateescape") as file:
                    found.update(file.read().split("\n"))
            except OSError:
                continue
    return found - {""}


def enable(host: Host, kind: Kind, name: str, state: str) -> bool:
    """Let *state* take the image *name*; whether it did not before. KairosError: the disk fails."""
    target = f"{kind.store}/{name}"
    with Explained(f"{name} cannot be enabled", f"{kind.store}/{state}"), host.place(f"{kind.store}/{state}/{name}", follow=False) as place:
        place.make_parents(0o755, None, None)
        return _link(place, target)


def _link(place: Place, target: str) -> bool:
    """Make *place* a link to *target*, at once; whether it was none."""
    try:
        if os.readlink(place.name, dir_fd=place.directory) == target:
            return False
    except OSError:
        pass  # nothing, or no link
    new = beside(place.name)
    try:
        os.unlink(new, dir_fd=place.directory)
    except FileNotFoundError:
        pass
    os.symlink(target, new, dir_fd=place.directory)
    rename_over(new, place.name, place.directory)
    sync_place(place)
    return True


def disable(host: Host, kind: Kind, name: str, state: str) -> bool:
    """Let *state* take it no more; whether it did. KairosError: the disk fails."""
    with Explained(f"{name} cannot be disabled", f"{kind.store}/{state}"), host.place(f"{kind.store}/{state}/{name}", follow=False) as place:
        if place.status is None:
            return False
        os.unlink(place.name, dir_fd=place.directory)
        sync_place(place)
        return True


def remove(host: Host, kind: Kind, name: str) -> tuple[str, ...]:
    """Take the image away, its links first, so that no boot looks for what is not there; the boots that took it. KairosError: the disk fails."""
    took = enabled(host, kind, name)
    for state in took:
        disable(host, kind, name, state)
    with Explained(f"{name} cannot be removed", kind.store), host.place(f"{kind.store}/{name}", follow=False) as place:
        os.unlink(place.name, dir_fd=place.directory)
        sync_place(place)
    return took


def put(host: Host, kind: Kind, source: str, name: str) -> tuple[bool, str]:
    """Put a copy of the file *source* of this machine into the store; whether it is another one now, and why the running system would not merge it.

    The copy is looked into before it takes the name. KairosError: it is no extension, the old one stays then; or the disk fails.
    """
    must_be_name(name)
    with Explained("the image cannot be kept", f"{kind.store}/{name}", "make room on the persistent partition"), host.place(f"{kind.store}/{name}", follow=False) as place:
        if place.status is not None and not place.is_file:
            raise KairosError("it is there and is no file", f"{kind.store}/{name}", "move it away")
        place.make_parents(0o755, None, None)
        new = beside(name, "kairos-part")
        fd = create_file(new, place.directory)
        try:
            with Held(fd):
                summed = _copy(source, fd)
            release = extension_release.read(host, kind, f"{os.path.dirname(place.path)}/{new}", name)
            if place.is_file and _digest(place) == summed:
                os.unlink(new, dir_fd=place.directory)
                changed = False
            else:
                rename_over(new, name, place.directory)
                sync_place(place)
                changed = True
        except BaseException:
            _drop(new, place.directory)
            raise
    return changed, release.why if release.values is None else extension_release.misfit(release.values, os_release(host), kind)


def must_be_name(name: str) -> None:
    """KairosError: no image can be called so."""
    if not name.endswith(SUFFIX) or name == SUFFIX or name.startswith((".", "-")) or "/" in name or not name.isprintable():
        raise KairosError(f"an extension is a file NAME{SUFFIX}, and this one is called {name!r}", hint=f"give it the name that its extension-release file has, and the ending {SUFFIX}")


def _copy(source: str, fd: int) -> str:
    import stat

    from kairos_boot.system.copying import copy_file

    with Held(os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)) as file:
        now = os.fstat(file)
        if not stat.S_ISREG(now.st_mode):
            raise KairosError("it is no regular file", source)
        summed = copy_file(file, fd)
        finish_file(fd, stat.S_IMODE(now.st_mode) & 0o777 & ~WRITABLE, 0, 0)
    return summed


def _digest(place: Place) -> str:
    from kairos_boot.system.copying import digest

    with Held(place.open()) as fd:
        return digest(fd)


def _drop(name: str, directory: int) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        pass


def offer(host: Host, kind: Kind, name: str, state: str, *, there: bool) -> None:
    """Let this boot have the image too, or no more: the link that the initrd makes. KairosError: it cannot be made."""
    with Explained(f"{name} cannot be merged now", kind.run), host.place(f"{kind.run}/{name}", follow=False) as place:
        if there:
            place.make_parents(0o755, None, None)
            _link(place, f"{kind.store}/{state}/{name}")
        elif place.status is not None:
            os.unlink(place.name, dir_fd=place.directory)


def refresh(host: Host, kind: Kind) -> None:
    """Let systemd merge what is offered now. KairosError: it cannot."""
    unit = f"{kind.program}.service"
    result = host.processes.run(("systemctl", "restart", unit), timeout=SECONDS)
    if result.code or result.timed_out:
        raise KairosError(f"systemctl restart {unit}: {result.explain(SECONDS)}: {result.output.strip()[-400:]}", kind.run, f"see journalctl -u {unit}; the next boot merges it")


def left_behind(host: Host, system: Mapping[str, str], states: Sequence[str]) -> Iterator[str]:
    """What boots of *states* would take, and systemd not merge into *system*: a line for each."""
    for kind in (SYSEXT, CONFEXT):
        for name in dict.fromkeys(name for state in states for name in names(host, kind, state)):
            fits, why = judged(host, kind, f"{kind.store}/{name}", name, system)
            if fits is False:
                yield f"the {kind.name} {name} will not be merged: {why}"
