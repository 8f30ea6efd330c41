"""The signature of a container image, checked by the program that knows them (cosign)."""

from __future__ import annotations

from kairos_boot.errors import KairosError
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host

SECONDS = 600.0


@record
class VerifySignature:
    """The image *name* of a registry is signed, with *key* (a file, an address, a key service) where one is named."""

    name: str
    key: str = ""

    def describe(self) -> str:
        """The image and the key."""
        return f"check the signature of {self.name}{f' with {self.key}' if self.key else ''}"

    def would_change(self, host: Host) -> bool | None:  # noqa: ARG002
        """It changes nothing."""
        return False

    def apply(self, host: Host) -> bool:
        """Ask cosign. KairosError: it is not signed so, or the program is missing."""
        result = host.processes.run(("cosign", "verify", *(("--key", self.key) if self.key else ()), self.name), timeout=SECONDS)
        if result.code or result.timed_out:
            raise KairosError(f"the image is not signed as it has to be: {result.explain(SECONDS)}: {result.output.strip()[-400:]}", self.name,
                              "sign it, or name the key: cosign-key")
        return False
