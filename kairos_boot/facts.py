"""What modules may know of the node without reading it: they are handed facts and give actions."""

from __future__ import annotations

from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kairos_boot.cloudconfig.model import Document


class Facts:
    """Facts of one node, each gathered when it is first asked for.

    *gather* gives the template data `.Values` (spec/engine.md 3.8); *hostname_data* the fields of a `hostname` template;
    *read* the content of a file of the node or None (for what a module must compare: `/etc/os-release`).
    """

    def __init__(self, gather: Callable[[], Mapping[str, object]] = dict, hostname_data: Callable[[], Mapping[str, object]] = dict,
                 read: Callable[[str], bytes | None] = lambda path: None) -> None:  # noqa: ARG005
        self._gather = gather
        self._hostname_data = hostname_data
        self.read = read
        self.warnings: list[tuple[str, str]] = []
        """Place and text of what went wrong while rendering; the runner takes and records them."""

    def render(self, text: str, where: str) -> str:
        """*text* with its template expanded; a template that fails is a warning, and the text stays as it is (spec/engine.md 3.8)."""
        if "{{" not in text:
            return text
        from kairos_boot.template import render

        try:
            return render(text, {"Values": self._gather()})
        except KairosError as error:
            self.warnings.append((where, f"the template was left as it is: {error.message}"))
            return text

    def render_hostname(self, text: str) -> str:
        """A host name with its template expanded (`.MachineID`, `.Random`, `.UUID`, `.ProtectedID`). KairosError: it fails."""
        if "{{" not in text:
            return text
        from kairos_boot.template import render

        return render(text, self._hostname_data(), strict=True)

    def document(self, data: bytes, source: str) -> Document:
        """What *data* is as a cloud-config document called *source* in messages; `broken` where it is none."""
        from kairos_boot.cloudconfig.decode import decode

        return decode(data, source)
