"""The tree that a container image is: its layers laid over each other in a new directory, and a look at what came out."""

from __future__ import annotations

import os

from kairos_boot.actions.base import always, never
from kairos_boot.actions.image_file import no_progress
from kairos_boot.actions.packed import ZSTD, by_zstd, keep, unpacked
from kairos_boot.errors import Explained, KairosError
from kairos_boot.records import record, replace
from kairos_boot.system.trees import remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kairos_boot.system.copying import Progress
    from kairos_boot.system.host import Host
    from kairos_boot.system.layer_stream import Layer


@record
class UnpackLayers:
    """The tree *tree* made of *layers*, the lowest first, of the image *name*. With *fetched* they are files of ours, and a damaged one goes."""

    name: str
    layers: tuple[Layer, ...]
    tree: str
    fetched: bool = False
    progress: Progress = no_progress

    def describe(self) -> str:
        return f"unpack {self.name} to {self.tree}"

    would_change = always

    def apply(self, host: Host) -> bool:
        """Make it anew. KairosError: a layer is damaged, or there is no room; no tree is left then."""
        make_tree(host, self.name, self.layers, self.tree, self.progress, fetched=self.fetched)
        return True


@record
class UnpackArchive:
    """The tree *tree* made of the image in the archive *archive*; its digest lies beside the tree afterwards."""

    archive: str
    tree: str
    progress: Progress = no_progress

    def describe(self) -> str:
        return f"unpack {self.archive} to {self.tree}"

    would_change = always

    def apply(self, host: Host) -> bool:
        """Make it anew. KairosError: it is no archive of an image, or damaged, or there is no room; no tree is left then."""
        from kairos_boot.system.identity import architecture
        from kairos_boot.system.oci import archived

        plain = host.path(f"{self.tree}.tar")
        try:
            with Explained("the archive cannot be unpacked", self.archive, "make room, or name another place with TMPDIR"):
                path = _plain(host.path(self.archive), plain, self.archive)
                image = archived(path, ("linux", architecture()), self.archive)
                make_tree(host, self.archive, image.layers, self.tree, self.progress)
                with open(host.path(self.tree) + ".digest", "w", encoding="ascii") as file:
                    file.write(image.digest)
        finally:
            remove(plain)
        return True


def make_tree(host: Host, name: str, layers: Sequence[Layer], tree: str, progress: Progress, *, fetched: bool = False) -> None:
    """Lay *layers* in the new directory *tree*. KairosError: see `lay`; the tree is gone then."""
    from kairos_boot.system.layer_tree import lay

    here = host.path(tree)
    unpacked: list[str] = []
    try:
        with Explained("the image cannot be unpacked", name, "make room, or name another place with TMPDIR"):
            remove(here)
            os.mkdir(here, 0o755)
            os.chmod(here, 0o755)
            lay([_readable(host, replace(layer, path=host.path(layer.path)), here, unpacked) for layer in layers], here, progress)
    except KairosError as error:
        remove(here)
        if error.where and fetched:
            remove(error.where)
            raise KairosError(error.message, name, "run it again: that layer is fetched anew") from error
        raise KairosError(error.message, name, error.hint or "build or copy the image again") from error
    except BaseException:
        remove(here)
        raise
    finally:
        for path in unpacked:
            remove(path)


def _readable(host: Host, layer: Layer, tree: str, unpacked: list[str]) -> Layer:
    """*layer* in a form that is read here: zstd is unpacked by its program, beside the tree. KairosError: it is damaged, or the program is not there."""
    with open(layer.path, "rb") as file:
        file.seek(layer.at)
        if file.read(4) != ZSTD:
            return layer
        packed, plain = f"{tree}.{len(unpacked)}.zst", f"{tree}.{len(unpacked)}.tar"
        unpacked += [packed, plain]
        file.seek(layer.at)
        summed = _copy(file.read, packed, layer.size)
    if not layer.plain and summed != layer.digest:
        raise KairosError(f"a layer is damaged: its digest is {summed}, and {layer.digest} is expected", layer.path)
    by_zstd(host, packed, plain)
    remove(packed)
    return replace(layer, path=plain, at=0, size=os.stat(plain).st_size, digest=layer.digest if layer.plain else "")  # type: ignore[no-any-return]


def _copy(read: object, path: str, size: int) -> str:
    from hashlib import sha256

    summed = sha256()
    with open(path, "xb") as file:
        while size > 0 and (data := read(min(size, 1 << 20))):  # type: ignore[operator]
            summed.update(data)
            file.write(data)
            size -= len(data)
    return f"sha256:{summed.hexdigest()}"


