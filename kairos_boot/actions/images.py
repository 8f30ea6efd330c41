"""Container images and trees whose files are laid over a directory (spec/modules.md 3.21). skopeo fetches and reads images."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record
from kairos_boot.shown import masked, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tarfile import TarInfo

    from kairos_boot.system.host import Host

TRANSPORTS = ("docker://", "oci:", "oci-archive:", "docker-archive:", "dir:", "containers-storage:", "docker-daemon:")
"""What containers-transports(5) knows and a source may begin with."""
MARK = "trusted.kairos-boot.image."
"""Extended attribute of the target that names what was unpacked there: it is gone when the target is."""
XATTR = "SCHILY.xattr."


@record
class UnpackImage:
    """The files of *source* over *target*. An image of a registry is fetched again only when the registry has another one."""

    source: str
    target: str
    platform: str = ""
    timeout: float = 0
    retries: int = 0
    where: str = ""

    def describe(self) -> str:
        """Source and target."""
        return f"unpack {shown(self.source)}{f' for {self.platform}' if self.platform else ''} over {self.target}"

    def would_change(self, host: Host) -> bool | None:
        """Whether there is no target yet; else only unpacking tells."""
        if self.source.startswith("/"):
            host.place(self.source).close()
        with host.place(self.target) as place:
            return None if place.status else True

    def apply(self, host: Host) -> bool:
        """Fetch, unpack, and remove what was fetched. KairosError: with skopeo's words, or what is wrong with the image."""
        import shutil

        try:
            source, is_image = resolve(host, self.source)
            host.place(self.target).close()  # before anything is fetched
        except OSError as error:
            raise KairosError(f"cannot unpack {shown(self.source)} over {self.target}: {reason(error)}", self.where) from error
        directory = f"{_room(host)}/kairos-boot-image.{os.getpid()}"
        try:
            digest = self._digest(host, source) if source.startswith("docker://") else ""
            if digest and _marked(host, self) == digest:
                return False
            os.makedirs(host.path(directory), 0o700)
            try:
                layers = self._fetch(host, source, directory) if is_image else [_as_tar(host.path(source), host.path(directory))]
                changed = self._unpack(host, layers)
            finally:
                shutil.rmtree(host.path(directory))
            _mark(host, self, digest)
        except OSError as error:
            raise KairosError(f"cannot unpack {shown(self.source)} over {self.target}: {reason(error)}", self.where) from error
        except KairosError as error:
            raise KairosError(error.message, self.where, error.hint) from error
        return changed

    def _unpack(self, host: Host, layers: list[str]) -> bool:
        from kairos_boot.system.layers import unpack

        with host.place(self.target) as place:
            new = not place.is_directory
            place.make_directory(0o755, None, None)
            return unpack(layers, place.path) or new

    def _skopeo(self, host: Host, *words: str) -> str:
        for attempt in range(self.retries + 1):
            try:
                result = host.processes.run(("skopeo", *words), timeout=self.timeout, env={"LC_ALL": "C"})
            except KairosError as error:
                raise KairosError(error.message, hint="images are fetched and read by skopeo, which the node needs for them") from error
            if not result.code and not result.timed_out:
                return result.output
            if attempt == self.retries:
                break
        raise KairosError(f"skopeo {words[0]} of {shown(self.source)}: {result.explain(self.timeout)}\n{masked(result.output.strip())}".rstrip())

    def _digest(self, host: Host, source: str) -> str:
        """What stands for the image as the registry has it now, platform and all."""
        from hashlib import sha256

        return sha256(self._skopeo(host, "inspect", "--raw", source).encode()).hexdigest()

    def _fetch(self, host: Host, source: str, directory: str) -> list[str]:
        """Copy the image, its layers as plain tar files, and return these, the lowest first."""
        import json

        platform = zip(("--override-os", "--override-arch", "--override-variant"), self.platform.split("/") if self.platform else (), strict=False)
        self._skopeo(host, *(word for pair in platform for word in pair), "copy", "--quiet", "--dest-decompress", source, f"dir:{directory}/image")
        image = host.path(f"{directory}/image")
        with open(f"{image}/manifest.json", encoding="utf-8") as file:
            manifest = json.load(file)
        if not isinstance(manifest.get("layers"), list):
            raise KairosError(f"{shown(self.source)} has a manifest without layers, of schema version {manifest.get('schemaVersion')}")
        return [f"{image}/{layer['digest'].partition(':')[2]}" for layer in manifest["layers"]]


def resolve(host: Host, source: str) -> tuple[str, bool]:
    """What skopeo is asked for, or the path of a plain tree or tar file; and whether it is an image."""
    if source.startswith(TRANSPORTS):
        return source, True
    if not source.startswith("/"):
        name, at, digest = source.partition("@")
        if at:  # a tag says nothing beside a digest, and skopeo refuses both
            place, slash, last = name.rpartition("/")
            name = f"{place}{slash}{last.partition(':')[0]}"
        return f"docker://{name}{at}{digest}", True
    host.place(source).close()  # a user who leads root to another source would have it copied (C12)
    if host.is_directory(source):
        kinds = (("oci-layout", "oci:"), ("version", "dir:"))
        kind = next((transport for name, transport in kinds if host.exists(f"{source}/{name}")), "")
    else:
        kind = _archive(host, source)
    return kind + source, bool(kind)


def _archive(host: Host, path: str) -> str:
    """The transport that reads this tar file, or nothing if it is a plain one. KairosError: there is none."""
    import tarfile

    try:
        with tarfile.open(host.path(path)) as tar:
            names = {member.name.removeprefix("./") for member in tar}
    except OSError as error:
        raise KairosError(f"cannot read {path}: {reason(error)}") from error
    except tarfile.TarError as error:
        raise KairosError(f"{path} is no tar file: {error}") from error
    return "oci-archive:" if "oci-layout" in names else "docker-archive:" if "manifest.json" in names else ""


def _as_tar(path: str, directory: str) -> str:
    """A plain tar file as it is; a tree as a tar file, extended attributes included."""
    import tarfile

    if not os.path.isdir(path):
        return path

    def attributes(member: TarInfo) -> TarInfo:
        file = os.path.join(path, member.name)
        member.pax_headers = {XATTR + name: os.getxattr(file, name, follow_symlinks=False).decode("utf-8", "surrogateescape")
                              for name in os.listxattr(file, follow_symlinks=False) if not name.startswith(MARK)}
        return member

    with tarfile.open(f"{directory}/tree.tar", "w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar:
        for name in sorted(os.listdir(path)):
            tar.add(f"{path}/{name}", name, filter=attributes)
    return f"{directory}/tree.tar"


def _room(host: Host) -> str:
    """Where large files are put for a while: not in memory, if persistent storage is mounted (G7)."""
    named = os.environ.get("TMPDIR", "")
    return named or ("/usr/local/tmp" if os.path.ismount(host.path("/usr/local")) else "/tmp")


def _key(image: UnpackImage) -> str:
    from hashlib import sha256

    return MARK + sha256(f"{image.source} {image.platform}".encode()).hexdigest()[:16]


def _marked(host: Host, image: UnpackImage) -> str:
    try:
        return os.getxattr(host.real(image.target), _key(image)).decode("ascii", "replace")
    except OSError:
        return ""


def _mark(host: Host, image: UnpackImage, digest: str) -> None:
    if digest and _marked(host, image) != digest:
        try:
            os.setxattr(host.real(image.target), _key(image), digest.encode())
        except OSError:
            pass  # a file system without attributes: the image is fetched at each run
