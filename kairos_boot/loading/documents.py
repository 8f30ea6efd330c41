"""The documents of a run: where they come from by themselves, in which order, and that each is parsed once."""

from __future__ import annotations

from kairos_boot.cloudconfig.model import Document
from kairos_boot.loading.memory import Memory
from kairos_boot.loading.sources import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kairos_boot.loading.reader import Reader

DIRECTORIES = ("/system/oem", "/oem", "/usr/local/cloud-config")
"""The default directories, in the order in which they are read (A1); one that is not there is no mistake."""
RECORD = "/run/kairos-boot/documents"
"""Documents parsed once are kept here for the boot."""
SAY_MORE = ("stages", "kairos.config_url=", "cos.setup=")
"""Without any of these a kernel command line says nothing of documents, and what reads it need not be loaded."""


class Sources:
    """Where the documents of a run come from: the *given* sources, or *directories*, *extra* ones and the kernel command line.

    *cmdline* is that line's text, *values* what a template in its address may use, *record* where the parsed documents are
    kept for the boot. With *dotnotation* all sources hold dot notation, which is never kept. *strict* makes a malformed word
    of the command line an error (B3).
    """

    def __init__(self, reader: Reader, given: Sequence[str] = (), *, directories: Sequence[str] = DIRECTORIES, extra: Sequence[str] = (),
                 cmdline: str = "", values: Callable[[], Mapping[str, object]] = dict, dotnotation: bool = False, strict: bool = False,
                 record: str | None = None) -> None:
        self.default = not given
        self.names = tuple(given or (*directories, *extra))
        self.reader, self.cmdline, self.values, self.dotnotation, self.strict = reader, cmdline, values, dotnotation, strict
        self._memory = Memory(reader, None if dotnotation else record)

    def load(self) -> list[Document]:
        """Every document as it is now; what did not change, an address and standard input are not read again."""
        documents = self._load(self.names)
        return documents + self._from_cmdline() if self.default else documents

    def _from_cmdline(self) -> list[Document]:
        if not any(word in self.cmdline for word in SAY_MORE):
            return []
        from kairos_boot.loading.cmdline import config_uri, load_cmdline

        uri, problems = config_uri(self.cmdline, self.values)
        found = [Document("the kernel command line", problems=tuple(problems), broken=True)] if problems else []
        return found + (self._load((uri,)) if uri else []) + load_cmdline(self.cmdline, strict=self.strict)

    def _load(self, names: Sequence[str]) -> list[Document]:
        return load(names, self.reader, dotnotation=self.dotnotation, memory=self._memory, missing_ok=DIRECTORIES if self.default else ())
