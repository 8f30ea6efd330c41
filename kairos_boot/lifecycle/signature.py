"""The signature of a container image, checked by the program that knows them (cosign)."""

from __future__ import annotations

from kairos_boot.actions.images import pinned
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle.phases import Phase
from kairos_boot.lifecycle.sources import IMAGE
from kairos_boot.records import record
from kairos_boot.system import filesystems

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from kairos_boot.lifecycle.sources import Named, Source
    from kairos_boot.system.host import Host

SECONDS = 600.0


@record
class VerifySignature:
    """One of *names*, an image of a registry by its digest and the list of images that it is in, is signed, with *key* (a file, an address, a key service)."""

    names: tuple[str, ...]
    key: str = ""
    insecure: bool = False

    def describe(self) -> str:
        """The image and the key."""
        return f"check the signature of {' or of '.join(self.names)}{f' with {self.key}' if self.key else ''}"

    def would_change(self, host: Host) -> bool | None:  # noqa: ARG002
        """It changes nothing."""
        return False

    def apply(self, host: Host) -> bool:
        """Ask cosign. KairosError: it is not signed so, or the program is missing."""
        flags = (*(("--key", self.key) if self.key else ()), *(("--allow-insecure-registry",) if self.insecure else ()))
        said = ""
        for name in self.names:
            result = host.processes.run(("cosign", "verify", *flags, name), timeout=SECONDS)
            if not result.code and not result.timed_out:
                return False
            said = f"{result.explain(SECONDS)}: {result.output.strip()[-400:]}"
        raise KairosError(f"the image is not signed as it has to be: {said}", self.names[0], "sign it, or name the key: cosign-key")


def asked(data: Mapping[str, Any]) -> bool:
    """Whether the settings *data* want a signature."""
    return data.get("cosign") is True or data.get("verify") is True


def must_be_possible(host: Host, named: Named) -> None:
    """KairosError: a signature is asked for, and nobody here can check one."""
    filesystems.need(host, ["cosign"])
    if named.kind != IMAGE:
        raise KairosError(f"only an image in a registry has a signature, and {named} is none", "cosign", "leave cosign and verify out, or name oci:IMAGE")


def phase(source: Source, data: Mapping[str, Any]) -> Phase:
    """The check of *source* before anything of it is fetched: of what is taken, not of what its tag has become meanwhile."""
    digests = dict.fromkeys((source.image.index if source.image else "", source.digest))
    names = tuple(pinned(source.named.name, digest) for digest in digests if digest)
    return Phase("signature", "check the signature of the image", (VerifySignature(names, str(data.get("cosign-key") or ""), source.insecure),))


def phases(host: Host, data: Mapping[str, Any], source: Source) -> list[Phase]:
    """That check, where the settings *data* ask for one. KairosError: nobody can check one here."""
    if not asked(data):
        return []
    must_be_possible(host, source.named)
    return [phase(source, data)]


def verify(host: Host, data: Mapping[str, Any], source: Source) -> None:
    """Do that check. KairosError: the image is not signed so, or nobody can check it here."""
    for check in phases(host, data, source):
        for action in check.actions:
            action.apply(host)
