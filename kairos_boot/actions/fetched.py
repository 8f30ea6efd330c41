"""A file whose content comes from a URL and is appended, or has a substitute: `source` of a #cloud-config's `write_files` (B12)."""

from __future__ import annotations

from kairos_boot.actions.files import ROOT, Owner, WriteFile
from kairos_boot.errors import KairosError
from kairos_boot.records import record
from kairos_boot.shown import shown
from kairos_boot.system.host import Host


@record
class FetchedFile:
    """The content of *url* at *path*; *substitute*, if there is one, where it cannot be fetched."""

    path: str
    url: str
    mode: int | None = None
    owner: Owner = ROOT
    substitute: bytes | None = None
    append: bool = False
    timeout: float = 30.0
    """Seconds a try may take, 0 is none."""
    tries: int = 3
    where: str = ""

    def describe(self) -> str:
        """Address, without user and query, and path."""
        return f"download {shown(self.url)} and {'append it to' if self.append else 'write'} {self.path}"

    def would_change(self, host: Host) -> bool | None:
        """Only fetching tells. KairosError: nothing can be written there."""
        self._file(b"").would_change(host)
        return None

    def _file(self, content: bytes) -> WriteFile:
        return WriteFile(self.path, content, self.mode, self.owner, 0o755, where=self.where, append=self.append)

    def apply(self, host: Host) -> bool:
        """Fetch and write. KairosError: it cannot be fetched (the substitute is written then), or the disk refuses."""
        from kairos_boot.system.http import fetch

        try:
            content = fetch(self.url, timeout=self.timeout, tries=self.tries)
        except KairosError as error:
            if self.substitute is None:
                raise KairosError(error.message, self.where, error.hint) from error
            self._file(self.substitute).apply(host)
            raise KairosError(f"{error.message}; the file has its `content` instead", self.where, error.hint) from error
        return self._file(content).apply(host)
