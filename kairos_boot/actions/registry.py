"""Container images of a registry, brought onto the node layer by layer; skopeo talks to the registry, with the logins of the usual files (containers-auth.json(5)).

A tag is resolved once. What is fetched is kept until it is used, so an interrupted run fetches only what is missing. Every layer is held against its size
and its digest here, too: when it is read, which is the last moment at which it can have changed.
"""

from __future__ import annotations

import os

from kairos_boot.actions.image_file import no_progress
from kairos_boot.actions.images import pinned, policy
from kairos_boot.errors import Explained, KairosError
from kairos_boot.records import record
from kairos_boot.shown import masked
from kairos_boot.system.oci import Image, chosen, digest_of, layers
from kairos_boot.system.process import ANSWER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kairos_boot.system.copying import Progress
    from kairos_boot.system.host import Host

ASK_SECONDS, FETCH_SECONDS = 180.0, 4 * 3600.0
TRIES = "2"
"""How often skopeo tries again what may have been the network's fault (B4)."""
CERTIFICATES = "put the authority's certificate into /etc/containers/certs.d/REGISTRY/ca.crt, or accept it unseen: --allow-insecure-registries"
CAUSES = (
    (("server gave HTTP response to HTTPS", "does not look like a TLS handshake"), "the registry does not speak TLS", "if that is meant to be: --allow-insecure-registries"),
    (("x509:", "certificate"), "nobody vouches for the registry's certificate", CERTIFICATES),
    (("unauthorized", "authentication required", "invalid username/password", "denied:", "access to the resource is denied", "403"), "the registry wants a login, or has no such image",
     "log in with skopeo login REGISTRY; check the name"),
    (("manifest unknown", "name unknown", "repository name not known", "404 (Not Found)", "not found: manifest", "not found"), "the registry has no such image",
     "check its name and tag; kairos-boot upgrade list-releases lists the tags"),
    (("no space left on device", "disk quota exceeded"), "there is no room for its layers", "make room, or name another place with TMPDIR"),
    (("igest did not match", "does not match", "igest mismatch", "Blob unknown"), "the registry sends something else than it promises", "tell who runs it; the image there is damaged"),
    (("toomanyrequests", "429"), "the registry wants to be asked less often", "log in with skopeo login, or try later"),
    (("no such host", "connection refused", "network is unreachable", "no route to host", "i/o timeout", "TLS handshake timeout", "Temporary failure in name resolution"),
     "the registry cannot be reached", "check the network and the name; what was fetched is kept, and the next run goes on"),
    (("unexpected EOF", "connection reset", "EOF", "broken pipe", "500", "502", "503"), "the registry stopped half-way", "run it again: what was fetched is kept"),
)
"""What skopeo says, what that means, and what helps."""


@record
class FetchImage:
    """The layers of *image*, which a registry calls *reference*, in the directory *layout*. *insecure*: without TLS, or with a certificate that nobody vouches for, too."""

    reference: str
    image: Image
    layout: str
    insecure: bool = False
    progress: Progress = no_progress

    def describe(self) -> str:
        return f"fetch {pinned(self.reference, self.image.digest)} ({len(self.image.layers)} layers, {self.image.size >> 20} MiB) to {self.layout}"

    def would_change(self, host: Host) -> bool | None:
        return bool(self._missing(host))

    def apply(self, host: Host) -> bool:
        """Fetch what is not there yet. KairosError: why not, and what helps; what was fetched stays."""
        here = host.path(self.layout)
        with Explained("the image's layers cannot be kept", self.layout, "make room, or name another place with TMPDIR"):
            self._tidy(host, here)
            missing = self._missing(host)
            if not missing:
                return False
            free = os.statvfs(here)
            need = sum(layer.size for layer in self.image.layers if layer.digest in missing) + self.image.size
            if free.f_bavail * free.f_frsize < need:
                raise KairosError(f"there is no room for the image: at least {need >> 20} MiB are needed for its layers and its files, and "
                                  f"{free.f_bavail * free.f_frsize >> 20} MiB are free", self.layout, "make room, or name another place with TMPDIR")
        total = self.image.size
        secure = ("--src-tls-verify=false",) if self.insecure else ()
        with _Watch(lambda: self.progress(min(_used(here), total - 1), total)):
            skopeo(host, self.reference, "copy", "--quiet", "--retry-times", TRIES, *secure, f"docker://{pinned(self.reference, self.image.digest)}", f"oci:{self.layout}:node",
                   seconds=FETCH_SECONDS)
        for layer in self.image.layers:
            if _size(host.path(layer.path)) != layer.size:
                raise KairosError(f"a layer is not what the registry promised: {layer.digest} has {_size(host.path(layer.path))} bytes, and {layer.size} are expected", self.reference)
        self.progress(total, total)
        return True

    def _missing(self, host: Host) -> set[str]:
        return {layer.digest for layer in self.image.layers if _size(host.path(layer.path)) != layer.size}

    def _tidy(self, host: Host, here: str) -> None:
        """Remove what an ended run left half done, what belongs to another image, and what is damaged."""
        from kairos_boot.system.trees import remove

        os.makedirs(f"{here}/blobs/sha256", mode=0o700, exist_ok=True)
        wanted = {os.path.basename(layer.path): layer for layer in self.image.layers}
        for name in os.listdir(here):
            if name not in ("blobs", "oci-layout"):
                remove(f"{here}/{name}")
        for name in os.listdir(f"{here}/blobs/sha256"):
            if name not in wanted or not _is_whole(host.path(wanted[name].path), wanted[name].digest):
                remove(f"{here}/blobs/sha256/{name}")