def _plain(path: str, plain: str, name: str) -> str:
    """The archive without what it is packed with. KairosError: it is not there, or damaged."""
    remove(plain)
    with open(path, "rb") as file:
        packed = unpacked(file)
        if packed is None:
            return path
        keep(packed, plain, name)
    return plain


@record
class CheckSystem:
    """The tree *tree*, made of *name*, would boot: a kernel, an initrd, an init, what the boot loader reads, and this program in it."""

    tree: str
    name: str

    def describe(self) -> str:
        return f"check that {self.tree} is a system that boots"

    would_change = never

    def apply(self, host: Host) -> bool:
        """KairosError: what it lacks."""
        must_be_system(host, host.path(self.tree), self.name)
        return False


NEEDED = ("/boot/vmlinuz", "/boot/initrd", "/etc/os-release", "/etc/cos/grub.cfg", "/etc/cos/bootargs.cfg")
PARTS = ("boot", "etc", "usr")
"""Directories that a system is made of; they are in its tree."""
INITS = ("/sbin/init", "/usr/lib/systemd/systemd", "/lib/systemd/systemd", "/init")


HALF = ("usr/bin/kairos-boot", "usr/lib/systemd/system/kairos-boot-image.service", "usr/lib/systemd/system/kairos-boot-initrd.service")
"""What an initrd has that starts a node: without them nobody mounts its image."""


def must_be_system(host: Host, tree: str, name: str) -> None:
    """KairosError: the *tree*, called *name*, would not boot; links of it lead inside it."""
    from kairos_boot.actions.image_tree import is_mounted
    from kairos_boot.system.host import Host

    inside = Host(tree)
    for part in PARTS:
        if os.path.isdir(f"{tree}/{part}") and is_mounted(tree, part):
            raise KairosError(f"/{part} is a file system of its own, and what is mounted in a tree is no part of it", name,
                              "name a tree that is whole; what runs here is none: take the image that it was made of")
    missing = [path for path in NEEDED if not inside.exists(path)]
    if not any(inside.exists(path) for path in INITS):
        missing.append(INITS[0])
    if missing:
        raise KairosError(f"what is to become the system lacks {', '.join(missing)}", name, "build the image as one of a node: kairos-boot-image is the last command of its recipe")
    for path in NEEDED[:2]:
        if not os.path.getsize(inside.path(path)):
            raise KairosError(f"{path} of what is to become the system is empty", name, "build the image again")
    _must_have_half(host, inside.path(NEEDED[1]), name)


def must_stay_system(tree: str, name: str, removed: Sequence[str], made: Sequence[str], keys: tuple[str, str]) -> None:
    """KairosError: *removed* takes away what a system is made of, or a directory of *made* cannot be in the *tree*; *keys* are where each was asked for."""
    from kairos_boot.system.host import Host

    inside = Host(tree)
    init = next((path for path in INITS if inside.exists(path)), INITS[0])
    for path in removed:
        gone = inside.real(path)
        for needed in (*NEEDED, init):
            if f"{inside.real(needed)}/".startswith(f"{gone.rstrip('/')}/"):
                raise KairosError(f"without {path} it would be no system: {needed} is what it is made of", keys[0], "leave it out of the list")
    for path in made:
        parts = path.strip("/").split("/")
        for at in range(1, len(parts) + 1):
            part = "/" + "/".join(parts[:at])
            if inside.exists(part) and not inside.is_directory(part):
                raise KairosError(f"{path} cannot be a directory of {name}: {part} is none there", keys[1], "name another one")


def _must_have_half(host: Host, initrd: str, name: str) -> None:
    """KairosError: the file *initrd* is none, or starts no node: the half of this program that runs there is not in it (an initrd of Kairos' own has another)."""
    from kairos_boot.system.initramfs import NoProgramError, names

    try:
        found = {path.removeprefix("usr/") for path in names(initrd, host.processes)}
    except NoProgramError:
        return  # the program that packed it is not on this node
    except KairosError as error:
        raise KairosError(f"{NEEDED[1]} of what is to become the system: {error.message}", name, "build the image again") from error
    missing = [path for path in HALF if path.removeprefix("usr/") not in found]
    if missing:
        raise KairosError(f"{NEEDED[1]} of what is to become the system is none that starts a node: it lacks {', '.join(missing)}", name,
                          "make it with dracut --add kairos-boot; an image that was made for Kairos' own initrd needs this program first (kairos-boot-image)")
