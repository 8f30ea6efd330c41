"""Container images and trees whose files are laid over a directory (docs/reference/unpack_images.md). skopeo fetches and reads images."""

from __future__ import annotations

import os
import tarfile

from kairos_boot.actions.packed import ZSTD, by_zstd, keep, unpacked
from kairos_boot.errors import Explained, KairosError
from kairos_boot.records import record
from kairos_boot.shown import masked, shown
from kairos_boot.system.descriptors import Held
from kairos_boot.system.layers import UNREADABLE, XATTR, unpack
from kairos_boot.system.process import ANSWER
from kairos_boot.system.scratch import Scratch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tarfile import TarInfo

    from kairos_boot.system.host import Host

TRANSPORTS = ("docker://", "oci:", "oci-archive:", "docker-archive:", "dir:", "containers-storage:", "docker-daemon:")
"""What containers-transports(5) knows and a source may begin with."""
MARK = "trusted.kairos-boot.image."
"""Extended attribute of the target that names what was unpacked there: it is gone when the target is."""
POLICIES = ("/etc/containers/policy.json", "/root/.config/containers/policy.json")


@record
class UnpackImage:
    """The files of *source* over *target*. An image of a registry is fetched again only when the registry has another one."""

    source: str
    target: str
    platform: str = ""
    timeout: float = 0
    retries: int = 0
    where: str = ""
    keep: bool = False
    """Whether directories that are there stay as they are."""
    insecure: bool = False
    """A registry without TLS, or with a certificate that nobody vouches for, will do."""

    def describe(self) -> str:
        return f"unpack {shown(self.source)}{f' for {self.platform}' if self.platform else ''} over {self.target}"

    def would_change(self, host: Host) -> bool | None:
        """Whether there is no target yet; else only unpacking tells. KairosError: a user leads root elsewhere (C12)."""
        if self.source.startswith("/"):
            host.place(self.source).close()
        with host.place(self.target) as place:
            return None if place.status else True

    def apply(self, host: Host) -> bool:
        """Fetch, unpack, and remove what was fetched. KairosError: with skopeo's words, or what is wrong with the image."""
        with Explained(f"cannot unpack {shown(self.source)} over {self.target}", self.where):
            return self._apply(host)

    def _apply(self, host: Host) -> bool:
        for path in filter(lambda path: path.startswith("/"), (self.source, self.target)):
            host.place(path).close()  # what cannot be is told before anything is fetched
        source = registry(self.source)
        digest = self._digest(host, source) if source.startswith("docker://") else ""
        if digest and _marked(host, self) == digest:
            return False
        with Scratch(host, f"image-{_key(self).removeprefix(MARK)}") as scratch:
            if source.startswith("/"):
                source = local(host, source, scratch)
            layers = [source] if source.startswith("/") else self._fetch(host, source, scratch)
            with host.place(self.target) as place:
                new = not place.is_directory
                place.make_directory(0o755, None, None)
                fd = place.open(os.O_DIRECTORY)
            with Held(fd):
                changed = unpack(layers, fd, keep=self.keep) or new
        _mark(host, self, digest)
        return changed

    def _skopeo(self, host: Host, *words: str) -> str:
        for attempt in range(self.retries + 1):
            try:
                result = host.processes.run(("skopeo", *policy(host), *words), timeout=self.timeout, env={"LC_ALL": "C"}, whole=ANSWER)
            except KairosError as error:
                raise KairosError(error.message, hint="images are fetched and read by skopeo, which the node needs for them") from error
            if not result.code and not result.timed_out:
                return result.output
            if attempt == self.retries:
                break
        raise KairosError(f"skopeo {words[0]} of {shown(self.source)}: {result.explain(self.timeout)}\n{masked(result.said.strip())}".rstrip())

    def _digest(self, host: Host, source: str) -> str:
        """What stands for the image as the registry has it now, platform and all."""
        from hashlib import sha256

        return sha256(self._skopeo(host, "inspect", "--raw", *(("--tls-verify=false",) if self.insecure else ()), source).encode()).hexdigest()

    def _fetch(self, host: Host, source: str, scratch: Scratch) -> list[str]:
        """Copy the image, unpack its layers to plain tar files within their limits, and return these, the lowest first."""
        import json

        platform = zip(("--override-os", "--override-arch", "--override-variant"), self.platform.split("/") if self.platform else (), strict=False)
        self._skopeo(host, *(word for pair in platform for word in pair), "copy", "--quiet",
                     *(("--src-tls-verify=false",) if self.insecure and source.startswith("docker://") else ()), source, f"dir:{scratch.path}/image")
        image = f"{scratch.here}/image"
        try:
            with open(f"{image}/manifest.json", encoding="utf-8") as file:
                manifest = json.load(file)
            layers = [f"{image}/{os.path.basename(layer['digest'].partition(':')[2])}" for layer in manifest["layers"]]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise KairosError(f"{shown(self.source)} has a manifest that names no layers") from error
        plain = {layer: _plain(host, layer, f"{image}/{number}.tar", self.source) for number, layer in enumerate(dict.fromkeys(layers))}
        return [plain[layer] for layer in layers]


