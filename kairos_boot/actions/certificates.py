"""Certificates of authorities that the node trusts: `ca_certs` of a #cloud-config document (B12)."""

from __future__ import annotations

from kairos_boot.actions.files import Owner, WriteFile
from kairos_boot.actions.run import Run
from kairos_boot.errors import KairosError
from kairos_boot.records import record
from kairos_boot.system.host import Host

STORES = (
    ("/etc/pki/ca-trust/source/anchors", "/usr/bin/update-ca-trust", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
    ("/etc/pki/trust/anchors", "/usr/sbin/update-ca-certificates", "/var/lib/ca-certificates/ca-bundle.pem"),
    ("/usr/local/share/ca-certificates", "/usr/sbin/update-ca-certificates", "/etc/ssl/certs/ca-certificates.crt"),
)
"""Where a distribution (Red Hat's, SUSE's, the others) keeps added certificates, what makes its store of them, and the store."""
LIST = "/etc/ca-certificates.conf"
"""Debian's list of the certificates that came with the system; a `!` takes one out."""


@record
class TrustCertificates:
    """The *trusted* PEM texts are in the node's store; with *remove_defaults* nothing else is (Debian and its kin)."""

    trusted: tuple[str, ...]
    remove_defaults: bool = False
    timeout: float = 0
    where: str = ""

    def describe(self) -> str:
        count = len(self.trusted)
        return f"trust {count} certificate{'s' if count != 1 else ''}" + (" and none of the system's" if self.remove_defaults else "")

    def would_change(self, host: Host) -> bool | None:
        """Whether a file or the store is not as wanted. KairosError: the node has no store that is known."""
        files, _, store = self._wanted(host)
        return any(file.would_change(host) for file in files) or not self._is_in(host, store)

    def apply(self, host: Host) -> bool:
        """Write the files and make the store anew, if anything is missing. The tool is looked for before the first write (C9)."""
        files, tool, store = self._wanted(host)
        changed = [file.apply(host) for file in files]
        if not any(changed) and self._is_in(host, store):
            return False
        argv = (tool, "extract") if tool.endswith("trust") else (tool, "--fresh") if self.remove_defaults else (tool,)
        Run(argv, timeout=self.timeout, where=self.where).apply(host)
        return True

    def _wanted(self, host: Host) -> tuple[list[WriteFile], str, str]:
        found = next((store for store in STORES if host.exists(store[1]) and (host.is_directory(store[0]) or store is STORES[-1])), None)
        if found is None:
            raise KairosError("the node has nothing to make a store of certificates with", self.where, "install ca-certificates in the image")
        directory, tool, store = found
        files = [WriteFile(f"{directory}/cloud-init-ca-cert-{number}.crt", f"{text.strip()}\n".encode(), 0o644, Owner(0, 0), 0o755, where=self.where)
                 for number, text in enumerate(self.trusted, 1)]
        if self.remove_defaults:
            old = host.read(LIST)
            if old is None:
                raise KairosError(f"the system's certificates cannot be taken out here: there is no {LIST}", self.where, "take remove_defaults out")
            lines = [line if not line.strip() or line[:1] in (b"#", b"!") else b"!" + line for line in old.split(b"\n")]
            files.append(WriteFile(LIST, b"\n".join(lines), owner=Owner(), where=self.where))
        return files, tool, store

    def _is_in(self, host: Host, path: str) -> bool:
        """Whether the store has every certificate; /etc is the image's at each boot, though the files may have stayed."""
        store = b"".join((host.read(path) or b"").split())
        return all(b"".join(text.encode().split()) in store for text in self.trusted)