def resolve(host: Host, reference: str, layout: str, *, insecure: bool = False) -> Image:
    """What *reference* is now, for this machine, its layers where `FetchImage` puts them. KairosError: why the registry does not tell, and what helps."""
    from kairos_boot.system.identity import architecture

    def locate(digest: str) -> tuple[str, int]:
        return f"{layout}/blobs/sha256/{digest.removeprefix('sha256:')}", 0

    try:
        text = _promised(_manifest(host, reference, insecure=insecure), reference.partition("@")[2])
        digest = outer = digest_of(text)
        inner = chosen(text, ("linux", architecture()))
        if inner:
            digest, text = inner, _promised(_manifest(host, pinned(reference, inner), insecure=insecure), inner)
        return Image(digest, layers(text, locate), outer if inner else "")
    except KairosError as error:
        raise KairosError(error.message, error.where or reference, error.hint) from error


def _promised(manifest: bytes, digest: str) -> bytes:
    """*manifest*. KairosError: it is not the one that was asked for by *digest*."""
    if digest and digest_of(manifest) != digest:
        raise KairosError(f"the registry sends something else than it promises: a manifest with the digest {digest_of(manifest)}, where {digest} was asked for",
                          hint="tell who runs it")
    return manifest


def tags(host: Host, repository: str, *, insecure: bool = False) -> list[str]:
    """The tags that a registry has of *repository*. KairosError: why it does not tell, and what helps."""
    import json

    said = skopeo(host, repository, "list-tags", "--retry-times", TRIES, *(("--tls-verify=false",) if insecure else ()), f"docker://{repository}", seconds=ASK_SECONDS)
    try:
        return [str(tag) for tag in json.loads(said)["Tags"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise KairosError("the registry's list of tags cannot be read", repository) from error


def _manifest(host: Host, reference: str, *, insecure: bool) -> bytes:
    said = skopeo(host, reference, "inspect", "--raw", "--retry-times", TRIES, *(("--tls-verify=false",) if insecure else ()), f"docker://{reference}", seconds=ASK_SECONDS)
    return said.encode()


def skopeo(host: Host, name: str, *words: str, seconds: float) -> str:
    """Run skopeo, and give its answer, without what it says beside it. KairosError: what went wrong with the image *name*, and what helps."""
    env = {"LC_ALL": "C", "HOME": os.environ.get("HOME") or "/root"}  # where logins are looked for; a service has none
    try:
        result = host.processes.run(("skopeo", *policy(host), *words), timeout=seconds, env=env, whole=ANSWER)
    except KairosError as error:
        raise KairosError(error.message, name, "images are fetched by skopeo, which the node needs for them") from error
    if not result.code and not result.timed_out:
        return result.output
    if result.timed_out:
        raise KairosError(f"skopeo {words[0]}: {result.explain(seconds)}", name, "run it again: what was fetched is kept")
    raise explained(result.said, name)


def _has(said: str, sign: str) -> bool:
    """Whether *sign* is in what skopeo *said*; a number only as a word of its own, such as an HTTP status, and not in a port or a digest."""
    return any(word.strip(".,:;()\"'") == sign for word in said.split()) if sign.isdecimal() else sign in said


def explained(said: str, name: str) -> KairosError:
    """What skopeo *said* of the image *name*, as an error with its cause and its remedy, where they are known."""
    words = masked(" ".join(said.split()))[-600:]
    for signs, fact, hint in CAUSES:
        if any(_has(said, sign) for sign in signs):
            return KairosError(f"{fact} (skopeo: {words})", name, hint)
    return KairosError(f"skopeo: {words}", name)


class _Watch:
    """Says every second, in a thread of its own, how far it is: skopeo does not."""

    def __init__(self, tell: Callable[[], None]) -> None:
        from threading import Event, Thread

        self._tell, self._over = tell, Event()
        self._thread = Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        while not self._over.wait(1):
            self._tell()

    def __enter__(self) -> None:
        """Begin."""
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        """End."""
        self._over.set()
        self._thread.join()


def _is_whole(path: str, digest: str) -> bool:
    from kairos_boot.system.copying import digest as summed
    from kairos_boot.system.descriptors import Held

    with Held(os.open(path, os.O_RDONLY | os.O_CLOEXEC)) as fd:
        return f"sha256:{summed(fd)}" == digest


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


def _used(directory: str) -> int:
    return sum(max(_size(f"{folder}/{name}"), 0) for folder, _, names in os.walk(directory) for name in names)