def _plain(host: Host, layer: str, plain: str, source: str) -> str:
    """The tar file that the file *layer* is, or is unpacked to; the packed one goes."""
    with open(layer, "rb") as file:
        packed = unpacked(file)
        if packed is not None:
            keep(packed, plain, shown(source))
        elif file.read(4) == ZSTD:
            by_zstd(host, layer, plain)
        else:
            return layer
    os.unlink(layer)
    return plain


def registry(source: str) -> str:
    """What skopeo is asked for; a path stays one."""
    if source.startswith(("/", *TRANSPORTS)):
        return source
    _, at, digest = source.partition("@")
    return f"docker://{pinned(source, digest) if at else source}"


def policy(host: Host) -> tuple[str, ...]:
    """What skopeo needs to be told where nobody said whose images are trusted: it fetches nothing without a policy."""
    return () if any(host.exists(path) for path in POLICIES) else ("--insecure-policy",)


def pinned(reference: str, digest: str) -> str:
    """*reference* by its digest alone: a tag says nothing beside it, and skopeo refuses both."""
    place, slash, last = reference.partition("@")[0].rpartition("/")
    return f"{place}{slash}{last.partition(':')[0]}@{digest}"


def local(host: Host, source: str, scratch: Scratch) -> str:
    """What is at the path *source*, read to its end: an image for skopeo, else the path of a plain tar file."""
    with host.place(source) as place:
        if place.status is None:
            raise KairosError(f"cannot read {source}: No such file or directory")
        if place.is_directory:
            kinds = (("oci-layout", "oci:"), ("version", "dir:"))
            kind = next((transport for name, transport in kinds if host.exists(f"{source}/{name}")), "")
            return kind + source if kind else _as_tar(place.path, scratch.here)
        if not place.is_file:
            raise KairosError(f"cannot read {source}: it is neither a directory nor a regular file")
        with open(place.open(), "rb") as file:
            packed = unpacked(file)
            path, here = (f"{scratch.path}/plain.tar", f"{scratch.here}/plain.tar") if packed else (source, place.path)
            if packed:
                keep(packed, here, source)
    kind = _archive(here, source)
    return kind + path if kind else here


def _archive(path: str, source: str) -> str:
    """The transport that reads this tar file, or nothing if it is a plain one. KairosError: it is none."""
    try:
        with tarfile.open(path, "r:", errors="surrogateescape") as tar:
            names = {member.name.removeprefix("./") for member in tar}
    except UNREADABLE as error:
        raise KairosError(f"{source} cannot be read: no tar file, or a damaged one ({error})") from error
    return "oci-archive:" if "oci-layout" in names else "docker-archive:" if "manifest.json" in names else ""


def _as_tar(path: str, directory: str) -> str:
    """A tree of any depth as a tar file, extended attributes included."""
    def attributes(member: TarInfo) -> TarInfo:
        file = os.path.join(path, member.name)
        member.pax_headers = {XATTR + name: os.getxattr(file, name, follow_symlinks=False).decode("utf-8", "surrogateescape")
                              for name in os.listxattr(file, follow_symlinks=False) if not name.startswith(MARK)}
        return member

    with tarfile.open(f"{directory}/tree.tar", "w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar:
        names = sorted(os.listdir(path), reverse=True)
        while names:
            name = names.pop()
            file = f"{path}/{name}"
            tar.add(file, name, recursive=False, filter=attributes)
            if os.path.isdir(file) and not os.path.islink(file):
                names += [f"{name}/{child}" for child in sorted(os.listdir(file), reverse=True)]
    return f"{directory}/tree.tar"


def _key(image: UnpackImage) -> str:
    from hashlib import sha256

    return MARK + sha256(f"{image.source} {image.platform}".encode()).hexdigest()[:16]


def _marked(host: Host, image: UnpackImage) -> str:
    try:
        with host.place(image.target) as place, Held(place.open()) as fd:
            return os.getxattr(fd, _key(image)).decode("ascii", "replace")
    except OSError:
        return ""


def _mark(host: Host, image: UnpackImage, digest: str) -> None:
    if digest and _marked(host, image) != digest:
        try:
            with host.place(image.target) as place, Held(place.open()) as fd:
                os.setxattr(fd, _key(image), digest.encode())
        except OSError:
            pass  # a file system without attributes: the image is fetched at each run
